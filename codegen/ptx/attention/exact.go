package attention

import "jitc/codegen/ptx/asm"

// exactForward is the template for f32, in exact arithmetic. Half a warp has every
// second of the warp's queries; its lane x has keys x, x+16, ... of a tile, and
// columns 4x..4x+3, 64+4x.., of the values. Probabilities go from one distribution to
// the other through shared memory of the warp.
type exactForward struct {
	forward       // rows and acc: [row][64 columns]
	half          asm.Reg
	qAt, kAt, pAt asm.Reg   // shared memory, of the thread's first row
	prob          asm.Reg   // and its first probability
	vAt           []asm.Reg // and of its columns of the values
}

func emitExact(name string, p Problem, t tile) *asm.Kernel {
	f := &exactForward{forward: newForward(name, p, t)}
	f.begin()
	f.loop()
	f.end()
	return f.Kernel
}

func (f *exactForward) begin() {
	f.b = f.position(f.t)
	f.factor, f.negate = f.float("factor"), f.word("negate")
	tid := f.mov("%tid.x")
	f.half, f.lane = f.and(f.shr(tid, 4), 1), f.and(tid, 15)
	warpRow := f.Op(asm.B32, "mul.lo.u32", f.shr(tid, 5), 2*f.t.per)
	shared := f.mov(asm.DynamicShared)
	f.copiers(shared)
	some := f.less(f.b.begin, f.b.end)
	f.q.issue(f.b.first, f.b.queries, asm.Reg{})
	f.commitCopies()
	f.SkipUnless(some, func() { f.copyTile(f.k, f.b.begin) })
	f.commitCopies()
	f.SkipUnless(some, func() { f.copyTile(f.v, f.b.begin) })
	f.commitCopies()
	f.addresses(shared, f.add(warpRow, f.half))
	f.state(warpRow)
	f.waitCopies(2)
	f.skipIf(f.Op(asm.Pred, "setp.eq.u32", f.negate, 0), func() { f.q.xor(f.negate) })
}

func (f *exactForward) copyTile(c *copier, index asm.Reg) {
	c.issue(f.Op(asm.B32, "mul.lo.u32", index, f.t.keys), f.b.keys, asm.Reg{})
}

func (f *exactForward) addresses(shared, row asm.Reg) {
	f.qAt = f.mad(row, f.l.keyRow, shared)
	f.kAt = f.mad(f.lane, f.l.keyRow, f.add(shared, f.l.k))
	f.pAt = f.mad(row, f.l.probRow, f.add(shared, f.l.prob))
	f.prob = f.mad(f.lane, 4, f.pAt)
	f.vAt = f.quadAddresses(f.add(shared, f.l.v), f.lane, f.l.valueCols/4)
}

// quadAddresses are where the columns of lane x of 16 begin in a row at base, that
// many quads long: those of quad x, 16+x, ...; for one that is not there, of lane 0's.
func (g *gen) quadAddresses(base, lane asm.Reg, quads int) []asm.Reg {
	var as []asm.Reg
	for h := range divUp(quads, 16) {
		first := g.add(base, 256*h)
		a := g.mad(lane, 16, first)
		if left := quads - 16*h; left < 16 {
			a = g.Op(asm.B32, "selp.b32", a, first, g.less(lane, left))
		}
		as = append(as, a)
	}
	return as
}

func (f *exactForward) state(warpRow asm.Reg) {
	mask := f.maskOperand()
	lowest := f.add(f.b.first, warpRow)
	query := f.add(lowest, f.half)
	for i := range f.t.per {
		f.rows = append(f.rows, f.newRow(f.b, query, 2*i, mask))
		f.acc = append(f.acc, f.zeroRows(len(f.vAt), 4))
	}
	f.mask = &masker{
		gen: f.gen, step: f.t.keys, rows: f.rows, offsets: multiples(f.t.keys/16, 16), col: f.lane, lowest: lowest,
		cols: f.b.keys, factor: f.factor,
	}
	f.store = &store{
		gen: f.gen, b: f.b, joins: f.joins(), col: f.Op(asm.B32, "shl.b32", f.lane, 2), maxCol: 60, offsets: multiples(len(f.vAt), 64),
		writer: f.Op(asm.Pred, "setp.eq.u32", f.lane, 0),
	}
}

// multiples are 0, by, 2*by, ..., n of them.
func multiples(n, by int) []int {
	ms := make([]int, n)
	for i := range ms {
		ms[i] = by * i
	}
	return ms
}

// loop walks over the block's tiles. The next keys are copied while values are
// weighted, the next values while scores are computed:
//
//	wait for k   S = Q K^T   copy next k   softmax   wait for v   O += P V   copy next v
func (f *exactForward) loop() {
	i := f.mov(f.b.begin)
	f.forEach(i, f.b.end, func() {
		next := f.add(i, 1)
		more := f.less(next, f.b.end)
		f.waitCopies(1)
		f.barrier()
		scores := f.products()
		f.barrier()
		f.SkipUnless(more, func() { f.copyTile(f.k, next) })
		f.commitCopies()
		f.softmax(i, scores)
		f.waitCopies(1)
		f.barrier()
		f.weigh()
		f.barrier()
		f.SkipUnless(more, func() { f.copyTile(f.v, next) })
		f.commitCopies()
	})
}

// products is Q K^T.
func (f *exactForward) products() []asm.Vec {
	return f.dots(f.t, f.qAt, f.kAt, f.l.keyRow, f.l.headCols)
}

// dots are the products of rows: of every second row from a on, with every 16th from
// b on, that many columns, 8 at a time.
func (g *gen) dots(t tile, a, b asm.Reg, stride, cols int) []asm.Vec {
	scores := g.zeroRows(t.per, t.keys/16)
	a, b = g.mov(a), g.mov(b)
	g.forEach(g.mov(0), g.mov(cols/8), func() {
		for e := range 2 {
			var ks []asm.Vec
			for j := range t.keys / 16 {
				ks = append(ks, g.load4(b, 16*j*stride+16*e))
			}
			for i := range t.per {
				qs := g.load4(a, 2*i*stride+16*e)
				for j, s := range scores[i] {
					for c := range 4 {
						g.Set(s, "fma.rn.f32", qs[c], ks[j][c], s)
					}
				}
			}
		}
		g.Set(a, "add.u32", a, 32)
		g.Set(b, "add.u32", b, 32)
	})
	return scores
}

func (g *gen) load4(base asm.Reg, offset int) asm.Vec {
	v := g.Regs(asm.F32, 4)
	g.Emit("ld.shared.v4.f32", v, asm.At(base, offset))
	return v
}

func (f *exactForward) softmax(index asm.Reg, scores []asm.Vec) {
	f.mask.apply(index, scores)
	for i, r := range f.rows {
		correction, _ := f.advance(r.running, scores[i], f.factor, []int{1, 2, 4, 8})
		for _, group := range f.acc[i] {
			for _, x := range group {
				f.Set(x, "mul.rn.f32", x, correction)
			}
		}
		for j, s := range scores[i] {
			f.Emit("st.shared.f32", asm.At(f.prob, 2*i*f.l.probRow+64*j), s)
		}
	}
}

// weigh adds P V to the accumulators.
func (f *exactForward) weigh() {
	f.outer(f.t, f.acc, f.pAt, f.l.probRow, f.vAt, f.l.valueRow)
}

// outer adds the product of rows, every second one from left on, with the columns at
// right, 4 rows of those at a time.
func (g *gen) outer(t tile, acc [][]asm.Vec, left asm.Reg, leftStride int, right []asm.Reg, rightStride int) {
	p, vs := g.mov(left), make([]asm.Reg, len(right))
	for h, at := range right {
		vs[h] = g.mov(at)
	}
	g.forEach(g.mov(0), g.mov(t.keys/4), func() {
		probs := make([]asm.Vec, t.per)
		for i := range probs {
			probs[i] = g.load4(p, 2*i*leftStride)
		}
		for h, at := range vs {
			for key := range 4 {
				values := g.load4(at, key*rightStride)
				for i := range probs {
					for c, x := range acc[i][h] {
						g.Set(x, "fma.rn.f32", probs[i][key], values[c], x)
					}
				}
			}
			g.Set(at, "add.u32", at, 4*rightStride)
		}
		g.Set(p, "add.u32", p, 16)
	})
}

func (f *exactForward) end() {
	var rs []result
	for i, r := range f.rows {
		rs = append(rs, result{r, f.acc[i]})
	}
	f.store.rows(rs, []int{1, 2, 4, 8})
}
