package codegen

import "fmt"

// proveNest proves every access of a nest in bounds, except those to the tile
// of a product, which is laid out by whoever runs it.
//
// An access in a phase that runs once sees inner axes at position 0 only.
func (b *binder) proveNest(bn *BoundNest, tile int) {
	var loop, once []interval
	for a := range bn.Extent {
		loop = append(loop, interval{lo: 0, hi: bn.Extent[a] - 1})
	}
	once = append(once, loop...)
	innerEmpty := false
	for _, a := range bn.Nest.Inner {
		once[a].hi = 0
		innerEmpty = innerEmpty || bn.Extent[a] == 0
	}
	for _, p := range bn.Nest.Phases {
		box := once
		if p.Loop {
			if box = loop; innerEmpty {
				continue
			}
		}
		for i := p.From; i < p.To; i++ {
			in := &bn.Nest.Insts[i]
			if (in.Op != Load && in.Op != Store) || bn.Accs[in.Acc].Buf == tile {
				continue
			}
			b.proveAccess(bn, in.Acc, box)
		}
	}
}

// proveAccess intersects two bounds of the address: the plain one over the box,
// tightened by masks on one axis, and the one in which each mask's index takes
// the place of the axes it is made of.
func (b *binder) proveAccess(bn *BoundNest, acc int, box []interval) {
	a := &bn.Accs[acc]
	box, live := b.tighten(a, box)
	if !live {
		return
	}
	n := b.out.Lens[a.Buf]
	addr, empty := plainRange(a, box)
	if empty {
		b.failAccess(bn, acc, addr, n)
		return
	}
	if len(a.Masks) > 0 {
		sub, live := maskedRange(a, box)
		if !live {
			return
		}
		if addr.over {
			addr = sub
		} else if !sub.over {
			addr.lo, addr.hi = max(addr.lo, sub.lo), min(addr.hi, sub.hi)
		}
	}
	if !addr.empty() && !addr.within(n) {
		b.failAccess(bn, acc, addr, n)
	}
}

func (b *binder) failAccess(bn *BoundNest, acc int, addr interval, n int64) {
	a := &bn.Nest.Accs[acc]
	text := accessText(b.k, bn.Nest, a)
	if addr.over {
		b.fail(fmt.Errorf("%w: %s: address overflows int64", ErrOutOfBounds, text))
		return
	}
	b.fail(fmt.Errorf("%w: %s has addresses %d..%d, buffer %s has %d elements",
		ErrOutOfBounds, text, addr.lo, addr.hi, b.k.Bufs[a.Buf].Name, n))
}

// plainRange is the range of the address over the box, masks aside; empty says
// that a data-dependent index has no valid position at all.
func plainRange(a *BoundAccess, box []interval) (addr interval, empty bool) {
	addr = interval{lo: a.Offset, hi: a.Offset}
	for i, s := range a.Strides {
		addr = addr.plus(s, box[i])
	}
	return dynRange(a, addr)
}

func dynRange(a *BoundAccess, addr interval) (interval, bool) {
	for _, d := range a.Dyn {
		if d.Limit <= 0 {
			return addr, true
		}
		addr = addr.plus(d.Stride, interval{lo: 0, hi: d.Limit - 1})
	}
	return addr, false
}

// maskedRange rewrites the address as a rest plus Stride times the index of each
// mask, whose range is cut to [0, Limit). live is false where no point passes.
func maskedRange(a *BoundAccess, box []interval) (addr interval, live bool) {
	addr = interval{lo: a.Offset, hi: a.Offset}
	rest := append([]int64(nil), a.Strides...)
	for _, m := range a.Masks {
		v := m.indexRange(box)
		v.lo, v.hi = max(v.lo, 0), min(v.hi, m.Limit-1)
		if !v.over && v.empty() {
			return addr, false
		}
		addr = addr.plus(m.Stride, v)
		addr = addr.plus(-m.Stride, interval{lo: m.Offset, hi: m.Offset})
		for i, c := range m.Coef {
			rest[i] = addOver(rest[i], -mulOver(m.Stride, c, &addr.over), &addr.over)
		}
	}
	for i, s := range rest {
		addr = addr.plus(s, box[i])
	}
	addr, _ = dynRange(a, addr)
	return addr, true
}

// indexRange is the range over the box of the index that the mask restricts.
func (m *BoundMask) indexRange(box []interval) interval {
	v := interval{lo: m.Offset, hi: m.Offset}
	for i, c := range m.Coef {
		v = v.plus(c, box[i])
	}
	return v
}

// tighten cuts the box by masks that depend on one axis; live is false where a
// mask excludes every point.
func (b *binder) tighten(a *BoundAccess, box []interval) (cut []interval, live bool) {
	if len(a.Masks) == 0 {
		return box, true
	}
	cut = append([]interval(nil), box...)
	for i := range a.Masks {
		m := &a.Masks[i]
		axis, alone := -1, true
		for x, c := range m.Coef {
			if c != 0 {
				alone = axis < 0
				axis = x
				if !alone {
					break
				}
			}
		}
		switch {
		case axis < 0:
			if m.Offset < 0 || m.Offset >= m.Limit {
				return cut, false
			}
		case alone:
			if cut[axis] = cut[axis].cutBy(m, m.Coef[axis]); cut[axis].empty() {
				return cut, false
			}
		}
	}
	return cut, true
}

// cutBy keeps the positions i with 0 <= Offset + c*i < Limit.
func (v interval) cutBy(m *BoundMask, c int64) interval {
	if m.Offset == -1<<63 || m.Limit == -1<<63 || c == -1<<63 {
		return v // no cut is still a correct bound
	}
	over := false
	lo, hi := -m.Offset, addOver(m.Limit-1, -m.Offset, &over)
	if over {
		return v
	}
	if c < 0 {
		lo, hi, c = -hi, -lo, -c
	}
	v.lo, v.hi = max(v.lo, -floorDiv(-lo, c)), min(v.hi, floorDiv(hi, c))
	return v
}

func floorDiv(a, n int64) int64 {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}

// proveOperand proves a matrix operand of rows x cols in bounds.
func (b *binder) proveOperand(bg *BoundGemm, o *BoundOperand, rows, cols int64) {
	addr := interval{lo: o.Offset, hi: o.Offset}
	for i, s := range o.Batch {
		if bg.Batch[i] == 0 {
			return
		}
		addr = addr.plus(s, interval{lo: 0, hi: bg.Batch[i] - 1})
	}
	if rows == 0 || cols == 0 || bg.M == 0 || bg.N == 0 {
		return
	}
	addr = addr.plus(o.Row, interval{lo: 0, hi: rows - 1})
	addr = addr.plus(o.Col, interval{lo: 0, hi: cols - 1})
	if n := b.out.Lens[o.Buf]; !addr.within(n) {
		b.fail(fmt.Errorf("%w: matrix operand has addresses %d..%d, buffer %s has %d elements",
			ErrOutOfBounds, addr.lo, addr.hi, b.k.Bufs[o.Buf].Name, n))
	}
}
