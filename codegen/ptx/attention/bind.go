package attention

import (
	"fmt"
	"math"

	"jitc/codegen/ptx/asm"
)

// Operand is a buffer that a launch takes.
type Operand uint8

// The operands. Scratch is the plan's temporary memory; Counters are Plan.Counters
// bytes that are zero before a run, and zero again behind it.
const (
	Q Operand = iota
	K
	V
	Mask
	O
	Stats // f32[lead..., queries], contiguous
	Scratch
	Counters
)

// Plan is the launches of a problem at concrete sizes, in order: each sees all
// writes of the one before. Immutable.
type Plan struct {
	Launches []Launch
	Scratch  int // bytes of temporaries, at a multiple of 16
	Counters int // bytes, at a multiple of 4; runs under way at the same time must not share them
}

// Launch is one launch of an entry.
type Launch struct {
	Entry       string
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	Params      []byte // the packed parameter block, complete but for Pointers
	Pointers    []Pointer
}

// Pointer is an address in a parameter block: the 8 bytes at At become that of the
// operand, plus Offset bytes.
type Pointer struct {
	At      int
	Operand Operand
	Offset  int64
}

// Bind plans the launches of the entries that Emit makes of the problem for the
// architecture, at concrete sizes, on a device of that many multiprocessors.
func Bind(p Problem, arch int, s Sizes, multiprocessors int) (*Plan, error) {
	return bind(p, arch, s, multiprocessors, (*binding).joins)
}

// bind is Bind with a choice of where splits are combined.
func bind(p Problem, arch int, s Sizes, multiprocessors int, joins func(*binding) bool) (*Plan, error) {
	if err := Supported(p, arch); err != nil {
		return nil, err
	}
	if err := s.check(p.operands(&s)); err != nil {
		return nil, err
	}
	f, err := p.folded(s)
	if err != nil {
		return nil, err
	}
	ts, err := p.tiles(arch)
	if err != nil {
		return nil, err
	}
	lead := f.Lead[0] * f.Lead[1] * f.Lead[2]
	if lead*f.Queries == 0 {
		return &Plan{}, nil
	}
	entry, t, room := EntryWide, ts.wide, roomWide
	if f.Queries <= 2*ts.few.rows(p) {
		entry, t, room = EntryFew, ts.few, roomFew
	}
	b := binding{p: p, s: f, t: t, lead: lead}
	b.queryTiles = divUp(f.Queries, t.rows(p))
	if lead > math.MaxInt32/max(b.queryTiles, divUp(f.Queries, combineWarps)) {
		return nil, fmt.Errorf("attention: sizes: expected fewer than 2**31 tiles of queries, got %d leading indices of %d queries", lead, f.Queries)
	}
	b.split(room * multiprocessors)
	return b.plan(entry, b.splits > 1 && entry == EntryFew && joins(&b)), nil
}

// Rooms are the blocks of an entry that a multiprocessor works on at a time, about.
const (
	roomWide = 1
	roomFew  = 4
)

// binding is a plan in the making.
type binding struct {
	p                            Problem
	s                            Sizes // folded
	t                            tile
	lead                         int
	queryTiles, splits, perSplit int
}

// minTiles is the fewest tiles of a split: less is not worth its sums, which are
// stored, and read again.
const minTiles = 2

// split divides keys among blocks until there are that many of them. The splits
// depend on sizes and device only.
func (b *binding) split(blocks int) {
	keyTiles := divUp(b.s.Keys, b.t.keys)
	b.splits = min(blocks/(b.lead*b.queryTiles), keyTiles/minTiles)
	b.splits = max(b.splits, 1)
	b.perSplit = max(divUp(keyTiles, b.splits), 1)
	b.splits = max(divUp(keyTiles, b.perSplit), 1)
}

// plan makes the launches. joins says that the last block of a tile combines its splits.
func (b *binding) plan(entry string, joins bool) *Plan {
	plan := &Plan{}
	block := b.params()
	pointers := b.pointers(block)
	sums := int64(0)
	if b.splits > 1 {
		rows := b.lead * b.s.Queries * b.splits
		sums = int64(4 * rows * b.p.partCols())
		plan.Scratch = int(sums) + 8*rows
		pointers = append(pointers, Pointer{block.Place("part"), Scratch, 0}, Pointer{block.Place("sums"), Scratch, sums})
	}
	if joins {
		plan.Counters = counterBytes * b.lead * b.queryTiles
		pointers = append(pointers, Pointer{block.Place("count"), Counters, 0})
	}
	launch := Launch{
		Entry: entry, Grid: [3]uint32{uint32(b.lead * b.queryTiles), uint32(b.splits), 1},
		Block: [3]uint32{uint32(b.t.threads()), 1, 1}, Shared: uint32(b.p.layout(b.t).bytes),
		Params: block.Bytes, Pointers: pointers,
	}
	plan.Launches = append(plan.Launches, launch)
	if b.splits > 1 && !joins {
		launch.Entry, launch.Shared = EntryCombine, 0
		launch.Grid = [3]uint32{uint32(divUp(b.lead*b.s.Queries, combineWarps)), 1, 1}
		launch.Block = [3]uint32{32 * combineWarps, 1, 1}
		plan.Launches = append(plan.Launches, launch)
	}
	return plan
}

// params fills in the parameter block.
func (b *binding) params() *asm.Block {
	block := forwardParams.Block()
	setStrides(block, b.p.operands(&b.s))
	for name, n := range map[string]int{
		"lead": b.lead, "lead1": b.s.Lead[1], "lead2": b.s.Lead[2], "queries": b.s.Queries, "keys": b.s.Keys,
		"querytiles": b.queryTiles, "splits": b.splits, "tilespersplit": b.perSplit,
	} {
		block.Word(name, n)
	}
	factor, negate := b.p.factors(b.s.Scale)
	block.Float("factor", factor)
	block.Word("negate", int(negate))
	return block
}

// pointers to the caller's operands.
func (b *binding) pointers(block *asm.Block) []Pointer {
	ps := []Pointer{{block.Place("q"), Q, 0}, {block.Place("k"), K, 0}, {block.Place("v"), V, 0}, {block.Place("o"), O, 0}}
	if b.p.Mask != NoMask {
		ps = append(ps, Pointer{block.Place("mask"), Mask, 0})
	}
	if b.p.Stats {
		ps = append(ps, Pointer{block.Place("stats"), Stats, 0})
	}
	return ps
}
