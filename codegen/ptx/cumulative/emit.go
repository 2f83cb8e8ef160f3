package cumulative

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
	p       Problem
	class   asm.Class // of elements of the compute type
	size    int       // of these, in bytes
	neutral asm.Reg
	tid     asm.Reg
}

func newGen(name string, p Problem) *gen {
	t := p.compute()
	g := &gen{Kernel: asm.NewKernel(name, threads), p: p, class: ptx.RegisterOf(t), size: t.Size()}
	params.Declare(g.Kernel)
	form := map[asm.Class]string{asm.F32: "0f%08X", asm.F64: "0d%016X"}[g.class]
	if form == "" {
		form = "0x%X"
	}
	g.neutral = g.Op(g.class, "mov."+g.typ(), fmt.Sprintf(form, p.neutral()))
	g.tid = g.Op(asm.B32, "mov.b32", "%tid.x")
	return g
}

// typ is the suffix of instructions that move elements.
func (g *gen) typ() string { return suffix(g.class) }

func suffix(c asm.Class) string {
	switch c {
	case asm.F32:
		return "f32"
	case asm.F64:
		return "f64"
	}
	return c.Bits()
}

// word and long load a parameter.
func (g *gen) word(name string) asm.Reg { return g.Op(asm.B32, "ld.param.b32", asm.At(name, 0)) }
func (g *gen) long(name string) asm.Reg { return g.Op(asm.B64, "ld.param.b64", asm.At(name, 0)) }

// Arithmetic on numbers of 64 bits.
func (g *gen) add(a, b any) asm.Reg    { return g.Op(asm.B64, "add.s64", a, b) }
func (g *gen) sub(a, b any) asm.Reg    { return g.Op(asm.B64, "sub.s64", a, b) }
func (g *gen) mad(a, b, c any) asm.Reg { return g.Op(asm.B64, "mad.lo.s64", a, b, c) }
func (g *gen) less(a, b any) asm.Reg   { return g.Op(asm.Pred, "setp.lt.s64", a, b) }
func (g *gen) wide(a asm.Reg) asm.Reg  { return g.Op(asm.B64, "cvt.u64.u32", a) }

// divmod is a/b and a%b, of numbers of 32 bits.
func (g *gen) divmod(a, b asm.Reg) (quotient, rest asm.Reg) {
	quotient = g.Op(asm.B32, "div.u32", a, b)
	return quotient, g.Op(asm.B32, "sub.u32", a, g.Op(asm.B32, "mul.lo.u32", quotient, b))
}

// combine is what two elements combine to, the earlier one first.
func (g *gen) combine(a, b asm.Reg) asm.Reg {
	return ptx.Apply(g.Kernel, codes[g.p.Combine], g.p.compute(), a, b)
}

// load loads an element of a type where the predicate holds; elsewhere it is neutral.
func (g *gen) load(t tensor.DType, pred asm.Reg, at asm.Addr) asm.Reg {
	return g.choose(pred, ptx.LoadElement(g.Kernel, t, pred, at), g.neutral)
}

// choose is a where the predicate holds, and b elsewhere.
func (g *gen) choose(pred, a, b asm.Reg) asm.Reg {
	return g.Op(g.class, "selp."+g.typ(), a, b, pred)
}

// let makes a register another's value.
func (g *gen) let(to, from asm.Reg) { g.Set(to, "mov."+g.typ(), from) }

// copied is a new register of another's value.
func (g *gen) copied(from asm.Reg) asm.Reg {
	return g.Op(from.Class(), "mov."+suffix(from.Class()), from)
}

// steps writes a loop over i = from, from+by, ... below end. Threads whose ends are
// the same stay together.
func (g *gen) steps(from, end asm.Reg, by int, body func(i asm.Reg)) {
	i := g.copied(from)
	top, out := g.NewLabel(), g.NewLabel()
	g.Place(top)
	g.EmitUnless(g.less(i, end), "bra", out)
	body(i)
	g.Set(i, "add.s64", i, by)
	g.Emit("bra", top)
	g.Place(out)
}

// partOf are the first element of a part of a line, and the one behind its last.
func (g *gen) partOf(part asm.Reg) (from, end asm.Reg) {
	length := g.long("part")
	from = g.Op(asm.B64, "mul.lo.s64", g.wide(part), length)
	return from, g.Op(asm.B64, "min.s64", g.add(from, length), g.long("axis"))
}
