package sim

import (
	"fmt"
	"math/bits"
)

// block is the block that runs, and what it shares. One block value runs all blocks
// of a launch, one after another.
type block struct {
	p      *program
	m      *Module
	mem    *Memory
	launch Launch
	seed   uint64 // of Options.Perturb; 0: no perturbation
	limit  int64
	left   int64 // steps
	stats  Stats
	fault  *Fault

	at      [3]int
	index   int         // of at, in the grid
	races   *blockRaces // nil: not asked for
	threads int
	warps   []*warp
	first   int // the warp that runs first
	near    []*region
	shared  sharedMemory
	events  int64 // what has happened at mbarriers: who waits there looks again
	// mbarriers are those of shared memory, in the order of their making.
	mbarriers []*mbarrier
	tiles     matrixTiles
}

func newBlock(p *program, m *Module, mem *Memory, l Launch, o Options) *block {
	b := &block{p: p, m: m, mem: mem, launch: l, limit: o.MaxSteps, near: make([]*region, p.caches),
		threads: l.Block[0] * l.Block[1] * l.Block[2]}
	n := (b.threads + 31) / 32
	if o.Perturb != 0 {
		b.seed = mix(uint64(o.Perturb)) | 1
		b.first = int(b.seed>>8) % n
	}
	if o.GlobalRaces {
		b.races = &blockRaces{pages: map[uint64]*racePage{}, released: map[uint64][]release{}}
	}
	bytes := p.StaticShared
	if l.Shared > 0 {
		bytes = p.dynamic + l.Shared
	}
	b.shared = newShared(bytes, p.grain, n, p.partial)
	for i := range n {
		b.warps = append(b.warps, newWarp(b, i, min(32, b.threads-32*i)))
	}
	return b
}

// start makes it the block of that index in the grid.
func (b *block) start(index int) {
	grid := b.launch.Grid
	b.index, b.left = index, b.limit
	b.at = [3]int{index % grid[0], index / grid[0] % grid[1], index / grid[0] / grid[1]}
	b.shared.start()
	b.mbarriers, b.events = b.mbarriers[:0], 0
	if b.races != nil {
		b.races.acquired = b.races.acquired[:0]
	}
	for _, w := range b.warps {
		w.start()
	}
}

// turnSteps is how many instructions a warp carries out before the next one has its
// turn: without a bound, a warp that waits for a flag would wait for ever.
const turnSteps = 1 << 16

// run runs the block to its end, or to a fault. Warps take turns: each runs until
// it waits for a barrier, or its turn is over.
func (b *block) run() {
	for b.fault == nil {
		running, ended := false, 0
		for i := range b.warps {
			w := b.warps[(b.first+i)%len(b.warps)]
			if w.live == 0 {
				ended++
			} else if !w.waiting && !w.stuck() {
				running = true
				w.stalled = 0
				w.turn()
			}
			if b.fault != nil {
				return
			}
		}
		switch {
		case ended == len(b.warps):
			b.end()
			return
		case !running && !b.release():
			b.deadlock()
		}
	}
}

// end checks at the end of a block that nothing is left undone.
func (b *block) end() {
	b.endGroups()
	b.endCopies()
	b.endRegisters()
}

// release lets the warps go whose barrier is complete, and reports whether there
// were any.
func (b *block) release() bool {
	for _, w := range b.warps {
		if !w.waiting {
			continue
		}
		here, threads := b.arrived(w)
		if threads < w.needs {
			continue
		}
		b.pass(here)
		return true
	}
	return false
}

// arrived are the warps at the barrier at which w waits, and how many threads they
// count. A barrier that names a number of threads counts whole warps, and lets no
// more than that number pass.
func (b *block) arrived(w *warp) (here []*warp, threads int) {
	threads = 32 * b.shared.arrivals[w.barrier]
	for _, o := range b.warps {
		if !o.waiting || o.barrier != w.barrier || o.needs != w.needs || w.counted && threads >= w.needs {
			continue
		}
		here = append(here, o)
		if w.counted {
			threads += 32
		} else {
			threads += bits.OnesCount32(o.live)
		}
	}
	return here, threads
}

// pass lets the warps go that wait at a barrier.
func (b *block) pass(here []*warp) {
	first := here[0]
	for _, w := range here[1:] {
		if !first.counted && w.pc[0] != first.pc[0] {
			in := &b.p.code[first.pc[0]]
			w.in = &b.p.code[w.pc[0]]
			w.fail(DivergentBarrier, bits.TrailingZeros32(w.live), "warp %d waits at another barrier instruction, on line %d", first.id, in.line)
			return
		}
	}
	b.stats.Barriers++
	b.shared.barrier(here, first.barrier, len(here) == len(b.warps))
	for _, w := range here {
		w.waiting = false
		w.skip()
	}
}

// deadlock is the fault of a block whose warps all wait or have ended.
func (b *block) deadlock() {
	var waits *warp
	ended := ""
	for _, w := range b.warps {
		if w.stalled != 0 {
			b.stuckAt(w)
			return
		}
		if w.waiting && waits == nil {
			waits = w
		}
		if w.live != w.exists {
			ended += fmt.Sprintf(" %d", w.id)
		}
	}
	_, n := b.arrived(waits)
	waits.in = &b.p.code[waits.pc[bits.TrailingZeros32(waits.live)]]
	text := fmt.Sprintf("barrier %d expects %d threads, but %d arrive", waits.barrier, waits.needs, n)
	if ended != "" {
		text += "; threads have ended in warps" + ended
	}
	waits.fail(BarrierDeadlock, bits.TrailingZeros32(waits.live), "%s", text)
}
