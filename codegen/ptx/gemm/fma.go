package gemm

import (
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// fmaRow is the distance of rows of a tile of the FMA template, in elements. They
// are a vector longer than the tile: 8 steps of k of 4 rows each, which a warp
// stores, hit different banks.
func (t arith) fmaRow(rows int) int { return rows + t.vector }

// memoryType says how elements are loaded, and turned into accumulators.
type memoryType struct {
	class asm.Class // as loaded
	load  string    // type suffix
	widen func(e *emitter, r asm.Reg) asm.Reg
	zero  any
}

func same(_ *emitter, r asm.Reg) asm.Reg { return r }

var memoryTypes = map[tensor.DType]memoryType{
	tensor.F32: {asm.F32, ".f32", same, float32(0)},
	tensor.F64: {asm.F64, ".f64", same, float64(0)},
	tensor.I32: {asm.B32, ".b32", same, 0},
	tensor.F16: {asm.B16, ".b16", func(e *emitter, r asm.Reg) asm.Reg {
		return e.Op(asm.F32, "cvt.f32.f16", r)
	}, 0},
	tensor.BF16: {asm.B16, ".b16", func(e *emitter, r asm.Reg) asm.Reg {
		return e.Op(asm.F32, "mov.b32", e.b32("shl.b32", e.b32("cvt.u32.u16", r), 16))
	}, 0},
}

// guarded loads an element into r, a zero where it is not there.
func (e *emitter) guarded(t memoryType, r, there asm.Reg, at asm.Addr) {
	mov := t.load
	if t.class == asm.B16 {
		mov = ".b16"
	}
	e.Set(r, "mov"+mov, t.zero)
	e.EmitIf(there, "ld.global.nc"+t.load, r, at)
}

// wordLoader brings an operand's tiles to shared memory element by element, as
// accumulators, rows of k. Whatever the layout, neighbouring threads load
// neighbours:
//
//	by k     8 elements of k of 4 rows per warp (a sector per row)
//	by mn    rows along the threads
//
// A thread's elements are dk apart along k, then dmn along m or n.
type wordLoader struct {
	*emitter
	typ     memoryType
	nk, nmn int
	dk, dmn int
	pitch   int     // elements
	src     asm.Reg // B64, the first element of the tile to be fetched next
	stepM   asm.Reg // B64, bytes between elements along m or n
	stepK   any     // B64 or a number, bytes between elements along k
	next    any     // bytes between tiles; nil: as many as nk steps, and nmn is 1
	left    asm.Reg // B32, of k, from the first element on
	rows    asm.Reg // B32, of m or n, from the first element on
	dst     asm.Reg // B32, place in the tile
	raw     asm.Vec
}

// newWordLoader prepares the loads of a side; its tiles begin at that offset of a
// stage.
func (e *emitter) newWordLoader(s *side, offset int) *wordLoader {
	l := &wordLoader{emitter: e, typ: memoryTypes[s.dtype], pitch: e.acc.fmaRow(s.rows)}
	var k, mn asm.Reg
	if threads := e.c.Threads(); s.major == KMajor {
		k = e.b32("and.b32", e.tid, 7)
		mn = e.b32("shr.u32", e.tid, 3)
		l.dk, l.dmn = 8, threads/8
	} else {
		k, mn = e.divideBy(e.tid, s.rows)
		l.dk, l.dmn = threads/s.rows, s.rows
	}
	l.nk, l.nmn = e.c.BK/l.dk, s.rows/l.dmn
	l.src = e.wide(k, s.k, e.wide(mn, s.mn, s.base))
	l.setSteps(s)
	l.left = e.b32("sub.u32", e.depth, k)
	l.rows = e.b32("sub.u32", e.b32("sub.u32", s.limit, s.first), mn)
	if l.nmn == 1 {
		l.left = l.within(0)
	}
	l.dst = e.b32("mad.lo.u32", e.b32("mad.lo.u32", k, l.pitch, mn), e.acc.bytes, offset)
	l.raw = e.Regs(l.typ.class, l.nk*l.nmn)
	return l
}

// setSteps finds the distances of elements and tiles: numbers where they are known,
// registers are scarce.
func (l *wordLoader) setSteps(s *side) {
	l.stepM = l.b64("mul.lo.s64", s.mn, l.dmn)
	if s.major == KMajor {
		l.stepK, l.next = l.dk*s.dtype.Size(), l.c.BK*s.dtype.Size()
		return
	}
	l.stepK = l.b64("mul.lo.s64", s.k, l.dk)
}

// within is left, or 0 where the thread's row j does not exist.
func (l *wordLoader) within(j int) asm.Reg {
	return l.b32("selp.b32", l.left, 0, l.pred("setp.gt.s32", l.rows, j*l.dmn))
}

// fetch starts loading the next tile.
func (l *wordLoader) fetch() {
	row, src := l.src, l.src
	for j := range l.nmn {
		if j > 0 {
			row = l.b64("add.s64", row, l.stepM)
		}
		left := l.left
		if l.nmn > 1 {
			left = l.within(j)
		}
		src = row
		for i := range l.nk {
			if i > 0 {
				src = l.b64("add.s64", src, l.stepK)
			}
			l.guarded(l.typ, l.raw[j*l.nk+i], l.pred("setp.gt.s32", left, i*l.dk), asm.At(src, 0))
		}
	}
	if l.next != nil {
		l.Set(l.src, "add.s64", l.src, l.next)
	} else {
		l.Set(l.src, "add.s64", src, l.stepK)
	}
	l.Set(l.left, "sub.s32", l.left, l.c.BK)
}

// commit stores what fetch has loaded to the stage at a shared address.
func (l *wordLoader) commit(stage asm.Reg) {
	dst := l.b32("add.u32", stage, l.dst)
	for j := range l.nmn {
		for i := range l.nk {
			offset := (i*l.dk*l.pitch + j*l.dmn) * l.acc.bytes
			l.Emit("st.shared"+l.acc.typ, asm.At(dst, offset), l.typ.widen(l.emitter, l.raw[j*l.nk+i]))
		}
	}
}

// outer is the FMA template's state. A warp is 4 x 8 threads; a thread owns vectors
// of V rows and V columns, V = 4 (of f64, 2), one of each half of the tile where it
// has two:
//
//	columns   V*x..V*x+V-1          V*x+BN/2..
//	rows      V*y..V*y+V-1          V*y+BM/2..
type outer struct {
	*emitter
	la, lb       *wordLoader
	vecM, vecN   int         // vectors of rows and columns
	sums         [][]asm.Vec // [row][vector of columns]
	stage        int         // bytes
	aRead, bRead asm.Reg     // B32, place in a stage of the thread's first row and column
}

// fma emits the FMA template. A stage holds a tile of A, then one of B, rows of k.
func (e *emitter) fma() {
	g := &outer{emitter: e, stage: e.c.stageBytes(e.p)}
	g.vecM, g.vecN = e.c.vectors(e.acc)
	aBytes := e.c.BK * e.acc.fmaRow(e.c.BM) * e.acc.bytes
	wn, wm := e.divideBy(e.warp, e.c.WM)
	y := e.b32("mad.lo.u32", wm, 4, e.b32("shr.u32", e.lane, 3))
	x := e.b32("mad.lo.u32", wn, 8, e.b32("and.b32", e.lane, 7))
	g.aRead = e.b32("mul.lo.u32", y, 16)
	g.bRead = e.b32("mad.lo.u32", x, 16, aBytes)
	g.la, g.lb = e.newWordLoader(&e.a, 0), e.newWordLoader(&e.b, aBytes)
	g.sums = make([][]asm.Vec, e.acc.vector*g.vecM)
	for i := range g.sums {
		for range g.vecN {
			g.sums[i] = append(g.sums[i], e.zeros(e.acc.vector))
		}
	}
	g.keepPlace()
	g.loop()
	g.store(aBytes)
	g.recallPlace()
	e.tail(1)
}

// placeAt is where the loop keeps the block's place: the pad of the first row, which
// neither tiles nor staged sums use.
//
//	tile of A     row 0 [ BM elements ][ pad: a vector ]
//	staged sums   row 0 [ BN elements ][ pad           ]
func (g *outer) placeAt(word int) asm.Addr {
	if g.c.BM != g.c.BN || g.acc.vector*g.acc.bytes < 12 {
		panic("BUG: gemm: no pad in common")
	}
	return asm.At(g.shared, g.c.BM*g.acc.bytes+4*word)
}

// keepPlace puts away what only the end needs: the loop wants all registers.
func (g *outer) keepPlace() {
	first := g.pred("setp.eq.u32", g.tid, 0)
	for i, r := range []asm.Reg{g.a.first, g.b.first, g.slab} {
		g.EmitIf(first, "st.shared.b32", g.placeAt(i), r)
	}
}

// recallPlace is behind the loop, and a barrier of it.
func (g *outer) recallPlace() {
	for i, r := range []*asm.Reg{&g.a.first, &g.b.first, &g.slab} {
		*r = g.b32("ld.shared.b32", g.placeAt(i))
	}
	if g.p.Batch > 0 {
		_, z := g.divide(g.slab, g.par.batches)
		g.batch = g.indices(z)
	}
}

// vectors is the number of vectors of rows and of columns of a thread of FMA.
func (c Config) vectors(t arith) (m, n int) {
	return c.BM / (c.WM * 4 * t.vector), c.BN / (c.WN * 8 * t.vector)
}

// loop multiplies a tile while the next one is on its way to the other stage: that
// of an even or odd number of tiles left.
func (g *outer) loop() {
	stage := func(left asm.Reg) asm.Reg {
		return g.b32("mad.lo.u32", g.b32("and.b32", left, 1), g.stage, g.shared)
	}
	fetch := func() { g.la.fetch(); g.lb.fetch() }
	commit := func(to asm.Reg) { g.la.commit(to); g.lb.commit(to) }
	fetch()
	commit(stage(g.tiles))
	g.Emit("bar.sync", 0)
	g.count(g.tiles, func(left asm.Reg) {
		fetch() // nothing beyond the end of k
		g.multiply(stage(left))
		commit(stage(g.b32("add.s32", left, 1)))
		g.Emit("bar.sync", 0)
	})
}

// multiply adds the product of the tiles of the stage at a shared address.
func (g *outer) multiply(stage asm.Reg) {
	a, b := g.b32("add.u32", stage, g.aRead), g.b32("add.u32", stage, g.bRead)
	v := g.acc.vector
	for k := range g.c.BK {
		av := g.read(a, k*g.acc.fmaRow(g.c.BM), g.vecM, g.c.BM/g.vecM)
		bv := g.read(b, k*g.acc.fmaRow(g.c.BN), g.vecN, g.c.BN/g.vecN)
		for i, x := range av {
			for j, y := range bv {
				s := g.sums[i][j/v][j%v]
				g.Set(s, g.acc.fma, x, y, s)
			}
		}
	}
}

// read reads n vectors, apart elements apart.
func (g *outer) read(from asm.Reg, offset, n, apart int) asm.Vec {
	var v asm.Vec
	for i := range n {
		v = append(v, g.loadStaged(from, (offset+i*apart)*g.acc.bytes, g.acc.vector)...)
	}
	return v
}

// store stages the sums. The places of the thread's first row and column in a stage
// are reused: registers are scarce.
func (g *outer) store(aBytes int) {
	at := g.b32("mad.lo.u32", g.aRead, g.c.stagingPitch(), g.b32("add.u32", g.bRead, g.shared))
	at = g.b32("sub.u32", at, aBytes)
	t := g.acc
	for i, row := range g.sums {
		line := i%t.vector + i/t.vector*(g.c.BM/g.vecM)
		for j, v := range row {
			offset := line*g.c.stagingPitch() + j*(g.c.BN/g.vecN)
			g.Emit("st.shared"+vectorSuffix(t.vector)+t.typ, asm.At(at, offset*t.bytes), v)
		}
	}
}
