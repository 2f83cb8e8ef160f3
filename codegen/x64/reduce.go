package x64

import (
	"math"
	"math/bits"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Reductions. Over the vector axis, point j of a row goes to accumulator
// (j/lanes) mod 4 as long as whole groups of 4 vectors remain, later points to
// accumulator 0; the accumulators are folded 0+2, 1+3, then both, then the lanes
// by halves. The order depends on the row's length and the number of lanes only.
// Over other axes, each lane folds its own point in order.

//
// A minimum or maximum of floats must not lose a NaN. Keeping it in the
// accumulator would put a comparison into the loop's dependency chain; folded
// over lanes anyway, NaNs are rather collected in an opmask beside it.

// accumulator is one copy of a reduction's accumulator.
type accumulator struct {
	reg  asm.V
	slot int32 // in memory, if not 0
	nan  asm.K // which lanes have seen a NaN; 0 if the accumulator keeps them
}

// accKind is the type and length in which a reduction accumulates: masks as
// integers of all ones or zeros.
func (g *emitter) accKind(r *codegen.Reduction) (kind, asm.VL) {
	t := g.n.Insts[r.Value].Type
	switch {
	case t != tensor.Bool:
		return kindOf(t), g.vlOf(kindOf(t))
	case g.p.z:
		return kI32, g.vecOf(4)
	case g.p.wide:
		return kI64, g.p.full
	}
	return kI32, g.p.full
}

// openAccumulators sets n accumulators per reduction to the neutral value.
func (g *emitter) openAccumulators(s *segment, n int) {
	g.acc = g.acc[:0]
	for i := range s.reduce {
		r := &s.reduce[i]
		k, l := g.accKind(r)
		bits := codegen.Neutral(r.Op, kindTypes[k])
		nan := g.openNaNs(s, r, k)
		for c := range n {
			a := accumulator{reg: g.grab(), nan: nan}
			if c == 0 || s.accMem {
				g.setConst(a.reg, bits, k.size(), l)
			} else {
				g.RR(asm.VMOVAPSld, l, a.reg, 0, g.acc[len(g.acc)-1].reg, 0)
			}
			if s.accMem {
				a.slot = g.lay.acc + int32((i*maxUnroll+c)*g.p.full.Bytes())
				g.RM(asm.VMOVUPSst, l, a.reg, 0, asm.Ptr(asm.RDI, a.slot), 0)
				g.v.free |= 1 << a.reg
			}
			g.acc = append(g.acc, a)
		}
	}
}

// leastMasks is how many opmasks an instruction may need: a selection among masks,
// or a masked store that rounds to 8 bits at a tail.
const leastMasks = 4

// openNaNs reserves an opmask for the NaNs of a reduction, if it has a use for
// one and there are enough.
func (g *emitter) openNaNs(s *segment, r *codegen.Reduction, k kind) asm.K {
	if !g.p.z || g.p.mode != modeInner || s.accMem || bits.OnesCount32(g.k.free) <= leastMasks || !g.ordersFloats(r.Op, k) {
		return 0
	}
	nan := g.kgrab()
	g.KXORW(nan, nan, nan)
	return nan
}

// ordersFloats reports whether the operation is a minimum or maximum of floats
// that propagates NaN.
func (g *emitter) ordersFloats(c codegen.Code, k kind) bool {
	return k.float() && (c == codegen.Min || c == codegen.Max) && !g.p.fast
}

// foldNumbers is d = min or max of d and x by their numbers, and notes x's NaNs.
func (g *emitter) foldNumbers(c codegen.Code, k kind, l asm.VL, d, x asm.V, nan asm.K, masked bool) {
	f := asm.Flags(0)
	if masked {
		f = asm.Mask(7)
	}
	cmp, t := asm.VCMPPSk, g.ktmp()
	if k == kF64 {
		cmp = asm.VCMPPDk
	}
	g.RRi(cmp, l, asm.V(t), x, x, f, cmpUnordered)
	g.KORW(nan, nan, t)
	g.rangeOf(c, k, l, d, x, f)
}

// rangeOf is d = min or max of d and x, neither NaN; -0 is below +0.
func (g *emitter) rangeOf(c codegen.Code, k kind, l asm.VL, d, x asm.V, f asm.Flags) {
	op := asm.VRANGEPS
	if k == kF64 {
		op = asm.VRANGEPD
	}
	g.RRi(op, l, d, d, x, f, uint8(4+b2i(c == codegen.Max)))
}

// closeNaNs makes d, in all lanes, NaN if one was seen.
func (g *emitter) closeNaNs(k kind, l asm.VL, d asm.V, nan asm.K) {
	none := g.NewLabel()
	g.KORTESTW(nan, nan)
	g.Jcc(asm.E, none)
	g.setConst(d, quietNaN(k), k.size(), l)
	g.Bind(none)
	g.k.free |= 1 << nan
}

// quietNaN is the bits of a NaN.
func quietNaN(k kind) uint64 {
	if k == kF64 {
		return math.Float64bits(math.NaN())
	}
	return uint64(math.Float32bits(float32(math.NaN())))
}

// accumulate folds the current body's values into the accumulators, of which
// there are n per reduction. Lanes beyond a tail's end are kept out where lanes
// are folded later.
func (g *emitter) accumulate(s *segment, n int) {
	for i := range s.reduce {
		r := &s.reduce[i]
		k, l := g.accKind(r)
		for c := range g.copies {
			g.c = c
			a := g.acc[i*n+g.base+c]
			x := g.vector(r.Value, l)
			if a.slot != 0 {
				a.reg = g.tmp()
				g.RM(asm.VMOVUPSld, l, a.reg, 0, asm.Ptr(asm.RDI, a.slot), 0)
			}
			if a.nan != 0 {
				g.foldNumbers(r.Op, k, l, a.reg, x, a.nan, g.tail)
			} else {
				g.combine(r.Op, k, l, a.reg, x, g.tail && g.p.mode == modeInner)
			}
			if a.slot != 0 {
				g.RM(asm.VMOVUPSst, l, a.reg, 0, asm.Ptr(asm.RDI, a.slot), 0)
			}
			g.freeTemps()
		}
	}
}

func (g *emitter) freeTemps() {
	g.v.free |= g.temps
	g.k.free |= g.ktemps
	g.temps, g.ktemps, g.v.lock, g.k.lock = 0, 0, 0, 0
}

// vector is v in a vector register, a mask as all ones or zeros.
func (g *emitter) vector(v codegen.Val, l asm.VL) asm.V {
	if !g.p.vals[v].mask {
		return g.src(v)
	}
	t := g.tmp()
	g.RR(asm.VPMOVM2D, l, t, 0, asm.V(g.ksrc(v)), 0)
	return t
}

// combine is d = d op x, in the live lanes only if masked.
func (g *emitter) combine(c codegen.Code, k kind, l asm.VL, d, x asm.V, masked bool) {
	f := asm.Flags(0)
	if masked && g.p.z {
		f = asm.Mask(7)
	}
	op := rows[c][k].op(g.p.z)
	if g.p.fast && k.float() && op == noOp {
		op = minMaxOp(c, k)
	}
	if op != noOp && (!masked || g.p.z) {
		g.RR(op, l, d, d, x, f)
		return
	}
	t := g.tmp()
	switch {
	case op != noOp:
		g.RR(op, l, t, d, x, 0)
	case k.float():
		g.minMax(c, k, l, t, d, x)
	case c == codegen.Mul:
		mul64Core(g, c, k, l, t, d, x)
	default:
		minMax64Core(g, c, k, l, t, d, x)
	}
	switch {
	case masked && !g.p.z:
		g.Blendv(asm.VBLENDVPS, l, d, d, t, g.maskAs(tailMask, k.size()))
	case k.size() == 8:
		g.RR(asm.VMOVAPDld, l, d, 0, t, f)
	default:
		g.RR(asm.VMOVAPSld, l, d, 0, t, f)
	}
	g.drop(t)
}

// closeAccumulators defines the results of the reductions, n accumulators each.
func (g *emitter) closeAccumulators(s *segment, n int) {
	for i := range s.reduce {
		r := &s.reduce[i]
		k, l := g.accKind(r)
		accs := g.acc[i*n : i*n+n]
		for c := range accs {
			if accs[c].slot != 0 {
				accs[c].reg = g.grab()
				g.RM(asm.VMOVUPSld, l, accs[c].reg, 0, asm.Ptr(asm.RDI, accs[c].slot), 0)
			}
		}
		if g.p.mode == modeInner {
			for half := n / 2; half > 0; half /= 2 {
				for c := range half {
					g.fold(r.Op, k, l, accs[c].reg, accs[c+half].reg, accs[c].nan)
				}
			}
			g.foldLanes(r.Op, k, l, accs[0].reg, accs[0].nan)
			if nan := accs[0].nan; nan != 0 {
				g.closeNaNs(k, l, accs[0].reg, nan)
			}
			g.defineResult(r.Result, 0, accs[0].reg, l)
		} else {
			for c := range accs {
				g.defineResult(r.Result, c, accs[c].reg, l)
			}
		}
		for c := range accs {
			g.v.free |= 1 << accs[c].reg
		}
		g.freeTemps()
	}
}

// fold is d = d op x of two accumulators.
func (g *emitter) fold(c codegen.Code, k kind, l asm.VL, d, x asm.V, nan asm.K) {
	if nan != 0 {
		g.rangeOf(c, k, l, d, x, 0)
		return
	}
	g.combine(c, k, l, d, x, false)
}

// foldLanes folds the lanes of d by halves and puts the result into all of them.
func (g *emitter) foldLanes(c codegen.Code, k kind, l asm.VL, d asm.V, nan asm.K) {
	t := g.tmp()
	if l == asm.Z512 {
		g.RRi(asm.VEXTRACTF64X4, asm.Z512, d, 0, t, 0, 1)
		g.fold(c, k, asm.Y256, d, t, nan)
	}
	if l >= asm.Y256 {
		op := asm.VEXTRACTF128
		if g.p.z {
			op = asm.VEXTRACTF32X4
		}
		g.RRi(op, asm.Y256, d, 0, t, 0, 1)
		g.fold(c, k, asm.X128, d, t, nan)
	}
	g.RRi(asm.VPERMILPSi, asm.X128, t, 0, d, 0, 0x4e)
	g.fold(c, k, asm.X128, d, t, nan)
	if k.size() == 4 {
		g.RRi(asm.VPERMILPSi, asm.X128, t, 0, d, 0, 0xb1)
		g.fold(c, k, asm.X128, d, t, nan)
	}
	g.RR(spread(k), l, d, 0, d, 0)
	g.drop(t)
}

// defineResult makes d copy c of a reduction's result.
func (g *emitter) defineResult(v codegen.Val, c int, d asm.V, l asm.VL) {
	at := loc(v, c)
	if !g.p.vals[v].varying {
		at = loc(v, 0)
	}
	switch {
	case g.p.vals[v].mask:
		k := g.ktmp()
		g.RR(asm.VPMOVD2M, l, asm.V(k), 0, d, 0)
		if home := g.lay.home[at]; home != 0 {
			g.KM(asm.KMOVWst, k, asm.Ptr(asm.RDI, home))
		}
		g.dropK(k)
	case g.pin[at] >= 0:
		g.RR(asm.VMOVAPSld, l, asm.V(g.pin[at]), 0, d, 0)
	case g.lay.home[at] != 0:
		g.RM(asm.VMOVUPSst, l, d, 0, asm.Ptr(asm.RDI, g.lay.home[at]), 0)
	}
}
