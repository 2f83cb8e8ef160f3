package refeval

import "jitc/ir/tensor"

// Unary is an op of one operand, by class of element type. A nil function marks
// a class that the op's type rule refuses; a nil Uint, one that Int serves too.
type Unary struct {
	Float func(x float64) float64
	Int   func(x int64) int64
	Uint  func(x uint64) uint64 // for u64 only
}

// Apply computes the op on every element of x.
func (u Unary) Apply(x *tensor.Tensor) *tensor.Tensor {
	switch dt := x.DType(); {
	case dt == tensor.F32:
		return map1(x, func(x float32) float32 { return float32(u.Float(float64(x))) })
	case dt == tensor.F64:
		return map1(x, u.Float)
	case dt.IsFloat():
		return tensor.FromFloats(dt, x.Shape(), each(tensor.Floats(x), u.Float))
	case dt == tensor.U64 && u.Uint != nil:
		return map1(x, u.Uint)
	default:
		return tensor.FromInts(dt, x.Shape(), each(tensor.Ints(x), u.Int))
	}
}

// each replaces every element of xs.
func each[T any](xs []T, f func(T) T) []T {
	for i, x := range xs {
		xs[i] = f(x)
	}
	return xs
}

func map1[T tensor.Element](x *tensor.Tensor, f func(T) T) *tensor.Tensor {
	out := tensor.New(x.DType(), x.Shape()...)
	in, dst := tensor.Data[T](x.Contiguous()), tensor.Data[T](out)
	for i, x := range in {
		dst[i] = f(x)
	}
	return out
}

// Predicate applies a test of floats to every element; the result is bool.
func Predicate(x *tensor.Tensor, f func(x float64) bool) *tensor.Tensor {
	out := tensor.New(tensor.Bool, x.Shape()...)
	dst := tensor.Data[bool](out)
	for i, x := range tensor.Floats(x) {
		dst[i] = f(x)
	}
	return out
}

// Binary is an op of two operands of one type; the functions are as in Unary.
type Binary struct {
	Float func(x, y float64) float64
	Int   func(x, y int64) int64
	Uint  func(x, y uint64) uint64 // for u64 only
}

// Apply computes the op on the elements of x and y, which have one type.
func (b Binary) Apply(x, y *tensor.Tensor) *tensor.Tensor {
	switch dt := x.DType(); {
	case dt == tensor.F32:
		return map2(x, y, func(x, y float32) float32 { return float32(b.Float(float64(x), float64(y))) })
	case dt == tensor.F64:
		return map2(x, y, b.Float)
	case dt.IsFloat():
		return tensor.FromFloats(dt, x.Shape(), each2(tensor.Floats(x), tensor.Floats(y), b.Float))
	case dt == tensor.U64 && b.Uint != nil:
		return map2(x, y, b.Uint)
	default:
		return tensor.FromInts(dt, x.Shape(), each2(tensor.Ints(x), tensor.Ints(y), b.Int))
	}
}

// each2 replaces every element of xs.
func each2[T any](xs, ys []T, f func(x, y T) T) []T {
	for i, x := range xs {
		xs[i] = f(x, ys[i])
	}
	return xs
}

func map2[T tensor.Element](x, y *tensor.Tensor, f func(x, y T) T) *tensor.Tensor {
	out := tensor.New(x.DType(), x.Shape()...)
	xs, ys, dst := tensor.Data[T](x.Contiguous()), tensor.Data[T](y.Contiguous()), tensor.Data[T](out)
	for i, x := range xs {
		dst[i] = f(x, ys[i])
	}
	return out
}

// Comparison is an op of two operands of one type whose result is bool; the
// functions are as in Unary.
type Comparison struct {
	Float func(x, y float64) bool
	Int   func(x, y int64) bool
	Uint  func(x, y uint64) bool // for u64 only
}

// Apply compares the elements of x and y, which have one type.
func (c Comparison) Apply(x, y *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(tensor.Bool, x.Shape()...)
	dst := tensor.Data[bool](out)
	switch dt := x.DType(); {
	case dt.IsFloat():
		compare(dst, tensor.Floats(x), tensor.Floats(y), c.Float)
	case dt == tensor.U64 && c.Uint != nil:
		compare(dst, tensor.Data[uint64](x.Contiguous()), tensor.Data[uint64](y.Contiguous()), c.Uint)
	default:
		compare(dst, tensor.Ints(x), tensor.Ints(y), c.Int)
	}
	return out
}

func compare[T any](dst []bool, xs, ys []T, f func(x, y T) bool) {
	for i, x := range xs {
		dst[i] = f(x, ys[i])
	}
}

// Select takes each element from x where cond holds, else from y. The elements
// are moved as they are: a NaN keeps its bits.
func Select(cond, x, y *tensor.Tensor) *tensor.Tensor {
	out := x.Clone()
	dst, _ := out.Bytes()
	other, _ := y.Contiguous().Bytes()
	size := x.DType().Size()
	for i, c := range tensor.Data[bool](cond.Contiguous()) {
		if !c {
			copy(dst[i*size:(i+1)*size], other[i*size:(i+1)*size])
		}
	}
	return out
}
