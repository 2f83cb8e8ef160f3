package padding

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// broadcast: axes keep what is known of them; along new axes, and those that had
// size 1, nothing depends on the index.
func broadcast(w *walker, v *ir.Value) ([]axis, error) {
	out, err := w.plain(v)
	if err != nil {
		return nil, err
	}
	x := v.Args[0]
	c := scalarOf(x)
	for i, a := range uniformAxes(out) {
		out[i] = a.withFill(func(part) *tensor.Tensor { return c })
	}
	for i, a := range v.Attrs.Ints("axes") {
		if ir.SizeEqual(w.facts, x.Type.Shape[i], v.Type.Shape[a]) {
			out[a] = w.axes[x][i]
		}
	}
	return out, nil
}

func transpose(w *walker, v *ir.Value) ([]axis, error) {
	var out []axis
	for _, p := range v.Attrs.Ints("perm") {
		out = append(out, w.axes[v.Args[0]][p])
	}
	return out, nil
}

// reverse: along a padded axis kept elements would come last.
func reverse(w *walker, v *ir.Value) ([]axis, error) {
	axes := w.axes[v.Args[0]]
	for _, a := range v.Attrs.Ints("axes") {
		if axes[a].padded() && !axes[a].uniform() {
			return nil, w.refuse(v, w.leaveOut(), "moves padding among kept elements on axis %d", a)
		}
	}
	return axes, nil
}

// slice: from a start that the symbol does not move, the kept elements of the
// result come from kept ones. A start that it moves (the last element is at B - 1)
// is computed from the true size:
//
//	before  slice(%x) {limits=[B, 4], starts=[B - 1, 0]}
//	after   dynamic_slice(%x, %n, %zero) {sizes=[1, 4]}    n = B.valid - 1
func slice(w *walker, v *ir.Value) ([]axis, error) {
	starts, limits, strides := v.Attrs.Dims("starts"), v.Attrs.Dims("limits"), v.Attrs.Ints("strides")
	out, moved := make([]axis, len(starts)), false
	for i, size := range v.Args[0].Type.Shape {
		toEnd := ir.SizeEqual(w.facts, limits[i], size)
		if toEnd && starts[i].Equal(dim.Const(0)) && (strides == nil || strides[i] == 1) {
			out[i] = w.axes[v.Args[0]][i]
			continue
		}
		p, err := w.slicedPart(v, i, starts[i], limits[i])
		if err != nil {
			return nil, err
		}
		if !toEnd {
			p.fill = nil
		}
		out[i] = oneAxis(p)
		moved = moved || w.depends(starts[i])
	}
	if moved {
		return out, w.sliceDynamically(v, starts, limits, strides)
	}
	return out, nil
}

// slicedPart is what a slice leaves of an axis, if its start or its length stays.
func (w *walker) slicedPart(v *ir.Value, at int, start, limit dim.Expr) (part, error) {
	if err := w.wantWhole(v, 0, at); err != nil {
		return part{}, err
	}
	switch long := w.depends(limit.Sub(start)); {
	case long && w.depends(start):
		return part{}, w.refuse(v, w.leaveOut(), "starts at %s on axis %d, which moves with %s as its length does", start, at, w.sym)
	case long && !w.grow(limit):
		return part{}, w.refuse(v, w.leaveOut(), "ends at %s on axis %d, which is not known to grow with %s", limit, at, w.sym)
	case long:
		w.grows[v.Type.Shape[at].Key()] = true
	}
	p, from := w.partOf(v.Type.Shape[at]), w.axes[v.Args[0]][at].part()
	p.uniform = from.uniform
	if p.padded {
		p.fill = from.fill
	}
	return p, nil
}

// sliceDynamically makes of the slice v a dynamic_slice, and a slice for strides.
func (w *walker) sliceDynamically(v *ir.Value, starts, limits []dim.Expr, strides []int64) error {
	w.edits++
	args, sizes := []*ir.Value{v.Args[0]}, make([]dim.Expr, len(starts))
	for i, s := range starts {
		at, err := w.trueSize(v, s)
		if err != nil {
			return err
		}
		args, sizes[i] = append(args, at), limits[i].Sub(s)
		if w.depends(s) {
			w.note(v, 0, i, "from the true "+s.String(), "starts at a size")
		}
	}
	v.Op, v.Args, v.Attrs = ir.OpDynamicSlice, args, ir.NewAttrs(ir.Attr{Name: "sizes", Value: sizes})
	if !slices.ContainsFunc(strides, func(n int64) bool { return n != 1 }) {
		return nil
	}
	part := w.b.Clone(v, v.Args)
	if err := w.b.Err(); err != nil {
		return w.refuse(v, w.leaveOut(), "cannot be rewritten: %v", err)
	}
	part.Name = ""
	v.Op, v.Args = ir.OpSlice, []*ir.Value{part}
	v.Attrs = ir.NewAttrs(ir.Attr{Name: "starts", Value: make([]dim.Expr, len(sizes))},
		ir.Attr{Name: "limits", Value: sizes}, ir.Attr{Name: "strides", Value: strides})
	return nil
}
