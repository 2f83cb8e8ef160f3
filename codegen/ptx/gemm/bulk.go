package gemm

import "jitc/codegen/ptx/asm"

// bulkProduct is the state of the template that copies in bulk. Its blocks are
// persistent, one per multiprocessor: block i does tiles i, i + blocks, i + 2 blocks.
// A warp group produces, one thread of it, and the others consume:
//
//	producer     wait empty[s]     copy A, B to stage s          next s
//	consumers    wait full[s]      multiply stage s, arrive at empty[s-1] ... end of the tile
//
// The stages are a ring that goes on from tile to tile of C, so that the copies for
// the next one run while consumers end this. Each stage has two barriers of shared
// memory (mbarrier):
//
//	full    completed by the bytes that its copies bring
//	empty   completed by an arrival of each consuming warp, behind its product
//
// With Config.PingPong consumers take tiles in turn, and pass over the stages of each
// other's. A group begins to multiply when the other has begun its last product, not
// before: it could not tell the phases of stages that are still to be filled for that.
//
//	turn    of a group, completed by an arrival of each warp of the other
//
// A barrier's phases are told apart by parity. In the ring's n-th round, from 0,
// consumers wait for the phase of parity n%2 of full, and the producer for the one
// before of empty, of parity (n+1)%2, which a new barrier counts as complete.
//
//	shared   stage 0 | stage 1 | ... | a piece of sums per warp | full 0, 1 ... | empty 0, 1 ... | turn 0, 1
type bulkProduct struct {
	*emitter
	stage    int     // bytes
	barriers int     // their offset
	current  asm.Reg // B32, the ring's place: its stage,
	full     asm.Reg // B32, barrier,
	phase    asm.Reg // B32, and parity of the round
}

// barrierBytes is the size of a barrier of shared memory.
const barrierBytes = 8

// Registers per thread. Three groups start with the most that a multiprocessor has
// for each of 384 threads, 168; what the producer gives up is the consumers'.
const (
	producerRegisters = 40
	consumerRegisters = 232
)

// emptyAt is the place of a stage's second barrier, from the first on.
func (c Config) emptyAt() int { return c.Stages * barrierBytes }

// turnAt is the place of the groups' barriers, from the first on.
func (c Config) turnAt() int { return 2 * c.Stages * barrierBytes }

// turns is the number of groups that take turns.
func (c Config) turns() int {
	if c.PingPong {
		return c.WM / groupWarps
	}
	return 0
}

// emptiers is the number of warps that multiply a stage.
func (c Config) emptiers() int {
	if c.PingPong {
		return groupWarps
	}
	return c.WM
}

// barriersAt is the place of the barriers in shared memory.
func (c Config) barriersAt(p Problem) int {
	return c.Stages*c.stageBytes(p) + c.WM*pieceBytes
}

// bulk emits the template.
func (e *emitter) bulk() {
	g := &bulkProduct{emitter: e, stage: e.c.stageBytes(e.p), barriers: e.c.barriersAt(e.p)}
	g.initialise()
	g.current, g.full, g.phase = g.Reg(asm.B32), g.Reg(asm.B32), g.Reg(asm.B32)
	g.Set(g.current, "mov.b32", g.shared)
	g.Set(g.full, "add.u32", g.shared, g.barriers)
	g.Set(g.phase, "mov.b32", 0)
	consume, end := g.NewLabel(), g.NewLabel()
	g.EmitIf(g.pred("setp.lt.u32", g.tid, g.c.consumers()), "bra", consume)
	g.Emit("setmaxnreg.dec.sync.aligned.u32", producerRegisters)
	g.EmitIf(g.pred("setp.ne.u32", g.tid, g.c.consumers()), "bra", end)
	g.eachTile(g.produce())
	g.Emit("bra", end)
	g.Place(consume)
	g.Emit("setmaxnreg.inc.sync.aligned.u32", consumerRegisters)
	g.eachTile(g.consume())
	g.Place(end)
}

// initialise makes the barriers, of which asynchronous copies and all threads know
// behind it.
func (g *bulkProduct) initialise() {
	done := g.NewLabel()
	g.EmitIf(g.pred("setp.ne.u32", g.tid, 0), "bra", done)
	for s := range g.c.Stages {
		at := g.barriers + s*barrierBytes
		g.Emit("mbarrier.init.shared::cta.b64", asm.At(g.shared, at), 1)
		g.Emit("mbarrier.init.shared::cta.b64", asm.At(g.shared, at+g.c.emptyAt()), g.c.emptiers())
	}
	for i := range g.c.turns() {
		g.Emit("mbarrier.init.shared::cta.b64", asm.At(g.shared, g.barriers+g.c.turnAt()+i*barrierBytes), groupWarps)
	}
	g.Emit("fence.mbarrier_init.release.cluster")
	g.Place(done)
	g.Emit("bar.sync", 0)
}

// eachTile does the block's tiles of C.
func (g *bulkProduct) eachTile(do func()) {
	p := &g.par
	tile := g.b32("mov.u32", "%ctaid.x")
	step := g.b32("mov.u32", "%nctaid.x")
	all := g.b32("mul.lo.u32", g.b32("mul.lo.u32", p.tilesM, p.tilesN), g.b32("mul.lo.u32", p.batches, p.splits))
	loop := g.NewLabel() // the grid is not greater than the number of tiles
	g.Place(loop)
	g.place(tile)
	do()
	g.Set(tile, "add.u32", tile, step)
	g.EmitIf(g.pred("setp.lt.u32", tile, all), "bra", loop)
}

// wait lets threads wait for a barrier's phase of a parity.
func (g *bulkProduct) wait(barrier asm.Reg, offset int, parity asm.Reg) {
	again := g.NewLabel()
	g.Place(again)
	done := g.pred("mbarrier.try_wait.parity.shared::cta.b64", asm.At(barrier, offset), parity)
	g.EmitUnless(done, "bra", again)
}

// advance moves on to the next stage of the ring.
func (g *bulkProduct) advance() {
	g.Set(g.current, "add.u32", g.current, g.stage)
	g.Set(g.full, "add.u32", g.full, barrierBytes)
	round := g.pred("setp.eq.u32", g.current, g.b32("add.u32", g.shared, g.c.Stages*g.stage))
	g.Set(g.current, "selp.b32", g.shared, g.current, round)
	g.Set(g.full, "selp.b32", g.b32("add.u32", g.shared, g.barriers), g.full, round)
	g.Set(g.phase, "xor.b32", g.phase, g.b32("selp.b32", 1, 0, round))
}

// produce is one thread's part: the copies of the tiles of k of a tile of C.
func (g *bulkProduct) produce() func() {
	a := g.newBulkCopies(0, g.c.layoutOf(g.c.BM, g.p.A, g.p.AContract), 0)
	b := g.newBulkCopies(1, g.c.layoutOf(g.c.BN, g.p.B, g.p.BContract), a.layout.bytes())
	return func() {
		k := g.b32("mov.b32", g.start)
		a.locate(g.a.first)
		b.locate(g.b.first)
		g.count(g.tiles, func(asm.Reg) {
			g.wait(g.full, g.c.emptyAt(), g.b32("xor.b32", g.phase, 1))
			g.Emit("mbarrier.arrive.expect_tx.shared::cta.b64", "_", asm.At(g.full, 0), g.stage)
			a.copy(k)
			b.copy(k)
			g.Set(k, "add.u32", k, g.c.BK)
			g.advance()
		})
	}
}

// consumer is the state of a thread that multiplies.
type consumer struct {
	*bulkProduct
	sums  *groupSums
	turn  *turn   // nil: groups do all tiles together
	first asm.Reg // Pred, the first thread of a warp
	last  asm.Reg // B32, barrier of the stage before
}

// consume is the part of the threads that multiply.
func (g *bulkProduct) consume() func() {
	c := &consumer{bulkProduct: g, sums: g.newGroupSums()}
	c.sums.sums = g.Regs(g.acc.class, g.c.rowBlocks()*g.c.BN/2)
	c.first = g.pred("setp.eq.u32", g.lane, 0)
	c.last = g.b32("mov.b32", g.full)
	if !g.c.PingPong {
		return c.tile
	}
	c.turn = g.newTurn()
	return c.tileInTurn
}

// tile does a tile of C. The product of a stage is started while that of the one
// before runs, whose stage is free behind it.
func (c *consumer) tile() {
	c.count(c.tiles, func(left asm.Reg) {
		later := c.pred("setp.ne.u32", left, c.tiles)
		c.wait(c.full, 0, c.phase)
		c.sums.multiply(c.current, later)
		c.Emit("wgmma.wait_group.sync.aligned", 1)
		c.free(c.pred("and.pred", c.first, later))
		c.Set(c.last, "mov.b32", c.full)
		c.advance()
	})
	if c.turn != nil {
		c.pass()
	}
	c.Emit("wgmma.wait_group.sync.aligned", 0)
	c.free(c.first) // there is a tile of k: Best sees to that
	c.sums.pieces()
}

// free gives the stage before back to the producer.
func (c *consumer) free(when asm.Reg) {
	c.EmitIf(when, "mbarrier.arrive.shared::cta.b64", "_", asm.At(c.last, c.c.emptyAt()))
}
