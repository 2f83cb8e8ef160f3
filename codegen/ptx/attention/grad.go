package attention

import (
	"math"

	"jitc/codegen/ptx/asm"
)

// gradSide is what blocks own.
type gradSide struct {
	entry       string
	own, stream [2]string // operands of head dimension, and of value dimension
	out         []string  // results, likewise
	transposed  bool      // they own keys
}

var (
	queryGrad = gradSide{entry: EntryQueryGrad, own: [2]string{"q", "do"}, stream: [2]string{"k", "v"}, out: []string{"dq"}}
	keyGrad   = gradSide{
		entry: EntryKeyGrad, own: [2]string{"k", "v"}, stream: [2]string{"q", "do"}, out: []string{"dk", "dv"}, transposed: true,
	}
)

// gradTile is a block's own rows, and the rows of the other side in one step.
func (p Problem) gradTile() tile {
	switch {
	case !p.narrow():
		return tile{4, 4, 32}
	case p.Mask != NoMask && p.HeadDim+p.ValueDim > 192:
		return tile{4, 1, 16} // masks take registers, too
	}
	return tile{4, 1, 32}
}

// gradLayout is a block's shared memory: own[0], own[1], two stages of stream[0] and
// stream[1], and for exact arithmetic rows of a left operand.
func (p Problem) gradLayout(t tile) layout {
	pad, size := 16, p.DType.Size()
	l := layout{}
	if !p.narrow() {
		pad, l.probRow = 8, probStride(t)
	}
	l.headCols, l.valueCols = roundUp(p.HeadDim, pad), roundUp(p.ValueDim, pad)
	l.keyRow, l.valueRow = size*l.headCols+16, size*l.valueCols+16
	l.stage = t.keys * (l.keyRow + l.valueRow)
	l.querySize = t.rows(p) * l.keyRow
	l.k = t.rows(p) * (l.keyRow + l.valueRow)
	l.v = l.k + t.keys*l.keyRow
	l.prob = l.k + 2*l.stage
	l.bytes = l.prob + t.rows(p)*l.probRow
	return l
}

// grad is the template: with A and B the own and the stream operands,
//
//	X = A0 B0^T, Y = A1 B1^T, P = exp(X - logs), D = P (Y - delta)
//	G0 += D B0, and of keys, G1 += P B1
type grad struct {
	*gen
	gradSide
	t                     tile
	l                     layout
	lead                  [3]asm.Reg
	flat                  asm.Reg // the leading index times the number of queries, 64 bits
	first, begin, end     asm.Reg
	queries, keys         asm.Reg
	ownCount, streamCount asm.Reg
	lane, stage           asm.Reg
	a, b                  [2]*copier
	rows                  []row
	unit                  gradUnit
	mask                  *masker
	rowNumbers            []queryNumbers
}

// gradUnit multiplies. A thread has some rows and columns of each product.
type gradUnit interface {
	// place sets the thread's addresses up, and tells where its rows (behind
	// the block's first), and its columns of X, are.
	place(shared, warp asm.Reg) (first asm.Reg, rows []int, col asm.Reg, cols []int)
	// products is A[which] B[which]^T, by rows and columns.
	products(which int) []asm.Vec
	// accumulate adds left B[which] to G[which].
	accumulate(which int, left []asm.Vec)
	// results are the thread's part of G[which]: groups of neighbours of each row,
	// those from offsets + col on, col being at most maxCol.
	results(which int) (groups [][]asm.Vec, offsets []int, col asm.Reg, maxCol int)
}

// queryNumbers are what a query's probabilities depend on.
type queryNumbers struct{ negLog, delta asm.Reg }

func emitGrad(p Problem, side gradSide) *asm.Kernel {
	t := p.gradTile()
	f := &grad{gen: newGen(side.entry, p, t.threads(), backwardParams), gradSide: side, t: t, l: p.gradLayout(t)}
	f.Dynamic = true
	f.unit = &exactGrad{grad: f}
	if p.narrow() {
		f.unit = &tensorGrad{grad: f}
	}
	f.position()
	f.start()
	f.loop()
	for which, name := range f.out {
		f.finish(which, name)
	}
	return f.Kernel
}

func (f *grad) position() {
	f.queries, f.keys = f.word("queries"), f.word("keys")
	f.ownCount, f.streamCount = f.queries, f.keys
	tiles, rows, step := "querytiles", f.t.rows(f.p), f.t.keys
	if f.transposed {
		f.ownCount, f.streamCount = f.keys, f.queries
		tiles = "keytiles"
	}
	count := f.word(tiles)
	flat, at := f.divmod(f.mov("%ctaid.x"), count)
	f.begin = f.mov(0)
	last := f.streamCount
	if f.p.Causal && !f.transposed {
		at = f.sub(f.sub(count, 1), at) // those with the most keys first
	}
	f.first = f.Op(asm.B32, "mul.lo.u32", at, rows)
	switch {
	case f.p.Causal && f.transposed:
		f.begin = f.div(f.first, step)
	case f.p.Causal:
		last = f.min(last, f.add(f.first, rows))
	}
	f.end = f.div(f.add(last, step-1), step)
	f.lead = f.leadOf(flat)
	f.flat = f.Op(asm.B64, "mul.wide.u32", flat, f.queries)
}

// start starts the first copies and sets the state up.
func (f *grad) start() {
	tid, shared := f.mov("%tid.x"), f.mov(asm.DynamicShared)
	f.lane = f.and(tid, 31)
	f.copiers(shared)
	for _, c := range f.a {
		c.issue(f.first, f.ownCount, asm.Reg{})
	}
	f.commitCopies()
	f.SkipUnless(f.less(f.begin, f.end), func() { f.copyTile(f.begin, asm.Reg{}) })
	f.commitCopies()
	f.stage = f.mov(0)
	f.state(shared, f.shr(tid, 5))
	f.waitCopies(1)
	negate := f.word("negate")
	f.skipIf(f.Op(asm.Pred, "setp.eq.u32", negate, 0), func() { f.a[0].xor(negate) })
}

func (f *grad) copiers(shared asm.Reg) {
	l := f.l
	copier := func(name string, rows, cols, padded, stride, at int) *copier {
		return f.copier(rows, cols, padded, stride, f.operand(name, f.lead), f.long(name+"row"), f.add(shared, at))
	}
	rows := f.t.rows(f.p)
	f.a[0] = copier(f.own[0], rows, f.p.HeadDim, l.headCols, l.keyRow, 0)
	f.a[1] = copier(f.own[1], rows, f.p.ValueDim, l.valueCols, l.valueRow, l.querySize)
	f.b[0] = copier(f.stream[0], f.t.keys, f.p.HeadDim, l.headCols, l.keyRow, l.k)
	f.b[1] = copier(f.stream[1], f.t.keys, f.p.ValueDim, l.valueCols, l.valueRow, l.v)
}

func (f *grad) copyTile(index, stage asm.Reg) {
	first := f.Op(asm.B32, "mul.lo.u32", index, f.t.keys)
	for _, c := range f.b {
		c.issue(first, f.streamCount, stage)
	}
}

func (f *grad) state(shared, warp asm.Reg) {
	first, rows, col, cols := f.unit.place(shared, warp)
	first = f.add(first, f.first)
	var mask asm.Reg
	if f.p.Mask != NoMask {
		mask = f.operand("mask", f.lead)
	}
	for _, offset := range rows {
		r := row{first: first, offset: offset}
		if f.p.Mask != NoMask {
			r.mask = f.maskRow(mask, r, f.ownCount, map[bool]string{false: "maskrow", true: "maskcol"}[f.transposed])
		}
		f.rows = append(f.rows, r)
		if !f.transposed {
			f.rowNumbers = append(f.rowNumbers, f.numbers(f.index(r)))
		}
	}
	f.mask = &masker{
		gen: f.gen, transposed: f.transposed, step: f.t.keys, rows: f.rows, offsets: cols, col: col,
		lowest: f.mad(warp, f.t.rows(f.p)/f.t.warps, f.first), cols: f.streamCount, factor: f.float("factor"),
	}
}

// numbers loads those of a query; of one past the last, they are 0.
func (f *grad) numbers(query asm.Reg) queryNumbers {
	live := f.less(query, f.queries)
	n := queryNumbers{f.constant(0), f.constant(0)}
	offset := f.Op(asm.B64, "shl.b64", f.Op(asm.B64, "add.u64", f.flat, f.wide(query)), 2)
	f.EmitIf(live, "ld.global.nc.f32", n.negLog, asm.At(f.Op(asm.B64, "add.u64", f.long("stats"), offset), 0))
	f.EmitIf(live, "ld.global.nc.f32", n.delta, asm.At(f.Op(asm.B64, "add.u64", f.long("delta"), offset), 0))
	unit := float32(-math.Log2E)
	if f.p.natural() {
		unit = -1
	}
	f.Set(n.negLog, "mul.rn.f32", n.negLog, unit)
	return n
}

func (f *grad) loop() {
	busy := f.less(f.mask.lowest, f.ownCount)
	i := f.mov(f.begin)
	f.forEach(i, f.end, func() {
		f.waitCopies(0)
		f.barrier()
		next := f.add(i, 1)
		f.SkipUnless(f.less(next, f.end), func() { f.copyTile(next, f.sub(f.l.stage, f.stage)) })
		f.commitCopies()
		f.SkipUnless(busy, func() { f.step(i) })
		f.Set(f.stage, "sub.u32", f.l.stage, f.stage)
	})
}

func (f *grad) step(index asm.Reg) {
	x, y := f.unit.products(0), f.unit.products(1)
	f.mask.apply(index, x)
	f.probabilities(index, x, y)
	if f.transposed {
		f.unit.accumulate(1, x)
	}
	f.unit.accumulate(0, y)
}

// probabilities makes P of X, and D of Y.
func (f *grad) probabilities(index asm.Reg, xs, ys []asm.Vec) {
	col := f.mad(index, f.t.keys, f.mask.col)
	for j, off := range f.mask.offsets {
		var n queryNumbers
		if f.transposed {
			n = f.numbers(f.add(col, off))
		}
		for i := range f.rows {
			if !f.transposed {
				n = f.rowNumbers[i]
			}
			x, y := xs[i][j], ys[i][j]
			var e asm.Reg
			if f.p.natural() {
				e = f.mul(f.plus(x, n.negLog), float32(math.Log2E))
			} else {
				e = f.fma(x, f.mask.factor, n.negLog)
			}
			f.Set(x, "mov.f32", f.exp2(e))
			f.Set(y, "mul.rn.f32", x, f.Op(asm.F32, "sub.rn.f32", y, n.delta))
		}
	}
}

// finish stores a result.
func (f *grad) finish(which int, name string) {
	groups, offsets, col, maxCol := f.unit.results(which)
	size := f.p.DType.Size()
	base := f.Op(asm.B64, "mad.wide.u32", col, size, f.operand(name, f.lead))
	rowBytes, scale := f.long(name+"row"), f.float("scale")
	dim := [2]int{f.p.HeadDim, f.p.ValueDim}[which]
	for i, r := range f.rows {
		index := f.index(r)
		f.SkipUnless(f.less(index, f.ownCount), func() {
			at := f.address(base, index, rowBytes)
			for j, group := range groups[i] {
				if which == 0 {
					for _, x := range group {
						f.Set(x, "mul.rn.f32", x, scale)
					}
				}
				f.group(asm.At(at, offsets[j]*size), col, maxCol, offsets[j], dim, group)
			}
		})
	}
}
