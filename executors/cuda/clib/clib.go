// Package clib loads shared libraries of NVIDIA's at run time and calls their C
// functions, without cgo. It is all that package driver and package cublaslt need of
// the system.
//
//	lib, err := clib.System("libcuda.so.1")
//	f := lib.Lookup("cuInit") // 0: it has none
//	code := int32(clib.Call(f, []uintptr{0}))
//
// A library stays in the process until that ends. Safe for concurrent use.
package clib

import (
	"errors"
	"unsafe"
)

// ErrNone is of systems for which no libraries are made.
var ErrNone = errors.New("none is made for this system")

// Library is a shared library: Lookup is the address of one of its functions, 0 if it
// has none of that name.
type Library interface {
	Lookup(name string) uintptr
}

// Text reads a C string; that at 0 is empty.
func Text(addr uintptr) string {
	if addr == 0 {
		return ""
	}
	p, n := Pointer(addr), 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// Pointer is an address that C gave. (Converted through memory: an address that is
// no Go pointer is what the checker of such conversions is there to question. Not
// inlined: the compiler fails over a copy to an integer that it sees become one.)
//
//go:noinline
func Pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
