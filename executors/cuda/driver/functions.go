package driver

import "strings"

// function is a function of the driver that the binding calls.
type function int

const (
	fnInit function = iota
	fnDriverGetVersion
	fnGetErrorName
	fnGetErrorString
	fnDeviceGetCount
	fnDeviceGet
	fnDeviceGetName
	fnDeviceGetAttribute
	fnDeviceTotalMem
	fnDeviceGetDefaultMemPool
	fnMemPoolSetAttribute
	fnMemPoolTrimTo
	fnPrimaryCtxRetain
	fnPrimaryCtxRelease
	fnCtxSetCurrent
	fnModuleLoadDataEx
	fnModuleUnload
	fnModuleGetFunction
	fnFuncGetAttribute
	fnFuncSetAttribute
	fnMemGetInfo
	fnMemAlloc
	fnMemFree
	fnMemAllocAsync
	fnMemFreeAsync
	fnMemHostAlloc
	fnMemFreeHost
	fnMemcpyHtoDAsync
	fnMemcpyDtoHAsync
	fnMemcpyDtoDAsync
	fnStreamCreate
	fnStreamDestroy
	fnStreamSynchronize
	fnStreamWaitEvent
	fnEventCreate
	fnEventDestroy
	fnEventRecord
	fnEventSynchronize
	fnLaunchKernel
	fnGraphCreate
	fnGraphDestroy
	fnGraphAddKernelNode
	fnGraphAddChildGraphNode
	fnGraphInstantiate
	fnGraphExecDestroy
	fnGraphExecKernelNodeSetParams
	fnGraphExecChildNodeSetParams
	fnGraphLaunch
	fnStreamBeginCapture
	fnStreamEndCapture
	fnTensorMapEncode
	functionCount
)

// functionNames are the names that the driver exports them by: the version that
// the binding is written to, then one that it can do with, or nothing where it can do
// without (see resolve). The first version of the kernel node functions takes the same
// fields without the last two, which are left zero: the longer block serves both.
var functionNames = [functionCount]string{
	fnInit:                         "cuInit",
	fnDriverGetVersion:             "cuDriverGetVersion",
	fnGetErrorName:                 "cuGetErrorName",
	fnGetErrorString:               "cuGetErrorString",
	fnDeviceGetCount:               "cuDeviceGetCount",
	fnDeviceGet:                    "cuDeviceGet",
	fnDeviceGetName:                "cuDeviceGetName",
	fnDeviceGetAttribute:           "cuDeviceGetAttribute",
	fnDeviceTotalMem:               "cuDeviceTotalMem_v2",
	fnDeviceGetDefaultMemPool:      "cuDeviceGetDefaultMemPool",
	fnMemPoolSetAttribute:          "cuMemPoolSetAttribute",
	fnMemPoolTrimTo:                "cuMemPoolTrimTo",
	fnPrimaryCtxRetain:             "cuDevicePrimaryCtxRetain",
	fnPrimaryCtxRelease:            "cuDevicePrimaryCtxRelease_v2",
	fnCtxSetCurrent:                "cuCtxSetCurrent",
	fnModuleLoadDataEx:             "cuModuleLoadDataEx",
	fnModuleUnload:                 "cuModuleUnload",
	fnModuleGetFunction:            "cuModuleGetFunction",
	fnFuncGetAttribute:             "cuFuncGetAttribute",
	fnFuncSetAttribute:             "cuFuncSetAttribute",
	fnMemGetInfo:                   "cuMemGetInfo_v2",
	fnMemAlloc:                     "cuMemAlloc_v2",
	fnMemFree:                      "cuMemFree_v2",
	fnMemAllocAsync:                "cuMemAllocAsync",
	fnMemFreeAsync:                 "cuMemFreeAsync",
	fnMemHostAlloc:                 "cuMemHostAlloc",
	fnMemFreeHost:                  "cuMemFreeHost",
	fnMemcpyHtoDAsync:              "cuMemcpyHtoDAsync_v2",
	fnMemcpyDtoHAsync:              "cuMemcpyDtoHAsync_v2",
	fnMemcpyDtoDAsync:              "cuMemcpyDtoDAsync_v2",
	fnStreamCreate:                 "cuStreamCreate",
	fnStreamDestroy:                "cuStreamDestroy_v2",
	fnStreamSynchronize:            "cuStreamSynchronize",
	fnStreamWaitEvent:              "cuStreamWaitEvent",
	fnEventCreate:                  "cuEventCreate",
	fnEventDestroy:                 "cuEventDestroy_v2",
	fnEventRecord:                  "cuEventRecord",
	fnEventSynchronize:             "cuEventSynchronize",
	fnLaunchKernel:                 "cuLaunchKernel",
	fnGraphCreate:                  "cuGraphCreate",
	fnGraphDestroy:                 "cuGraphDestroy",
	fnGraphAddKernelNode:           "cuGraphAddKernelNode_v2|cuGraphAddKernelNode",
	fnGraphAddChildGraphNode:       "cuGraphAddChildGraphNode",
	fnGraphInstantiate:             "cuGraphInstantiateWithFlags",
	fnGraphExecDestroy:             "cuGraphExecDestroy",
	fnGraphExecKernelNodeSetParams: "cuGraphExecKernelNodeSetParams_v2|cuGraphExecKernelNodeSetParams",
	fnGraphExecChildNodeSetParams:  "cuGraphExecChildGraphNodeSetParams",
	fnGraphLaunch:                  "cuGraphLaunch",
	fnStreamBeginCapture:           "cuStreamBeginCapture_v2",
	fnStreamEndCapture:             "cuStreamEndCapture",
	fnTensorMapEncode:              "cuTensorMapEncodeTiled|", // CUDA 12.0
}

// String is the name without what the driver adds to tell its versions apart.
func (f function) String() string {
	name, _, _ := strings.Cut(functionNames[f], "|")
	return strings.TrimSuffix(name, "_v2")
}
