package padding

import (
	"slices"

	"jitc/ir"
)

// bodies is the rule of cond, while and scan. A body must be right for operands
// with anything in their padding, without a mask: then it is so in each iteration.
// A scan along a padded axis would go on into the padding.
func bodies(w *walker, v *ir.Value) ([]axis, error) {
	if slices.ContainsFunc(v.Attrs.Dims("length"), w.depends) {
		return nil, w.refuse(v, w.leaveOut(), "goes on into the padding: its length is %s", v.Attrs.Dims("length")[0])
	}
	for i := range v.Args {
		if err := w.wantApart(v, v.Args[i]); err != nil {
			return nil, err
		}
	}
	for i, body := range v.Bodies {
		if err := w.body(v, ir.BodyRole(v.Op, i), body); err != nil {
			return nil, err
		}
	}
	if v.Type.IsTuple() {
		return nil, nil
	}
	return w.plain(v)
}

// body checks one body of v; what it builds on the way is dropped.
func (w *walker) body(v *ir.Value, role string, body *ir.Func) error {
	edits, from, ids := w.edits, len(w.b.F.Values), w.b.F.NumIDs
	at := make([]*ir.Value, body.NumIDs)
	for _, p := range body.Params {
		axes, err := w.plain(p)
		if err != nil {
			return err
		}
		w.axes[p], at[p.ID] = axes, p
	}
	if err := w.function(body, at); err != nil {
		return err
	}
	w.b.Pos = v.Pos
	w.b.F.Values, w.b.F.NumIDs = w.b.F.Values[:from], ids
	if w.edits > edits {
		m := w.masks[len(w.masks)-1]
		return w.refuse(v, w.leaveOut(), "needs a mask within its %s: %s at %s %s", role, m.Op, m.Pos, m.Why)
	}
	for _, r := range body.Results {
		if err := w.wantApart(v, at[r.ID]); err != nil {
			return err
		}
	}
	return nil
}

// wantApart checks that padding comes last along the axes of a value that enters or
// leaves a body.
func (w *walker) wantApart(v, x *ir.Value) error {
	for i, a := range w.axes[x] {
		if a.interleaved() && !a.uniform() {
			return w.refuse(v, w.leaveOut(), "passes on axis %d of a value on which padding lies between kept elements (reshape at %s)", i, a.by.Pos)
		}
	}
	return nil
}

// plainRule is the rule of the parts of what bodies gave.
func plainRule(w *walker, v *ir.Value) ([]axis, error) { return w.plain(v) }

// nonzero: what is 0 is not found, so that the padding is made so.
func nonzero(w *walker, v *ir.Value) ([]axis, error) {
	zero := identity{}.of(v.Args[0].Type.DType)
	for i, a := range w.axes[v.Args[0]] {
		if err := w.wantWhole(v, 0, i); err != nil {
			return nil, err
		}
		if err := w.mask(v, 0, i, a.parts, zero, "finds what is not zero"); err != nil {
			return nil, err
		}
	}
	return w.plain(v)
}

// repeat: padding along the axis is repeated 0 times.
func repeat(w *walker, v *ir.Value) ([]axis, error) {
	at := int(v.Attrs.Int("axis", 0))
	for arg, axis := range []int{at, 0} {
		if err := w.wantWhole(v, arg, axis); err != nil {
			return nil, err
		}
	}
	counts := w.axes[v.Args[1]][0]
	if err := w.mask(v, 1, 0, counts.parts, identity{}.of(v.Args[1].Type.DType), "counts repetitions"); err != nil {
		return nil, err
	}
	out := slices.Clone(w.axes[v.Args[0]])
	out[at] = oneAxis(w.partOf(v.Type.Shape[at]))
	return out, nil
}

// size: a size as data is the true one.
func size(w *walker, v *ir.Value) ([]axis, error) {
	w.edits++
	of := v.Attrs.Dims("of")[0]
	n, err := w.trueSize(v, of)
	if err != nil {
		return nil, err
	}
	w.note(v, 0, 0, "the true "+of.String(), "is a size as data")
	v.Op, v.Args, v.Attrs = ir.OpCast, []*ir.Value{n}, ir.NewAttrs(ir.Attr{Name: "dtype", Value: v.Type.DType})
	return []axis{}, nil
}
