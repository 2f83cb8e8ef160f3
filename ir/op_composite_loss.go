package ir

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// labelType is the type in which positions and labels are compared: wide enough
// for every axis.
const labelType = tensor.I64

func inferCrossEntropy(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Floats); err != nil {
		return Type{}, err
	}
	if err := wantDType(v, 1, Ints); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 0, 2); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 1, 1); err != nil {
		return Type{}, err
	}
	logits, labels := v.Args[0].Type, v.Args[1].Type
	if err := wantEqual(v, facts, 1, "numbers of logits and labels differ", "lhs[0] == rhs[0]", logits.Shape[0], labels.Shape[0]); err != nil {
		return Type{}, err
	}
	if v.Attrs.Str("reduction", "mean") == "none" {
		return logits.WithShape(logits.Shape[:1]), nil
	}
	return T(logits.DType), nil
}

// decomposeCrossEntropy picks each row's log-probability by comparing the classes
// with the label, which needs no gather and differentiates plainly.
func decomposeCrossEntropy(b *Builder, v *Value) *Value {
	logits, labels := widened(b, v.Args[0]), b.Cast(v.Args[1], labelType)
	logp := b.Emit(OpLogSoftmax, []*Value{logits}, Attr{"axis", int64(1)})
	if b.Err() != nil {
		return nil
	}
	shape := logits.Type.Shape
	hit := b.Binary(OpEq, b.Iota(T(labelType, shape...), 1), b.Broadcast(labels, shape, 0))
	picked := b.Reduce(OpReduceSum, b.Select(hit, logp, b.SplatLike(logp, 0)), 1)
	loss := b.Sub(b.SplatLike(picked, 0), picked) // where nothing is picked +0, which a negation would make -0
	if b.Err() != nil {
		return nil
	}
	count := func() *Value { return countOf(b, logits, loss.Type.DType, ints(0)) }
	if v.Attrs.Has("ignore_index") {
		ignored := b.Emit(OpConstant, nil, Attr{"value", v.Attrs.Int("ignore_index", 0)},
			Attr{"dtype", labelType}, Attr{"shape", labels.Type.Shape})
		kept := b.Binary(OpNe, labels, ignored)
		loss = b.Select(kept, loss, b.SplatLike(loss, 0))
		count = func() *Value { return b.Reduce(OpReduceSum, b.Cast(kept, logits.Type.DType), 0) }
	}
	switch v.Attrs.Str("reduction", "mean") {
	case "mean":
		loss = b.Div(b.Reduce(OpReduceSum, loss, 0), count())
	case "sum":
		loss = b.Reduce(OpReduceSum, loss, 0)
	}
	return b.Cast(loss, v.Type.DType)
}
