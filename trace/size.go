package trace

import (
	"fmt"
	"math"

	"jitc/ir"
	"jitc/ir/dim"
)

// Size is the size of an axis, or what is computed from sizes: an integer, or in
// a trace a symbolic expression such as 2*B + 1. The zero value is 0. Compare
// with Equal, which decides; == compares nothing of use and does not compile.
type Size struct {
	e   dim.Expr
	rec *recorder
}

// Extent is an integer where an op wants one: an int, int32 or int64, a Size or an
// Int.
type Extent = any

// End, as the end of a Slice, is the end of the axis.
const End = math.MaxInt

// SizeOf is the constant n.
func SizeOf(n int) Size { return Size{e: dim.Const(int64(n))} }

// Dim is the symbol of that name, for marks and facts about arguments. It has no
// value of its own: an op does not take it.
func Dim(name string) Size { return Size{e: dim.Sym(name)} }

// Expr is the size as an expression.
func (s Size) Expr() dim.Expr { return s.e }

// String prints the expression: "2*B + 1".
func (s Size) String() string { return s.e.String() }

// Add is s + o.
func (s Size) Add(o Extent) Size { return s.with(o, dim.Expr.Add) }

// Sub is s - o.
func (s Size) Sub(o Extent) Size { return s.with(o, dim.Expr.Sub) }

// Mul is s * o.
func (s Size) Mul(o Extent) Size { return s.with(o, dim.Expr.Mul) }

// Div is s / o, rounded down.
func (s Size) Div(o Extent) Size { return s.with(o, dim.Expr.FloorDiv) }

// CeilDiv is s / o, rounded up.
func (s Size) CeilDiv(o Extent) Size { return s.with(o, dim.Expr.CeilDiv) }

// Mod is the remainder of Div.
func (s Size) Mod(o Extent) Size { return s.with(o, dim.Expr.Mod) }

// Min is the lesser of s and o.
func (s Size) Min(o Extent) Size { return s.with(o, dim.Expr.Min) }

// Max is the greater of s and o.
func (s Size) Max(o Extent) Size { return s.with(o, dim.Expr.Max) }

func (s Size) with(o Extent, op func(a, b dim.Expr) dim.Expr) Size {
	t, err := extentOf(o)
	rec := s.rec
	if rec == nil {
		rec = t.rec
	}
	if err != nil {
		rec.abort(err)
		return s
	}
	e := op(s.e, t.e)
	if rec.live() {
		e = rec.facts.Simplify(e)
	}
	return Size{e: e, rec: rec}
}

// Int is the size as an integer. In a trace this specialises a symbolic size: the
// program then holds for the value at hand only. Of a size without a value (of
// Dim, or a division by zero) it is -1.
func (s Size) Int() int { return s.specialise("Int") }

// specialise fixes a symbolic size at the value at hand; asker names the method
// that wants it.
func (s Size) specialise(asker string) int {
	if n, ok := s.e.Const(); ok {
		return int(n)
	}
	if s.rec == nil {
		return -1
	}
	return int(s.rec.specialise(s.e, asker))
}

// Equal reports whether s == o. Where neither facts nor the expressions decide, a
// comparison answers for the values at hand, and the program is guarded by the
// answer.
func (s Size) Equal(o Extent) bool { return s.compare("Equal", o, dim.Eq) }

// NotEqual reports whether s != o; see Equal.
func (s Size) NotEqual(o Extent) bool { return s.compare("NotEqual", o, dim.Ne) }

// Less reports whether s < o; see Equal.
func (s Size) Less(o Extent) bool { return s.compare("Less", o, dim.Lt) }

// LessEq reports whether s <= o; see Equal.
func (s Size) LessEq(o Extent) bool { return s.compare("LessEq", o, dim.Le) }

// Greater reports whether s > o; see Equal.
func (s Size) Greater(o Extent) bool { return s.compare("Greater", o, dim.Gt) }

// GreaterEq reports whether s >= o; see Equal.
func (s Size) GreaterEq(o Extent) bool { return s.compare("GreaterEq", o, dim.Ge) }

// DivisibleBy reports whether n divides s; see Equal.
func (s Size) DivisibleBy(n int) bool {
	return s.compare("DivisibleBy", n, func(a, _ dim.Expr) dim.Constraint { return dim.Divisible(a, int64(n)) })
}

// InRange states lo <= s <= hi, as a fact of a size that data decides: it is
// checked when the size is known. Of other sizes it is a guard that must hold.
func (s Size) InRange(lo, hi int) Size {
	if s.rec != nil && s.rec.mine("InRange") {
		s.rec.begin("InRange", caller())
		s.rec.demand(dim.Ge(s.e, dim.Const(int64(lo))))
		s.rec.demand(dim.Le(s.e, dim.Const(int64(hi))))
	}
	return s
}

func (s Size) compare(op string, o Extent, rel func(a, b dim.Expr) dim.Constraint) bool {
	t, err := extentOf(o)
	rec := s.rec
	if rec == nil {
		rec = t.rec
	}
	if err != nil {
		rec.abort(err)
		return false
	}
	c := rel(s.e, t.e)
	if v, known := c.Const(); known {
		return v
	}
	if rec == nil {
		return false
	}
	return rec.ask(c, op)
}

// extentOf reads an Extent.
func extentOf(x Extent) (Size, error) {
	switch x := x.(type) {
	case int:
		return SizeOf(x), nil
	case int64:
		return Size{e: dim.Const(x)}, nil
	case int32:
		return Size{e: dim.Const(int64(x))}, nil
	case Size:
		return x, nil
	case Int:
		return x.Size(), nil
	}
	return Size{}, &Error{What: "not a size", Expected: "an int, int32, int64, Size or Int", Got: fmt.Sprintf("a %T", x)}
}

// extents reads several.
func extents(xs []Extent) ([]Size, error) {
	sizes := make([]Size, len(xs))
	for i, x := range xs {
		var err error
		if sizes[i], err = extentOf(x); err != nil {
			return nil, err
		}
	}
	return sizes, nil
}

// exprs are the expressions of sizes.
func exprs(sizes []Size) []dim.Expr {
	es := make([]dim.Expr, len(sizes))
	for i, s := range sizes {
		es[i] = s.e
	}
	return es
}

// Tensor is the size as data: an i64 scalar whose type gives way to the other
// operand's.
func (s Size) Tensor() *Tensor {
	if n, ok := s.e.Const(); ok {
		return Scalar(n)
	}
	return do("Size.Tensor", []any{extent{s}}, func(sc *scope, _ []term) term {
		return term{v: sc.emit(ir.OpSize, nil, ir.Attr{Name: "of", Value: []dim.Expr{s.e}}), weak: true}
	})
}
