package ptx

import (
	"fmt"
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// A run is the lanes of an access that are neighbours in memory. Aligned, it is one
// instruction:
//
//	strict  nothing but the position decides: Bind looks at all of them, and lets
//	        threads take single points if one is not aligned
//	loose   lanes have predicates of their own, or the offset is not known to be
//	        aligned: the program looks, run by run
//	else    an instruction per lane

// isRun reports whether the lanes of an access are neighbours in memory and live
// or not together.
func (b *body) isRun(in *codegen.Inst) bool {
	return b.lanes > 1 && isRun(b.nest, b.vary, in, b.along, b.lanes) && !b.c.loose(b.nest, b.vary, in, b.lanes)
}

// loose reports whether only the program can tell if a run may be accessed as one:
// lanes have predicates of their own, or the offset may be anything. Other runs
// decide for the whole nest.
func (c *compiler) loose(n *codegen.Nest, vary []bool, in *codegen.Inst, lanes int) bool {
	return in.Pred != codegen.None && vary[in.Pred] || !c.facts.Divides(int64(lanes), n.Accs[in.Acc].Offset)
}

// isRun reports whether the lanes of an access are neighbours in memory, each live
// by itself if its predicate varies, and may start at a multiple of their size.
func isRun(n *codegen.Nest, vary []bool, in *codegen.Inst, l *loop, lanes int) bool {
	a := &n.Accs[in.Acc]
	if c, ok := a.Offset.Const(); ok && c%int64(lanes) != 0 {
		return false
	}
	for _, d := range a.Dyn {
		if vary[d.Val] {
			return false
		}
	}
	return a.Class(l.last()) == codegen.StrideOne
}

// strict lists the accesses whose runs decide for the whole nest.
func (c *compiler) strict(n *codegen.Nest, l *loop, lanes int) []int {
	vary := varying(n, l)
	var out []int
	for i := range n.Insts {
		in := &n.Insts[i]
		if in.Op != codegen.Load && in.Op != codegen.Store || c.kernel.Bufs[n.Accs[in.Acc].Buf].Kind == codegen.Tile {
			continue
		}
		if isRun(n, vary, in, l, lanes) && !c.loose(n, vary, in, lanes) && !slices.Contains(out, in.Acc) {
			out = append(out, in.Acc)
		}
	}
	return out
}

// whole is whether a loose run is aligned and all its lanes are live: a mask mostly
// is the same for a whole run.
func (b *body) whole(in *codegen.Inst) asm.Reg {
	acc, l, lanes, all := in.Acc, b.along, int64(b.lanes), b.loops
	flag := b.param(asm.B32, fmt.Sprint("aligned ", acc), func(f *frame) int64 {
		if f.step == lanes && f.alignedRun(acc, all, l, lanes) {
			return 1
		}
		return 0
	})
	p := b.Op(asm.Pred, "setp.ne.u32", flag, 0)
	for lane := 0; in.Pred != codegen.None && lane < len(b.vals[in.Pred]); lane++ {
		p = b.Op(asm.Pred, "and.pred", p, b.value(in.Pred, lane))
	}
	return p
}

// choice is the condition under which an access may be one of all lanes; none
// where it cannot.
func (b *body) choice(in *codegen.Inst) asm.Reg {
	switch {
	case !b.full.IsNone() && b.isRun(in):
		return b.full
	case b.runs && b.lanes > 1 && isRun(b.nest, b.vary, in, b.along, b.lanes):
		return b.whole(in)
	}
	return asm.Reg{}
}

// wholePlace is where a run lies whose lanes are all live.
func (b *body) wholePlace(in *codegen.Inst, guard asm.Reg) place {
	if !b.full.IsNone() {
		return b.place(in, 0, asm.Reg{})
	}
	live := *in
	live.Pred = codegen.None
	return b.place(&live, 0, guard)
}

// either emits code for where p holds, and code for where it does not.
func (b *body) either(p asm.Reg, whole, lanes func()) {
	single, done := b.NewLabel(), b.NewLabel()
	b.EmitUnless(p, "bra", single)
	whole()
	b.Emit("bra", done)
	b.Place(single)
	lanes()
	b.Place(done)
}

// assign moves values to registers of their class.
func (b *body) assign(to, from []asm.Reg) {
	for i := range to {
		b.Set(to[i], "mov."+to[i].Class().Bits(), from[i])
	}
}
