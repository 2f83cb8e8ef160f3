package attention

import (
	"fmt"

	"jitc/codegen/ptx/asm"
)

// The backward pass: with p the probabilities, made again of
// scores and their logarithmic sums,
//
//	delta[i] = do[i].o[i]                         entry attention_delta
//	ds[i,j] = p[i,j] (do[i].v[j] - delta[i])
//	dv[j] = sum over i of p[i,j] do[i]            entry attention_dkv
//	dk[j] = scale sum over i of ds[i,j] q[i]
//	dq[i] = scale sum over j of ds[i,j] k[j]      entry attention_dq
//
// A block owns rows of its results, and adds them up in the order of what it walks
// over: there are no atomic additions.
const (
	EntryDelta     = "attention_delta"
	EntryKeyGrad   = "attention_dkv"
	EntryQueryGrad = "attention_dq"
)

// SupportedBackward is Supported for EmitBackward.
func SupportedBackward(p Problem, arch int) error {
	if err := Supported(p, arch); err != nil {
		return err
	}
	if max(p.HeadDim, p.ValueDim) > maxGradDim {
		return fmt.Errorf("attention: backward: expected head dimensions of at most %d, got %d and %d: there are too few registers",
			maxGradDim, p.HeadDim, p.ValueDim)
	}
	if bytes := p.gradLayout(p.gradTile()).bytes; bytes > sharedLimit(arch) {
		return fmt.Errorf("attention: backward: expected at least %d bytes of shared memory, got %d of sm_%d", bytes, sharedLimit(arch), arch)
	}
	return nil
}

// maxGradDim is the largest head dimension of the backward pass.
const maxGradDim = 128

// EmitBackward adds the entries of the backward pass to a module. The forward pass
// must have stored the logarithmic sums: Problem.Stats.
func EmitBackward(m *asm.Module, p Problem, arch int) error {
	if err := SupportedBackward(p, arch); err != nil {
		return err
	}
	m.Kernels = append(m.Kernels, emitDelta(p), emitGrad(p, keyGrad), emitGrad(p, queryGrad))
	return nil
}

// emitDelta is the entry of delta: a warp takes a row.
func emitDelta(p Problem) *asm.Kernel {
	g := newGen(EntryDelta, p, 32*combineWarps, backwardParams)
	tid, queries := g.mov("%tid.x"), g.word("queries")
	lane := g.and(tid, 31)
	index := g.mad(g.mov("%ctaid.x"), combineWarps, g.shr(tid, 5))
	g.SkipUnless(g.less(index, g.Op(asm.B32, "mul.lo.u32", queries, g.word("lead"))), func() {
		flat, query := g.divmod(index, queries)
		lead := g.leadOf(flat)
		var rows [2]asm.Reg
		for i, name := range []string{"o", "do"} {
			at := g.address(g.operand(name, lead), query, g.long(name+"row"))
			rows[i] = g.Op(asm.B64, "mad.wide.u32", lane, p.DType.Size(), at)
		}
		sum := g.constant(0)
		for i := range divUp(p.ValueDim, 32) {
			live, at := g.column(lane, i), 32*i*p.DType.Size()
			sum = g.fma(g.loadElement(live, asm.At(rows[0], at)), g.loadElement(live, asm.At(rows[1], at)), sum)
		}
		sum = g.fold("add.rn.f32", sum, []int{16, 8, 4, 2, 1})
		at := g.Op(asm.B64, "mad.wide.u32", index, 4, g.long("delta"))
		g.EmitIf(g.Op(asm.Pred, "setp.eq.u32", lane, 0), "st.global.f32", asm.At(at, 0), sum)
	})
	return g.Kernel
}
