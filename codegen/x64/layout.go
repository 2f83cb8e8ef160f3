package x64

import (
	"slices"

	"jitc/codegen"
)

// layout is the argument block: where each run-time number lies, in bytes from
// its start. Its machine-word part is filled once per recording, a few words of
// it again for every chunk; the rest is working memory of the code.
//
//	counts | levels | stream pointers, increments | lane offsets | sizes
//	| homes of values that cross segments | scratch | spill slots
type layout struct {
	size         int32
	vecN, vecLo  int32 // points of the vector axis, and where they start
	save         [2]int32
	levels       []level
	nOuter       int
	ptr          []int32 // by stream: current address
	base         []int32 // by stream: address of the origin
	vecStep      []int32 // by stream: bytes from lane to lane
	lanePtr      []int32 // by stream: address within the vector loop
	laneStep     []int32 // by stream: what c vectors add to it, at +8*c
	laneOff      []int32 // by stream: a table, one offset per lane
	rewind       []int32 // by stream: undoes a phase's loops
	dyn          []int32 // by data-dependent index: stride in bytes
	sizes        []int32 // by value: a Size, in every lane; 0: no slot
	home         []int32 // by loc: a value that crosses segments; 0: no slot
	acc          int32   // accumulators kept in memory
	lanes, table int32   // scratch: a vector of values; one 8-byte word per lane
	operands     []int32 // scratch: vectors, two or one per index of a gather
	spill        int32
}

// level is the slots of one scalar loop.
type level struct {
	axis             int
	box              int // an outer axis's place in Nest.Outer
	n, count, lo, at int32
	inc              []int32 // by stream; 0: does not move
	step             []int32 // by stream: bytes per step of the axis, read by Place
}

func (l *layout) word() int32 { l.size += 8; return l.size - 8 }

func (l *layout) block(n, align int32) int32 {
	l.size = (l.size+align-1)&^(align-1) + n
	return l.size - n
}

// newLayout places everything but the spill slots, which grow at the end.
func newLayout(p *plan) *layout {
	l := &layout{nOuter: len(p.outer)}
	l.vecN, l.vecLo = l.word(), l.word()
	l.save = [2]int32{l.word(), l.word()}
	for _, a := range append(append([]int(nil), p.outer...), p.inner...) {
		l.levels = append(l.levels, level{axis: a, box: slices.Index(p.nest.Outer, a), n: l.word(), count: l.word(), lo: l.word(), at: l.word()})
	}
	for s := range p.streams {
		l.ptr, l.base, l.rewind = append(l.ptr, l.word()), append(l.base, l.word()), append(l.rewind, l.word())
		for i := range l.levels {
			l.levels[i].inc = append(l.levels[i].inc, l.incSlot(p, s, i))
			l.levels[i].step = append(l.levels[i].step, l.word())
		}
		l.vecStep = append(l.vecStep, l.word())
		l.lanePtr, l.laneStep, l.laneOff = append(l.lanePtr, l.word()), append(l.laneStep, 0), append(l.laneOff, 0)
		if p.streams[s].lane {
			l.laneStep[s] = l.block(8*(maxUnroll+1), 8)
			l.laneOff[s] = l.block(8*int32(p.lanes), 64)
		}
	}
	for i := range p.accs {
		for range p.accs[i].dyn {
			l.dyn = append(l.dyn, l.word())
		}
	}
	l.values(p)
	if p.tile != nil {
		p.tile.place(p, l)
	}
	l.spill = l.block(0, 64)
	return l
}

// incSlot is the slot of what one step of a loop adds to a stream's pointer: the
// axis's stride, less what the loop inside it has added. 0 if both are zero.
func (l *layout) incSlot(p *plan, s, i int) int32 {
	moves := p.streams[s].moves
	move := moves>>l.levels[i].axis&1 != 0
	if next := i + 1; next < len(l.levels) && (next < l.nOuter) == (i < l.nOuter) {
		move = move || moves>>l.levels[next].axis&1 != 0
	}
	if !move {
		return 0
	}
	return l.word()
}

func (l *layout) values(p *plan) {
	bytes := int32(p.full.Bytes())
	l.sizes = make([]int32, len(p.vals))
	l.home = make([]int32, len(p.vals)*maxUnroll)
	for v := range p.vals {
		if p.nest.Insts[v].Op == codegen.Size {
			l.sizes[v] = l.block(bytes, 64)
		}
		if !p.vals[v].global {
			continue
		}
		for c := range p.copies(codegen.Val(v)) {
			l.home[v*maxUnroll+c] = l.block(bytes, 64)
		}
	}
	most := 0
	for i := range p.segs {
		most = max(most, len(p.segs[i].reduce))
	}
	l.acc = l.block(bytes*int32(most*maxUnroll), 64)
	l.lanes = l.block(128, 64)
	l.table = l.block(8*int32(p.lanes), 64)
	operands := 2
	for i := range p.accs {
		operands = max(operands, len(p.accs[i].dyn))
	}
	for range operands {
		l.operands = append(l.operands, l.block(128, 64))
	}
}

// copies is how many copies of a value exist in an unrolled body.
func (p *plan) copies(v codegen.Val) int {
	if p.vals[v].varying && p.mode == modeOuter {
		return maxUnroll
	}
	return 1
}
