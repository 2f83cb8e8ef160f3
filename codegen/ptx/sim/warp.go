package sim

import (
	"fmt"
	"math"
	"math/bits"
)

// lanes is a register of a warp: its value in each lane.
type lanes [32]uint64

const allLanes = ^uint32(0)

// warp is 32 threads that run in step.
type warp struct {
	b      *block
	id     int
	exists uint32 // lanes that the block has
	live   uint32 // lanes that have not ended
	pc     [32]int32

	regs    []lanes  // by slot
	preds   []uint32 // by slot, a bit per lane
	written []uint32 // by slot, the lanes that wrote it
	initial []uint32 // written, at the start

	// The instruction that is carried out.
	in    *inst
	group uint32 // the lanes that have converged here
	mask  uint32 // those of them whose guard holds

	// Where the warp waits, all live lanes at one instruction.
	apart   bool // its lanes had diverged when its last turn was over
	waiting bool
	barrier int
	needs   int  // threads
	counted bool // the instruction names the number

	// What orders accesses to shared memory.
	synced    [32]syncPoint
	converged uint32     // the tick when its lanes last diverged
	clock     clock      // what is ordered before what all lanes do next
	held      clock      // and some of them
	holders   uint32     // those
	inited    [32]uint32 // ticks of the last fence.mbarrier_init of the lanes

	// What orders accesses to global memory.
	ordered [32]release   // by the last fence of the lanes; of block 0: there was none
	met     [32][]release // by atomics of the lanes since their last fence

	// What its lanes wait for in loops, at mbarriers.
	polled  *inst     // the last wait that did not succeed; nil: the last one has
	awaited *mbarrier // and its mbarrier
	stalled uint32    // lanes that go on when there is something new
	since   int64     // block.events by then

	local    []byte // of all lanes, one behind the other
	localOK  []byte // one per byte: 1 once written
	async    asyncQueue
	stores   storeQueue
	products productQueue
}

// syncPoint is the last bar.warp.sync of a lane.
type syncPoint struct {
	tick  uint32
	lanes uint32
}

func newWarp(b *block, id, threads int) *warp {
	w := &warp{b: b, id: id, exists: allLanes >> (32 - threads),
		regs: make([]lanes, b.p.slots), preds: make([]uint32, b.p.slots),
		written: make([]uint32, b.p.slots), initial: make([]uint32, b.p.slots),
		local: make([]byte, 32*b.p.localBytes), localOK: make([]byte, 32*b.p.localBytes)}
	for _, c := range b.p.consts {
		for i := range w.regs[c.slot] {
			w.regs[c.slot][i] = c.value
		}
		w.initial[c.slot] = allLanes
	}
	for _, slot := range b.p.specials {
		w.initial[slot] = allLanes
	}
	return w
}

// start makes the warp ready for the block's next place in the grid.
func (w *warp) start() {
	w.live, w.waiting, w.apart = w.exists, false, false
	w.pc = [32]int32{}
	copy(w.written, w.initial)
	clear(w.localOK)
	w.synced, w.inited, w.converged = [32]syncPoint{}, [32]uint32{}, 0
	w.clock, w.held, w.holders = w.clock[:0], w.held[:0], 0
	w.polled, w.awaited, w.stalled = nil, nil, 0
	if w.b.races != nil {
		w.ordered, w.met = [32]release{}, [32][]release{}
	}
	w.async = asyncQueue{pending: w.async.pending[:0]}
	w.stores = storeQueue{pending: w.stores.pending[:0]}
	w.products.start(len(w.regs))
	for name, slot := range w.b.p.specials {
		value := specialRegisters[name]
		for i := range w.regs[slot] {
			w.regs[slot][i] = uint64(value(w, i))
		}
	}
}

// thread is the linear index of a lane in the block.
func (w *warp) thread(lane int) int { return 32*w.id + lane }

// fail ends the run, with the fault of a lane at the current instruction. The first
// fault counts.
func (w *warp) fail(kind Kind, lane int, format string, args ...any) {
	if w.b.fault == nil {
		w.b.fault = &Fault{Kind: kind, Entry: w.b.p.Name, Inst: w.in.text, Line: w.in.line,
			Block: w.b.at, Thread: w.thread(lane), Text: fmt.Sprintf(format, args...)}
	}
}

// turn runs the warp until it waits, has ended, or its turn is over. Of lanes that
// have diverged, those at the lowest instruction go first, up to where the next
// ones are: in code laid out in order, that is where the branches meet again. Lanes
// that wait for others in a loop would so wait for ever: where a turn was over
// while the lanes were apart, the next one begins with those furthest ahead.
func (w *warp) turn() {
	steps := int64(turnSteps)
	if w.apart {
		w.apart = false
		w.ahead(steps / 2)
	}
	for steps > 0 && w.live != 0 && !w.waiting && w.stalled == 0 && w.b.fault == nil {
		pc, group, next := w.lowest()
		before := w.b.left
		w.follow(pc, group, next, min(steps, w.b.left))
		steps -= before - w.b.left
		w.apart = next != math.MaxInt32
		if w.b.left <= 0 && w.b.fault == nil {
			w.fail(EndlessLoop, bits.TrailingZeros32(w.live), "the block has taken %d steps", w.b.limit)
		}
	}
	if w.stalled != 0 && w.stalled != w.live {
		w.ahead(steps) // may be what the stalled lanes wait for
	}
	w.apart = w.apart && steps <= 0
}

// stuck reports whether lanes of the warp wait at an mbarrier where nothing has
// changed.
func (w *warp) stuck() bool { return w.stalled != 0 && w.since == w.b.events }

// lowest are the lanes that are furthest behind, where they are, and where the
// next ones are.
func (w *warp) lowest() (pc int32, group uint32, next int32) {
	pc, next = math.MaxInt32, math.MaxInt32
	for m := w.live; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		switch p := w.pc[i]; {
		case p < pc:
			pc, group, next = p, 1<<i, pc
		case p == pc:
			group |= 1 << i
		case p < next:
			next = p
		}
	}
	return pc, group, next
}

// ahead runs the lanes that are furthest ahead and not stalled, up to where lanes
// meet: the others are still to come there.
func (w *warp) ahead(steps int64) {
	for ; steps > 0 && w.b.fault == nil && w.live != 0; steps-- {
		pc, group := int32(0), uint32(0)
		for m := w.live &^ w.stalled; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			if w.pc[i] > pc {
				pc, group = w.pc[i], 0
			}
			if w.pc[i] == pc {
				group |= 1 << i
			}
		}
		if group == 0 || w.b.p.code[pc].meets {
			return
		}
		w.follow(pc, group, pc+1, 1)
	}
}

// move sets where the lanes of a mask are.
func (w *warp) move(mask uint32, pc int32) {
	for ; mask != 0; mask &= mask - 1 {
		w.pc[bits.TrailingZeros32(mask)] = pc
	}
}

// skip goes one instruction on, after a barrier.
func (w *warp) skip() {
	for i := range w.pc {
		w.pc[i]++
	}
}

// follow runs lanes that have converged at pc until they diverge, wait, end, or
// come to where other lanes are.
func (w *warp) follow(pc int32, group uint32, next int32, steps int64) {
	b := w.b
	code := b.p.code
	if w.holders != 0 && group == w.live {
		w.gather()
	}
	for ; steps > 0 && pc < next; steps-- {
		in := &code[pc]
		w.in, w.group = in, group
		b.left--
		b.stats.Steps++
		mask := group
		if in.guard >= 0 {
			mask = w.guarded(in)
		}
		b.stats.Insts += int64(bits.OnesCount32(mask))
		switch in.control {
		case computes:
			if mask != 0 {
				w.compute(in, mask)
			}
			pc++
		case branches:
			var apart bool
			if pc, apart = w.branch(in, mask, pc); apart {
				return
			}
		case polls:
			pc++
			if mask != 0 {
				w.compute(in, mask)
				if w.stalled&group != 0 {
					w.move(group, pc)
					return
				}
			}
		case ends:
			w.live &^= mask
			group &^= mask
			if group == 0 {
				return
			}
			pc++
		case waits:
			w.move(group, pc)
			if mask == 0 {
				pc++
				break
			}
			w.arrive(in, mask)
			if w.waiting || b.fault != nil {
				return
			}
			pc++
		}
		if b.fault != nil {
			return
		}
	}
	w.move(group, pc)
}

// branch takes the lanes of a mask to the instruction's target. Where the others of the
// group do not go along, all have been moved; else next is where they are.
func (w *warp) branch(in *inst, mask uint32, pc int32) (next int32, apart bool) {
	switch mask {
	case 0:
		return pc + 1, false
	case w.group:
		return in.target, false
	}
	if w.group == w.live {
		w.converged = w.b.shared.tick
	}
	w.move(mask, in.target)
	w.move(w.group&^mask, pc+1)
	return pc, true
}

// guarded are the lanes of the group for which the guard holds.
func (w *warp) guarded(in *inst) uint32 {
	if missing := w.group &^ w.written[in.guard]; missing != 0 {
		w.fail(UnwrittenRegister, bits.TrailingZeros32(missing), "the guard")
	}
	p := w.preds[in.guard]
	if in.negate {
		p = ^p
	}
	return w.group & p
}

// compute carries out an instruction for the lanes of a mask.
func (w *warp) compute(in *inst, mask uint32) {
	for i, s := range in.srcs {
		if missing := mask &^ w.written[s]; missing != 0 {
			w.unwritten(s, i, missing)
			return
		}
	}
	w.mask = mask
	for _, d := range in.dsts {
		w.written[d] |= mask
		w.products.stamps[d] = w.b.now()
	}
	in.run(w)
}

// arrive brings the lanes of a mask to a barrier of the block.
func (w *warp) arrive(in *inst, mask uint32) {
	if mask != w.live {
		w.fail(DivergentBarrier, bits.TrailingZeros32(w.live&^mask), "lanes %#x of %#x are here", mask, w.live)
		return
	}
	id, ok := w.barrierID(in.barrier, mask)
	if !ok {
		return
	}
	w.barrier, w.needs, w.counted = id, in.barrier.threads, in.barrier.threads != 0
	if !w.counted {
		w.needs = w.b.threads
	}
	w.waiting = !in.barrier.arrives
	if in.barrier.arrives {
		w.b.shared.arrivals[w.barrier]++
	}
}

// barrierID is the number of the barrier that the lanes of a mask are at.
func (w *warp) barrierID(bar barrier, mask uint32) (id int, ok bool) {
	if bar.slot == none {
		return bar.id, true
	}
	values := &w.regs[bar.slot]
	first := bits.TrailingZeros32(mask)
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		if x := values[lane]; x != values[first] || x >= numBarriers {
			w.fail(BadBarrier, lane, "barrier %d, and %d in lane %d: expected the same, below %d", x, values[first], first, numBarriers)
			return 0, false
		}
	}
	return int(values[first]), true
}
