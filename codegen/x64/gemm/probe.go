package gemm

import (
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// ProbeArgs is the argument block of the FMA probe.
type ProbeArgs struct {
	Iterations int64 // at least 1; counted down to 0
}

// EmitFMAProbe emits a kernel of independent fused multiply-adds on registers,
// the upper bound of any product, and says how many floating-point operations
// one iteration is. Its argument block is ProbeArgs.
func EmitFMAProbe(isa ISA, dt tensor.DType) (code []byte, flops int) {
	const chains, repeats = 12, 8
	e := newEmitter(isa, dt)
	for i := range chains + 2 {
		e.zero(asm.V(i))
	}
	top := e.Here()
	for range repeats {
		for i := range chains {
			e.fma(asm.V(i), asm.V(chains), asm.V(chains+1))
		}
	}
	e.DECm(asm.Ptr(asm.RDI, 0))
	e.Jcc(asm.NE, top)
	return e.finish(), 2 * chains * repeats * e.lanes()
}
