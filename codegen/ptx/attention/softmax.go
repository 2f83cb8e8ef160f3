package attention

import (
	"math"

	"jitc/codegen/ptx/asm"
)

// Scores are kept in one of two units: as they come from the product, to be
// multiplied by factor = scale*log2(e) on the way into 2**x; or scaled in full. The
// former takes an instruction less per score, but rounds the maximum times factor,
// which is too much of it for scores beyond 2**30, and an added mask may be near the
// largest number of its type, which times log2(e) is infinite.

// natural reports whether scores are scaled in full, with maxima in the units of
// exp; else maxima are in those of 2**x.
func (p Problem) natural() bool { return p.Mask == AddMask || !p.narrow() }

// running is the state of a row: its greatest score so far and the sum of
// exp(score - greatest).
type running struct{ max, sum asm.Reg }

func (g *gen) newRunning() running { return running{g.constant(math.Inf(-1)), g.constant(0)} }

// negated is -max, or 0 where max is -Inf: a row without scores has no maximum to
// subtract.
func (g *gen) negated(max asm.Reg) asm.Reg {
	none := g.Op(asm.Pred, "setp.eq.f32", max, negInf)
	return g.Op(asm.F32, "selp.f32", float32(0), g.Op(asm.F32, "neg.f32", max), none)
}

// weight is exp(max - other) of two maxima, the second negated.
func (g *gen) weight(max, negated asm.Reg) asm.Reg {
	d := g.plus(max, negated)
	if g.p.natural() {
		d = g.mul(d, float32(math.Log2E))
	}
	return g.exp2(d)
}

// slack is by how many powers of two scores may exceed a row's maximum before it
// is raised: what was added up before is scaled rarely, and sums are as good with
// terms of up to 2**slack as of up to 1. Exact arithmetic, where scaling costs little
// beside the products, has none.
func (p Problem) slack() float64 {
	switch {
	case !p.narrow():
		return 0
	case p.natural():
		return 8 * math.Ln2
	}
	return 8
}

// advance takes one more tile of a row's scores into its state: scores become
// exp(score - maximum). All that was added up before is to be multiplied by
// correction, which is 1 unless the maximum was raised. Lanes are those that share the
// row. A NaN among the scores becomes one of the sum.
func (g *gen) advance(r running, scores asm.Vec, factor asm.Reg, lanes []int) (correction, raised asm.Reg) {
	top := scores[0]
	for _, s := range scores[1:] {
		top = g.Op(asm.F32, "max.f32", top, s)
	}
	top = g.fold("max.f32", top, lanes)
	if !g.p.natural() {
		top = g.mul(top, factor)
	}
	raised = g.Op(asm.Pred, "setp.gt.f32", top, g.plus(r.max, float32(g.p.slack())))
	top = g.Op(asm.F32, "selp.f32", top, r.max, raised)
	negated := g.negated(top)
	correction = g.Op(asm.F32, "selp.f32", g.weight(r.max, negated), float32(1), raised)
	g.Set(r.max, "mov.f32", top)
	g.Set(r.sum, "mul.rn.f32", r.sum, correction)
	for _, s := range scores {
		x := s
		if g.p.natural() {
			x = g.mul(g.plus(s, negated), float32(math.Log2E))
		} else {
			x = g.fma(s, factor, negated)
		}
		g.Set(s, "mov.f32", g.exp2(x))
		g.Set(r.sum, "add.rn.f32", r.sum, s)
	}
	return correction, raised
}

// inverse is 1/sum: of no keys, 0, so that the result is 0; of keys none of which is
// attended to, Inf, so that it is 0 * Inf = NaN.
func (g *gen) inverse(sum, keys asm.Reg) asm.Reg {
	empty := g.Op(asm.Pred, "setp.eq.u32", keys, 0)
	return g.Op(asm.F32, "selp.f32", float32(0), g.Op(asm.F32, "rcp.rn.f32", sum), empty)
}

// logSum is log of the sum of exp(score).
func (g *gen) logSum(r running) asm.Reg {
	lg := g.Op(asm.F32, "lg2.approx.f32", r.sum)
	if g.p.natural() {
		return g.fma(lg, float32(math.Ln2), r.max)
	}
	return g.mul(g.plus(lg, r.max), float32(math.Ln2))
}
