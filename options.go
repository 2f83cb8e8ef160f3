package jitc

import (
	"jitc/ir/dim"
	rt "jitc/runtime"
)

// FuncOption configures one compiled function.
type FuncOption func(*funcOptions)

type funcOptions struct {
	name     string
	argNames []string
	marks    []rt.Mark
	donate   []string
	limits   rt.Limits
	stance   rt.Stance
	separate bool
	buckets  []rt.PaddedDim
}

// Name gives the function another name than that of the Go function.
func Name(name string) FuncOption { return func(o *funcOptions) { o.name = name } }

// ArgNames names the arguments, for the paths of marks and messages: they are
// "0", "1", ... otherwise. A path goes on as Go would write it: "params.Layers[2].W".
func ArgNames(names ...string) FuncOption { return func(o *funcOptions) { o.argNames = names } }

// Mark is a mark under construction: Static, Dynamic, MaybeDynamic or Unbacked.
type Mark struct{ m rt.Mark }

// Static says that a size is always a constant: another one recompiles. axis -1
// stands for every axis, and for a scalar. In paths * stands for anything but a
// dot.
func Static(path string, axis int) Mark {
	return Mark{rt.Mark{Path: path, Axis: axis, Kind: rt.Static, Sym: "size"}}
}

// Dynamic says that a size, or an Int, is a symbol from the first call on. Marks
// of one symbol are one size. A trace that needs one value of it is an error that
// names the line.
func Dynamic(path string, axis int, sym Size) Mark {
	return Mark{rt.Mark{Path: path, Axis: axis, Kind: rt.Dynamic, Sym: sym.String()}}
}

// MaybeDynamic is Dynamic, but a trace that needs one value gets it, and a guard.
func MaybeDynamic(path string, axis int, sym Size) Mark {
	return Mark{rt.Mark{Path: path, Axis: axis, Kind: rt.MaybeDynamic, Sym: sym.String()}}
}

// Unbacked is Dynamic for sizes that no decision of the trace may look at.
func Unbacked(path string, axis int, sym Size) Mark {
	return Mark{rt.Mark{Path: path, Axis: axis, Kind: rt.Unbacked, Sym: sym.String()}}
}

// Range bounds the symbol, both ends included. A call outside is an error.
func (m Mark) Range(lo, hi int64) Mark {
	s := dim.Sym(m.m.Sym)
	return m.where(dim.Ge(s, dim.Const(lo)), dim.Le(s, dim.Const(hi)))
}

// Divisible says that n divides the symbol. A call where it does not is an error.
func (m Mark) Divisible(n int64) Mark { return m.where(dim.Divisible(dim.Sym(m.m.Sym), n)) }

func (m Mark) where(facts ...dim.Constraint) Mark {
	m.m.Facts = append(append([]dim.Constraint(nil), m.m.Facts...), facts...)
	return m
}

// Marks says how sizes and scalars are to be traced. Where two are about one
// place the later holds.
func Marks(marks ...Mark) FuncOption {
	return func(o *funcOptions) {
		for _, m := range marks {
			o.marks = append(o.marks, m.m)
		}
	}
}

// Donate gives the memory of tensor arguments, by path, to the results: what lay
// there is gone after the call. A call whose donated argument shares memory with
// another one is an error where a result would be computed there.
func Donate(paths ...string) FuncOption {
	return func(o *funcOptions) { o.donate = append(o.donate, paths...) }
}

// WithLimits bounds what the function keeps, and how often it recompiles.
func WithLimits(l rt.Limits) FuncOption { return func(o *funcOptions) { o.limits = l } }

// WithStance is the stance of calls whose context has none.
func WithStance(s rt.Stance) FuncOption { return func(o *funcOptions) { o.stance = s } }

// SeparateSizes keeps sizes apart that were equal in all calls; otherwise they
// share a symbol.
func SeparateSizes() FuncOption { return func(o *funcOptions) { o.separate = true } }
