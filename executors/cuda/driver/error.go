package driver

import (
	"fmt"
	"strings"
)

// Error is a call of the driver that failed.
type Error struct {
	Call   string // the driver's function: "cuLaunchKernel"
	Code   int    // CUresult
	Name   string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text   string // "out of memory"
	Detail string // more, where there is more: the assembler's log
}

// Codes of CUresult that a caller may act on.
const (
	InvalidValue       = 1
	OutOfMemory        = 2
	NotInitialized     = 3
	StubLibrary        = 34
	NoDevice           = 100
	InvalidDevice      = 101
	InvalidImage       = 200
	InvalidContext     = 201
	NoBinaryForGPU     = 209
	ECCUncorrectable   = 214
	InvalidPTX         = 218
	NVLinkFailed       = 220
	UnsupportedPTX     = 222
	Contained          = 226
	InvalidHandle      = 400
	IllegalState       = 401
	NotFound           = 500
	NotReady           = 600
	IllegalAddress     = 700
	LaunchResources    = 701
	LaunchTimeout      = 702
	ContextDestroyed   = 709
	Assert             = 710
	HardwareStack      = 714
	IllegalInstruction = 715
	MisalignedAddress  = 716
	InvalidSpace       = 717
	InvalidPC          = 718
	LaunchFailed       = 719
	TensorMemoryLeak   = 721
	NotPermitted       = 800
	NotSupported       = 801
	SystemNotReady     = 802
	DriverMismatch     = 803
	CaptureUnsupported = 900
	CaptureInvalidated = 901
	UpdateFailed       = 910
	Unknown            = 999
)

// results is what is said of a code where the driver cannot be asked, and which
// codes end a context: after one of those every call in it fails, until it has been
// released and is made anew.
var results = map[int]struct {
	name, text string
	sticky     bool
}{
	InvalidValue:       {"INVALID_VALUE", "invalid argument", false},
	OutOfMemory:        {"OUT_OF_MEMORY", "out of memory", false},
	NotInitialized:     {"NOT_INITIALIZED", "initialization error", false},
	StubLibrary:        {"STUB_LIBRARY", "CUDA driver is a stub library", false},
	NoDevice:           {"NO_DEVICE", "no CUDA-capable device is detected", false},
	InvalidDevice:      {"INVALID_DEVICE", "invalid device ordinal", false},
	InvalidImage:       {"INVALID_IMAGE", "device kernel image is invalid", false},
	InvalidContext:     {"INVALID_CONTEXT", "invalid device context", false},
	NoBinaryForGPU:     {"NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device", false},
	ECCUncorrectable:   {"ECC_UNCORRECTABLE", "uncorrectable ECC error encountered", true},
	InvalidPTX:         {"INVALID_PTX", "a PTX JIT compilation failed", false},
	NVLinkFailed:       {"NVLINK_UNCORRECTABLE", "uncorrectable NVLink error detected during the execution", true},
	Contained:          {"CONTAINED", "invalid access of peer GPU memory over nvlink or a hardware error", true},
	UnsupportedPTX:     {"UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain", false},
	InvalidHandle:      {"INVALID_HANDLE", "invalid resource handle", false},
	IllegalState:       {"ILLEGAL_STATE", "the operation cannot be performed in the present state", false},
	NotFound:           {"NOT_FOUND", "named symbol not found", false},
	NotReady:           {"NOT_READY", "device not ready", false},
	IllegalAddress:     {"ILLEGAL_ADDRESS", "an illegal memory access was encountered", true},
	LaunchResources:    {"LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch", false},
	LaunchTimeout:      {"LAUNCH_TIMEOUT", "the launch timed out and was terminated", true},
	ContextDestroyed:   {"CONTEXT_IS_DESTROYED", "context is destroyed", true},
	Assert:             {"ASSERT", "device-side assert triggered", true},
	HardwareStack:      {"HARDWARE_STACK_ERROR", "hardware stack error", true},
	IllegalInstruction: {"ILLEGAL_INSTRUCTION", "an illegal instruction was encountered", true},
	MisalignedAddress:  {"MISALIGNED_ADDRESS", "misaligned address", true},
	InvalidSpace:       {"INVALID_ADDRESS_SPACE", "operation not supported on global/shared address space", true},
	InvalidPC:          {"INVALID_PC", "invalid program counter", true},
	LaunchFailed:       {"LAUNCH_FAILED", "unspecified launch failure", true},
	TensorMemoryLeak:   {"TENSOR_MEMORY_LEAK", "tensor memory not completely freed", true},
	NotPermitted:       {"NOT_PERMITTED", "operation not permitted", false},
	NotSupported:       {"NOT_SUPPORTED", "operation not supported", false},
	SystemNotReady:     {"SYSTEM_NOT_READY", "system not yet initialized", false},
	DriverMismatch:     {"SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination", false},
	CaptureUnsupported: {"STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing", false},
	CaptureInvalidated: {"STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture", false},
	UpdateFailed:       {"GRAPH_EXEC_UPDATE_FAILURE", "the graph update was not performed because it included changes which violated constraints specific to instantiated graph update", false},
	Unknown:            {"UNKNOWN", "unknown error", true},
}

// NewError is the error of a call that returned code, named without asking the
// driver.
func NewError(call string, code int, detail string) *Error {
	e := &Error{Call: call, Code: code, Name: "CUDA_ERROR_UNKNOWN", Text: "unrecognized error code", Detail: detail}
	if r, ok := results[code]; ok {
		e.Name, e.Text = "CUDA_ERROR_"+r.name, r.text
	}
	return e
}

// Error says the call, the driver's text and name, and the details on lines of
// their own where there are several.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%s, %d)", e.Call, e.Text, e.Name, e.Code)
	detail := strings.TrimSpace(e.Detail)
	switch {
	case detail == "":
		return s
	case strings.Contains(detail, "\n"):
		return s + ":\n" + detail
	}
	return s + ": " + detail
}

// Sticky reports that the context is lost: every later call in it fails likewise.
func (e *Error) Sticky() bool { return results[e.Code].sticky }

// Is makes errors.Is(err, &Error{Code: OutOfMemory}) true of every error of that
// code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Call == ""
}
