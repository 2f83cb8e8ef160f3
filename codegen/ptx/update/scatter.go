package update

import (
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
)

// emitSet puts rows of units: a thread has a column of some of the block's rows, so
// that what it writes last is the last of the updates.
func emitSet(p Problem, bytes int) *asm.Kernel {
	o := newOwner(sized(EntrySet, bytes), p, bytes)
	u := units[bytes]
	o.rounds(func(total asm.Reg) {
		o.each(total, func(some []listed) {
			vs := make([]asm.Vec, len(some))
			for i, l := range some {
				vs[i] = o.load(u, l.mine, asm.At(l.from, 0))
			}
			for i, l := range some {
				o.store(u, l.mine, asm.At(l.to, 0), vs[i])
			}
		})
	})
	return o.Kernel
}

// carriedBytes is the shared memory in which a block carries elements.
const carriedBytes = 32 << 10

// slots is how many elements a thread carries.
func (p Problem) slots() int { return carriedBytes / threads / p.compute().Size() }

// emitOrder combines elements in the compute type. A thread has a column of some of
// the block's rows, and carries their elements in shared memory that no other thread
// sees, from the first update of each to the end; touched has a bit for each:
//
//	carried   slot 0: thread 0, 1, ... 255 | slot 1: ...    slot = row / rows at a time
func emitOrder(p Problem) *asm.Kernel {
	o := newOwner(EntryOrder, p, p.DType.Size())
	c := &carrier{owner: o, size: p.compute().Size(), groupLog: o.word("grouplog"), touched: o.mov(0)}
	o.Shared("carried", carriedBytes, 16)
	c.own = o.mad(o.tid, c.size, o.mov("carried"))
	o.rounds(func(total asm.Reg) {
		o.each(total, func(some []listed) {
			vs := make([]asm.Reg, len(some))
			for i, l := range some {
				vs[i] = ptx.LoadElement(o.Kernel, p.DType, l.mine, asm.At(l.from, 0))
			}
			for i, l := range some {
				o.SkipUnless(l.mine, func() { c.combine(l, vs[i]) })
			}
		})
	})
	c.write()
	return o.Kernel
}

// carrier is an owner that carries elements.
type carrier struct {
	*owner
	size     int // of a carried element
	own      asm.Reg
	groupLog asm.Reg
	touched  asm.Reg
}

// slot is the place of a carried element.
func (c *carrier) slot(n asm.Reg) asm.Addr { return asm.At(c.mad(n, threads*c.size, c.own), 0) }

// combine combines a carried element with an update.
func (c *carrier) combine(l listed, v asm.Reg) {
	n := c.shr(l.row, c.groupLog)
	at, bit := c.slot(n), c.shl(c.mov(1), n)
	fresh := c.equal(c.and(c.touched, bit), 0)
	acc := ptx.LoadElement(c.Kernel, c.p.DType, fresh, asm.At(l.to, 0))
	c.EmitUnless(fresh, "ld.shared."+acc.Class().Bits(), acc, at)
	r := ptx.Apply(c.Kernel, codes[c.combination()], c.p.compute(), acc, v)
	c.Emit("st.shared."+r.Class().Bits(), at, r)
	c.Set(c.touched, "or.b32", c.touched, bit)
}

// combination is the combination of numbers: of bool, as 0 and 1, the sum is the
// maximum and the product the minimum.
func (c *carrier) combination() string {
	if c.p.DType.IsFloat() || c.p.DType.IsInt() {
		return c.p.Combine
	}
	return map[string]string{"add": "max", "mul": "min"}[c.p.Combine] + map[string]string{"min": "min", "max": "max"}[c.p.Combine]
}

// write rounds what was touched, and writes it to the result.
func (c *carrier) write() {
	n := c.mov(0)
	class := ptx.RegisterOf(c.p.compute())
	c.while(func() asm.Reg { return c.Op(asm.Pred, "setp.ne.u32", c.touched, 0) }, func() {
		p := c.Op(asm.Pred, "setp.ne.u32", c.and(c.touched, 1), 0)
		c.SkipUnless(p, func() {
			v := c.Op(class, "ld.shared."+class.Bits(), c.slot(n))
			row := c.add(c.shl(n, c.groupLog), c.group)
			ptx.StoreElement(c.Kernel, c.p.DType, asm.Reg{}, asm.At(c.offset(c.out, row, c.rowBytes), 0), v)
		})
		c.Set(c.touched, "shr.u32", c.touched, 1)
		c.Set(n, "add.u32", n, 1)
	})
}

// emitAtomic combines an element, or several neighbours, for each thread.
func emitAtomic(p Problem, name, red string, elements int) *asm.Kernel {
	g := newGen(name, p, scatterParams)
	bytes := elements * p.DType.Size()
	u := units[bytes]
	if p.DType.IsFloat() && elements == 1 && bytes >= 4 {
		u.class = ptx.RegisterOf(p.DType)
	}
	item := g.item()
	g.SkipUnless(g.less(item, g.word("total")), func() {
		picks, size := g.word("picks"), g.word("size")
		rest, column := g.divmod(item, g.word("row"))
		lead, pick := g.divmod(rest, picks)
		from := g.offset64(g.offset64(g.offset(g.long("updates"), column, bytes), pick, g.long("pickbytes")), lead, g.long("leadbytes"))
		v := g.load(u, asm.Reg{}, asm.At(from, 0))
		set := g.Op(asm.B32, "div.u32", lead, g.word("outer"))
		number := g.Op(asm.B64, "mad.wide.u32", set, picks, g.wide(pick))
		at := g.Op(asm.B64, "mad.lo.u64", number, g.Op(asm.B64, "mov.b64", p.Index.Size()), g.long("indices"))
		index := g.index(asm.Reg{}, asm.At(at, 0), g.Op(asm.B64, "sub.u64", g.wide(size), 1))
		row := g.Op(asm.B64, "add.u64", g.Op(asm.B64, "mul.wide.u32", lead, size), index)
		to := g.Op(asm.B64, "mad.lo.u64", row, g.wide(g.word("rowbytes")), g.offset(g.long("out"), column, bytes))
		g.Emit(red, asm.At(to, 0), v[0])
	})
	return g.Kernel
}
