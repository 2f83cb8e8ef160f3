package update

import "jitc/codegen/ptx/asm"

// copyUnroll is how many vectors a thread has in flight.
const copyUnroll = 4

// emitCopy copies whole buffers, unless they are one: threads take vectors a grid
// apart, the first block the bytes behind the last.
func emitCopy() *asm.Kernel {
	g := newGen(EntryCopy, Problem{}, copyParams)
	x, out, vectors := g.long("x"), g.long("out"), g.long("vectors")
	g.SkipUnless(g.Op(asm.Pred, "setp.ne.u64", x, out), func() {
		i := g.wide(g.item())
		grid := g.Op(asm.B64, "mul.wide.u32", g.mov("%nctaid.x"), threads)
		below := func(i asm.Reg) asm.Reg { return g.Op(asm.Pred, "setp.lt.u64", i, vectors) }
		at := func(base, i asm.Reg) asm.Addr {
			return asm.At(g.Op(asm.B64, "add.u64", base, g.Op(asm.B64, "shl.b64", i, 4)), 0)
		}
		g.while(func() asm.Reg { return below(i) }, func() {
			var moved [copyUnroll]asm.Vec
			var there [copyUnroll]asm.Reg
			var to [copyUnroll]asm.Addr
			for u := range moved {
				there[u], to[u] = below(i), at(out, i)
				moved[u] = g.load(units[16], there[u], at(x, i))
				g.Set(i, "add.u64", i, grid)
			}
			for u, v := range moved {
				g.store(units[16], there[u], to[u], v)
			}
		})
		item := g.item()
		g.SkipUnless(g.less(item, g.word("rest")), func() {
			place := g.Op(asm.B64, "add.u64", g.Op(asm.B64, "shl.b64", vectors, 4), g.wide(item))
			v := g.load(units[1], asm.Reg{}, asm.At(g.Op(asm.B64, "add.u64", x, place), 0))
			g.store(units[1], asm.Reg{}, asm.At(g.Op(asm.B64, "add.u64", out, place), 0), v)
		})
	})
	return g.Kernel
}

// emitMove moves elements between strides, a unit for each thread; where there are
// starts, they shift where it is put.
func emitMove(p Problem, name string, bytes, starts int) *asm.Kernel {
	g := newGen(sized(name, bytes), p, moveParams(p.dims(), starts))
	g.move(g.item(), bytes, g.shifted(g.long("to"), starts))
	return g.Kernel
}

// shifted is an address behind what starts skip.
func (g *gen) shifted(to asm.Reg, starts int) asm.Reg {
	for i := range starts {
		at := g.index(asm.Reg{}, asm.At(g.long(numbered("start", i)), 0), g.long(numbered("limit", i)))
		g.Set(to, "mad.lo.s64", at, g.long(numbered("step", i)), to)
	}
	return to
}

// move moves a unit, if there are as many.
func (g *gen) move(item asm.Reg, bytes int, to asm.Reg) {
	g.SkipUnless(g.less(item, g.word("units")), func() {
		from := g.long("from")
		step := func(at asm.Reg, axis int) {
			at = g.wide(at)
			g.Set(from, "mad.lo.s64", at, g.long(numbered("fromstride", axis)), from)
			g.Set(to, "mad.lo.s64", at, g.long(numbered("tostride", axis)), to)
		}
		rest, axes := g.mov(item), g.word("axes")
		for i := g.p.dims() - 1; i > 0; i-- {
			g.SkipUnless(g.Op(asm.Pred, "setp.gt.u32", axes, i), func() {
				quotient, at := g.divmod(rest, g.word(numbered("size", i)))
				step(at, i)
				g.Set(rest, "mov.b32", quotient)
			})
		}
		step(rest, 0)
		g.store(units[bytes], asm.Reg{}, asm.At(to, 0), g.load(units[bytes], asm.Reg{}, asm.At(from, 0)))
	})
}

// emitBoth copies whole buffers and then moves a box into the copy, in one launch: the
// first blocks move the box, in vectors, and those behind copy what is not in it,
// unless the buffers are one. Boxes have strides that fall from axis to axis.
func emitBoth(p Problem) *asm.Kernel {
	g := newGen(EntryBoth, p, bothParams(p.dims(), p.Starts))
	block, boxes := g.mov("%ctaid.x"), g.word("boxblocks")
	out := g.long("out")
	to := g.shifted(g.Op(asm.B64, "mov.b64", out), p.Starts)
	copying := g.NewLabel()
	end := g.NewLabel()
	g.EmitUnless(g.less(block, boxes), "bra", copying)
	g.move(g.item(), maxUnit, to)
	g.Emit("bra", end)
	g.Place(copying)
	x := g.long("x")
	g.SkipUnless(g.Op(asm.Pred, "setp.ne.u64", x, out), func() {
		first := g.Op(asm.B32, "cvt.u32.u64", g.Op(asm.B64, "shr.u64", g.Op(asm.B64, "sub.u64", to, out), 4))
		g.copyAround(x, out, first, g.sub(block, boxes), g.sub(g.mov("%nctaid.x"), boxes))
	})
	g.Place(end)
	return g.Kernel
}

// copyAround copies the vectors that are not in the box, which begins at that one, by
// a block of so many.
func (g *gen) copyAround(x, out, first, block, blocks asm.Reg) {
	vectors, stride := g.word("vectors"), g.shl(blocks, 8)
	i := g.mad(block, threads, g.mov("%tid.x"))
	rest := g.less(i, g.word("rest")) // bytes behind the vectors: of the first block's threads
	g.SkipUnless(rest, func() {
		place := g.Op(asm.B64, "add.u64", g.Op(asm.B64, "mul.wide.u32", vectors, 16), g.wide(i))
		v := g.load(units[1], asm.Reg{}, asm.At(g.Op(asm.B64, "add.u64", x, place), 0))
		g.store(units[1], asm.Reg{}, asm.At(g.Op(asm.B64, "add.u64", out, place), 0), v)
	})
	g.while(func() asm.Reg { return g.less(i, vectors) }, func() {
		var moved [copyUnroll]asm.Vec
		var copied [copyUnroll]asm.Reg
		var to [copyUnroll]asm.Addr
		for u := range moved {
			copied[u] = g.both(g.less(i, vectors), g.outside(i, first))
			to[u] = asm.At(g.offset(out, i, 16), 0)
			moved[u] = g.load(units[16], copied[u], asm.At(g.offset(x, i, 16), 0))
			g.Set(i, "add.u32", i, stride)
		}
		for u, v := range moved {
			g.store(units[16], copied[u], to[u], v)
		}
	})
}

// outside reports whether vector i is not in the box that begins at vector first. Its
// distance from there is taken apart by the strides, the largest first: what lies
// before the box along some axis counts as behind it along that axis, one back along
// the next one out, and there the box is over.
func (g *gen) outside(i, first asm.Reg) asm.Reg {
	distance, axes := g.sub(i, first), g.word("axes")
	out := g.mov(0)
	g.EmitIf(g.less(i, first), "mov.b32", out, 1)
	for axis := range g.p.dims() {
		g.SkipUnless(g.Op(asm.Pred, "setp.gt.u32", axes, axis), func() {
			at, rest := g.divmod(distance, g.word(numbered("vectors", axis)))
			g.EmitUnless(g.less(at, g.word(numbered("size", axis))), "mov.b32", out, 1)
			g.Set(distance, "mov.b32", rest)
		})
	}
	return g.Op(asm.Pred, "setp.ne.u32", out, 0)
}
