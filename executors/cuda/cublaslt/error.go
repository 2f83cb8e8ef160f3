package cublaslt

import (
	"errors"
	"fmt"
)

// Why there is no library; see Find.
var (
	ErrNotFound = errors.New("no cuBLASLt")
	ErrTooOld   = errors.New("cuBLASLt too old")
)

// Error is a call of the library that failed.
type Error struct {
	Call   string // the library's function: "cublasLtMatmul"
	Code   int    // cublasStatus_t
	Name   string // "CUBLAS_STATUS_NOT_SUPPORTED"
	Text   string // "the functionality requested is not supported"
	Detail string // more, where there is more
}

// Codes of cublasStatus_t.
const (
	NotInitialized  = 1
	AllocFailed     = 3
	InvalidValue    = 7
	ArchMismatch    = 8
	MappingError    = 11
	ExecutionFailed = 13
	InternalError   = 14
	NotSupported    = 15
	LicenseError    = 16
)

// statuses is what is said of a code where the library cannot be asked.
var statuses = map[int]struct{ name, text string }{
	NotInitialized:  {"NOT_INITIALIZED", "the library was not initialized"},
	AllocFailed:     {"ALLOC_FAILED", "the resource allocation failed"},
	InvalidValue:    {"INVALID_VALUE", "an unsupported value or parameter was passed to the function"},
	ArchMismatch:    {"ARCH_MISMATCH", "the device is too old for what is asked of it"},
	MappingError:    {"MAPPING_ERROR", "an access to the memory of the device failed"},
	ExecutionFailed: {"EXECUTION_FAILED", "the function failed to launch on the GPU"},
	InternalError:   {"INTERNAL_ERROR", "an internal operation failed"},
	NotSupported:    {"NOT_SUPPORTED", "the functionality requested is not supported"},
	LicenseError:    {"LICENSE_ERROR", "the functionality requested needs a licence"},
}

// NewError is the error of a call that returned code, named without asking the library.
func NewError(call string, code int, detail string) *Error {
	e := &Error{Call: call, Code: code, Name: "CUBLAS_STATUS_UNKNOWN", Text: "unrecognized status", Detail: detail}
	if s, ok := statuses[code]; ok {
		e.Name, e.Text = "CUBLAS_STATUS_"+s.name, s.text
	}
	return e
}

// Error says the call, the library's text and name, and the details.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%s, %d)", e.Call, e.Text, e.Name, e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is makes errors.Is(err, &Error{Code: NotSupported}) true of every error of that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Call == ""
}
