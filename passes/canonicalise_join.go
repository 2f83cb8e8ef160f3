package passes

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// joinRules are about concat and pad.
func joinRules() []rule {
	c, p := ops(ir.OpConcat), ops(ir.OpPad)
	return []rule{
		{ops: c, from: "concat(x)", to: "x", apply: concatOne},
		{ops: c, from: "concat(x, empty)", to: "concat(x)", apply: concatEmpty},
		{ops: c, from: "concat(splat, equal splat)", to: "splat", apply: concatSplats},
		{ops: c, from: "concat(concat(x, y), z)", to: "concat(x, y, z)", apply: concatNested},
		{ops: c, from: "concat(x[a:b], x[b:c])", to: "x[a:c]", apply: concatSlices},
		{ops: p, from: "pad(x) by nothing", to: "x", apply: padNothing},
		{ops: p, from: "pad(splat c, c)", to: "splat c", apply: padSplat},
		{ops: p, from: "pad(pad(x, c), c)", to: "pad(x, c)", apply: padTwice},
	}
}

func concatOne(_ *rewriter, v *ir.Value) *ir.Value {
	if len(v.Args) == 1 {
		return v.Args[0]
	}
	return nil
}

func concatEmpty(e *rewriter, v *ir.Value) *ir.Value {
	axis := v.Attrs.Int("axis", 0)
	kept := slices.DeleteFunc(slices.Clone(v.Args), func(x *ir.Value) bool {
		return x.Type.Shape[axis].Equal(dim.Const(0))
	})
	switch len(kept) {
	case len(v.Args):
		return nil
	case 0:
		return v.Args[0]
	}
	return e.with(v, v.Attrs, kept...)
}

func concatSplats(e *rewriter, v *ir.Value) *ir.Value {
	for _, x := range v.Args {
		if !sameSplat(x, v.Args[0]) {
			return nil
		}
	}
	return e.splat(v.Type, v.Args[0].Attrs.Get("value"))
}

// sameSplat reports whether both are splats of one element, of any shapes.
func sameSplat(x, y *ir.Value) bool {
	if !isSplat(x) || !isSplat(y) {
		return false
	}
	value := func(v *ir.Value) ir.Attrs { return ir.Attrs{{Name: "value", Value: v.Attrs.Get("value")}} }
	return x == y || value(x).Equal(value(y))
}

// maxJoined bounds the operands of a concat that concatNested makes, so that a
// chain of concats, each joining one more, is not copied over and over.
const maxJoined = 256

// concatNested joins all at once. A concat that others use too would only be
// copied a second time.
func concatNested(e *rewriter, v *ir.Value) *ir.Value {
	axis, args := v.Attrs.Int("axis", 0), []*ir.Value{}
	for _, x := range v.Args {
		if x.Op == ir.OpConcat && x.Attrs.Int("axis", 0) == axis && e.usedOnce(x) {
			args = append(args, x.Args...)
		} else {
			args = append(args, x)
		}
	}
	if len(args) == len(v.Args) || len(args) > maxJoined {
		return nil
	}
	return e.with(v, v.Attrs, args...)
}

// concatSlices merges neighbours that are neighbouring parts of one value, each
// run of them at once.
func concatSlices(e *rewriter, v *ir.Value) *ir.Value {
	axis, args := v.Attrs.Int("axis", 0), []*ir.Value{}
	for i := 0; i < len(v.Args); {
		x, from := v.Args[i], i
		if i++; x.Op != ir.OpSlice {
			args = append(args, x)
			continue
		}
		run := cutsOf(x)
		for i < len(v.Args) && e.extend(run, x, v.Args[i], axis) {
			i++
		}
		if i-from > 1 {
			x = e.slice(x.Args[0], run)
		}
		args = append(args, x)
	}
	if len(args) == len(v.Args) {
		return nil
	}
	return e.with(v, v.Attrs, args...)
}

// extend adds y to a run of slices, of which x is one and a the extent, if y cuts
// from the same value and meets it along axis.
func (e *rewriter) extend(a []cut, x, y *ir.Value, axis int64) bool {
	if y.Op != ir.OpSlice || x.Args[0] != y.Args[0] {
		return false
	}
	b := cutsOf(y)
	for i := range a {
		same := e.equal(a[i].start, b[i].start) && e.equal(a[i].limit, b[i].limit) && a[i].stride == b[i].stride
		if int64(i) == axis {
			same = e.equal(a[i].limit, b[i].start) && a[i].stride == 1 && b[i].stride == 1
		}
		if !same {
			return false
		}
	}
	a[axis].limit = b[axis].limit
	return true
}

func padNothing(_ *rewriter, v *ir.Value) *ir.Value {
	for _, amount := range slices.Concat(v.Attrs.Dims("low"), v.Attrs.Dims("high")) {
		if !amount.Equal(dim.Const(0)) {
			return nil
		}
	}
	return v.Args[0]
}

func padSplat(e *rewriter, v *ir.Value) *ir.Value {
	if !sameSplat(v.Args[0], v.Args[1]) {
		return nil
	}
	return e.splat(v.Type, v.Args[1].Attrs.Get("value"))
}

func padTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpPad || x.Args[1] != v.Args[1] && !sameSplat(x.Args[1], v.Args[1]) {
		return nil
	}
	sum := func(name string) []dim.Expr {
		out := slices.Clone(v.Attrs.Dims(name))
		for i, more := range x.Attrs.Dims(name) {
			out[i] = out[i].Add(more)
		}
		return out
	}
	attrs := ir.NewAttrs(ir.Attr{Name: "low", Value: sum("low")}, ir.Attr{Name: "high", Value: sum("high")})
	return e.with(v, attrs, x.Args[0], v.Args[1])
}
