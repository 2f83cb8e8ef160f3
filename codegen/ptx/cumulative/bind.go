package cumulative

import (
	"fmt"
	"math"

	"jitc/codegen/ptx"
)

// Sizes are those of an operand [Outer][Axis][Inner], contiguous, in buffer 0; the
// result, in buffer 1, has the same. Reverse begins at the ends of lines.
type Sizes struct {
	Outer, Axis, Inner int
	Reverse            bool
}

const (
	// shortLine is the longest line of neighbours that has one thread: a warp's lines
	// of 32 elements stay in the first cache while they are walked.
	shortLine = 32
	// leastTiles is how many tiles a part has at least, leastColumn how many elements
	// another line that is cut: with fewer, one more launch would take longer.
	leastTiles  = 2
	leastColumn = 256
	// fewBlocks is how many blocks a multiprocessor has at least, unless lines are cut;
	// manyBlocks is how many it has if they are, or a little more.
	fewBlocks, manyBlocks = 2, 4
	// maxBlocks is the most of a launch.
	maxBlocks = math.MaxInt32
)

// Bind plans sizes, which an operand in memory has: their product, in bytes, is an
// int. Errors are those of Supported, and of sizes that take too many blocks.
func Bind(p Problem, arch int, s Sizes, multiprocessors int) (*ptx.Plan, error) {
	if err := Supported(p, arch); err != nil {
		return nil, err
	}
	plan := &ptx.Plan{}
	if s.Outer == 0 || s.Axis == 0 || s.Inner == 0 {
		return plan, nil
	}
	c := s.cut(multiprocessors)
	if c.blocks > maxBlocks/c.parts {
		return nil, fmt.Errorf("cumulative: expected at most %d blocks, got %d parts of %d blocks for %+v", maxBlocks, c.parts, c.blocks, s)
	}
	if c.parts > 1 {
		plan.Scratch = s.Outer * s.Inner * (c.parts - 1) * p.compute().Size()
		plan.Launches = append(plan.Launches, s.params(p, c, c.parts-1).Launch(c.totals, c.blocks*(c.parts-1), threads))
	}
	plan.Launches = append(plan.Launches, s.params(p, c, c.parts).Launch(c.entry, c.blocks*c.parts, threads))
	return plan, nil
}

// cut says how lines are divided.
type cut struct {
	entry, totals string
	blocks        int // for one part of all lines
	part, parts   int // elements of a part, and how many of a line
}

func (s Sizes) cut(multiprocessors int) cut {
	if s.Inner == 1 && s.Axis > shortLine {
		c := cut{entry: EntryRows, totals: EntryRowTotals, blocks: s.Outer}
		return c.into(s.Axis, tile, s.Axis/(leastTiles*tile), multiprocessors)
	}
	c := cut{entry: EntryColumns, totals: EntryColumnTotals, blocks: divUp(s.Outer*s.Inner, threads)}
	// A thread walks a part and, before it, the totals of up to all parts: with more
	// than the root of the axis of these, the totals would take longer.
	most := int(math.Sqrt(float64(s.Axis / unroll)))
	if s.Axis < leastColumn {
		most = 1
	}
	return c.into(s.Axis, unroll, most, multiprocessors)
}

// into cuts lines where there are few blocks, into at most so many parts, each a
// multiple of unit elements but the last.
func (c cut) into(axis, unit, most, multiprocessors int) cut {
	c.part, c.parts = axis, 1
	if c.blocks >= fewBlocks*multiprocessors || most < 2 {
		return c
	}
	want := min(most, divUp(manyBlocks*multiprocessors, c.blocks))
	c.part = divUp(divUp(axis, want), unit) * unit
	c.parts = divUp(axis, c.part)
	return c
}

// params are those of a launch for so many parts of each line.
func (s Sizes) params(p Problem, c cut, parts int) *ptx.Block {
	b, size := ptx.NewBlock(params), p.DType.Size()
	b.Operand("x", 0, 0)
	b.Operand("out", 1, 0)
	if c.parts > 1 {
		b.Operand("totals", ptx.Scratch, 0)
	}
	first, step := 0, s.Inner*size
	if s.Reverse {
		first, step = (s.Axis-1)*step, -step
	}
	b.Long("first", first)
	b.Long("step", step)
	b.Long("axis", s.Axis)
	b.Long("part", c.part)
	b.Long("inner", s.Inner)
	b.Long("lines", s.Outer*s.Inner)
	b.Long("apart", s.Axis*s.Inner*size)
	b.Word("blocks", c.blocks)
	b.Word("parts", parts)
	b.Word("cuts", c.parts-1)
	return b
}

func divUp(n, by int) int { return (n + by - 1) / by }
