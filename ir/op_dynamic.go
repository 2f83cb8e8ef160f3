package ir

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// dynamicRows are the ops that join sizes and data: those whose result's size
// depends on elements, and the one that makes a size an element.
//
//	func @positive(%x: f32[N]) -> f32[U] where N >= 0, U in [0, 1000] {
//	  %m: bool[N] = gt(%x, 0.0)
//	  %p: f32[U] = masked_select(%x, %m) {count=[U]}
//	  %r: f32[U] = sqrt(%p)
//	  return %r
//	}
//
// Such an op defines a symbol: from its value on, U is a size like any other.
// What is known of U stands in the where clause, and is checked when U is.
func dynamicRows() map[Op]OpRow {
	symbol := func(name, doc string) AttrSpec {
		return AttrSpec{Name: name, Kind: KindDims, Doc: "the symbol to define: " + doc, Required: true}
	}
	return map[Op]OpRow{
		OpNonzero: {
			Name: "nonzero", MinArgs: 1, MaxArgs: 1, Traits: Dynamic, DTypes: Anything,
			Doc: "The indices of the elements of x that are not zero, one row each, in row-major order; " +
				"NaN is not zero, -0 is.",
			Attrs:   []AttrSpec{symbol("count", "how many elements are not zero")},
			Defines: "count", Measure: measureNonzero,
			Infer: inferNonzero, Eval: evalNonzero, Samples: nonzeroSamples,
		},
		OpRepeat: {
			Name: "repeat", MinArgs: 2, MaxArgs: 2, Traits: Dynamic, DTypes: Anything,
			Doc: "x with its part i along the axis repeated counts[i] times, in order. A negative count is an error.",
			Attrs: []AttrSpec{
				{Name: "axis", Kind: KindInt, Doc: "axis along which to repeat", Required: true},
				symbol("total", "the sum of the counts"),
			},
			Defines: "total", Measure: measureRepeat,
			Infer: inferRepeat, Eval: evalRepeat, Samples: repeatSamples,
		},
		OpSizeFrom: {
			Name: "size_from", MinArgs: 1, MaxArgs: 1, Traits: Dynamic, DTypes: dtypeSet(func(d tensor.DType) bool { return d == tensor.I64 }),
			Doc:     "n, a scalar that is a size from here on. A negative n is an error.",
			Attrs:   []AttrSpec{symbol("size", "the value of n")},
			Defines: "size", Measure: measureSizeFrom,
			Infer: inferSizeFrom, Eval: func(c *Call) (*tensor.Tensor, error) { return c.Args[0].Clone(), nil },
			Samples: sizeFromSamples,
		},
		OpMaskedSelect: {
			Name: "masked_select", MinArgs: 2, MaxArgs: 2, Traits: Dynamic, DTypes: Anything,
			Doc:     "The elements of x where the mask, of x's shape, is true, in row-major order.",
			Attrs:   []AttrSpec{symbol("count", "how many elements of the mask are true")},
			Defines: "count", Measure: measureMaskedSelect,
			Infer: inferMaskedSelect, Eval: evalMaskedSelect, Decompose: decomposeMaskedSelect, Samples: maskedSelectSamples,
		},
		OpSize: {
			Name: "size", Traits: Source, DTypes: Ints,
			Doc:   "A size as data: the value of an expression of symbols, which may be negative.",
			Attrs: []AttrSpec{{Name: "of", Kind: KindDims, Doc: "the expression, alone in the list", Required: true}},
			Infer: inferSize, Eval: evalSize, Decompose: decomposeSize, Samples: sizeSamples,
		},
	}
}

// symbolAttr returns the attribute's only size, which must be a symbol.
func symbolAttr(v *Value, name string) (dim.Expr, error) {
	es := v.Attrs.Dims(name)
	if len(es) == 1 {
		if _, ok := es[0].IsSym(); ok {
			return es[0], nil
		}
	}
	return dim.Expr{}, attrError(v, name, name+" must name the symbol that the op defines", "one symbol, such as [U]", AttrString(es),
		"to demand a size, declare it of the symbol in the where clause")
}

func inferNonzero(v *Value, _ *dim.Facts) (Type, error) {
	u, err := symbolAttr(v, "count")
	return T(tensor.I64, u, dim.Const(int64(v.Args[0].Type.Rank()))), err
}

func inferRepeat(v *Value, facts *dim.Facts) (Type, error) {
	x, counts := v.Args[0].Type, v.Args[1].Type
	if err := wantDType(v, 1, Ints); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 1, 1); err != nil {
		return Type{}, err
	}
	axis, err := axisAttr(v, "axis", x.Rank(), 0)
	if err != nil {
		return Type{}, err
	}
	if err := wantEqual(v, facts, 1, "one count for each part of the first operand is needed", "rhs[0] == lhs[axis]",
		x.Shape[axis], counts.Shape[0]); err != nil {
		return Type{}, err
	}
	u, err := symbolAttr(v, "total")
	if err != nil {
		return Type{}, err
	}
	shape := append([]dim.Expr{}, x.Shape...)
	shape[axis] = u
	return x.WithShape(shape), nil
}

func inferSizeFrom(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, v.Row().DTypes); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 0, 0); err != nil {
		return Type{}, err
	}
	_, err := symbolAttr(v, "size")
	return T(tensor.I64), err
}

func inferMaskedSelect(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	if err := wantDType(v, 1, Bools); err != nil {
		return Type{}, err
	}
	if err := sameShape(v, facts, 1, x.Shape); err != nil {
		return Type{}, err
	}
	u, err := symbolAttr(v, "count")
	return x.WithShape([]dim.Expr{u}), err
}

func inferSize(v *Value, _ *dim.Facts) (Type, error) {
	of, err := dimsAttr(v, "of", 1)
	if err == nil && of[0].Invalid() {
		err = attrError(v, "of", "invalid size", "an expression that fits 64 bits", AttrString(of), "")
	}
	return T(tensor.I64), err
}

// decomposeMaskedSelect gathers, from the elements in a row, those at the
// positions of true elements of the mask. Of nothing, which cannot be indexed,
// the positions are as many, and the elements are of no account.
func decomposeMaskedSelect(b *Builder, v *Value) *Value {
	x, mask := v.Args[0], v.Args[1]
	row := []dim.Expr{dim.Product(x.Type.Shape)}
	count := v.Attrs.Dims("count")
	at := b.Reshape(b.Emit(OpNonzero, []*Value{b.Reshape(mask, row)}, Attr{"count", count}), count)
	from := b.Reshape(x, row)
	if provablyEmpty(T(x.Type.DType, row...)) {
		from = b.Splat(TConst(x.Type.DType, 1), 0)
	}
	return b.Emit(OpGather, []*Value{from, at}, Attr{"axis", int64(0)})
}

// decomposeSize counts as many ones, which executors know to be a size. What may
// be negative is a difference of two.
func decomposeSize(b *Builder, v *Value) *Value {
	e := v.Attrs.Dims("of")[0]
	if n, ok := e.Const(); ok {
		return b.Emit(OpConstant, nil, Attr{"value", n}, Attr{"dtype", tensor.I64}, Attr{"shape", []dim.Expr{}})
	}
	count := func(e dim.Expr) *Value {
		return b.Reduce(OpReduceSum, b.Splat(T(tensor.I64, e), 1), 0)
	}
	if lo, _ := sizeRange(b.F.Facts, e); lo >= 0 {
		return count(e)
	}
	zero := dim.Const(0)
	return b.Sub(count(e.Max(zero)), count(e.Neg().Max(zero)))
}

// defining is a sample of an op that defines U.
func defining(attr string, args []Type, more ...Attr) Sample {
	return Sample{Args: args, Attrs: NewAttrs(append(more, Attr{attr, []dim.Expr{dim.Sym("U")}})...), Lo: -1, Hi: 1}
}

func nonzeroSamples() []Sample {
	of := func(dt tensor.DType, shape ...int) Sample { return defining("count", []Type{TConst(dt, shape...)}) }
	return []Sample{of(tensor.Bool, 61), of(tensor.I32, 3, 5), of(tensor.F32, 2, 3, 4), of(tensor.F32), of(tensor.I8, 0, 3), of(tensor.U8, 131)}
}

func repeatSamples() []Sample {
	of := func(axis int64, n int, shape ...int) Sample {
		s := defining("total", []Type{TConst(tensor.F32, shape...), TConst(tensor.I64, n)}, Attr{"axis", axis})
		s.Lo, s.Hi = 0, 4
		return s
	}
	return []Sample{of(0, 7, 7), of(0, 3, 3, 5), of(1, 5, 3, 5), of(1, 3, 2, 3, 4), of(0, 0, 0, 3), of(0, 1, 1)}
}

func sizeFromSamples() []Sample {
	s := defining("size", []Type{T(tensor.I64)})
	s.Lo, s.Hi = 0, 9
	return []Sample{s, s, s}
}

func maskedSelectSamples() []Sample {
	of := func(dt tensor.DType, shape ...int) Sample {
		return defining("count", []Type{TConst(dt, shape...), TConst(tensor.Bool, shape...)})
	}
	return []Sample{of(tensor.F32, 61), of(tensor.F32, 3, 5), of(tensor.F64, 2, 3, 4), of(tensor.F32), of(tensor.F32, 0, 3)}
}

func sizeSamples() []Sample {
	of := func(e dim.Expr) Sample { return Sample{Attrs: NewAttrs(Attr{"of", []dim.Expr{e}})} }
	return []Sample{of(dim.Const(7)), of(dim.Const(0)), of(dim.Const(-3))}
}
