package fake

import "fmt"

// driverCalls are the methods of driver.API, and the driver's functions that they
// stand for.
var driverCalls = map[string]string{
	"Version":              "cuDriverGetVersion",
	"DeviceCount":          "cuDeviceGetCount",
	"DeviceName":           "cuDeviceGetName",
	"DeviceAttribute":      "cuDeviceGetAttribute",
	"DeviceMemory":         "cuDeviceTotalMem",
	"KeepPool":             "cuMemPoolSetAttribute",
	"TrimPool":             "cuMemPoolTrimTo",
	"RetainContext":        "cuDevicePrimaryCtxRetain",
	"ReleaseContext":       "cuDevicePrimaryCtxRelease",
	"SetContext":           "cuCtxSetCurrent",
	"LoadModule":           "cuModuleLoadDataEx",
	"UnloadModule":         "cuModuleUnload",
	"Function":             "cuModuleGetFunction",
	"FunctionAttribute":    "cuFuncGetAttribute",
	"SetFunctionAttribute": "cuFuncSetAttribute",
	"MemoryInfo":           "cuMemGetInfo",
	"Alloc":                "cuMemAlloc",
	"Free":                 "cuMemFree",
	"AllocAsync":           "cuMemAllocAsync",
	"FreeAsync":            "cuMemFreeAsync",
	"AllocHost":            "cuMemHostAlloc",
	"FreeHost":             "cuMemFreeHost",
	"CopyToDevice":         "cuMemcpyHtoDAsync",
	"CopyToHost":           "cuMemcpyDtoHAsync",
	"CopyOnDevice":         "cuMemcpyDtoDAsync",
	"NewStream":            "cuStreamCreate",
	"DestroyStream":        "cuStreamDestroy",
	"SyncStream":           "cuStreamSynchronize",
	"NewEvent":             "cuEventCreate",
	"DestroyEvent":         "cuEventDestroy",
	"RecordEvent":          "cuEventRecord",
	"SyncEvent":            "cuEventSynchronize",
	"WaitEvent":            "cuStreamWaitEvent",
	"Launch":               "cuLaunchKernel",
	"NewGraph":             "cuGraphCreate",
	"DestroyGraph":         "cuGraphDestroy",
	"AddKernelNode":        "cuGraphAddKernelNode",
	"AddChildNode":         "cuGraphAddChildGraphNode",
	"Instantiate":          "cuGraphInstantiateWithFlags",
	"DestroyGraphExec":     "cuGraphExecDestroy",
	"SetKernelNode":        "cuGraphExecKernelNodeSetParams",
	"SetChildNode":         "cuGraphExecChildGraphNodeSetParams",
	"LaunchGraph":          "cuGraphLaunch",
	"BeginCapture":         "cuStreamBeginCapture",
	"EndCapture":           "cuStreamEndCapture",
	"EncodeTensorMap":      "cuTensorMapEncodeTiled",
	"Assemble":             "ptxas", // of the driver's Assembler
}

// FailNext lets the n-th call from now on of a method ("Alloc"; 1 is the next) fail
// with a code of package driver. A code that ends the context ends it. "Assemble" is
// the Assembler's. A name that no method has panics.
func (d *Driver) FailNext(call string, n, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := driverCalls[call]; !ok || n < 1 {
		panic(fmt.Sprintf("fake: FailNext(%q, %d): no such call", call, n))
	}
	d.failures[call] = append(d.failures[call], &injected{after: n - 1, code: code})
}

// Count is how often a method has been called.
func (d *Driver) Count(call string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[call]
}

// Live is what has been made and is not destroyed.
type Live struct {
	Contexts, Modules, Streams, Events, Graphs, GraphExecs int
	Allocations, Bytes                                     int // device memory
	HostAllocations, HostBytes                             int // pinned memory
	Queued                                                 int // work not executed
}

// Live counts what is alive, in all contexts.
func (d *Driver) Live() Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	var l Live
	for _, o := range d.objects {
		o.count(&l)
	}
	for _, c := range d.contexts {
		if c == nil {
			continue
		}
		l.Contexts++
		l.Allocations += len(c.allocations)
		l.Bytes += c.used
		l.Queued += c.queued()
		for _, mem := range c.pinned {
			l.HostAllocations++
			l.HostBytes += len(mem)
		}
	}
	return l
}

// Advance executes up to n pieces of queued work, of all streams in turn, as a
// device does while nobody waits for it. It returns how many it executed.
func (d *Driver) Advance(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	done := 0
	for progress := true; progress && done < n; {
		progress = false
		for _, c := range d.contexts {
			if c == nil {
				continue
			}
			for _, s := range c.streams {
				if done < n && s.step() {
					done++
					progress = true
				}
			}
		}
	}
	return done
}
