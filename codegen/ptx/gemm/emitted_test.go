package gemm

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// storing is an epilogue that stores the sums, plus one, to a parameter's address:
// dense, batches outermost. The address and strides are parameters of the epilogue.
func storing(p Problem) Epilogue {
	acc := arithmetic[p.Acc]
	return func(k *asm.Kernel, at Element) {
		out := k.Param(asm.B64, "out")
		at64 := func(r asm.Reg, stride string) {
			s := k.Param(asm.B64, stride)
			out = k.Op(asm.B64, "mad.lo.s64", k.Op(asm.B64, "cvt.u64.u32", r), s, out)
		}
		for i, b := range at.Batch {
			at64(b, fmt.Sprintf("out_b%d", i))
		}
		at64(at.M, "out_m")
		at64(at.N, "out_n")
		one := map[tensor.DType]any{tensor.F32: float32(1), tensor.F64: float64(1), tensor.I32: 1}[p.Acc]
		for j, v := range at.Acc {
			w := k.Op(acc.class, acc.add, v, one)
			k.EmitIf(at.Live[j], "st.global"+acc.typ, asm.At(out, j*acc.bytes), w)
		}
	}
}

// entryName is the name of a configuration's entry.
func entryName(i int) string { return fmt.Sprintf("config%d", i) }

// module emits all candidates of a problem, and the entry that sums, and says where
// the parameters of each begin.
func module(p Problem, arch int) (m *asm.Module, cs []Config, at map[string]int) {
	cs = Candidates(p, arch)
	m, at = moduleOf(p, arch, cs)
	return m, cs, at
}

// moduleOf is the module of some configurations.
func moduleOf(p Problem, arch int, cs []Config) (m *asm.Module, at map[string]int) {
	m = &asm.Module{Version: "7.8", Target: fmt.Sprintf("sm_%d", arch)}
	if p.Wgmma {
		m.Version, m.Target = "8.0", "sm_90a"
	}
	at = map[string]int{}
	for i, c := range cs {
		k := asm.NewKernel(entryName(i), c.Threads())
		at[k.Name] = Emit(k, c, p, storing(p))
		m.Kernels = append(m.Kernels, k)
	}
	k := asm.NewKernel("sum", SumThreads)
	at["sum"] = EmitSum(k, p, cs[0].Group, storing(p))
	m.Kernels = append(m.Kernels, k)
	return m, at
}

// problems are the combinations of operands that have code of their own, without
// batch axes.
func problems() []Problem {
	var ps []Problem
	layouts := []Major{KMajor, MNMajor}
	for _, a := range layouts {
		for _, b := range layouts {
			for _, d := range []tensor.DType{tensor.BF16, tensor.F32} {
				ps = append(ps, Problem{A: d, B: d, Acc: tensor.F32, AContract: a, BContract: b})
			}
			ps = append(ps, Problem{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: a, BContract: b, TF32: true})
		}
	}
	return append(ps,
		Problem{A: tensor.F64, B: tensor.F64, Acc: tensor.F64, AContract: KMajor, BContract: MNMajor},
		Problem{A: tensor.F64, B: tensor.F64, Acc: tensor.F64, AContract: MNMajor, BContract: KMajor},
		Problem{A: tensor.F16, B: tensor.F16, Acc: tensor.F32, AContract: Strided, BContract: KMajor, Batch: 1},
		Problem{A: tensor.BF16, B: tensor.F32, Acc: tensor.F32, AContract: KMajor, BContract: KMajor, Batch: 2},
		Problem{A: tensor.F32, B: tensor.F16, Acc: tensor.F32, AContract: Strided, BContract: Strided},
		Problem{A: tensor.I32, B: tensor.I32, Acc: tensor.I32, AContract: KMajor, BContract: MNMajor, Batch: 1},
	)
}

// text names a problem.
func text(p Problem) string {
	s := fmt.Sprintf("%s.%s-%s.%s-%s-b%d", p.A, p.AContract, p.B, p.BContract, p.Acc, p.Batch)
	if p.TF32 {
		s += "-tf32"
	}
	if p.Wgmma {
		s += "-wgmma"
	}
	return s
}
