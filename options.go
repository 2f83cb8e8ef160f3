package jitc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jitc/ir/dim"
	rt "jitc/runtime"
)

// FuncOption configures one compiled function. What is wrong with an option is the
// error of every call.
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
	err      error // what is wrong with them
}

// chosen are the options that opts make; nil ones are passed over.
func chosen(opts []FuncOption) (o funcOptions) {
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

func (o *funcOptions) wrong(err error) { o.err = errors.Join(o.err, err) }

// check holds names, paths and buckets of a Go function against the number of its
// arguments, whose names it returns.
func (o *funcOptions) check(args int) []string {
	if o.name != "" && o.name != plainName(o.name) {
		o.wrong(fmt.Errorf("name %q: expected letters, digits and underscores, no digit first (hint: %s)", o.name, plainName(o.name)))
	}
	if len(o.argNames) > args {
		o.wrong(fmt.Errorf("argument names %q: expected at most %d, as the function has arguments, got %d", o.argNames, args, len(o.argNames)))
	}
	names := make([]string, args)
	for i := range names {
		if names[i] = fmt.Sprint(i); i < len(o.argNames) {
			names[i] = o.argNames[i]
		}
	}
	for _, m := range o.marks {
		root := m.Path
		if end := strings.IndexAny(root, ".["); end >= 0 {
			root = root[:end]
		}
		if !slices.ContainsFunc(names, func(n string) bool { return rt.MatchPath(root, n) || rt.MatchPath(m.Path, n) }) {
			o.wrong(fmt.Errorf("mark %s: no argument is called %q: expected one of %q (hint: ArgNames names them)", m, root, names))
		}
	}
	var syms []string
	for _, m := range o.marks {
		if m.Kind != rt.Static {
			syms = append(syms, m.Sym)
		}
	}
	o.checkBuckets(syms, "mark a size with Dynamic")
	return names
}

// checkBuckets refuses buckets of symbols that there are not.
func (o *funcOptions) checkBuckets(syms []string, hint string) {
	for _, b := range o.buckets {
		if !slices.Contains(syms, b.Sym) {
			o.wrong(fmt.Errorf("bucket %s: no size is called that: expected one of %q (hint: %s)", b.Sym, syms, hint))
		}
	}
}

// plainName is the name with everything replaced that a name in the text form
// cannot have.
func plainName(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' {
			return r
		}
		return '_'
	}, name)
	if plain == "" || '0' <= plain[0] && plain[0] <= '9' {
		return "_" + plain
	}
	return plain
}

// Name gives the function another name than that of the Go function: letters,
// digits and underscores.
func Name(name string) FuncOption { return func(o *funcOptions) { o.name = name } }

// ArgNames names the arguments, for the paths of marks and messages: they are
// "0", "1", ... otherwise. A path goes on as Go would write it: "params.Layers[2].W".
func ArgNames(names ...string) FuncOption { return func(o *funcOptions) { o.argNames = names } }

// Mark is a mark under construction: Static, Dynamic, MaybeDynamic or Unbacked
// make it. Its path begins with the name of an argument.
type Mark struct {
	m   rt.Mark
	err error
}

// symbolic is a mark of a size that has a name.
func symbolic(kind rt.MarkKind, path string, axis int, sym Size) Mark {
	m := Mark{m: rt.Mark{Path: path, Axis: axis, Kind: kind, Sym: sym.String()}}
	if !dim.ValidSym(m.m.Sym) {
		m.err = fmt.Errorf("mark %s: expected the name of a symbol, as Dim(\"B\") makes, got %s", m.m, sym)
	}
	return m
}

// Static says that a size is always a constant: another one recompiles. axis -1
// stands for every axis, and for a scalar. In paths * stands for anything but a
// dot.
func Static(path string, axis int) Mark {
	return Mark{m: rt.Mark{Path: path, Axis: axis, Kind: rt.Static, Sym: "size"}}
}

// Dynamic says that a size, or an Int, is a symbol from the first call on. Marks
// of one symbol are one size. A trace that needs one value of it is an error that
// names the line.
func Dynamic(path string, axis int, sym Size) Mark {
	return symbolic(rt.Dynamic, path, axis, sym)
}

// MaybeDynamic is Dynamic, but a trace that needs one value gets it, and a guard.
func MaybeDynamic(path string, axis int, sym Size) Mark {
	return symbolic(rt.MaybeDynamic, path, axis, sym)
}

// Unbacked is Dynamic for sizes that no decision of the trace may look at.
func Unbacked(path string, axis int, sym Size) Mark {
	return symbolic(rt.Unbacked, path, axis, sym)
}

// Range bounds the symbol, both ends included. A call outside is an error.
func (m Mark) Range(lo, hi int64) Mark {
	s := dim.Sym(m.m.Sym)
	return m.where(dim.Ge(s, dim.Const(lo)), dim.Le(s, dim.Const(hi)))
}

// Divisible says that n, 1 or more, divides the symbol. A call where it does not is
// an error.
func (m Mark) Divisible(n int64) Mark {
	if n < 1 {
		m.err = errors.Join(m.err, fmt.Errorf("mark %s: divisible by %d: expected 1 or more", m.m, n))
		return m
	}
	return m.where(dim.Divisible(dim.Sym(m.m.Sym), n))
}

func (m Mark) where(facts ...dim.Constraint) Mark {
	m.m.Facts = append(append([]dim.Constraint(nil), m.m.Facts...), facts...)
	if m.m.Kind == 0 {
		return m // Marks refuses it as a whole
	}
	known := dim.NewFacts()
	for _, f := range m.m.Facts {
		if err := known.Assume(f); err != nil {
			m.err = errors.Join(m.err, fmt.Errorf("mark %s: %w", m.m, err))
			break
		}
	}
	return m
}

// Marks says how sizes and scalars are to be traced. Where two are about one
// place the later holds.
func Marks(marks ...Mark) FuncOption {
	return func(o *funcOptions) {
		for _, m := range marks {
			switch {
			case m.err != nil:
				o.wrong(m.err)
			case m.m.Kind == 0:
				o.wrong(errors.New("an empty Mark: expected what Static, Dynamic, MaybeDynamic or Unbacked make"))
			default:
				o.marks = append(o.marks, m.m)
			}
		}
	}
}

// Donate gives the memory of tensor arguments, by path ("cache.K", "caches[*].K"), to
// the results: what lay there is gone after the call. A call whose donated argument
// shares memory with another one is an error where a result would be computed there.
// A CallInto whose result has tensors that fit, and functions whose sizes are padded
// (Bucket), leave it alone.
func Donate(paths ...string) FuncOption {
	return func(o *funcOptions) { o.donate = append(o.donate, paths...) }
}

// WithLimits bounds what the function keeps, and how often it recompiles; without
// it, Options.Limits do.
func WithLimits(l Limits) FuncOption { return func(o *funcOptions) { o.limits = l } }

// WithStance is the stance of calls whose context has none.
func WithStance(s Stance) FuncOption { return func(o *funcOptions) { o.stance = s } }

// SeparateSizes keeps sizes apart that were equal in all calls; otherwise they
// share a symbol.
func SeparateSizes() FuncOption { return func(o *funcOptions) { o.separate = true } }
