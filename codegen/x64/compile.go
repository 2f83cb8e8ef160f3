package x64

import (
	"errors"
	"slices"
	"sync"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Options are a compilation's choices besides the target.
type Options struct {
	FastMath    bool   // Min and Max may lose a NaN or the sign of a zero
	NonTemporal []bool // by buffer: outputs to store past the caches; nil for none
	Listing     bool   // keep the code as text
	Unroll      int    // copies of a body, 1, 2 or 4; 0: as registers allow
}

// Stats describes compiled code.
type Stats struct {
	Lanes, Unroll int // points per vector; most interleaved copies of a body
	Spills        int // values stored for want of registers, over all copies of all bodies
	Insts         int // instructions of the nest, over all copies of all bodies
	Pinned        int // constants and values in registers throughout
}

// Unsupported says that a nest has no machine code on this processor; the caller
// interprets it.
type Unsupported struct{ Reason string }

func (e *Unsupported) Error() string { return "x64: not supported: " + e.Reason }

// Code is the machine code of a nest, for all sizes. It is immutable and safe for
// concurrent use; an argument block belongs to one worker.
type Code struct {
	Bytes   []byte // position-independent; load at a multiple of 64
	Listing string // if Options.Listing
	Stats   Stats
	layout  *layout
	fill    filler
}

// emitters recycles the working memory of compilations.
var emitters = sync.Pool{New: func() any { return &emitter{Asm: &asm.Asm{}} }}

// Compile translates a nest of a legalised kernel for a processor with features
// f, which must include AVX2, FMA, F16C and BMI2. An error is *Unsupported or a
// defect of this package.
func Compile(k *codegen.Kernel, n *codegen.Nest, f asm.Features, o Options) (*Code, error) {
	if !Supported(f) {
		return nil, &Unsupported{"the processor lacks AVX2, FMA, F16C or BMI2"}
	}
	p, err := newPlan(k, n, f.AVX512, o)
	if err != nil {
		return nil, err
	}
	g := emitters.Get().(*emitter)
	defer emitters.Put(g)
	g.reset(p)
	unroll := g.allocate(o.Unroll)
	g.Trace = o.Listing
	g.kernel()
	b, err := g.Finish()
	if err != nil {
		return nil, errors.New("BUG: x64: " + err.Error())
	}
	g.lay.size = g.lay.spill + g.mslots*int32(p.full.Bytes())
	c := &Code{Bytes: slices.Clone(b), layout: g.lay, fill: newFiller(p)}
	c.Stats = Stats{Lanes: p.lanes, Unroll: unroll, Spills: g.spills, Insts: g.insts, Pinned: g.pinned}
	if o.Listing {
		c.Listing = g.Asm.Listing()
	}
	return c, nil
}

// Supported reports whether Compile can serve a processor.
func Supported(f asm.Features) bool { return f.AVX2 && f.FMA && f.F16C && f.BMI2 }

// Target says what this package emits for a processor.
func Target(f asm.Features, fastMath bool) codegen.Target {
	return codegen.Target{FastMath: fastMath, Spells: func(c codegen.Code, t tensor.DType) bool {
		k := kindOf(t)
		return int(c) < len(rows) && k != numKinds && rows[c][k].spells(f.AVX512)
	}}
}

// check refuses what has no spelling.
func (p *plan) check() error {
	if len(p.streams) > 64 {
		return &Unsupported{"more than 64 pointers"}
	}
	for i := range p.nest.Insts {
		in := &p.nest.Insts[i]
		if !rowOf(in, p.nest).spells(p.z) {
			return &Unsupported{in.Op.String() + " of " + in.Type.String()}
		}
		switch in.Op {
		case codegen.Cast:
			from := kindOf(p.nest.Insts[in.A].Type)
			if r := &castRows[from][kindOf(in.Type)]; !r.ok || r.half && !p.z {
				return &Unsupported{"cast of " + p.nest.Insts[in.A].Type.String() + " to " + in.Type.String()}
			}
		case codegen.RoundTo:
			if in.Type == tensor.F64 && in.Round != tensor.F32 {
				return &Unsupported{"round_to " + in.Round.String() + " of f64"}
			}
		}
	}
	return nil
}

// reset prepares a recycled emitter for a plan.
func (g *emitter) reset(p *plan) {
	a := g.Asm
	a.Reset()
	n := len(p.vals)
	*g = emitter{
		Asm: a, p: p, n: p.nest, lay: newLayout(p),
		last: resize(g.last, n), cur: resize(g.cur, n),
		reg: resize(g.reg, n*maxUnroll), slot: resize(g.slot, n*maxUnroll), pin: resize(g.pin, n*maxUnroll),
		konst: resize(g.konst, n), kset: resize(g.kset, n), acc: g.acc[:0],
	}
	for i := range g.pin {
		g.pin[i] = -1
	}
	g.v.free, g.k.free = 1<<32-1, 0x7e
	if !p.z {
		g.v.free = 1<<16 - 1
		if p.mode != modeScalar {
			g.v.free &^= 1 << tailMask
		}
	}
}

// resize is a zeroed slice of n elements, reusing s.
func resize[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
