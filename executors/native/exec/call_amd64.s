#include "textflag.h"

// func call(fn uintptr, args unsafe.Pointer)
//
// An ABI0 function: its caller expects no register to survive but SP and BP, and the wrapper that Go code
// calls it through restores what ABIInternal keeps fixed (g in R14 from thread-local storage, zero in X15).
// The frame is splittable so that its prologue assures stack space for the return address and for the
// handlers of a fault.
TEXT ·call(SB), 0, $256-16
	MOVQ fn+0(FP), AX
	MOVQ args+8(FP), DI
	CALL AX
	RET
