package driver

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorSaysCallTextNameAndDetail(t *testing.T) {
	assert.EqualError(t, NewError("cuMemAlloc", OutOfMemory, ""),
		"cuMemAlloc: out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)")
	assert.EqualError(t, NewError("cuModuleGetFunction", NotFound, "f\n"),
		"cuModuleGetFunction: named symbol not found (CUDA_ERROR_NOT_FOUND, 500): f")
	assert.EqualError(t, NewError("cuModuleLoadDataEx", InvalidPTX, "line 3: no\nline 4: no"),
		"cuModuleLoadDataEx: a PTX JIT compilation failed (CUDA_ERROR_INVALID_PTX, 218):\nline 3: no\nline 4: no")
	assert.EqualError(t, NewError("cuInit", 12345, ""),
		"cuInit: unrecognized error code (CUDA_ERROR_UNKNOWN, 12345)")
}

func TestErrorsAreFoundByTypeAndCode(t *testing.T) {
	err := fmt.Errorf("alloc: %w", NewError("cuMemAlloc", OutOfMemory, ""))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "cuMemAlloc", e.Call)
	assert.ErrorIs(t, err, &Error{Code: OutOfMemory})
	assert.False(t, errors.Is(err, &Error{Code: InvalidValue}))
	assert.False(t, errors.Is(err, &Error{Code: OutOfMemory, Call: "cuInit"}), "an error of another call")
}

func TestStickyCodes(t *testing.T) {
	for _, code := range []int{ECCUncorrectable, IllegalAddress, LaunchTimeout, MisalignedAddress, IllegalInstruction, LaunchFailed} {
		assert.True(t, NewError("", code, "").Sticky(), "%d", code)
	}
	for _, code := range []int{InvalidValue, OutOfMemory, InvalidPTX, NoBinaryForGPU, InvalidHandle, NotReady, LaunchResources, 12345} {
		assert.False(t, NewError("", code, "").Sticky(), "%d", code)
	}
}
