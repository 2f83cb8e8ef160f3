package codegen

// Box is a part of a nest's outer iteration space: Lo[i] <= position < Hi[i]
// on the axis Outer[i].
type Box struct{ Lo, Hi []int64 }

// NewBox returns a box over rank outer axes, to be filled by Chunking.At.
func NewBox(rank int) Box {
	b := make([]int64, 2*rank)
	return Box{Lo: b[:rank:rank], Hi: b[rank:]}
}

// FullBox covers every outer point of the nest.
func (bn *BoundNest) FullBox() Box {
	b := NewBox(len(bn.Nest.Outer))
	for i, a := range bn.Nest.Outer {
		b.Hi[i] = bn.Extent[a]
	}
	return b
}

// InnerPoints is the number of points of the looping phases per outer point.
func (bn *BoundNest) InnerPoints() int64 {
	n := int64(1)
	for _, a := range bn.Nest.Inner {
		n *= bn.Extent[a]
	}
	return n
}

// chunkLanes keeps chunk borders on the vector axis at whole cache lines of any
// element type, so that no vector and no line is split between workers.
const chunkLanes = 64

// Chunking splits a nest's outer points into Count boxes of about equal size.
// It depends on sizes only, never on the number of threads, and is immutable:
// workers take indices and turn them into boxes without allocating.
//
// Outer axes before split advance one position per chunk, axis split in blocks,
// axes behind it are whole:
//
//	outer (B: 4, H: 8, W: 100), 300 points per chunk
//	split = H, block = 3: chunks (0, 0..2, all) (0, 3..5, all) (0, 6..7, all) (1, ...
type Chunking struct {
	Count  int64
	extent []int64 // per outer axis
	split  int     // -1: one chunk
	block  int64   // positions per chunk on the split axis
	blocks int64   // chunks along the split axis
}

// Chunks splits a nest so that each chunk has about points points, inner ones
// counted (at least one outer point). A nest without points has no chunks.
func Chunks(bn *BoundNest, points int64) Chunking {
	c := Chunking{Count: 1, split: -1, block: 1, blocks: 1}
	for _, a := range bn.Nest.Outer {
		c.extent = append(c.extent, bn.Extent[a])
	}
	if bn.Empty {
		c.Count = 0
		return c
	}
	want := max(points, 1) / max(bn.InnerPoints(), 1) // outer points per chunk
	whole := int64(1)                                 // points of the axes behind split
	for c.split = len(c.extent) - 1; c.split > 0 && whole*c.extent[c.split] <= want; c.split-- {
		whole *= c.extent[c.split]
	}
	if c.split < 0 {
		return c
	}
	n := c.extent[c.split]
	c.block = min(max(want/whole, 1), n)
	even := ceilDiv(n, ceilDiv(n, c.block))
	if bn.Nest.Outer[c.split] == bn.Nest.Vec && c.block < n {
		even = min(roundUp(even, chunkLanes), n)
	}
	c.block, c.blocks = even, ceilDiv(n, even)
	c.Count = c.blocks
	for _, e := range c.extent[:c.split] {
		c.Count *= e
	}
	return c
}

// At fills box with chunk i, 0 <= i < Count.
func (c *Chunking) At(i int64, box *Box) {
	for a := len(c.extent) - 1; a > c.split; a-- {
		box.Lo[a], box.Hi[a] = 0, c.extent[a]
	}
	if c.split < 0 {
		return
	}
	lo := i % c.blocks * c.block
	i /= c.blocks
	box.Lo[c.split], box.Hi[c.split] = lo, min(lo+c.block, c.extent[c.split])
	for a := c.split - 1; a >= 0; a-- {
		box.Lo[a] = i % c.extent[a]
		box.Hi[a] = box.Lo[a] + 1
		i /= c.extent[a]
	}
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

func roundUp(a, b int64) int64 { return ceilDiv(a, b) * b }
