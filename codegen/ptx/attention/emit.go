package attention

import (
	"fmt"
	"math"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// gen writes an entry.
type gen struct {
	*asm.Kernel
	p Problem
}

func newGen(name string, p Problem, threads int, params asm.ParamTable) *gen {
	g := &gen{asm.NewKernel(name, threads), p}
	g.MinCTAs = 1 // registers are worth more than blocks: spills cost more than they hide
	params.Declare(g.Kernel)
	return g
}

// word and long load a parameter.
func (g *gen) word(name string) asm.Reg { return g.Op(asm.B32, "ld.param.b32", asm.At(name, 0)) }
func (g *gen) long(name string) asm.Reg { return g.Op(asm.B64, "ld.param.b64", asm.At(name, 0)) }
func (g *gen) float(name string) asm.Reg {
	return g.Op(asm.F32, "ld.param.f32", asm.At(name, 0))
}

// Arithmetic on 32 bits; an operand is a register or a number.
func (g *gen) add(a, b any) asm.Reg    { return g.Op(asm.B32, "add.u32", a, b) }
func (g *gen) sub(a, b any) asm.Reg    { return g.Op(asm.B32, "sub.u32", a, b) }
func (g *gen) mad(a, b, c any) asm.Reg { return g.Op(asm.B32, "mad.lo.u32", a, b, c) }
func (g *gen) and(a, b any) asm.Reg    { return g.Op(asm.B32, "and.b32", a, b) }
func (g *gen) shr(a, b any) asm.Reg    { return g.Op(asm.B32, "shr.u32", a, b) }
func (g *gen) div(a, b any) asm.Reg    { return g.Op(asm.B32, "div.u32", a, b) }
func (g *gen) min(a, b any) asm.Reg    { return g.Op(asm.B32, "min.u32", a, b) }
func (g *gen) mov(a any) asm.Reg       { return g.Op(asm.B32, "mov.b32", a) }

// less is a < b of unsigned numbers.
func (g *gen) less(a, b any) asm.Reg { return g.Op(asm.Pred, "setp.lt.u32", a, b) }

// divmod is a/b and a%b.
func (g *gen) divmod(a, b asm.Reg) (quotient, rest asm.Reg) {
	quotient = g.div(a, b)
	return quotient, g.sub(a, g.Op(asm.B32, "mul.lo.u32", quotient, b))
}

// wide is a number of 32 bits, not negative, in 64 bits.
func (g *gen) wide(a asm.Reg) asm.Reg { return g.Op(asm.B64, "cvt.u64.u32", a) }

// address is base + index*stride, of an index of 32 bits.
func (g *gen) address(base, index, stride asm.Reg) asm.Reg {
	return g.Op(asm.B64, "mad.lo.s64", g.wide(index), stride, base)
}

// Arithmetic on f32.
func (g *gen) fma(a, b, c any) asm.Reg { return g.Op(asm.F32, "fma.rn.f32", a, b, c) }
func (g *gen) mul(a, b any) asm.Reg    { return g.Op(asm.F32, "mul.rn.f32", a, b) }
func (g *gen) plus(a, b any) asm.Reg   { return g.Op(asm.F32, "add.rn.f32", a, b) }
func (g *gen) constant(v float64) asm.Reg {
	return g.Op(asm.F32, "mov.f32", float32(v))
}

// zeros are n new accumulators.
func (g *gen) zeros(n int) asm.Vec {
	v := make(asm.Vec, n)
	for i := range v {
		v[i] = g.constant(0)
	}
	return v
}

// grid of zeros.
func (g *gen) zeroRows(rows, n int) []asm.Vec {
	v := make([]asm.Vec, rows)
	for i := range v {
		v[i] = g.zeros(n)
	}
	return v
}

// exp2 is 2**x. For results of 16 bits, where numbers below 2**-126 are as good as 0
// beside the sum, which is at least 1, it is the short form.
func (g *gen) exp2(x asm.Reg) asm.Reg {
	if g.p.narrow() {
		return g.Op(asm.F32, "ex2.approx.ftz.f32", x)
	}
	return g.Op(asm.F32, "ex2.approx.f32", x)
}

// suffix of instructions on elements.
func (p Problem) suffix() string { return p.DType.String() }

// pack rounds two numbers into one word of 16-bit elements.
func (g *gen) pack(lo, hi asm.Reg) asm.Reg {
	return g.Op(asm.B32, "cvt.rn."+g.p.suffix()+"x2.f32", hi, lo)
}

// loadElement loads one element of the data's type as f32, if p holds; else it is 0.
func (g *gen) loadElement(p asm.Reg, at asm.Addr) asm.Reg {
	r := g.constant(0)
	if g.p.DType == tensor.F32 {
		g.EmitIf(p, "ld.global.nc.f32", r, at)
		return r
	}
	h := g.Op(asm.B16, "mov.b16", 0)
	g.EmitIf(p, "ld.global.nc.b16", h, at)
	if g.p.DType == tensor.F16 {
		g.Set(r, "cvt.f32.f16", h)
	} else {
		g.Set(r, "mov.b32", asm.Vec{g.Op(asm.B16, "mov.b16", 0), h})
	}
	return r
}

// storeElement stores x as one element of the data's type, if p holds.
func (g *gen) storeElement(p asm.Reg, at asm.Addr, x asm.Reg) {
	if g.p.DType == tensor.F32 {
		g.EmitIf(p, "st.global.f32", at, x)
		return
	}
	g.EmitIf(p, "st.global.b16", at, g.Op(asm.B16, "cvt.rn."+g.p.suffix()+".f32", x))
}

// skipIf writes a body that is left out where p holds.
func (g *gen) skipIf(p asm.Reg, body func()) {
	end := g.NewLabel()
	g.EmitIf(p, "bra", end)
	body()
	g.Place(end)
}

// forEach runs body for i = from, from+1, ... while i < to.
func (g *gen) forEach(i, to asm.Reg, body func()) {
	head, end := g.NewLabel(), g.NewLabel()
	g.Place(head)
	g.EmitUnless(g.less(i, to), "bra", end)
	body()
	g.Set(i, "add.u32", i, 1)
	g.Emit("bra", head)
	g.Place(end)
}

// shuffled is x of the lane whose number differs in the bits of by.
func (g *gen) shuffled(x asm.Reg, by int) asm.Reg {
	bits := g.Op(asm.B32, "mov.b32", x)
	return g.Op(asm.F32, "mov.b32", g.Op(asm.B32, "shfl.sync.bfly.b32", bits, by, 31, -1))
}

// fold combines x over lanes, by an instruction.
func (g *gen) fold(op string, x asm.Reg, lanes []int) asm.Reg {
	for _, by := range lanes {
		x = g.Op(asm.F32, op, x, g.shuffled(x, by))
	}
	return x
}

func (g *gen) barrier() { g.Emit("bar.sync", 0) }

// waitCopies waits for all but the newest groups of the thread's copies.
func (g *gen) waitCopies(pending int) { g.Emit("cp.async.wait_group", pending) }

func (g *gen) commitCopies() { g.Emit("cp.async.commit_group") }

// operand is where a block's part of an operand begins, at its leading index.
func (g *gen) operand(name string, lead [3]asm.Reg) asm.Reg {
	at := g.long(name)
	for i, index := range lead {
		at = g.address(at, index, g.long(fmt.Sprintf("%s%d", name, i)))
	}
	return at
}

// leadOf splits a flat leading index.
func (g *gen) leadOf(flat asm.Reg) [3]asm.Reg {
	rest, i2 := g.divmod(flat, g.word("lead2"))
	i0, i1 := g.divmod(rest, g.word("lead1"))
	return [3]asm.Reg{i0, i1, i2}
}

var negInf = float32(math.Inf(-1))
