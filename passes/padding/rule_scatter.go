package padding

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// scatter: updates must not come from padding where they are counted off, since they
// would reach kept elements. Along the other axes padding meets padding. An index
// beyond the true size updates the last kept element, as it did.
func scatter(w *walker, v *ir.Value) ([]axis, error) {
	at, batch := int(v.Attrs.Int("axis", 0)), int(v.Attrs.Int("batch_dims", 0))
	x, index, updates := w.axes[v.Args[0]], w.axes[v.Args[1]], w.axes[v.Args[2]]
	picks := len(index) - batch
	for i := range picks {
		if index[batch+i].padded() || updates[at+i].padded() {
			return nil, w.refuse(v, w.leaveOut(), "updates kept elements with padding, by axis %d of the indices", batch+i)
		}
	}
	shared, err := w.join(v, x[:batch], index[:batch])
	if err != nil {
		return nil, err
	}
	out, err := w.join(v, slices.Concat(shared, x[batch:]), slices.Concat(updates[:at], x[at:at+1], updates[at+picks:]))
	if err != nil {
		return nil, err
	}
	if x[at].padded() {
		if err := w.wantWhole(v, 0, at); err != nil {
			return nil, err
		}
		limit := v.Args[0].Type.Shape[at].Sub(dim.Const(1))
		if err := w.bound(v, 1, at, limit, fmt.Sprintf("is clamped to axis %d", at)); err != nil {
			return nil, err
		}
	}
	for i, p := range out[at].parts {
		p.uniform = false
		out[at].parts[i] = p
	}
	return out, nil
}
