package attention

import (
	"fmt"

	"jitc/codegen/ptx/asm"
)

// tensorForward is the template for elements of 16 bits. A warp has 16 queries, or
// twice 16, and all keys of a tile; the products' fragments (PTX ISA, "Matrix
// Fragments for mma.m16n8k16") give lane l columns 2(l%4) and 2(l%4)+1 of rows l/4
// and l/4+8, and so the probabilities are, rounded, the left operand of the product
// with the values as they are:
//
//	S[16 x keys] = Q[16 x headDim] K^T      ldmatrix of Q and K
//	O[16 x valueDim] += P[16 x keys] V      P from registers, ldmatrix.trans of V
type tensorForward struct {
	forward                   // rows: 2 for each of per; acc: [per][valueCols/8]
	qAt, kAt, vAt asm.Reg     // shared memory, of the lane's rows for ldmatrix
	stage         asm.Reg     // offset of the stage to read: 0 or l.stage
	qFrags        [][]asm.Vec // [per][headCols/16], where there are registers for them
}

func emitTensor(name string, p Problem, t tile) *asm.Kernel {
	f := &tensorForward{forward: newForward(name, p, t)}
	f.begin()
	f.loop()
	f.end()
	return f.Kernel
}

// begin starts the first copies and takes the queries into registers.
func (f *tensorForward) begin() {
	f.b = f.position(f.t)
	f.factor, f.negate = f.float("factor"), f.word("negate")
	tid := f.mov("%tid.x")
	f.lane = f.and(tid, 31)
	warpRow := f.Op(asm.B32, "mul.lo.u32", f.shr(tid, 5), 16*f.t.per)
	shared := f.mov(asm.DynamicShared)
	f.copiers(shared)
	f.q.issue(f.b.first, f.b.queries, asm.Reg{})
	f.commitCopies()
	f.SkipUnless(f.less(f.b.begin, f.b.end), func() { f.copyTile(f.b.begin, asm.Reg{}) })
	f.commitCopies()
	f.addresses(shared, warpRow)
	f.state(warpRow)
	f.waitCopies(1)
	f.skipIf(f.Op(asm.Pred, "setp.eq.u32", f.negate, 0), func() { f.q.xor(f.negate) })
	f.barrier()
	f.loadQueries()
}

// copyTile starts the copy of a tile of keys and values to a stage.
func (f *tensorForward) copyTile(index, stage asm.Reg) {
	first := f.Op(asm.B32, "mul.lo.u32", index, f.t.keys)
	f.k.issue(first, f.b.keys, stage)
	f.v.issue(first, f.b.keys, stage)
}

// addresses are the lane's rows for ldmatrix.x4, whose 8x8 matrices lie
//
//	Q, V   (rows 0-7, columns 0-7) (rows 8-15, columns 0-7) (rows 0-7, columns 8-15) ...
//	K      (rows 0-7, columns 0-7) (rows 0-7, columns 8-15) (rows 8-15, columns 0-7) ...
func (f *tensorForward) addresses(shared, warpRow asm.Reg) {
	in8 := f.and(f.lane, 7)
	low := f.and(f.shr(f.lane, 3), 1)
	high := f.shr(f.lane, 4)
	rowOf := func(by asm.Reg) asm.Reg { return f.mad(by, 8, in8) }
	f.qAt = f.mad(f.add(rowOf(low), warpRow), f.l.keyRow, f.mad(high, 16, shared))
	f.kAt = f.mad(rowOf(high), f.l.keyRow, f.mad(low, 16, f.add(shared, f.l.k)))
	f.vAt = f.mad(rowOf(low), f.l.valueRow, f.mad(high, 16, f.add(shared, f.l.v)))
	f.stage = f.mov(0)
}

// state prepares rows, accumulators, and how they are masked and stored.
func (f *tensorForward) state(warpRow asm.Reg) {
	mask := f.maskOperand()
	lowest := f.add(f.b.first, warpRow)
	query := f.add(lowest, f.shr(f.lane, 2))
	for i := range f.t.per {
		for h := range 2 {
			f.rows = append(f.rows, f.newRow(f.b, query, 16*i+8*h, mask))
		}
		f.acc = append(f.acc, f.zeroRows(f.l.valueCols/8, 4))
	}
	quad := f.and(f.lane, 3)
	col := f.add(quad, quad)
	f.mask = &masker{
		gen: f.gen, step: f.t.keys, rows: f.rows, offsets: pairs(f.t.keys, 1), col: col, lowest: lowest,
		cols: f.b.keys, factor: f.factor,
	}
	f.store = &store{
		gen: f.gen, b: f.b, joins: f.joins(), col: col, maxCol: 6, offsets: pairs(f.l.valueCols, 8),
		writer: f.Op(asm.Pred, "setp.eq.u32", quad, 0),
	}
}

// pairs are the offsets of a lane's columns in n: all of them, or with step 8 the
// first of each pair.
func pairs(n, step int) []int {
	var offsets []int
	for j := 0; j < n; j += 8 {
		offsets = append(offsets, j)
		if step == 1 {
			offsets = append(offsets, j+1)
		}
	}
	return offsets
}

// loadQueries takes the queries into registers, if they are to stay there.
func (f *tensorForward) loadQueries() {
	if !f.p.keepsQueries(f.t) {
		return
	}
	for i := range f.t.per {
		var frags []asm.Vec
		for s := range f.l.headCols / 16 {
			frags = append(frags, f.queries(i, s))
		}
		f.qFrags = append(f.qFrags, frags)
	}
}

func (f *tensorForward) queries(i, s int) asm.Vec {
	return f.ldmatrix("", f.qAt, 16*i*f.l.keyRow+32*s)
}

// ldmatrix loads four 8x8 matrices; lanes 8m..8m+7 have the addresses of m's rows.
func (g *gen) ldmatrix(trans string, base asm.Reg, offset int) asm.Vec {
	r := g.Regs(asm.B32, 4)
	g.Emit("ldmatrix.sync.aligned.m8n8.x4"+trans+".shared.b16", r, asm.At(base, offset))
	return r
}

// mma adds the product of a, 16x16, and b, 16x8, to acc.
func (g *gen) mma(acc, a, b asm.Vec) {
	op := fmt.Sprintf("mma.sync.aligned.m16n8k16.row.col.f32.%[1]s.%[1]s.f32", g.p.suffix())
	g.Emit(op, acc, a, b, acc)
}

// loop walks over the block's tiles. One barrier a tile: behind it, the tile's copies
// have arrived, and nobody reads the other stage any more.
func (f *tensorForward) loop() {
	busy := f.less(f.mask.lowest, f.b.queries) // not a warp of rows past the last query
	i := f.mov(f.b.begin)
	f.forEach(i, f.b.end, func() {
		f.waitCopies(0)
		f.barrier()
		next := f.add(i, 1)
		f.SkipUnless(f.less(next, f.b.end), func() { f.copyTile(next, f.sub(f.l.stage, f.stage)) })
		f.commitCopies()
		f.SkipUnless(busy, func() { f.step(i) })
		f.Set(f.stage, "sub.u32", f.l.stage, f.stage)
	})
}

// step is one tile.
func (f *tensorForward) step(index asm.Reg) {
	products := f.products()
	scores := make([]asm.Vec, len(f.rows))
	for i, tiles := range products {
		for _, t := range tiles {
			scores[2*i] = append(scores[2*i], t[0], t[1])
			scores[2*i+1] = append(scores[2*i+1], t[2], t[3])
		}
	}
	f.mask.apply(index, scores)
	for i := range f.acc {
		f.advanceRows(i, scores[2*i:2*i+2])
	}
	f.weigh(products)
}

// advanceRows takes scores of the i-th rows of the warp into their state. The warp
// scales results if a maximum of any of its rows was raised.
func (f *tensorForward) advanceRows(i int, scores []asm.Vec) {
	var corrections, raised [2]asm.Reg
	for h, r := range f.rows[2*i : 2*i+2] {
		corrections[h], raised[h] = f.advance(r.running, scores[h], f.factor, []int{1, 2})
	}
	some := f.Op(asm.Pred, "or.pred", raised[0], raised[1])
	f.SkipUnless(f.Op(asm.Pred, "vote.sync.any.pred", some, -1), func() {
		for _, t := range f.acc[i] {
			for j, x := range t {
				f.Set(x, "mul.rn.f32", x, corrections[j/2])
			}
		}
	})
}

// products is Q K^T: [per][keys/8] fragments.
func (f *tensorForward) products() [][]asm.Vec {
	out := make([][]asm.Vec, f.t.per)
	for i := range out {
		out[i] = f.zeroRows(f.t.keys/8, 4)
	}
	at := f.add(f.kAt, f.stage)
	for s := range f.l.headCols / 16 {
		var qs []asm.Vec
		for i := range f.t.per {
			if f.qFrags != nil {
				qs = append(qs, f.qFrags[i][s])
			} else {
				qs = append(qs, f.queries(i, s))
			}
		}
		for j := range f.t.keys / 16 {
			b := f.ldmatrix("", at, 16*j*f.l.keyRow+32*s)
			for i, q := range qs {
				f.mma(out[i][2*j], q, b[:2])
				f.mma(out[i][2*j+1], q, b[2:])
			}
		}
	}
	return out
}

// weigh adds P V to the accumulators.
func (f *tensorForward) weigh(probs [][]asm.Vec) {
	at := f.add(f.vAt, f.stage)
	for s := range f.t.keys / 16 {
		var ps []asm.Vec
		for i := range f.t.per {
			ps = append(ps, f.packed(probs[i], s))
		}
		for j := range f.l.valueCols / 16 {
			b := f.ldmatrix(".trans", at, 16*s*f.l.valueRow+32*j)
			for i, p := range ps {
				f.mma(f.acc[i][2*j], p, b[:2])
				f.mma(f.acc[i][2*j+1], p, b[2:])
			}
		}
	}
}

// packed is the s-th 16 columns of products as the left operand of another.
func (g *gen) packed(products []asm.Vec, s int) asm.Vec {
	lo, hi := products[2*s], products[2*s+1]
	return asm.Vec{g.pack(lo[0], lo[1]), g.pack(lo[2], lo[3]), g.pack(hi[0], hi[1]), g.pack(hi[2], hi[3])}
}

func (f *tensorForward) end() {
	var rs []result
	for i, r := range f.rows {
		out := result{row: r}
		for _, t := range f.acc[i/2] {
			out.groups = append(out.groups, t[2*(i%2):2*(i%2)+2])
		}
		rs = append(rs, out)
	}
	f.store.rows(rs, []int{1, 2})
}
