package ir

import (
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Cumulative is a reduction that keeps what it has at every element:
//
//	%y = cumulative(%x) {axis=1, combine="add"}                   f32[B,N] -> f32[B,N]
//	%z = cumulative(%x) {axis=1, combine="max", reverse=true}     from the end to the start
//
// It has an evaluation of its own, one element after the other, beside a
// decomposition, which combines in another order: of floats, sums and products
// may differ as those of reductions do.

// cumulativeComposites is the row of cumulative.
func cumulativeComposites() map[Op]OpRow {
	return map[Op]OpRow{OpCumulative: {
		Name: "cumulative", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Numbers,
		Doc: "y[i] = combine(y[i-1], x[i]) along an axis, y[0] = x[0]; with reverse, y[i] = combine(y[i+1], x[i]) and the last is x's. " +
			"Floats narrower than f32 are carried in f32, sums and products of floats in any order; integers wrap; a NaN stays.",
		Attrs: []AttrSpec{
			{Name: "axis", Kind: KindInt, Doc: "axis to go along", Required: true},
			{Name: "combine", Kind: KindString, Doc: "what becomes of what is carried and an element", Required: true, Enum: []string{"add", "mul", "min", "max"}},
			{Name: "reverse", Kind: KindBool, Doc: "whether to go from the end to the start", Default: false},
		},
		Infer: inferCumulative, Eval: evalCumulative, Decompose: decomposeCumulative, Samples: cumulativeSamples,
	}}
}

func inferCumulative(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Numbers); err != nil {
		return Type{}, err
	}
	_, err := axisAttr(v, "axis", v.Args[0].Type.Rank(), 0)
	return v.Args[0].Type, err
}

// evalCumulative is the definition: one element after the other.
func evalCumulative(c *Call) (*tensor.Tensor, error) {
	x, axis := c.Args[0], int(c.V.Attrs.Int("axis", 0))
	line := cumulativeLine{size: c.Shape[axis], inner: elements(c.Shape[axis+1:]), reverse: c.V.Attrs.Bool("reverse", false)}
	op := scatterOps[c.V.Attrs.Str("combine", "")]
	switch dt := x.DType(); {
	case dt == tensor.F64:
		return tensor.FromFloats(dt, c.Shape, cumulated(tensor.Floats(x), line, op.Float)), nil
	case dt.IsFloat(): // rounded to f32 at once, see combineRows
		inF32 := func(a, b float64) float64 { return float64(float32(op.Float(a, b))) }
		return tensor.FromFloats(dt, c.Shape, cumulated(tensor.Floats(x), line, inF32)), nil
	case dt == tensor.U64 && op.Uint != nil:
		return tensor.FromSlice(c.Shape, cumulated(slices.Clone(tensor.Data[uint64](x.Contiguous())), line, op.Uint))
	default:
		return tensor.FromInts(dt, c.Shape, cumulated(tensor.Ints(x), line, op.Int)), nil
	}
}

// cumulativeLine says how lines lie: of size elements, inner apart.
type cumulativeLine struct {
	size, inner int
	reverse     bool
}

// cumulated replaces the elements of every line of xs by what f carries there.
func cumulated[T any](xs []T, l cumulativeLine, f func(a, b T) T) []T {
	if l.size*l.inner == 0 {
		return xs
	}
	for start := 0; start < len(xs); start += l.size * l.inner {
		block := xs[start:][:l.size*l.inner]
		for i := 1; i < l.size; i++ {
			to, from := i, i-1
			if l.reverse {
				to, from = l.size-1-i, l.size-i
			}
			dst := block[to*l.inner:][:l.inner]
			for j, carried := range block[from*l.inner:][:l.inner] {
				dst[j] = f(carried, dst[j])
			}
		}
	}
	return xs
}

// cumulativeOps are the ops of two elements and of a line, by combination.
var cumulativeOps = map[string]struct{ pair, line Op }{
	"add": {OpAdd, OpReduceSum}, "mul": {OpMul, OpReduceProd}, "min": {OpMin, OpReduceMin}, "max": {OpMax, OpReduceMax},
}

func decomposeCumulative(b *Builder, v *Value) *Value {
	x, axis := widened(b, v.Args[0]), int(v.Attrs.Int("axis", 0))
	if b.Err() != nil {
		return nil
	}
	n, constant := b.F.Facts.Simplify(x.Type.Shape[axis]).Const()
	if constant {
		x = cumulateDoubling(b, v, x, axis, n)
	} else {
		x = cumulateSquare(b, v, x, axis)
	}
	return b.Cast(x, v.Type.DType)
}

// cumulateDoubling combines each element with the one 1, 2, 4, ... places before it.
func cumulateDoubling(b *Builder, v *Value, x *Value, axis int, n int64) *Value {
	op, reverse := cumulativeOps[v.Attrs.Str("combine", "")].pair, v.Attrs.Bool("reverse", false)
	for by := int64(1); by < n && b.Err() == nil; by *= 2 {
		head, tail := alongAxis(b, x, axis, 0, n-by), alongAxis(b, x, axis, by, n)
		parts := []*Value{alongAxis(b, x, axis, 0, by), b.Binary(op, head, tail)}
		if reverse {
			parts = []*Value{b.Binary(op, tail, head), alongAxis(b, x, axis, n-by, n)}
		}
		x = b.Emit(OpConcat, parts, Attr{"axis", int64(axis)})
	}
	return x
}

// alongAxis cuts x to [start, limit) of an axis of constant size.
func alongAxis(b *Builder, x *Value, axis int, start, limit int64) *Value {
	if b.Err() != nil {
		return nil
	}
	starts, limits := make([]dim.Expr, x.Type.Rank()), slices.Clone(x.Type.Shape)
	starts[axis], limits[axis] = dim.Const(start), dim.Const(limit)
	return b.Emit(OpSlice, []*Value{x}, Attr{"starts", starts}, Attr{"limits", limits})
}

// cumulateSquare folds, for each element, those that are not after it. The others
// are replaced by what changes nothing: the element itself for min and max.
func cumulateSquare(b *Builder, v *Value, x *Value, axis int) *Value {
	combine, before := v.Attrs.Str("combine", ""), OpGe
	if v.Attrs.Bool("reverse", false) {
		before = OpLe
	}
	shape := slices.Insert(slices.Clone(x.Type.Shape), axis, x.Type.Shape[axis]) // [..., to, from, ...]
	at := T(tensor.I64, shape...)
	taken := b.Binary(before, b.Iota(at, int64(axis)), b.Iota(at, int64(axis+1)))
	from := b.BroadcastBack(x, shape, int64(axis))
	var other *Value
	switch combine {
	case "add":
		other = b.SplatLike(from, 0)
	case "mul":
		other = b.SplatLike(from, 1)
	default:
		other = b.BroadcastBack(x, shape, int64(axis+1))
	}
	return b.Reduce(cumulativeOps[combine].line, b.Select(taken, from, other), int64(axis+1))
}

// cumulativeSamples go along every sort of axis, both ways, and along none.
func cumulativeSamples() []Sample {
	along := func(combine string, axis int64, reverse bool, x ...int) Sample {
		return sample(f32s(x), Attr{"axis", axis}, Attr{"combine", combine}, Attr{"reverse", reverse}).within(-1.5, 1.5)
	}
	return []Sample{
		along("add", 0, false, 1),
		along("add", 0, false, 13),
		along("mul", 0, true, 7),
		along("max", 1, false, 3, 61),
		along("add", 1, true, 5, 35),
		along("min", 0, false, 5, 3),
		along("add", 0, true, 9, 17),
		along("add", 1, false, 2, 11, 3),
		along("mul", 1, false, 2, 5, 2),
		along("max", 1, true, 2, 7, 5),
		along("min", 2, true, 2, 3, 4),
		along("add", 1, false, 3, 0),
		along("add", 1, false, 0, 4),
	}
}
