package trace

import (
	"path/filepath"
	"runtime"
	"strings"

	"jitc/ir"
)

// own reports whether a function is part of the tracer or of the machinery under
// it, so that the position of an op is the line of the user's that asked for it.
func own(function string) bool {
	pkg := packageOf(function)
	return pkg == "jitc" || pkg == "jitc/trace" || strings.HasPrefix(pkg, "jitc/trace/") ||
		pkg == "runtime" || strings.HasPrefix(pkg, "runtime/") || pkg == "reflect" || pkg == "sync" || pkg == "sync/atomic"
}

// packageOf is the import path of a function as the runtime names it:
// "jitc/trace" for "jitc/trace.(*Tensor).Add".
func packageOf(function string) string {
	if i := strings.IndexByte(function, '['); i >= 0 { // type arguments may hold paths
		function = function[:i]
	}
	dir := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[dir:], '.'); dot >= 0 {
		return function[:dir+dot]
	}
	return function
}

// caller is the innermost line on the stack that is not the tracer's own.
func caller() ir.Pos {
	var pcs [32]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for {
			f, more := frames.Next()
			if f.Function != "" && !own(f.Function) {
				return ir.Pos{File: filepath.Base(f.File), Line: f.Line}
			}
			if !more {
				break
			}
		}
		if n < len(pcs) {
			return ir.Pos{}
		}
	}
}
