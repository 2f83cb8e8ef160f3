package ptx

import (
	"math/bits"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
)

// loop is one or several neighbouring axes walked as one: for every access, a step
// of the last of them over its end is a step of the one before.
type loop struct {
	axes   []int // outermost first
	extent dim.Expr
}

func (l *loop) last() int { return l.axes[len(l.axes)-1] }

// length is the loop's extent at concrete sizes.
func (l *loop) length(n *codegen.BoundNest) int64 {
	p := int64(1)
	for _, a := range l.axes {
		p *= n.Extent[a]
	}
	return p
}

// constant is the extent if it is known, else -1.
func (l *loop) constant() int64 {
	if c, ok := l.extent.Const(); ok {
		return c
	}
	return -1
}

// loops merges the axes of a list, outermost first, as far as all accesses agree,
// and leaves out those of one position.
func loops(n *codegen.Nest, facts *dim.Facts, axes []int) []loop {
	var out []loop
	for _, a := range axes {
		if c, ok := n.Axes[a].Extent.Const(); ok && c == 1 {
			continue
		}
		l := loop{[]int{a}, n.Axes[a].Extent}
		if len(out) > 0 && merges(n, facts, &out[len(out)-1], a) {
			prev := &out[len(out)-1]
			prev.axes, prev.extent = append(prev.axes, a), prev.extent.Mul(l.extent)
			continue
		}
		out = append(out, l)
	}
	return out
}

// merges reports whether axis a continues a loop: nothing asks for the position on
// either, and every stride of the loop is a whole row of a.
func merges(n *codegen.Nest, facts *dim.Facts, l *loop, a int) bool {
	for i := range n.Insts {
		in := &n.Insts[i]
		if in.Op == codegen.Index && (in.Axis == a || in.Axis == l.last()) {
			return false
		}
	}
	for i := range n.Accs {
		s := n.Accs[i].Strides
		if !facts.Equal(s[l.last()], s[a].Mul(n.Axes[a].Extent)) {
			return false
		}
	}
	return true
}

// quotient is x divided by a positive count, with the remainder. A count that is
// not known is divided by through a multiplication (Granlund and Montgomery,
// "Division by invariant integers using multiplication", 1994), which is exact
// for x below 2^31.
func (e *entry) quotient(x asm.Reg, key string, known int64, count func(f *frame) int64) (q, r asm.Reg) {
	if known >= 0 || e.wide {
		var by any = max(known, 1)
		if known < 0 {
			by = e.param(e.index(), key, count)
		}
		q = e.ix("div", x, by)
		return q, e.ix("sub", x, e.product(q, by))
	}
	by := e.param(asm.B32, key, count)
	m := e.bitsParam("multiplier of "+key, func(f *frame) int64 { m, _ := reciprocal(count(f)); return m })
	s := e.param(asm.B32, "shift of "+key, func(f *frame) int64 { _, s := reciprocal(count(f)); return s })
	wide := e.Op(asm.B64, "mul.wide.u32", x, m)
	q = e.Op(asm.B32, "cvt.u32.u64", e.Op(asm.B64, "shr.u64", wide, s))
	return q, e.ix("sub", x, e.product(q, by))
}

func (e *entry) product(a asm.Reg, b any) asm.Reg { return e.ix("mul.lo", a, b) }

// reciprocal is a multiplier m below 2^32 and a shift s with x/d == x*m>>s for all
// x below 2^31.
func reciprocal(d int64) (m, s int64) {
	d = max(d, 1)
	log := bits.Len64(uint64(d - 1)) // ceiling
	s = int64(31 + log)
	return int64((uint64(1)<<s + uint64(d) - 1) / uint64(d)), s
}
