//go:build !windows && !(linux && (amd64 || arm64))

package cublaslt

import "errors"

func openLibrary(string) (library, error) { return nil, errors.New("none is made for this system") }

func syscallN(uintptr, []uintptr) uintptr {
	panic("BUG: cublaslt: a call into a library where none can be loaded")
}
