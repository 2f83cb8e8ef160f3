package sim

import "math/bits"

// The shapes of instructions that compute each lane by itself.

func map1(d, a int32, f func(x uint64) uint64) exec {
	return func(w *warp) {
		to, x := &w.regs[d], &w.regs[a]
		if w.mask == allLanes {
			for i := range to {
				to[i] = f(x[i])
			}
			return
		}
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			to[i] = f(x[i])
		}
	}
}

func map2(d, a, b int32, f func(x, y uint64) uint64) exec {
	return func(w *warp) {
		to, x, y := &w.regs[d], &w.regs[a], &w.regs[b]
		if w.mask == allLanes {
			for i := range to {
				to[i] = f(x[i], y[i])
			}
			return
		}
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			to[i] = f(x[i], y[i])
		}
	}
}

func map3(d, a, b, c int32, f func(x, y, z uint64) uint64) exec {
	return func(w *warp) {
		to, x, y, z := &w.regs[d], &w.regs[a], &w.regs[b], &w.regs[c]
		if w.mask == allLanes {
			for i := range to {
				to[i] = f(x[i], y[i], z[i])
			}
			return
		}
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			to[i] = f(x[i], y[i], z[i])
		}
	}
}

// choose are the lanes of the mask for which f holds.
func (w *warp) choose(a, b int32, f func(x, y uint64) bool) uint32 {
	x, y := &w.regs[a], &w.regs[b]
	var p uint32
	for m := w.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		if f(x[i], y[i]) {
			p |= 1 << i
		}
	}
	return p
}

// setPred writes a predicate in the lanes of the mask.
func (w *warp) setPred(slot int32, p uint32) {
	w.preds[slot] = w.preds[slot]&^w.mask | p&w.mask
}

// pred is a predicate, or its negation.
func (w *warp) pred(slot int32, negate bool) uint32 {
	if negate {
		return ^w.preds[slot]
	}
	return w.preds[slot]
}

// unary takes d and a of one type.
func (d *decoder) unary(t typ, f func(x uint64) uint64) exec {
	to := d.dst(t)
	return map1(to, d.src(t), f)
}

// binary takes d, a and b of one type.
func (d *decoder) binary(t typ, f func(x, y uint64) uint64) exec {
	to, a := d.dst(t), d.src(t)
	return map2(to, a, d.src(t), f)
}

// ternary takes d, a, b and c of one type.
func (d *decoder) ternary(t typ, f func(x, y, z uint64) uint64) exec {
	to, a, b := d.dst(t), d.src(t), d.src(t)
	return map3(to, a, b, d.src(t), f)
}
