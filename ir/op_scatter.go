package ir

import (
	"fmt"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// Scatter is gather's transpose: what gather reads, scatter writes.
//
//	%y = gather(%x, %i) {axis=1, batch_dims=0}                        f32[B,V], i64[N] -> f32[B,N]
//	%z = scatter(%x, %i, %u) {axis=1, batch_dims=0, combine="add"}    ..., f32[B,N] -> f32[B,V]
//
// Several updates may meet in one element. Their order is theirs in row-major order,
// for every executor: what it computes is defined to the bit.

// scatterRow is the row of scatter.
func scatterRow() OpRow {
	return OpRow{
		Name: "scatter", MinArgs: 3, MaxArgs: 3, Traits: Indexed, DTypes: Anything,
		Doc: "x with the elements that gather(x, indices) reads, indices clamped likewise, combined with the updates, one after the other in row-major order: " +
			"set keeps the last one; add, mul, min and max are those of x's type, but floats narrower than f32 are added and multiplied in f32 and rounded once, " +
			"and of bool add and max are or, mul and min are and.",
		Attrs: []AttrSpec{
			{Name: "axis", Kind: KindInt, Doc: "axis of x that is indexed", Required: true},
			{Name: "batch_dims", Kind: KindInt, Doc: "leading axes that x and the indices share, at most axis", Default: int64(0)},
			{Name: "combine", Kind: KindString, Doc: "what becomes of an element and an update", Required: true, Enum: []string{"set", "add", "mul", "min", "max"}},
		},
		Infer: inferScatter, Eval: evalScatter, Samples: scatterSamples,
	}
}

func inferScatter(v *Value, facts *dim.Facts) (Type, error) {
	x, updates := v.Args[0].Type, v.Args[2].Type
	shape, err := indexedShape(v, facts)
	if err != nil {
		return Type{}, err
	}
	if updates.DType != x.DType {
		return Type{}, argError(v, 2, "the updates have another element type", x.DType.String(), argTypes(v),
			"cast the updates to "+x.DType.String())
	}
	if !ShapeEqual(facts, shape, updates.Shape) {
		return Type{}, argError(v, 2, "the updates have another shape than what the indices choose", x.WithShape(shape).String(),
			updates.String(), shapeHint(facts, shape, updates.Shape))
	}
	return x, nil
}

// scatterOps are the combinations, but for set, on numbers. Bool is a number of 0
// and 1: or is its max, and its min.
var scatterOps = map[string]refeval.Binary{
	"add": {Float: refeval.Add[float64], Int: refeval.Add[int64]},
	"mul": {Float: refeval.Mul[float64], Int: refeval.Mul[int64]},
	"min": {Float: refeval.Min[float64], Int: refeval.Min[int64], Uint: refeval.Min[uint64]},
	"max": {Float: refeval.Max[float64], Int: refeval.Max[int64], Uint: refeval.Max[uint64]},
}

func evalScatter(c *Call) (*tensor.Tensor, error) {
	places, row, err := scatterPlaces(c)
	if err != nil {
		return nil, err
	}
	out := c.Args[0].Clone()
	dst, _ := out.Bytes()
	updates := c.Args[2]
	src, _ := updates.Contiguous().Bytes()
	combine := c.V.Attrs.Str("combine", "")
	size := c.DType.Size()
	if combine == "set" {
		for i, to := range places {
			copy(dst[to*row*size:][:row*size], src[i*row*size:])
		}
		return out, nil
	}
	all, _ := combineRows(out, updates, places, row, scatterOps[combine]).Bytes()
	for _, to := range places { // what no update reaches keeps its bits, NaN's too
		copy(dst[to*row*size:][:row*size], all[to*row*size:])
	}
	return out, nil
}

// scatterPlaces are the rows of x, of that many elements, that the rows of the
// updates go to.
func scatterPlaces(c *Call) (places []int, row int, err error) {
	x, axis, batch := c.Args[0].Shape(), int(c.V.Attrs.Int("axis", 0)), int(c.V.Attrs.Int("batch_dims", 0))
	size := x[axis]
	if c.Args[2].NumElements() == 0 {
		return nil, 0, nil
	}
	if size == 0 {
		return nil, 0, fmt.Errorf("axis %d of the first operand has size 0: there is nothing to index", axis)
	}
	at := clampedIndices(c.Args[1], size-1)
	shared, outer := elements(x[:batch]), elements(x[batch:axis])
	picks := len(at) / shared
	for i := range shared * outer {
		for _, pick := range at[i/outer*picks:][:picks] {
			places = append(places, i*size+pick)
		}
	}
	return places, elements(x[axis+1:]), nil
}

// combineRows is x with rows combined with those of the updates, in order. Sums of
// two numbers of f32, and products, are exact enough in f64 that rounding them to
// f32 is rounding once (Figueroa, "When is double rounding innocuous?", 1995).
func combineRows(x, updates *tensor.Tensor, places []int, row int, op refeval.Binary) *tensor.Tensor {
	switch dt := x.DType(); {
	case dt == tensor.F64:
		return tensor.FromFloats(dt, x.Shape(), combined(tensor.Floats(x), tensor.Floats(updates), places, row, op.Float))
	case dt.IsFloat():
		inF32 := func(a, b float64) float64 { return float64(float32(op.Float(a, b))) }
		return tensor.FromFloats(dt, x.Shape(), combined(tensor.Floats(x), tensor.Floats(updates), places, row, inF32))
	case dt == tensor.U64 && op.Uint != nil:
		xs, us := tensor.Data[uint64](x.Clone()), tensor.Data[uint64](updates.Contiguous())
		return tensor.Of(x.Shape(), combined(xs, us, places, row, op.Uint)...)
	default:
		return tensor.FromInts(dt, x.Shape(), combined(tensor.Ints(x), tensor.Ints(updates), places, row, op.Int))
	}
}

func combined[T any](xs, updates []T, places []int, row int, f func(a, b T) T) []T {
	for i, to := range places {
		dst := xs[to*row:][:row]
		for j, u := range updates[i*row:][:row] {
			dst[j] = f(dst[j], u)
		}
	}
	return xs
}

// scatterSamples index every sort of axis, with indices that meet (there are more
// than places), that lie beyond both ends, and none.
func scatterSamples() []Sample {
	scatter := func(combine string, x, at []int, axis, batch int64) Sample {
		updates := slices.Concat(x[:axis], at[batch:], x[axis+1:])
		return sample([]Type{TConst(tensor.F32, x...), TConst(tensor.I64, at...), TConst(tensor.F32, updates...)},
			Attr{"axis", axis}, Attr{"batch_dims", batch}, Attr{"combine", combine}).within(-2, 6)
	}
	return []Sample{
		scatter("set", []int{7}, nil, 0, 0),
		scatter("add", []int{5}, []int{23}, 0, 0),
		scatter("set", []int{5, 3}, []int{7}, 0, 0),
		scatter("mul", []int{5, 3}, []int{7}, 0, 0),
		scatter("add", []int{6, 16}, []int{3, 5}, 0, 0),
		scatter("max", []int{5, 3, 2}, []int{2, 3}, 1, 0),
		scatter("min", []int{2, 7, 3}, []int{2, 9}, 1, 1),
		scatter("add", []int{2, 3, 5}, []int{2, 3, 4}, 2, 2),
		scatter("set", []int{2, 3, 5}, []int{2, 3, 4}, 2, 2),
		scatter("add", []int{2, 3, 5}, []int{2, 8}, 2, 1),
		scatter("add", []int{4, 3}, []int{0}, 0, 0),
	}
}
