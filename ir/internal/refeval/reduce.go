package refeval

import (
	"math"

	"jitc/ir/tensor"
)

// Reduction folds rows of elements, by class of element type; the functions are
// as in Unary and see at least one element.
type Reduction struct {
	Float    func(row []float64) float64
	Int      func(row []int64) int64
	Uint     func(row []uint64) uint64 // for u64 only
	Identity func(dt tensor.DType) *tensor.Tensor
}

// Apply folds x over the axes; the others keep their order. Without elements to
// fold, a result is the identity.
func (r Reduction) Apply(x *tensor.Tensor, axes []int64) (*tensor.Tensor, error) {
	order, kept, width := reductionOrder(x.Shape(), axes)
	if width == 0 {
		return Splat(r.Identity(x.DType()), kept)
	}
	if x.Rank() > 0 {
		var err error
		if x, err = x.Permute(order...); err != nil {
			return nil, err
		}
	}
	switch dt := x.DType(); {
	case dt.IsFloat():
		return tensor.FromFloats(dt, kept, rows(tensor.Floats(x), width, r.Float)), nil
	case dt == tensor.U64 && r.Uint != nil:
		return tensor.FromSlice(kept, rows(tensor.Data[uint64](x.Contiguous()), width, r.Uint))
	default:
		return tensor.FromInts(dt, kept, rows(tensor.Ints(x), width, r.Int)), nil
	}
}

// reductionOrder is the order of axes that puts those to fold last, the shape of
// those that stay, and the number of elements in each row that is folded.
func reductionOrder(shape []int, axes []int64) (order, kept []int, width int) {
	folded := make([]bool, len(shape))
	for _, a := range axes {
		folded[a] = true
	}
	kept, width = []int{}, 1
	for i, n := range shape {
		if !folded[i] {
			order, kept = append(order, i), append(kept, n)
		}
	}
	for i, n := range shape {
		if folded[i] {
			order, width = append(order, i), width*n
		}
	}
	return order, kept, width
}

func rows[T any](xs []T, width int, f func([]T) T) []T {
	out := make([]T, len(xs)/width)
	for i := range out {
		out[i] = f(xs[i*width : (i+1)*width])
	}
	return out
}

// Splat is a tensor of the shape whose elements all are the scalar's.
func Splat(scalar *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	view, err := scalar.View(make([]int, len(shape)), scalar.Offset(), shape)
	if err != nil {
		return nil, err
	}
	return view.Clone(), nil
}

// fold applies f from left to right.
func fold[T any](f func(x, y T) T) func([]T) T {
	return func(row []T) T {
		acc := row[0]
		for _, x := range row[1:] {
			acc = f(acc, x)
		}
		return acc
	}
}

// Folded is the reduction by an op of two operands, from left to right.
func Folded(b Binary, identity func(tensor.DType) *tensor.Tensor) Reduction {
	r := Reduction{Identity: identity}
	if b.Float != nil {
		r.Float = fold(b.Float)
	}
	if b.Int != nil {
		r.Int = fold(b.Int)
	}
	if b.Uint != nil {
		r.Uint = fold(b.Uint)
	}
	return r
}

// PairwiseSum adds halves recursively, so that the rounding error grows with the
// logarithm of the length (Higham, "The accuracy of floating point summation",
// 1993).
func PairwiseSum(row []float64) float64 {
	if len(row) > 32 {
		half := len(row) / 2
		return PairwiseSum(row[:half]) + PairwiseSum(row[half:])
	}
	sum := row[0]
	for _, x := range row[1:] {
		sum += x
	}
	return sum
}

// Lowest is the least value of an element type, the identity of max: -inf where
// the type has infinities. Bool's is false.
func Lowest(dt tensor.DType) *tensor.Tensor {
	switch {
	case dt == tensor.F8E4M3:
		return tensor.FloatScalar(dt, -448)
	case dt.IsFloat():
		return tensor.FloatScalar(dt, math.Inf(-1))
	case dt.IsSigned():
		return tensor.IntScalar(dt, math.MinInt64>>(64-8*dt.Size()))
	}
	return tensor.IntScalar(dt, 0)
}

// Highest is the greatest value of an element type, the identity of min: +inf
// where the type has infinities. Bool's is true.
func Highest(dt tensor.DType) *tensor.Tensor {
	switch {
	case dt == tensor.F8E4M3:
		return tensor.FloatScalar(dt, 448)
	case dt.IsFloat():
		return tensor.FloatScalar(dt, math.Inf(1))
	case dt.IsSigned():
		return tensor.IntScalar(dt, math.MaxInt64>>(64-8*dt.Size()))
	case dt == tensor.Bool:
		return tensor.IntScalar(dt, 1)
	}
	return tensor.IntScalar(dt, -1)
}

// Constant returns the tensor of rank 0 that holds n in an element type, as an
// identity.
func Constant(n int64) func(tensor.DType) *tensor.Tensor {
	return func(dt tensor.DType) *tensor.Tensor { return tensor.IntScalar(dt, n) }
}
