package x64

import (
	"unsafe"

	"jitc/codegen"
)

// filler is what Fill and Place need of a plan.
type filler struct {
	accs    []filledAccess
	streams []filledStream
	outer   []int // outer axes, the vector axis too
	sizes   []filledSize
	vec     int
	mode    mode
	lanes   int
	bytes   int // of a vector
	tile    *tilePlan
}

type filledAccess struct{ dyn, esize int32 } // first slot in layout.dyn

type filledStream struct {
	acc   int
	esize int64
	lane  bool
	tile  bool // reads the tile of a product
}

type filledSize struct {
	val  int
	size int // bytes
}

func newFiller(p *plan) filler {
	f := filler{outer: p.nest.Outer, vec: p.nest.Vec, mode: p.mode, lanes: p.lanes, bytes: p.full.Bytes(), tile: p.tile}
	for i := range p.accs {
		f.accs = append(f.accs, filledAccess{int32(p.accs[i].dynAt), p.accs[i].esize})
	}
	for _, s := range p.streams {
		f.streams = append(f.streams, filledStream{acc: s.acc, esize: int64(p.accs[s.acc].esize), lane: s.lane,
			tile: p.kern.Bufs[p.nest.Accs[s.acc].Buf].Kind == codegen.Tile})
	}
	for v := range p.vals {
		if in := &p.nest.Insts[v]; in.Op == codegen.Size {
			f.sizes = append(f.sizes, filledSize{v, in.Type.Size()})
		}
	}
	return f
}

// ArgsSize is the bytes of an argument block. Its memory must stay in place (heap
// or pinned) and should start at a multiple of 64.
func (c *Code) ArgsSize() int { return int(c.layout.size) }

// word is the 8-byte word at a slot.
func word(args unsafe.Pointer, slot int32) *int64 { return (*int64)(unsafe.Add(args, slot)) }

// Fill writes everything but a chunk's place into an argument block: once per
// worker and recording. bn is the nest bound to concrete sizes, bases the address
// of each buffer's first element (a worker's own for Row and Tile buffers).
func (c *Code) Fill(args unsafe.Pointer, bn *codegen.BoundNest, bases []uintptr) {
	l, f := c.layout, &c.fill
	if f.mode == modeInner {
		*word(args, l.vecN), *word(args, l.vecLo) = bn.Extent[f.vec], 0
	}
	for i := range l.levels {
		if lv := &l.levels[i]; i >= l.nOuter {
			*word(args, lv.n), *word(args, lv.lo) = bn.Extent[lv.axis], 0
		}
	}
	for s := range f.streams {
		c.fillStream(args, bn, s)
		c.rebase(args, bn, s, bases)
	}
	for i, a := range f.accs {
		for j, d := range bn.Accs[i].Dyn {
			*word(args, l.dyn[int(a.dyn)+j]) = d.Stride * int64(a.esize)
		}
	}
	for _, s := range f.sizes {
		for at := 0; at < f.bytes; at += s.size {
			p := unsafe.Add(args, int(l.sizes[s.val])+at)
			if s.size == 8 {
				*(*int64)(p) = bn.Sizes[s.val]
			} else {
				*(*int32)(p) = int32(bn.Sizes[s.val])
			}
		}
	}
}

// SetBases replaces the buffers' addresses that Fill was given; Place takes them
// into use.
func (c *Code) SetBases(args unsafe.Pointer, bn *codegen.BoundNest, bases []uintptr) {
	for s := range c.fill.streams {
		c.rebase(args, bn, s, bases)
	}
}

func (c *Code) rebase(args unsafe.Pointer, bn *codegen.BoundNest, s int, bases []uintptr) {
	st := &c.fill.streams[s]
	a := &bn.Accs[st.acc]
	*word(args, c.layout.base[s]) = int64(bases[a.Buf]) + a.Offset*st.esize
}

func (c *Code) fillStream(args unsafe.Pointer, bn *codegen.BoundNest, s int) {
	l, f, st := c.layout, &c.fill, &c.fill.streams[s]
	strides := bn.Accs[st.acc].Strides
	for i := len(l.levels) - 1; i >= 0; i-- {
		lv := &l.levels[i]
		step := strides[lv.axis] * st.esize
		*word(args, lv.step[s]) = step
		if i < l.nOuter || lv.inc[s] == 0 {
			continue
		}
		if i+1 < len(l.levels) {
			next := &l.levels[i+1]
			step -= bn.Extent[next.axis] * strides[next.axis] * st.esize
		}
		*word(args, lv.inc[s]) = step
	}
	if l.nOuter < len(l.levels) {
		axis := l.levels[l.nOuter].axis
		*word(args, l.rewind[s]) = -bn.Extent[axis] * strides[axis] * st.esize
	}
	if t := f.tile; t != nil {
		span := strides[t.axis] * st.esize * int64(f.lanes)
		*word(args, t.back[s]), *word(args, t.ahead[s]) = -span, span
	}
	if f.vec < 0 {
		return
	}
	lane := strides[f.vec] * st.esize
	*word(args, l.vecStep[s]) = lane
	if !st.lane {
		return
	}
	for i := range f.lanes {
		*word(args, l.laneOff[s]+int32(8*i)) = lane * int64(i)
	}
	for i := range maxUnroll + 1 {
		*word(args, l.laneStep[s]+int32(8*i)) = lane * int64(i*f.lanes)
	}
}

// Place points an argument block at a part of the outer iteration space: box
// gives one range per axis of the nest's Outer. It writes a few words and
// allocates nothing.
func (c *Code) Place(args unsafe.Pointer, box codegen.Box) {
	l, f := c.layout, &c.fill
	for i := range l.nOuter {
		lv := &l.levels[i]
		*word(args, lv.n), *word(args, lv.lo) = box.Hi[lv.box]-box.Lo[lv.box], box.Lo[lv.box]
	}
	vecLo := int64(0)
	if f.mode == modeOuter {
		last := len(f.outer) - 1
		vecLo = box.Lo[last]
		*word(args, l.vecN), *word(args, l.vecLo) = box.Hi[last]-vecLo, vecLo
	}
	for s := range f.streams {
		at := *word(args, l.base[s])
		inside := int64(0) // what the loop inside adds in all
		for i := l.nOuter - 1; i >= 0; i-- {
			lv := &l.levels[i]
			step := *word(args, lv.step[s])
			at += box.Lo[lv.box] * step
			if lv.inc[s] != 0 {
				*word(args, lv.inc[s]) = step - inside
			}
			inside = (box.Hi[lv.box] - box.Lo[lv.box]) * step
		}
		if vecLo != 0 {
			at += vecLo * *word(args, l.vecStep[s])
		}
		*word(args, l.ptr[s]) = at
	}
}

// SetTile says, after Fill, that rows of the product's tile lie stride elements
// apart, whatever the nest's own stride.
func (c *Code) SetTile(args unsafe.Pointer, stride int64) {
	l, f := c.layout, &c.fill
	for s := range f.streams {
		if !f.streams[s].tile {
			continue
		}
		row, step := f.outer[len(f.outer)-2], stride*f.streams[s].esize
		for i := range l.nOuter {
			if l.levels[i].axis == row {
				*word(args, l.levels[i].step[s]) = step
			}
		}
		if t := f.tile; t != nil && t.axis == row { // transposed loads step along the rows
			span := step * int64(f.lanes)
			*word(args, t.back[s]), *word(args, t.ahead[s]) = -span, span
		}
	}
}

// PlaceTile is Place for the epilogue of a product: the first point of the box is
// the first element of the tile at the given address.
func (c *Code) PlaceTile(args unsafe.Pointer, box codegen.Box, tile uintptr) {
	c.Place(args, box)
	for s := range c.fill.streams {
		if c.fill.streams[s].tile {
			*word(args, c.layout.ptr[s]) = int64(tile)
		}
	}
}
