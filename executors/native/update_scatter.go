package native

import (
	"fmt"
	"math/bits"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// scatter is a scatter whose elements are combined as they are, in one stage: chunks
// have leading indices, or columns, or places, of which each looks for its own among
// all updates.
type scatter struct {
	*executors.Scatter
	size    int // of an element
	at      tensor.DType
	combine combineRows
}

// newScatter is the part of an update behind the moves that make it ready.
func newScatter(v *ir.Value, all *executors.Moves) (updater, error) {
	dt, combine := v.Type.DType, v.Attrs.Str("combine", "")
	g := all.Scatter
	s := &scatter{Scatter: g, size: dt.Size(), at: v.Args[1].Type.DType, combine: scatterRows[dt][combine]}
	if combine == "set" {
		s.combine = setters[s.size]
	}
	if s.combine != nil {
		return s, nil
	}
	f, ok := narrowFloats[dt]
	if !ok || carries[combine] == nil {
		panic("BUG: native: scatter by " + combine + " of " + dt.String())
	}
	c := &carried{scatter: s, base: all.Scratch, widen: f.widen, round: f.round, carry: carries[combine], shift: bits.Len(uint(max(g.Picks-1, 0)))}
	c.passes = divUp(bits.Len(uint(max(g.Size-1, 0))), digitBits)
	if c.shift+bits.Len(uint(g.Size)) > 64 {
		return nil, fmt.Errorf("scatter: expected sizes of fewer than 64 bits together, got %d updates of %d places", g.Picks, g.Size)
	}
	return c, nil
}

// shared is how many sets of indices there are.
func (s *scatter) shared() int {
	if s.Outer == 0 {
		return 0
	}
	return s.Lead / s.Outer
}

func (*scatter) scratchBytes() int { return 0 }
func (*scatter) stages() int       { return 1 }
func (s *scatter) most() int       { return divUp(s.Elements()*s.size, chunkUpdates) }

func (s *scatter) chunks(u *updateRun, _ int) int {
	if s.Elements() == 0 {
		return 0
	}
	leads, parts, _ := s.divide(u)
	return leads * parts
}

func (s *scatter) chunk(u *updateRun, _, chunk, worker int) {
	to, from := u.at(s.Result, s.size), u.buffer(s.Updates.Buf)
	leads, parts, columns := s.divide(u)
	lo, hi := share(s.Lead, chunk/parts, leads)
	at := span{row: s.Row, hi: s.Row, end: s.Size, step: s.PickStride}
	if columns {
		at.lo, at.hi = share(s.Row, chunk%parts, parts)
	} else {
		at.first, at.end = share(s.Size, chunk%parts, parts)
	}
	row, block := s.Row*s.size, &u.blocks[worker].places
	for i := lo; i < hi; i++ {
		dst := to[i*s.Size*row:][:s.Size*row]
		for k := 0; k < s.Picks; k += len(block) {
			n := min(len(block), s.Picks-k)
			s.clamp(u, i/s.Outer*s.Picks+k, block[:n])
			at.from = s.Updates.Offset + i*s.LeadStride + k*s.PickStride
			s.combine(dst, from, block[:n], at)
		}
	}
}

// clamp clamps the indices from number first on.
func (s *scatter) clamp(u *updateRun, first int, dst []int64) {
	places(s.at, u.at(s.Indices, s.at.Size())[first*s.at.Size():], dst, s.Size-1)
}

const (
	// chunkUpdates is the bytes of updates that a chunk is worth.
	chunkUpdates = 64 << 10
	// columnBytes is the least that a chunk takes of a row.
	columnBytes = 256
	// placeBytes is the least row of chunks of places: what a worker saves by leaving
	// other rows out is lost where the processor cannot foresee which.
	placeBytes = 64
)

// divide says into how many chunks the leading indices are divided, and, where those
// are too few for the workers, into how many columns or places each of them. It may
// depend on the workers: who applies an update does not matter, but one does all
// updates of an element.
func (s *scatter) divide(u *updateRun) (leads, parts int, columns bool) {
	want := min(divUp(s.Elements()*s.size, chunkUpdates), 4*u.workers)
	leads = max(min(want, s.Lead), 1)
	if parts = min(want/leads, u.workers); parts <= 1 {
		return leads, 1, false
	}
	if n := s.Row * s.size / columnBytes; n >= parts {
		return leads, parts, true
	}
	if s.Row*s.size < placeBytes {
		return leads, 1, false
	}
	return leads, min(parts, s.Size), false
}
