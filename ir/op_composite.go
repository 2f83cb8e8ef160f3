package ir

import (
	"math"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// compositeRows are the ops that other ops define. They are evaluated through
// their decompositions; executors may claim them whole.
func compositeRows() map[Op]OpRow {
	rows := make(map[Op]OpRow)
	for _, family := range []func() map[Op]OpRow{pointwiseComposites, statisticComposites, cumulativeComposites, normComposites, networkComposites, poolComposites} {
		for op, row := range family() {
			rows[op] = row
		}
	}
	return rows
}

func pointwiseComposites() map[Op]OpRow {
	return map[Op]OpRow{
		OpClamp: {
			Name: "clamp", MinArgs: 3, MaxArgs: 3, Traits: Pointwise, DTypes: Numbers,
			Doc:   "min(max(x, lo), hi); the bounds have x's type.",
			Infer: inferSameNumbers, Decompose: decomposeClamp,
			Samples: pointwiseSamples(3),
		},
		OpSquare: {
			Name: "square", MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Numbers,
			Doc:       "x * x.",
			Infer:     inferSameNumbers,
			Decompose: func(b *Builder, v *Value) *Value { return b.Mul(v.Args[0], v.Args[0]) },
			Samples:   pointwiseSamples(1),
		},
		OpReciprocal: {
			Name: "reciprocal", MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Floats,
			Doc:       "1 / x.",
			Infer:     inferSameFloats,
			Decompose: func(b *Builder, v *Value) *Value { return b.Div(b.SplatLike(v.Args[0], 1), v.Args[0]) },
			Samples:   pointwiseSamples(1),
		},
		OpRelu: {
			Name: "relu", MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Numbers,
			Doc:       "max(x, 0); NaN stays NaN.",
			Infer:     inferSameNumbers,
			Decompose: func(b *Builder, v *Value) *Value { return b.Binary(OpMax, v.Args[0], b.SplatLike(v.Args[0], 0)) },
			Samples:   pointwiseSamples(1),
		},
		OpSilu: {
			Name: "silu", MinArgs: 1, MaxArgs: 1, Traits: Pointwise | Approximate, DTypes: Floats,
			Doc:   "x * sigmoid(x).",
			Infer: inferSameFloats,
			Decompose: func(b *Builder, v *Value) *Value {
				x := widened(b, v.Args[0])
				return b.Cast(b.Mul(x, b.Unary(OpSigmoid, x)), v.Type.DType)
			},
			Samples: pointwiseSamples(1),
		},
		OpGelu: {
			Name: "gelu", MinArgs: 1, MaxArgs: 1, Traits: Pointwise | Approximate, DTypes: Floats,
			Doc: "0.5 * x * (1 + erf(x / sqrt 2)); or, with approximate=\"tanh\", 0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3))).",
			Attrs: []AttrSpec{
				{Name: "approximate", Kind: KindString, Doc: "which formula", Default: "none", Enum: []string{"none", "tanh"}},
			},
			Infer: inferSameFloats, Decompose: decomposeGelu, Samples: geluSamples,
		},
	}
}

func inferSameNumbers(v *Value, facts *dim.Facts) (Type, error) { return inferSame(v, facts, Numbers) }

func inferSameFloats(v *Value, facts *dim.Facts) (Type, error) { return inferSame(v, facts, Floats) }

// inferSame is the type rule of ops whose operands and result have one type.
func inferSame(v *Value, facts *dim.Facts, set DTypeSet) (Type, error) {
	if err := wantDType(v, 0, set); err != nil {
		return Type{}, err
	}
	return sameTypes(v, facts, 0)
}

// wideOf is the type in which composites compute internally: sums and
// exponentials of 8- and 16-bit floats lose too much in their own type.
func wideOf(dt tensor.DType) tensor.DType {
	if dt.IsFloat() && dt.Size() < 4 {
		return tensor.F32
	}
	return dt
}

func widened(b *Builder, x *Value) *Value {
	if b.Err() != nil {
		return nil
	}
	return b.Cast(x, wideOf(x.Type.DType))
}

func decomposeClamp(b *Builder, v *Value) *Value {
	return b.Binary(OpMin, b.Binary(OpMax, v.Args[0], v.Args[1]), v.Args[2])
}

func decomposeGelu(b *Builder, v *Value) *Value {
	x := widened(b, v.Args[0])
	scaled := func(y *Value, f float64) *Value { return b.Mul(y, b.SplatLike(x, f)) }
	var y *Value
	if v.Attrs.Str("approximate", "none") == "tanh" {
		// (1 + tanh u) / 2 is sigmoid(2u), which is cheaper and cancels nothing;
		// 2u is x * (c + 0.044715*c*x^2) with c = 2 sqrt(2/pi).
		c := 2 * math.Sqrt(2/math.Pi)
		slope := b.Add(scaled(b.Mul(x, x), 0.044715*c), b.SplatLike(x, c))
		y = b.Mul(x, b.Unary(OpSigmoid, b.Mul(x, slope)))
	} else {
		y = b.Mul(scaled(x, 0.5), b.Add(b.SplatLike(x, 1), b.Unary(OpErf, scaled(x, math.Sqrt2/2))))
	}
	return b.Cast(y, v.Type.DType)
}

// countOf is the number of elements of x along axes, as a scalar of element type
// dt: a constant where sizes are, else the sum of as many ones, since a size is
// no value of the IR.
func countOf(b *Builder, x *Value, dt tensor.DType, axes []int64) *Value {
	if b.Err() != nil {
		return nil
	}
	sizes := pick(x.Type.Shape, axes)
	if n, ok := dim.Product(sizes).Const(); ok {
		return b.Splat(T(dt), float64(n))
	}
	return b.Reduce(OpReduceSum, b.Splat(T(dt, sizes...), 1), axesFrom(0, len(sizes))...)
}

// spread broadcasts a scalar to x's shape.
func spread(b *Builder, scalar, x *Value) *Value {
	if b.Err() != nil {
		return nil
	}
	return b.Broadcast(scalar, x.Type.Shape)
}

// sorted is a sorted copy of axes.
func sorted(axes []int64) []int64 {
	out := slices.Clone(axes)
	slices.Sort(out)
	return out
}
