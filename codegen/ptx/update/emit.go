package update

import (
	"fmt"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// threads are those of a block.
const threads = 256

// gen writes an entry.
type gen struct {
	*asm.Kernel
	p Problem
}

func newGen(name string, p Problem, params asm.ParamTable) *gen {
	g := &gen{asm.NewKernel(name, threads), p}
	params.Declare(g.Kernel)
	return g
}

// word and long load a parameter.
func (g *gen) word(name string) asm.Reg { return g.Op(asm.B32, "ld.param.b32", asm.At(name, 0)) }
func (g *gen) long(name string) asm.Reg { return g.Op(asm.B64, "ld.param.b64", asm.At(name, 0)) }

// Arithmetic on unsigned numbers of 32 bits; an operand is a register or a number.
func (g *gen) mov(a any) asm.Reg       { return g.Op(asm.B32, "mov.b32", a) }
func (g *gen) add(a, b any) asm.Reg    { return g.Op(asm.B32, "add.u32", a, b) }
func (g *gen) sub(a, b any) asm.Reg    { return g.Op(asm.B32, "sub.u32", a, b) }
func (g *gen) mad(a, b, c any) asm.Reg { return g.Op(asm.B32, "mad.lo.u32", a, b, c) }
func (g *gen) and(a, b any) asm.Reg    { return g.Op(asm.B32, "and.b32", a, b) }
func (g *gen) shr(a, b any) asm.Reg    { return g.Op(asm.B32, "shr.u32", a, b) }
func (g *gen) shl(a, b any) asm.Reg    { return g.Op(asm.B32, "shl.b32", a, b) }
func (g *gen) less(a, b any) asm.Reg   { return g.Op(asm.Pred, "setp.lt.u32", a, b) }
func (g *gen) equal(a, b any) asm.Reg  { return g.Op(asm.Pred, "setp.eq.u32", a, b) }
func (g *gen) both(p, q asm.Reg) asm.Reg {
	return g.Op(asm.Pred, "and.pred", p, q)
}

// divmod is a/b and a%b.
func (g *gen) divmod(a, b asm.Reg) (quotient, rest asm.Reg) {
	quotient = g.Op(asm.B32, "div.u32", a, b)
	return quotient, g.sub(a, g.Op(asm.B32, "mul.lo.u32", quotient, b))
}

// offset is base + index*bytes, of numbers of 32 bits.
func (g *gen) offset(base, index asm.Reg, bytes any) asm.Reg {
	return g.Op(asm.B64, "mad.wide.u32", index, bytes, base)
}

// offset64 is base + index*bytes, the latter of 64 bits.
func (g *gen) offset64(base, index, bytes asm.Reg) asm.Reg {
	return g.Op(asm.B64, "mad.lo.u64", g.wide(index), bytes, base)
}

func (g *gen) wide(a asm.Reg) asm.Reg { return g.Op(asm.B64, "cvt.u64.u32", a) }

// item is the number of the thread in the grid.
func (g *gen) item() asm.Reg { return g.mad(g.mov("%ctaid.x"), threads, g.mov("%tid.x")) }

// while writes a loop that ends where p, written anew each time, does not hold.
func (g *gen) while(p func() asm.Reg, body func()) {
	top, end := g.NewLabel(), g.NewLabel()
	g.Place(top)
	g.EmitUnless(p(), "bra", end)
	body()
	g.Emit("bra", top)
	g.Place(end)
}

// index loads an index and clamps it to [0, most], in 64 bits; it is 0 where the
// predicate does not hold.
func (g *gen) index(pred asm.Reg, at asm.Addr, most asm.Reg) asm.Reg {
	v := ptx.LoadElement(g.Kernel, g.p.Index, pred, at)
	if v.Class() == asm.B32 {
		sign := map[bool]string{true: "s", false: "u"}[ptx.ComputeType(g.p.Index) == tensor.I32]
		v = g.Op(asm.B64, fmt.Sprintf("cvt.%s64.%s32", sign, sign), v)
	}
	if g.p.Index == tensor.U64 {
		return g.Op(asm.B64, "min.u64", v, most)
	}
	return g.Op(asm.B64, "min.s64", g.Op(asm.B64, "max.s64", v, 0), most)
}

// unit is memory that is moved at once.
type unit struct {
	suffix string
	class  asm.Class
	words  int
}

// units are those of so many bytes.
var units = map[int]unit{
	1: {"b8", asm.B32, 1}, 2: {"b16", asm.B16, 1}, 4: {"b32", asm.B32, 1}, 8: {"b64", asm.B64, 1}, 16: {"v4.b32", asm.B32, 4},
}

// load loads a unit where the predicate holds; none: always.
func (g *gen) load(u unit, pred asm.Reg, at asm.Addr) asm.Vec {
	v := g.Regs(u.class, u.words)
	if !pred.IsNone() {
		for _, r := range v {
			g.Set(r, "mov."+u.class.Bits(), 0)
		}
	}
	g.EmitIf(pred, "ld.global."+u.suffix, u.operand(v), at)
	return v
}

func (g *gen) store(u unit, pred asm.Reg, at asm.Addr, v asm.Vec) {
	g.EmitIf(pred, "st.global."+u.suffix, at, u.operand(v))
}

func (u unit) operand(v asm.Vec) any {
	if u.words == 1 {
		return v[0]
	}
	return v
}
