package ir

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// AttrKind is the kind of an attribute's value.
type AttrKind uint8

// The attribute kinds, and the Go type of each one's value.
const (
	KindInt    AttrKind = iota + 1 // int64
	KindFloat                      // float64
	KindBool                       // bool
	KindString                     // string
	KindInts                       // []int64: axes, permutations, strides
	KindDims                       // []dim.Expr: shapes, slice bounds
	KindDType                      // tensor.DType
	KindTensor                     // *tensor.Tensor: a constant's elements
	KindNumber                     // float64, int64 or bool: the value of a splat
)

// Attr is a named compile-time argument of an op.
type Attr struct {
	Name  string
	Value any // as its kind says
}

// Attrs are the attributes of a value, sorted by name. They are immutable.
type Attrs []Attr

// NewAttrs sorts attributes by name. Two of one name is a bug of the caller.
func NewAttrs(as ...Attr) Attrs {
	out := slices.Clone(as)
	slices.SortFunc(out, func(a, b Attr) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			panic("BUG: ir: attribute given twice: " + out[i].Name)
		}
	}
	return out
}

// Get returns the attribute's value, nil if it is absent.
func (as Attrs) Get(name string) any {
	for _, a := range as {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// Has reports whether the attribute is present.
func (as Attrs) Has(name string) bool { return as.Get(name) != nil }

// With is as with one attribute set.
func (as Attrs) With(name string, value any) Attrs {
	out := make([]Attr, 0, len(as)+1)
	for _, a := range as {
		if a.Name != name {
			out = append(out, a)
		}
	}
	return NewAttrs(append(out, Attr{name, value})...)
}

func attrAs[T any](as Attrs, name string, def T) T {
	v := as.Get(name)
	if v == nil {
		return def
	}
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("BUG: ir: attribute %s holds a %T", name, v))
	}
	return t
}

// Int returns an integer attribute, or def if it is absent.
func (as Attrs) Int(name string, def int64) int64 { return attrAs(as, name, def) }

// Float returns a float attribute, or def if it is absent.
func (as Attrs) Float(name string, def float64) float64 { return attrAs(as, name, def) }

// Bool returns a bool attribute, or def if it is absent.
func (as Attrs) Bool(name string, def bool) bool { return attrAs(as, name, def) }

// Str returns a string attribute, or def if it is absent.
func (as Attrs) Str(name, def string) string { return attrAs(as, name, def) }

// Ints returns an integer-list attribute, nil if it is absent.
func (as Attrs) Ints(name string) []int64 { return attrAs[[]int64](as, name, nil) }

// Dims returns a list-of-sizes attribute, nil if it is absent.
func (as Attrs) Dims(name string) []dim.Expr { return attrAs[[]dim.Expr](as, name, nil) }

// DType returns an element-type attribute, Invalid if it is absent.
func (as Attrs) DType(name string) tensor.DType { return attrAs(as, name, tensor.Invalid) }

// Tensor returns a tensor attribute, nil if it is absent.
func (as Attrs) Tensor(name string) *tensor.Tensor { return attrAs[*tensor.Tensor](as, name, nil) }

// Equal reports whether two attribute lists are the same, floats and tensors
// compared by their bits.
func (as Attrs) Equal(o Attrs) bool {
	return slices.EqualFunc(as, o, func(a, b Attr) bool {
		return a.Name == b.Name && attrEqual(a.Value, b.Value)
	})
}

func attrEqual(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b)
	case []int64:
		b, ok := b.([]int64)
		return ok && slices.Equal(a, b)
	case []dim.Expr:
		b, ok := b.([]dim.Expr)
		return ok && slices.EqualFunc(a, b, dim.Expr.Equal)
	case *tensor.Tensor:
		b, ok := b.(*tensor.Tensor)
		return ok && tensorEqual(a, b)
	}
	return a == b
}

func tensorEqual(a, b *tensor.Tensor) bool {
	if a == b {
		return true
	}
	if a.DType() != b.DType() || !slices.Equal(a.Shape(), b.Shape()) {
		return false
	}
	x, _ := a.Contiguous().Bytes()
	y, _ := b.Contiguous().Bytes()
	return slices.Equal(x, y)
}

// AttrString prints an attribute's value in the text form. Floats always carry
// a point, an exponent or a name (inf, nan), so that they are told from
// integers; NaNs other than the canonical one print their bits.
func AttrString(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return FloatString(v)
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(v)
	case []int64:
		return listString(v, func(i int64) string { return strconv.FormatInt(i, 10) })
	case []dim.Expr:
		return listString(v, dim.Expr.String)
	case tensor.DType:
		return v.String()
	case *tensor.Tensor:
		return tensorLiteral(v)
	}
	panic(fmt.Sprintf("BUG: ir: attribute of type %T", v))
}

// FloatString prints a float64 so that it parses back to the same bits.
func FloatString(f float64) string {
	bits := math.Float64bits(f)
	switch {
	case bits == math.Float64bits(math.NaN()):
		return "nan"
	case f != f:
		return fmt.Sprintf("nan(0x%x)", bits)
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func listString[T any](xs []T, str func(T) string) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = str(x)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// tensorLiteral prints a constant's elements flat, in row-major order, as their
// little-endian bytes in hexadecimal: exact for every element type.
func tensorLiteral(t *tensor.Tensor) string {
	data, _ := t.Contiguous().Bytes()
	return fmt.Sprintf("hex\"%x\"", data)
}
