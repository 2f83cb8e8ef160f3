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
// the same bits where no sum runs over the dimension, up to rounding where one
// does. A function in which padding could reach a result is an error, a
// *padding.Refusal, that names the op in the way.
func Bucket(sym string, buckets rt.Buckets) FuncOption {
	return func(o *funcOptions) { o.buckets = append(o.buckets, rt.PaddedDim{Sym: sym, Buckets: buckets}) }
}

// Listed buckets are the given sizes.
func Listed(sizes ...int64) rt.Buckets { return rt.Listed(sizes...) }

// PowersOfTwo are buckets from least on, which is rounded up to one.
func PowersOfTwo(least int64) rt.Buckets { return rt.PowersOfTwo(least) }

// Steps are buckets of the multiples of step.
func Steps(step int64) rt.Buckets { return rt.Steps(step) }

// pad rewrites a trace for padded arguments. Symbols that it does not have are left
// alone: the trace is then for one size of them.
func pad(t *rt.Traced, dims []rt.PaddedDim) error {
	f := t.F
	var padded []rt.PaddedDim
	for _, d := range dims {
		if !slices.Contains(f.Facts.Syms(), d.Sym) {
			continue
		}
		p, err := padding.Rewrite(f, d.Sym)
		if err != nil {
			return err
		}
		f, padded = p.F, append(padded, d)
	}
	if len(padded) == 0 {
		return nil
	}
	if len(ir.Definers(f)) > 0 {
		return fmt.Errorf("cannot pad %s: data decides sizes of the function", padded[0].Sym)
	}
	t.Padded = &rt.Padded{F: f, Dims: padded}
	t.Donated = nil // results are cut out of padded ones
	return nil
}
