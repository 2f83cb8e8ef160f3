package gemm

import "jitc/codegen/ptx/asm"

// turn is what a consuming warp group keeps to take turns with the other. Of a block's
// tiles group 0 does the first, group 1 the second, group 0 the third.
type turn struct {
	own    asm.Reg // B32, its barrier
	other  asm.Reg // B32, that of the other group
	parity asm.Reg // B32, of the phase of its own to wait for
	ahead  asm.Reg // B32, tiles of the other group before the next of its own: 0 or 1
}

// newTurn prepares the turns of this thread's group. Group 0 does not wait at first:
// to a new barrier the phase before counts as complete.
func (g *bulkProduct) newTurn() *turn {
	t := &turn{ahead: g.group()}
	at := g.b32("add.u32", g.shared, g.barriers+g.c.turnAt())
	t.own = g.b32("mad.lo.u32", t.ahead, barrierBytes, at)
	t.parity = g.b32("xor.b32", t.ahead, 1)
	t.other = g.b32("mad.lo.u32", t.parity, barrierBytes, at)
	return t
}

// tileInTurn does a tile if it is the group's, and passes over its stages if not.
func (c *consumer) tileInTurn() {
	t := c.turn
	others, done := c.NewLabel(), c.NewLabel()
	mine := c.pred("setp.eq.u32", t.ahead, 0)
	c.Set(t.ahead, "xor.b32", t.ahead, 1)
	c.EmitUnless(mine, "bra", others)
	c.wait(t.own, 0, t.parity)
	c.Set(t.parity, "xor.b32", t.parity, 1)
	c.tile()
	c.Emit("bra", done)
	c.Place(others)
	c.passOver()
	c.Place(done)
}

// pass lets the other group begin.
func (c *consumer) pass() {
	c.EmitIf(c.first, "mbarrier.arrive.shared::cta.b64", "_", asm.At(c.turn.other, 0))
}

// passOver moves on by the stages of a tile that is the other group's.
func (c *consumer) passOver() {
	at := c.b32("div.u32", c.b32("sub.u32", c.current, c.shared), c.stage)
	rounds, at := c.divideBy(c.b32("add.u32", at, c.tiles), c.c.Stages)
	c.Set(c.current, "mad.lo.u32", at, c.stage, c.shared)
	c.Set(c.full, "mad.lo.u32", at, barrierBytes, c.b32("add.u32", c.shared, c.barriers))
	c.Set(c.phase, "xor.b32", c.phase, c.b32("and.b32", rounds, 1))
}
