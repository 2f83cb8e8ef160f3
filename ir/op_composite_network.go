package ir

import (
	"fmt"
	"math"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func networkComposites() map[Op]OpRow {
	return map[Op]OpRow{
		OpMatmul: {
			Name: "matmul", MinArgs: 2, MaxArgs: 2, Traits: Contract, DTypes: Numbers,
			Doc:   "Matrix product a[...,M,K] x b[...,K,N] with equal leading axes; or b[K,N], which goes with all of a's.",
			Infer: inferMatmul, Decompose: decomposeMatmul, Samples: matmulSamples,
		},
		OpLinear: {
			Name: "linear", MinArgs: 2, MaxArgs: 3, Traits: Contract, DTypes: Numbers,
			Doc: "x[...,I] times the transpose of w[O,I], plus bias[O] where given; with transposed=false, w is [I,O].",
			Attrs: []AttrSpec{
				{Name: "transposed", Kind: KindBool, Doc: "whether w is stored as [O,I]", Default: true},
			},
			Infer: inferLinear, Decompose: decomposeLinear, Samples: linearSamples,
		},
		OpEmbedding: {
			Name: "embedding", MinArgs: 2, MaxArgs: 2, Traits: Indexed, DTypes: Anything,
			Doc:   "Rows of table[V,D] at integer ids, which are clamped to [0, V-1]; of shape ids + [D].",
			Infer: inferEmbedding,
			Decompose: func(b *Builder, v *Value) *Value {
				return b.Emit(OpGather, v.Args, Attr{"axis", int64(0)})
			},
			Samples: embeddingSamples,
		},
		OpAttention: {
			Name: "scaled_dot_product_attention", MinArgs: 3, MaxArgs: 4, Traits: Contract | Approximate, DTypes: Floats,
			Doc: "softmax(scale * q k^T + mask) v for q[...,L,E], k[...,S,E], v[...,S,D]. The mask, [L,S] or [...,L,S] with leading sizes that may be 1, " +
				"is bool (true: attend) or is added. With causal, query i attends to keys j <= i. A row that attends to nothing is NaN.",
			Attrs: []AttrSpec{
				{Name: "causal", Kind: KindBool, Doc: "mask out keys j > i (aligned at the first query and key)", Default: false},
				{Name: "scale", Kind: KindFloat, Doc: "factor of the products; default 1/sqrt(E)"},
			},
			Infer: inferAttention, Decompose: decomposeAttention, Samples: attentionSamples,
		},
		OpCrossEntropy: {
			Name: "cross_entropy", MinArgs: 2, MaxArgs: 2, Traits: Reduce | Approximate, DTypes: Floats,
			Doc: "-log_softmax(logits)[n,labels[n]] of logits[N,C] and integer labels[N], then its mean or sum over n; " +
				"a label out of range, and one that equals ignore_index, gives 0, and the mean is over labels not ignored.",
			Attrs: []AttrSpec{
				{Name: "reduction", Kind: KindString, Doc: "how to fold over n", Default: "mean", Enum: []string{"mean", "sum", "none"}},
				{Name: "ignore_index", Kind: KindInt, Doc: "label that does not count; default no label"},
			},
			Infer: inferCrossEntropy, Decompose: decomposeCrossEntropy, Samples: crossEntropySamples,
		},
	}
}

func inferMatmul(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantSameDTypes(v, Numbers); err != nil {
		return Type{}, err
	}
	for i := range v.Args {
		if err := wantMinRank(v, i, 2); err != nil {
			return Type{}, err
		}
	}
	a, b := v.Args[0].Type, v.Args[1].Type
	lead := a.Rank() - 2
	if b.Rank() != 2 && b.Rank() != a.Rank() {
		return Type{}, argError(v, 1, "operands differ in rank", fmt.Sprintf("rank 2 or %d", a.Rank()), argTypes(v),
			"broadcast the operand of lower rank first")
	}
	if b.Rank() > 2 {
		for i := range lead {
			names := fmt.Sprintf("lhs[%d] == rhs[%d]", i, i)
			if err := wantEqual(v, facts, 1, "batch dimensions differ", names, a.Shape[i], b.Shape[i]); err != nil {
				return Type{}, err
			}
		}
	}
	rows, cols := b.Rank()-2, b.Rank()-1
	names := fmt.Sprintf("lhs[%d] == rhs[%d]", lead+1, rows)
	if err := wantEqual(v, facts, 1, "inner dimensions differ", names, a.Shape[lead+1], b.Shape[rows]); err != nil {
		return Type{}, transposeHint(err, facts, a.Shape[lead+1], b, ints(int64(cols)))
	}
	shape := slices.Clone(a.Shape)
	shape[lead+1] = b.Shape[cols]
	return a.WithShape(shape), nil
}

func decomposeMatmul(b *Builder, v *Value) *Value {
	last := int64(v.Args[0].Type.Rank() - 1)
	rank := v.Args[1].Type.Rank()
	batch := axesFrom(0, rank-2)
	return b.Emit(OpDotGeneral, v.Args, Attr{"lhs_batch", batch}, Attr{"rhs_batch", batch},
		Attr{"lhs_contract", ints(last)}, Attr{"rhs_contract", ints(int64(rank - 2))})
}

// linearAxes are the axes of w that hold inputs and outputs.
func linearAxes(v *Value) (in, out int) {
	if v.Attrs.Bool("transposed", true) {
		return 1, 0
	}
	return 0, 1
}

func inferLinear(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantSameDTypes(v, Numbers); err != nil {
		return Type{}, err
	}
	if err := wantMinRank(v, 0, 1); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 1, 2); err != nil {
		return Type{}, err
	}
	x, w := v.Args[0].Type, v.Args[1].Type
	in, out := linearAxes(v)
	last := x.Rank() - 1
	names := fmt.Sprintf("lhs[%d] == rhs[%d]", last, in)
	if err := wantEqual(v, facts, 1, "inner dimensions differ", names, x.Shape[last], w.Shape[in]); err != nil {
		if e, ok := err.(*OpError); ok && e.Hint == "" && SizeEqual(facts, x.Shape[last], w.Shape[out]) {
			e.Hint = fmt.Sprintf("set transposed=%v", in == 0)
		}
		return Type{}, err
	}
	if len(v.Args) == 3 {
		if err := wantRank(v, 2, 1); err != nil {
			return Type{}, err
		}
		if err := wantEqual(v, facts, 2, "the bias does not fit the outputs", fmt.Sprintf("bias[0] == rhs[%d]", out),
			w.Shape[out], v.Args[2].Type.Shape[0]); err != nil {
			return Type{}, err
		}
	}
	shape := slices.Clone(x.Shape)
	shape[last] = w.Shape[out]
	return x.WithShape(shape), nil
}

// decomposeLinear adds the bias before the product is rounded to 16 bits.
func decomposeLinear(b *Builder, v *Value) *Value {
	x, dt := v.Args[0], v.Type.DType
	in, _ := linearAxes(v)
	attrs := []Attr{{"lhs_contract", ints(int64(x.Type.Rank() - 1))}, {"rhs_contract", ints(int64(in))}}
	if len(v.Args) == 2 {
		return b.Emit(OpDotGeneral, v.Args, attrs...)
	}
	if wideOf(dt) != dt {
		attrs = append(attrs, Attr{"dtype", wideOf(dt)})
	}
	y := b.Emit(OpDotGeneral, v.Args[:2], attrs...)
	if b.Err() != nil {
		return nil
	}
	bias := b.Broadcast(b.Cast(v.Args[2], wideOf(dt)), y.Type.Shape, int64(y.Type.Rank()-1))
	return b.Cast(b.Add(y, bias), dt)
}

func inferEmbedding(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantRank(v, 0, 2); err != nil {
		return Type{}, err
	}
	if err := wantDType(v, 1, Ints); err != nil {
		return Type{}, err
	}
	table, ids := v.Args[0].Type, v.Args[1].Type
	if n, ok := table.Shape[0].Const(); ok && n == 0 && !provablyEmpty(ids) {
		return Type{}, argError(v, 0, "there is nothing to index", "at least 1 row", argTypes(v), "")
	}
	return table.WithShape(append(slices.Clone(ids.Shape), table.Shape[1])), nil
}

func inferAttention(v *Value, facts *dim.Facts) (Type, error) {
	for i := range 3 {
		if err := wantAttended(v, facts, i); err != nil {
			return Type{}, err
		}
	}
	q, k, val := v.Args[0].Type, v.Args[1].Type, v.Args[2].Type
	row, col := q.Rank()-2, q.Rank()-1
	if err := wantEqual(v, facts, 1, "widths of queries and keys differ", fmt.Sprintf("q[%d] == k[%d]", col, col), q.Shape[col], k.Shape[col]); err != nil {
		return Type{}, err
	}
	if err := wantEqual(v, facts, 2, "numbers of keys and values differ", fmt.Sprintf("k[%d] == v[%d]", row, row), k.Shape[row], val.Shape[row]); err != nil {
		return Type{}, err
	}
	if s := v.Attrs.Float("scale", 1); math.IsNaN(s) || math.IsInf(s, 0) {
		return Type{}, attrError(v, "scale", "scale out of range", "a finite number", AttrString(s), "")
	}
	if err := wantMask(v, facts); err != nil {
		return Type{}, err
	}
	shape := slices.Clone(q.Shape)
	shape[col] = val.Shape[col]
	return q.WithShape(shape), nil
}

// wantAttended checks one of attention's first three operands on its own: its
// element type, rank and leading sizes are those of the queries.
func wantAttended(v *Value, facts *dim.Facts, arg int) error {
	q, t := v.Args[0].Type, v.Args[arg].Type
	if err := wantDType(v, arg, Floats); err != nil {
		return err
	}
	if err := wantMinRank(v, arg, 2); err != nil {
		return err
	}
	if t.DType != q.DType {
		return argError(v, arg, "operands differ in element type", q.DType.String(), argTypes(v),
			fmt.Sprintf("cast %s to %s", ordinal(arg), q.DType))
	}
	if err := wantRank(v, arg, q.Rank()); err != nil {
		return err
	}
	for a := range q.Rank() - 2 {
		names := fmt.Sprintf("%c[%d] == q[%d]", "qkv"[arg], a, a)
		if err := wantEqual(v, facts, arg, "batch dimensions differ", names, q.Shape[a], t.Shape[a]); err != nil {
			return err
		}
	}
	return nil
}

// wantMask checks attention's fourth operand, where there is one.
func wantMask(v *Value, facts *dim.Facts) error {
	if len(v.Args) < 4 {
		return nil
	}
	q, mask := v.Args[0].Type, v.Args[3].Type
	if mask.DType != q.DType && !Bools.Has(mask.DType) {
		return argError(v, 3, "wrong element type of the mask", "bool or "+q.DType.String(), mask.String(), "")
	}
	want := scoreShape(v)
	if mask.Rank() != 2 && mask.Rank() != len(want) {
		return argError(v, 3, "wrong rank of the mask", fmt.Sprintf("rank 2 or %d", len(want)), mask.String(), "")
	}
	for i, e := range mask.Shape {
		if at := len(want) - mask.Rank() + i; !SizeEqual(facts, e, want[at]) && !(at < len(want)-2 && isOne(e)) {
			return argError(v, 3, "the mask does not fit", ShapeString(want[len(want)-mask.Rank():]), mask.String(), equalHint(facts, e, want[at]))
		}
	}
	return nil
}

// scoreShape is [...,L,S].
func scoreShape(v *Value) []dim.Expr {
	shape := slices.Clone(v.Args[0].Type.Shape)
	shape[len(shape)-1] = v.Args[1].Type.Shape[len(shape)-2]
	return shape
}

// decomposeAttention keeps scores and probabilities in the wide type.
func decomposeAttention(b *Builder, v *Value) *Value {
	q, wide, rank := v.Args[0], wideOf(v.Type.DType), v.Args[0].Type.Rank()
	batch, row, col := axesFrom(0, rank-2), int64(rank-2), int64(rank-1)
	attrs := []Attr{{"lhs_batch", batch}, {"rhs_batch", batch}, {"lhs_contract", ints(col)}, {"rhs_contract", ints(col)}}
	if wide != v.Type.DType {
		attrs = append(attrs, Attr{"dtype", wide})
	}
	scores := b.Emit(OpDotGeneral, v.Args[:2], attrs...)
	if b.Err() != nil {
		return nil
	}
	var scale *Value
	if n, ok := q.Type.Shape[col].Const(); ok || v.Attrs.Has("scale") {
		scale = b.SplatLike(scores, v.Attrs.Float("scale", 1/math.Sqrt(float64(n))))
	} else {
		scale = spread(b, b.Unary(OpRsqrt, countOf(b, q, wide, ints(col))), scores)
	}
	p := b.Emit(OpSoftmax, []*Value{masked(b, v, b.Mul(scores, scale))}, Attr{"axis", col})
	y := b.Emit(OpDotGeneral, []*Value{p, b.Cast(v.Args[2], wide)}, Attr{"lhs_batch", batch}, Attr{"rhs_batch", batch},
		Attr{"lhs_contract", ints(col)}, Attr{"rhs_contract", ints(row)})
	return b.Cast(y, v.Type.DType)
}

// positionType is the narrowest type that counts the positions of a shape: i32
// where that is provable, which is twice as many lanes as i64.
func positionType(b *Builder, shape []dim.Expr) tensor.DType {
	for _, n := range shape {
		if _, hi := b.F.Facts.Range(n); hi > math.MaxInt32 {
			return tensor.I64
		}
	}
	return tensor.I32
}

// masked applies attention's mask and causality to the scores.
func masked(b *Builder, v, scores *Value) *Value {
	if b.Err() != nil {
		return nil
	}
	shape, rank := scores.Type.Shape, scores.Type.Rank()
	spread := func(mask *Value) *Value {
		if b.Err() != nil {
			return nil
		}
		return b.Broadcast(mask, shape, axesFrom(rank-mask.Type.Rank(), mask.Type.Rank())...)
	}
	drop := func(keep *Value) { scores = b.Select(spread(keep), scores, b.SplatLike(scores, math.Inf(-1))) }
	if len(v.Args) == 4 {
		if mask := v.Args[3]; mask.Type.DType.IsFloat() {
			scores = b.Add(scores, spread(b.Cast(mask, scores.Type.DType)))
		} else {
			drop(mask)
		}
	}
	if v.Attrs.Bool("causal", false) && b.Err() == nil {
		at := T(positionType(b, shape[rank-2:]), shape[rank-2:]...)
		drop(b.Binary(OpGe, b.Iota(at, 0), b.Iota(at, 1)))
	}
	return scores
}
