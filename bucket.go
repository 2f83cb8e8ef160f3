package jitc

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/passes/padding"
	rt "jitc/runtime"
)

// Bucket pads every size that is the symbol to a size of the buckets, so that one
// recording serves them all: Bucket("B", PowersOfTwo(16)). The symbol is
// that of a mark or of a trace file. The results are those of the true size: with
// the same bits where no sum runs over the dimension and the same code runs at both
// sizes (Function.Sizes tells where it changes), up to rounding elsewhere. A
// function in which padding could reach a result is an error, a *padding.Refusal,
// that names the op in the way. Of two for one symbol the later holds.
func Bucket(sym string, buckets rt.Buckets) FuncOption {
	return func(o *funcOptions) {
		if buckets == nil {
			o.wrong(fmt.Errorf("bucket %s: expected buckets, as Listed, PowersOfTwo or Steps make, got nil", sym))
			return
		}
		if _, ok := buckets.Bucket(0); !ok {
			o.wrong(fmt.Errorf("bucket %s: expected a size of 0 or more at least, got none", sym))
			return
		}
		o.buckets = slices.DeleteFunc(o.buckets, func(d rt.PaddedDim) bool { return d.Sym == sym })
		o.buckets = append(o.buckets, rt.PaddedDim{Sym: sym, Buckets: buckets})
	}
}

// Listed buckets are the given sizes.
func Listed(sizes ...int64) rt.Buckets { return rt.Listed(sizes...) }

// PowersOfTwo are buckets from least on, which is rounded up to one.
func PowersOfTwo(least int64) rt.Buckets { return rt.PowersOfTwo(least) }

// Steps are buckets of the multiples of step.
func Steps(step int64) rt.Buckets { return rt.Steps(step) }

// pad gives a trace the program for padded arguments.
func pad(t *rt.Traced, dims []rt.PaddedDim) error {
	p, err := rewritten(t.F, dims)
	usePadding(t, p)
	return err
}

// usePadding has a trace run the program for padded arguments, if there is one.
func usePadding(t *rt.Traced, p *Padding) {
	if p == nil {
		return
	}
	t.Padded, t.Donated = &p.Padded, nil // results are cut out of padded ones
}

// Padding is what buckets made of a trace.
type Padding struct {
	rt.Padded
	// Steps are the rewritings, by dimension, each of what the one before it made:
	// what was masked, and where sums may be rounded otherwise.
	Steps []*padding.Padded
}

// Exact reports whether no sum has its terms in another order. Results then have the
// bits of the unpadded ones, if the same code runs at both sizes.
func (p *Padding) Exact() bool {
	return !slices.ContainsFunc(p.Steps, func(s *padding.Padded) bool { return !s.Exact })
}

// rewritten is f for padded arguments; nil if no symbol of f is to be padded.
// Symbols that f does not have are left alone: the trace is then for one size of
// them.
func rewritten(f *ir.Func, dims []rt.PaddedDim) (*Padding, error) {
	p := &Padding{Padded: rt.Padded{F: f}}
	for _, d := range dims {
		if !slices.Contains(f.Facts.Syms(), d.Sym) {
			continue
		}
		if late := ir.Definers(f); len(late) > 0 {
			return nil, &padding.Refusal{Sym: d.Sym, Op: late[0].Op.String(), Pos: late[0].Pos,
				What: "finds a size in data, where padding would count", Hint: "leave " + d.Sym + " out of the buckets"}
		}
		step, err := padding.Rewrite(p.F, d.Sym)
		if err != nil {
			return nil, err
		}
		p.F, p.Dims, p.Steps = step.F, append(p.Dims, d), append(p.Steps, step)
	}
	if p.Steps == nil {
		return nil, nil
	}
	return p, nil
}

// Padding is what the function's buckets made of its trace; nil if it has none. The
// error is a *padding.Refusal where padding could reach a result.
func (fn *Function) Padding() (*Padding, error) { return fn.padding() }

// program is what is compiled: the trace, or what buckets made of it.
func (fn *Function) program() (*ir.Func, error) {
	p, err := fn.padding()
	if p == nil {
		return fn.trace, err
	}
	return p.F, err
}
