package padding

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// pad: what a pad adds after an axis begins within the padding, so that the
// padding must hold it too:
//
//	kept       x x h h        h = the value that pad adds
//	padded     x x . . h h
//	masked     x x h h h h
func pad(w *walker, v *ir.Value) ([]axis, error) {
	low, high, c := v.Attrs.Dims("low"), v.Attrs.Dims("high"), scalarOf(v.Args[1])
	none := dim.Const(0)
	for i, a := range w.axes[v.Args[0]] {
		if low[i].Equal(none) && high[i].Equal(none) {
			continue
		}
		if err := w.wantWhole(v, 0, i); err != nil {
			return nil, err
		}
		if w.depends(low[i]) {
			return nil, w.refuse(v, w.leaveOut(), "puts %s elements before axis %d, which moves what is kept", low[i], i)
		}
		if a.padded() && !high[i].Equal(none) && (c == nil || !holds(a, c)) {
			if err := w.maskWith(v, i, v.Args[1], c); err != nil {
				return nil, err
			}
		}
	}
	out := make([]axis, len(low))
	for i, a := range w.axes[v.Args[0]] { // as they are after the masks
		out[i] = fillOnly(a, c)
		if low[i].Equal(none) && high[i].Equal(none) {
			continue
		}
		p := w.partOf(v.Type.Shape[i])
		if p.fill = out[i].part().fill; !a.padded() {
			p.fill = c // all that is not kept was added
		} else if !w.depends(high[i]) {
			w.grows[v.Type.Shape[i].Key()] = true // as the operand's axis does
		}
		out[i] = oneAxis(p)
	}
	return out, w.sizesGrow(v)
}

// maskWith makes the padding along an axis of the first operand hold a scalar value,
// c if it is known.
func (w *walker) maskWith(v *ir.Value, at int, value *ir.Value, c *tensor.Tensor) error {
	m := maskedPart{arg: 0, at: at, parts: w.axes[v.Args[0]][at].parts, identity: fmt.Sprintf("value %d", value.ID), fill: c,
		other: func(shape []dim.Expr) *ir.Value { return w.b.Broadcast(value, shape) }}
	if err := w.maskPart(v, m); err != nil {
		return err
	}
	w.note(v, 0, at, "what it pads with", fmt.Sprintf("adds elements after axis %d", at))
	return nil
}

// windows fills in the axes of a result whose axis to+i counts windows over the
// operand's axis from+i. Windows of kept elements reach into the padding only where
// the program adds elements after the axis; it must hold then what the program
// adds, c.
func (w *walker) windows(v *ir.Value, from, to int, c *tensor.Tensor, out []axis) error {
	at := func(name string, i int, def int64) int64 {
		if list := v.Attrs.Ints(name); list != nil {
			return list[i]
		}
		return def
	}
	for i := range v.Attrs.Ints("window") {
		a := w.axes[v.Args[0]][from+i]
		low, high := at("padding_low", i, 0), at("padding_high", i, 0)
		if at("window", i, 1) == 1 && at("strides", i, 1) == 1 && low == 0 && high == 0 {
			out[to+i] = a.withFill(nil)
			continue
		}
		if err := w.wantWhole(v, 0, from+i); err != nil {
			return err
		}
		if a.padded() && high > 0 {
			if err := w.mask(v, 0, from+i, a.parts, c, fmt.Sprintf("has windows that pass the end of axis %d", from+i)); err != nil {
				return err
			}
		}
		w.grows[v.Type.Shape[to+i].Key()] = true // a longer axis has no fewer windows
		out[to+i] = oneAxis(w.partOf(v.Type.Shape[to+i]))
	}
	return nil
}

func patches(w *walker, v *ir.Value) ([]axis, error) {
	n := v.Args[0].Type.Rank() - 2
	out := append([]axis{}, w.axes[v.Args[0]][:2]...)
	for _, e := range v.Type.Shape[2:] {
		out = append(out, oneAxis(part{size: e}))
	}
	err := w.windows(v, 2, 2+n, identity{}.of(v.Type.DType), out)
	return withoutFill(out), err
}

// windowIdentities are what reduce_window counts beyond the ends of an axis.
var windowIdentities = map[string]identity{"sum": {}, "max": lowest, "min": highest}

func reduceWindow(w *walker, v *ir.Value) ([]axis, error) {
	c := windowIdentities[v.Attrs.Str("op", "")].of(v.Type.DType)
	out, edits := make([]axis, v.Type.Rank()), w.edits
	err := w.windows(v, 0, 0, c, out)
	w.rounds(v, w.edits > edits && v.Attrs.Str("op", "") == "sum")
	return out, err
}

// concat: an operand that others follow must not be padded along the axis.
func concat(w *walker, v *ir.Value) ([]axis, error) {
	at, last := int(v.Attrs.Int("axis", 0)), len(v.Args)-1
	lists := make([][]axis, len(v.Args))
	for i, x := range v.Args {
		if w.axes[x][at].padded() && i < last {
			return nil, w.refuse(v, w.leaveOut(), "puts elements after the padding of operand %d on axis %d", i, at)
		}
		lists[i] = slices.Delete(slices.Clone(w.axes[x]), at, at+1)
	}
	if err := w.wantWhole(v, last, at); err != nil {
		return nil, err
	}
	out, err := w.join(v, lists[0], lists[1:]...)
	if err != nil {
		return nil, err
	}
	p := w.partOf(v.Type.Shape[at])
	if p.padded {
		p.fill = w.axes[v.Args[last]][at].part().fill
	}
	return slices.Insert(out, at, oneAxis(p)), nil
}

// gather: an index beyond the true size reads the last kept element, as it did.
func gather(w *walker, v *ir.Value) ([]axis, error) {
	at, batch := int(v.Attrs.Int("axis", 0)), int(v.Attrs.Int("batch_dims", 0))
	from, index := w.axes[v.Args[0]], w.axes[v.Args[1]]
	shared, err := w.join(v, from[:batch], index[:batch])
	if err != nil {
		return nil, err
	}
	if a := from[at]; a.padded() && !a.uniform() {
		if err := w.wantWhole(v, 0, at); err != nil {
			return nil, err
		}
		limit := v.Args[0].Type.Shape[at].Sub(dim.Const(1))
		if err := w.bound(v, 1, at, limit, fmt.Sprintf("is clamped to axis %d", at)); err != nil {
			return nil, err
		}
	}
	return slices.Concat(shared, from[batch:at], withoutFill(index[batch:]), from[at+1:]), nil
}

// dynamicSlice: the start is clamped so that the part lies within the kept
// elements.
func dynamicSlice(w *walker, v *ir.Value) ([]axis, error) {
	out := make([]axis, v.Type.Rank())
	for i, size := range v.Args[0].Type.Shape {
		a := w.axes[v.Args[0]][i]
		gap := size.Sub(v.Type.Shape[i])
		if ir.SizeEqual(w.facts, gap, dim.Const(0)) {
			out[i] = a
			continue
		}
		if err := w.boundStart(v, 1, i, gap); err != nil {
			return nil, err
		}
		p := w.partOf(v.Type.Shape[i])
		p.uniform = a.part().uniform
		out[i] = oneAxis(p)
	}
	w.sameStarts(v, 1)
	return out, w.sizesGrow(v)
}

// boundStart bounds the start along an axis, one of the operands from first on, by
// the gap between the sizes of the operand and of the part.
func (w *walker) boundStart(v *ir.Value, first, at int, gap dim.Expr) error {
	if err := w.wantWhole(v, 0, at); err != nil || !w.depends(gap) {
		return err
	}
	if !w.grow(gap) {
		return w.refuse(v, w.leaveOut(), "starts at most at %s on axis %d, which is not known to grow with %s", gap, at, w.sym)
	}
	return w.bound(v, first+at, at, gap, fmt.Sprintf("is clamped to axis %d", at))
}

// sameStarts gives the start operands one element type, after bounds made some i64.
func (w *walker) sameStarts(v *ir.Value, first int) {
	for i := first; i < len(v.Args); i++ {
		if x := v.Args[i]; x.Type.DType != tensor.I64 && x.Type.DType != tensor.U64 && w.mixed(v.Args[first:]) {
			v.Args[i] = w.b.Cast(x, tensor.I64)
			w.axes[v.Args[i]] = nil
		}
	}
}

// mixed reports whether scalars are not of one element type.
func (w *walker) mixed(xs []*ir.Value) bool {
	return slices.ContainsFunc(xs, func(x *ir.Value) bool { return x.Type.DType != xs[0].Type.DType })
}

// dynamicUpdateSlice: the update must not be padded where it is shorter than what
// it updates, since its padding would overwrite kept elements.
func dynamicUpdateSlice(w *walker, v *ir.Value) ([]axis, error) {
	x, update := v.Args[0], v.Args[1]
	out := make([]axis, v.Type.Rank())
	for i, size := range x.Type.Shape {
		a, u := w.axes[x][i], w.axes[update][i]
		gap := size.Sub(update.Type.Shape[i])
		if ir.SizeEqual(w.facts, gap, dim.Const(0)) {
			joined, err := w.join(v, []axis{a}, []axis{u})
			if err != nil {
				return nil, err
			}
			out[i] = joined[0]
			continue
		}
		if u.padded() {
			return nil, w.refuse(v, w.leaveOut(), "overwrites kept elements with padding on axis %d", i)
		}
		if err := w.boundStart(v, 2, i, gap); err != nil {
			return nil, err
		}
		p := a.part()
		p.uniform = false
		out[i] = oneAxis(p)
	}
	w.sameStarts(v, 2)
	return out, nil
}
