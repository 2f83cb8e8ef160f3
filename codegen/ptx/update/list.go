package update

import "jitc/codegen/ptx/asm"

// perThread is how many indices a thread looks at in a round, round how many a block
// does.
const (
	perThread = 4
	round     = perThread * threads
	warps     = threads / 32
)

// owner is a block of a scatter: what it owns, and where that lies.
type owner struct {
	*gen
	tid, group asm.Reg // the thread; its row among those that threads have at a time
	inRow      asm.Reg // there is a column for the thread
	indices    asm.Reg // of the block's leading index
	updates    asm.Reg // the thread's column of the first of them
	out        asm.Reg // the thread's column of the first row owned
	first      asm.Reg // that row
	count      asm.Reg // of rows owned
	rowBytes   asm.Reg
	pickBytes  asm.Reg // from an update to the next, in 64 bits
	mask       asm.Reg // of the group's number in that of a row
}

// newOwner begins an entry whose blocks own rows and columns of units of so many
// bytes.
func newOwner(name string, p Problem, bytes int) *owner {
	o := &owner{gen: newGen(name, p, scatterParams)}
	o.Shared("list", 8*round, 8)
	o.Shared("counts", 4*warps, 16)
	o.tid = o.mov("%tid.x")
	rest, tile := o.divmod(o.mov("%ctaid.x"), o.word("tiles"))
	lead, span := o.divmod(rest, o.word("ranges"))
	lanes := o.word("lanelog")
	o.group = o.shr(o.tid, lanes)
	column := o.add(o.shl(tile, lanes), o.sub(o.tid, o.shl(o.group, lanes)))
	o.inRow = o.less(column, o.word("row"))
	size, picks, rows := o.word("size"), o.word("picks"), o.word("rows")
	o.first = o.Op(asm.B32, "mul.lo.u32", span, rows)
	o.count = o.Op(asm.B32, "min.u32", o.sub(size, o.first), rows)
	o.rowBytes = o.word("rowbytes")
	o.mask = o.sub(o.shl(o.mov(1), o.word("grouplog")), 1)

	set := o.Op(asm.B32, "div.u32", lead, o.word("outer"))
	o.indices = o.offset64(o.long("indices"), set, o.Op(asm.B64, "mul.wide.u32", picks, p.Index.Size()))
	long := o.wide(o.rowBytes)
	byteOf := o.Op(asm.B64, "mul.wide.u32", column, bytes)
	o.updates = o.offset64(o.Op(asm.B64, "add.u64", o.long("updates"), byteOf), lead, o.long("leadbytes"))
	o.pickBytes = o.long("pickbytes")
	at := o.Op(asm.B64, "mad.wide.u32", lead, size, o.wide(o.first))
	owned := o.Op(asm.B64, "mad.lo.u64", at, long, byteOf)
	x, out := o.long("x"), o.long("out")
	o.out = o.Op(asm.B64, "add.u64", out, owned)
	o.SkipUnless(o.Op(asm.Pred, "setp.ne.u64", x, out), func() { o.copy(units[bytes], o.Op(asm.B64, "add.u64", x, owned)) })
	return o
}

// copy copies what the block owns from the operand: each thread what it will update.
func (o *owner) copy(u unit, x asm.Reg) {
	row, step := o.mov(o.group), o.add(o.mask, 1)
	o.while(func() asm.Reg { return o.less(row, o.count) }, func() {
		v := o.load(u, o.inRow, asm.At(o.offset(x, row, o.rowBytes), 0))
		o.store(u, o.inRow, asm.At(o.offset(o.out, row, o.rowBytes), 0), v)
		o.Set(row, "add.u32", row, step)
	})
}

// rounds goes through the indices: apply is what is done with a list of so many.
func (o *owner) rounds(apply func(total asm.Reg)) {
	picks := o.word("picks")
	most := o.Op(asm.B64, "sub.u64", o.wide(o.word("size")), 1)
	base := o.mov(0)
	o.while(func() asm.Reg { return o.less(base, picks) }, func() {
		apply(o.list(base, picks, most))
		o.Set(base, "add.u32", base, round)
	})
}

// list writes the updates of a round that fall on the rows owned, in order, as pairs
// of their number and their row among those owned, and returns how many there are.
// Between two lists, every thread passes the first barrier when it is done with the
// one before.
func (o *owner) list(base, picks, most asm.Reg) (total asm.Reg) {
	number := o.mad(o.tid, perThread, base)
	at := o.offset(o.indices, number, o.p.Index.Size())
	var hits, rows, ballots [perThread]asm.Reg
	for j := range hits {
		there := o.less(o.add(number, j), picks)
		index := o.index(there, asm.At(at, j*o.p.Index.Size()), most)
		rows[j] = o.sub(o.Op(asm.B32, "cvt.u32.u64", index), o.first)
		hits[j] = o.both(there, o.less(rows[j], o.count))
	}
	below := o.mov("%lanemask_lt")
	place, warp := o.mov(0), o.mov(0)
	for j := range hits {
		ballots[j] = o.Op(asm.B32, "vote.sync.ballot.b32", hits[j], -1)
		o.Set(place, "add.u32", place, o.Op(asm.B32, "popc.b32", o.and(ballots[j], below)))
		o.Set(warp, "add.u32", warp, o.Op(asm.B32, "popc.b32", ballots[j]))
	}
	counts, self := o.mov("counts"), o.shr(o.tid, 5)
	o.EmitIf(o.equal(o.and(o.tid, 31), 0), "st.shared.b32", asm.At(o.add(counts, o.shl(self, 2)), 0), warp)
	o.Emit("bar.sync", 0)
	total = o.mov(0)
	for w := 0; w < warps; w += 4 {
		four := o.Regs(asm.B32, 4)
		o.Emit("ld.shared.v4.b32", four, asm.At(counts, 4*w))
		for i, n := range four {
			o.Set(total, "add.u32", total, n)
			before := o.Op(asm.Pred, "setp.gt.u32", self, w+i)
			o.EmitIf(before, "add.u32", place, place, n)
		}
	}
	list := o.mov("list")
	for j := range hits {
		o.EmitIf(hits[j], "st.shared.v2.b32", asm.At(o.add(list, o.shl(place, 3)), 0), asm.Vec{o.add(number, j), rows[j]})
		o.EmitIf(hits[j], "add.u32", place, place, 1)
	}
	o.Emit("bar.sync", 0)
	return total
}

// applied is how many of a list a thread has in flight.
const applied = 4

// listed is an update of the list.
type listed struct {
	mine asm.Reg // the thread has it
	row  asm.Reg // among those owned
	from asm.Reg // address
	to   asm.Reg // address in the result
}

// each goes through a list, several at a time, in order.
func (o *owner) each(total asm.Reg, visit func(some []listed)) {
	e := o.mov(0)
	o.while(func() asm.Reg { return o.less(e, total) }, func() {
		some := make([]listed, applied)
		at := o.add(o.mov("list"), o.shl(e, 3))
		for u := range some {
			there := o.less(o.add(e, u), total)
			pair := asm.Vec{o.mov(0), o.mov(0)}
			o.EmitIf(there, "ld.shared.v2.b32", pair, asm.At(at, 8*u))
			l := &some[u]
			l.row = pair[1]
			l.mine = o.both(o.both(there, o.inRow), o.equal(o.and(l.row, o.mask), o.group))
			l.from, l.to = o.offset64(o.updates, pair[0], o.pickBytes), o.offset(o.out, l.row, o.rowBytes)
		}
		visit(some)
		o.Set(e, "add.u32", e, applied)
	})
}
