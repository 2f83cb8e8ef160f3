package cumulative

import (
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// unroll is how many elements of a line a thread has in flight.
const unroll = 8

// column is the part of a line that a thread has.
type column struct {
	*gen
	part        asm.Reg // of the line
	begin       asm.Reg // bytes from the buffer's beginning to the line's first element
	total, skip asm.Reg // the address of the line's first total, and the bytes to the next
	outer, at   asm.Reg // lines are [outer][inner]: the line's place
}

// emitColumn writes an entry whose threads have a part each; those without one leave
// the body out.
func emitColumn(name string, p Problem, body func(c *column)) *asm.Kernel {
	c := &column{gen: newGen(name, p)}
	part, n := c.divmod(c.Op(asm.B32, "mov.b32", "%ctaid.x"), c.word("blocks"))
	c.part = part
	line := c.Op(asm.B64, "mad.wide.u32", n, threads, c.wide(c.tid))
	c.SkipUnless(c.less(line, c.long("lines")), func() {
		inner := c.long("inner")
		c.outer = c.Op(asm.B64, "div.u64", line, inner)
		c.at = c.sub(line, c.Op(asm.B64, "mul.lo.s64", c.outer, inner))
		c.begin = c.add(c.mad(c.outer, c.long("apart"), c.long("first")), c.Op(asm.B64, "mul.lo.s64", c.at, p.DType.Size()))
		totals := c.mad(c.Op(asm.B64, "mul.lo.s64", c.outer, c.wide(c.word("cuts"))), inner, c.at) // of this line's part 0
		c.total = c.mad(totals, c.size, c.long("totals"))
		c.skip = c.Op(asm.B64, "mul.lo.s64", inner, c.size)
		body(c)
	})
	return c.Kernel
}

// emitColumns combines the totals before the part, and then the part's elements.
func emitColumns(p Problem) *asm.Kernel {
	return emitColumn(EntryColumns, p, func(c *column) {
		carry := c.copied(c.neutral)
		c.walk(carry, span{p.compute(), c.total, c.skip, c.Op(asm.B64, "mov.b64", 0), c.wide(c.part)}, asm.Reg{})
		c.walk(carry, c.elements(), c.add(c.long("out"), c.begin))
	})
}

// emitColumnTotals keeps what the part combines to.
func emitColumnTotals(p Problem) *asm.Kernel {
	return emitColumn(EntryColumnTotals, p, func(c *column) {
		carry := c.copied(c.neutral)
		c.walk(carry, c.elements(), asm.Reg{})
		ptx.StoreElement(c.Kernel, p.compute(), asm.Reg{}, asm.At(c.mad(c.wide(c.part), c.skip, c.total), 0), carry)
	})
}

// span is a number of elements of a type, of those that begin at base, step bytes
// apart.
type span struct {
	t                     tensor.DType
	base, step, from, end asm.Reg
}

// elements are those of the part.
func (c *column) elements() span {
	from, end := c.partOf(c.part)
	return span{c.p.DType, c.add(c.long("x"), c.begin), c.long("step"), from, end}
}

// walk combines elements into the carry, one after the other, and stores what it has
// at each as far behind out, if there is one, as the element is behind the base.
func (c *column) walk(carry asm.Reg, s span, out asm.Reg) {
	c.steps(s.from, s.end, unroll, func(i asm.Reg) {
		var has, vs [unroll]asm.Reg
		at := c.mad(i, s.step, s.base)
		for k := range vs {
			has[k] = c.less(c.add(i, k), s.end)
			vs[k] = c.load(s.t, has[k], asm.At(at, 0))
			at = c.add(at, s.step)
		}
		if !out.IsNone() {
			at = c.mad(i, s.step, out)
		}
		for k, v := range vs {
			c.let(carry, c.combine(carry, v))
			if !out.IsNone() {
				ptx.StoreElement(c.Kernel, c.p.DType, has[k], asm.At(at, 0), carry)
				at = c.add(at, s.step)
			}
		}
	})
}
