package ir

import (
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Type is the type of a value: an element type and a shape whose sizes may be
// symbolic, or a tuple of types (the type of a region with several results).
// The zero Type is invalid. Types are immutable.
type Type struct {
	DType tensor.DType
	Shape []dim.Expr // empty for a scalar
	Tuple []Type     // set for tuples, and then nothing else is
}

// T makes a tensor type.
func T(dt tensor.DType, shape ...dim.Expr) Type { return Type{DType: dt, Shape: shape} }

// TConst makes a tensor type of static shape.
func TConst(dt tensor.DType, shape ...int) Type { return Type{DType: dt, Shape: Dims(shape...)} }

// Dims makes a shape of constants.
func Dims(sizes ...int) []dim.Expr {
	es := make([]dim.Expr, len(sizes))
	for i, n := range sizes {
		es[i] = dim.Const(int64(n))
	}
	return es
}

// IsTuple reports whether t is a tuple type.
func (t Type) IsTuple() bool { return t.Tuple != nil }

// IsValid reports whether t is a type at all.
func (t Type) IsValid() bool { return t.IsTuple() || t.DType != tensor.Invalid }

// Rank is the number of dimensions.
func (t Type) Rank() int { return len(t.Shape) }

// Elements is the number of elements.
func (t Type) Elements() dim.Expr { return dim.Product(t.Shape) }

// Bytes is the size of a contiguous tensor of type t; of a tuple, the sum.
func (t Type) Bytes() dim.Expr {
	if t.IsTuple() {
		sum := dim.Const(0)
		for _, e := range t.Tuple {
			sum = sum.Add(e.Bytes())
		}
		return sum
	}
	return t.Elements().Mul(dim.Const(int64(t.DType.Size())))
}

// WithShape is t with another shape.
func (t Type) WithShape(shape []dim.Expr) Type { return Type{DType: t.DType, Shape: shape} }

// WithDType is t with another element type.
func (t Type) WithDType(dt tensor.DType) Type { return Type{DType: dt, Shape: t.Shape} }

// IsStatic reports whether every size is a constant.
func (t Type) IsStatic() bool {
	for _, d := range t.Shape {
		if _, ok := d.Const(); !ok {
			return false
		}
	}
	for _, e := range t.Tuple {
		if !e.IsStatic() {
			return false
		}
	}
	return true
}

// Equal reports whether t and o are the same type, sizes in the same normal form.
func (t Type) Equal(o Type) bool {
	return t.EqualUnder(nil, o)
}

// EqualUnder reports whether t and o are provably the same type given facts
// about the symbols; facts may be nil.
func (t Type) EqualUnder(facts *dim.Facts, o Type) bool {
	if t.DType != o.DType || len(t.Tuple) != len(o.Tuple) || t.IsTuple() != o.IsTuple() {
		return false
	}
	for i := range t.Tuple {
		if !t.Tuple[i].EqualUnder(facts, o.Tuple[i]) {
			return false
		}
	}
	return ShapeEqual(facts, t.Shape, o.Shape)
}

// ShapeEqual reports whether two shapes are provably equal; facts may be nil.
func ShapeEqual(facts *dim.Facts, a, b []dim.Expr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !SizeEqual(facts, a[i], b[i]) {
			return false
		}
	}
	return true
}

// SizeEqual reports whether two sizes are provably equal; facts may be nil.
func SizeEqual(facts *dim.Facts, a, b dim.Expr) bool {
	return a.Equal(b) || facts != nil && facts.Equal(a, b)
}

// String prints the type in the text form: "f32[B,64]", "(f32[], i64[4])".
func (t Type) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Type) write(b *strings.Builder) {
	if t.IsTuple() {
		b.WriteByte('(')
		for i, e := range t.Tuple {
			if i > 0 {
				b.WriteString(", ")
			}
			e.write(b)
		}
		b.WriteByte(')')
		return
	}
	b.WriteString(t.DType.String())
	b.WriteString(ShapeString(t.Shape))
}

// ShapeString prints a shape in the text form: "[B,64]".
func ShapeString(shape []dim.Expr) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range shape {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	return b.String()
}
