package gemm

import (
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// skinnyConfig is the skinny template for that many rows.
//
//	B by k    dot    a block has 4 columns; its threads share k, each multiplies
//	                 vectors of B and A along k; lanes add up at the end
//	B by n    axpy   a lane has a vector of neighbours along n, a warp of a block
//	                 every WM-th piece of k
func skinnyConfig(p Problem, rows int) Config {
	c := Config{Kind: Skinny, BM: rows, WM: 4, WN: 1, Stages: 1}
	if p.BContract == KMajor {
		c.BN, c.BK = 4, 32*c.WM*p.vector()
		return c
	}
	if rows <= 4 {
		c.WM = 8
	}
	c.BN, c.BK = 32*p.vectorN(), axpySteps*c.WM
	return c
}

// vector is the number of elements of k that a thread of the dot form multiplies at
// once: 16 bytes of the wider operand.
func (p Problem) vector() int { return 16 / max(p.A.Size(), p.B.Size()) }

// vectorN is the number of columns of a lane of the axpy form.
func (p Problem) vectorN() int { return min(4, 16/p.B.Size()) }

// axpySteps is the number of steps of k that a warp loads at once.
const axpySteps = 4

// thin is the skinny template's state.
type thin struct {
	*emitter
	ta, tb memoryType
	rows   []asm.Reg // B64, address of each row of A in the block's part of k
	sums   []asm.Vec // [row][column]
}

// skinny emits the skinny template.
func (e *emitter) skinny() {
	t := &thin{emitter: e, ta: memoryTypes[e.p.A], tb: memoryTypes[e.p.B]}
	t.rows = t.lines(&e.a, e.c.BM)
	if e.b.major == KMajor {
		t.dot()
	} else {
		t.axpy()
	}
	e.tail(e.c.WM)
}

// lines are the addresses of n rows of a side. Rows that do not exist are the last
// one: what they sum is never looked at.
func (t *thin) lines(s *side, n int) []asm.Reg {
	last := t.b32("sub.u32", t.b32("sub.u32", s.limit, s.first), 1)
	lines := []asm.Reg{s.base}
	for i := 1; i < n; i++ {
		lines = append(lines, t.wide(t.b32("min.u32", last, i), s.mn, s.base))
	}
	return lines
}

// from runs body for i = first, first+step, ... while i < end; B32s.
func (t *thin) from(i, end asm.Reg, step int, body func()) {
	loop, done := t.NewLabel(), t.NewLabel()
	t.Place(loop)
	t.EmitIf(t.pred("setp.ge.s32", i, end), "bra", done)
	body()
	t.Set(i, "add.s32", i, step)
	t.Emit("bra", loop)
	t.Place(done)
}

// dot emits the form for B by k: vectors of k up to the last whole one, if the
// operands are aligned, then element by element.
func (t *thin) dot() {
	columns := t.lines(&t.b, t.c.BN)
	for range t.rows {
		t.sums = append(t.sums, t.zeros(t.c.BN))
	}
	v, threads := t.p.vector(), t.c.Threads()
	end := t.depth
	whole := t.b32("max.s32", t.b32("min.s32", t.b32("sub.s32", t.par.vector, t.start), end), 0)
	i := t.b32("mul.lo.u32", t.tid, v)
	t.from(i, whole, threads*v, func() { t.dotStep(columns, i, v) })
	t.Set(i, "add.s32", whole, t.tid)
	t.from(i, end, threads, func() { t.dotStep(columns, i, 1) })
	t.dotEnd()
}

// dotStep multiplies v elements from i on.
func (t *thin) dotStep(columns []asm.Reg, i asm.Reg, v int) {
	var b []asm.Vec
	for _, c := range columns {
		b = append(b, t.vector(t.tb, t.p.B, t.along(&t.b, i, c, v), v))
	}
	for m, r := range t.rows {
		at := t.along(&t.a, i, r, v)
		var a asm.Vec
		if t.a.major == KMajor {
			a = t.vector(t.ta, t.p.A, at, v)
		} else {
			a = t.strided(t.ta, at, t.a.k, v)
		}
		for n := range columns {
			for k := range v {
				t.Set(t.sums[m][n], t.acc.fma, a[k], b[n][k], t.sums[m][n])
			}
		}
	}
}

// along is the address of element i of k of a row. Vectors are of rows that are
// contiguous.
func (t *thin) along(s *side, i, row asm.Reg, v int) asm.Reg {
	if s.major == KMajor && v > 1 {
		return t.b64("mad.wide.s32", i, s.dtype.Size(), row)
	}
	return t.wide(i, s.k, row)
}

// vector loads n neighbours as accumulators.
func (t *thin) vector(typ memoryType, d tensor.DType, at asm.Reg, n int) asm.Vec {
	raw := t.Regs(typ.class, n)
	if typ.class != asm.B16 || n == 1 {
		t.Emit("ld.global.nc"+vectorSuffix(n)+typ.load, vectorOperand(raw), asm.At(at, 0))
		return t.widened(typ, raw)
	}
	words := t.Regs(asm.B32, n*d.Size()/4)
	t.Emit("ld.global.nc"+vectorSuffix(len(words))+".b32", vectorOperand(words), asm.At(at, 0))
	for i, w := range words {
		t.Emit("mov.b32", raw[2*i:2*i+2], w)
	}
	return t.widened(typ, raw)
}

// strided loads n elements as accumulators.
func (t *thin) strided(typ memoryType, at, stride asm.Reg, n int) asm.Vec {
	raw := t.Regs(typ.class, n)
	for i, r := range raw {
		if i > 0 {
			at = t.b64("add.s64", at, stride)
		}
		t.Emit("ld.global.nc"+typ.load, r, asm.At(at, 0))
	}
	return t.widened(typ, raw)
}

func (t *thin) widened(typ memoryType, raw asm.Vec) asm.Vec {
	v := make(asm.Vec, len(raw))
	for i, r := range raw {
		v[i] = typ.widen(t.emitter, r)
	}
	return v
}

// dotEnd adds up the lanes of each warp and stages the sums of each as a slab. At
// each step a lane keeps one half of the sums and gives the other to the lane that
// keeps that, so that sums halve as lanes add up:
//
//	lane bit    4        3        2  ...
//	keeps       index bit 5, 4, 3, ... of 64 sums, row*BN + column; two are left
func (t *thin) dotEnd() {
	var sums asm.Vec
	for _, row := range t.sums {
		sums = append(sums, row...)
	}
	d := 16
	for ; d > 0 && len(sums) > 1; d /= 2 {
		upper := t.pred("setp.ne.u32", t.b32("and.b32", t.lane, d), 0)
		half := len(sums) / 2
		for i := range half {
			low, high := sums[i], sums[half+i]
			keep := t.Op(t.acc.class, "selp"+t.acc.typ, high, low, upper)
			give := t.Op(t.acc.class, "selp"+t.acc.typ, low, high, upper)
			sums[i] = t.Op(t.acc.class, t.acc.add, keep, t.otherLane(give, d))
		}
		sums = sums[:half]
	}
	same := 2*d - 1 // lanes that differ in these bits only have the same sum
	for ; d > 0; d /= 2 {
		sums[0] = t.Op(t.acc.class, t.acc.add, sums[0], t.otherLane(sums[0], d))
	}
	skip := t.NewLabel()
	if same > 0 {
		t.EmitIf(t.pred("setp.ne.u32", t.b32("and.b32", t.lane, same), 0), "bra", skip)
	}
	t.stageSums(sums, max(same, 0)+1)
	t.Place(skip)
}

// stageSums stages a lane's neighbouring sums in the warp's slab; each is had by
// that many neighbouring lanes.
func (t *thin) stageSums(sums asm.Vec, lanes int) {
	first := t.b32("mul.lo.u32", t.b32("div.u32", t.lane, lanes), len(sums))
	row, col := t.divideBy(first, t.c.BN)
	at := t.stageAt(t.b32("mad.lo.u32", t.warp, t.c.BM, row), col)
	for n := 0; n < len(sums); n += t.acc.vector {
		v := sums[n:min(n+t.acc.vector, len(sums))]
		t.Emit("st.shared"+vectorSuffix(len(v))+t.acc.typ, asm.At(at, n*t.acc.bytes), vectorOperand(v))
	}
}

// otherLane is the value of the lane whose number differs in bit d.
func (t *thin) otherLane(v asm.Reg, d int) asm.Reg {
	if t.acc.class != asm.F64 {
		w := t.b32("mov.b32", v)
		return t.Op(t.acc.class, "mov.b32", t.b32("shfl.sync.bfly.b32", w, d, 31, -1))
	}
	w := t.Regs(asm.B32, 2)
	t.Emit("mov.b64", w, v)
	for i, r := range w {
		w[i] = t.b32("shfl.sync.bfly.b32", r, d, 31, -1)
	}
	return t.Op(asm.F64, "mov.b64", w)
}

// stageRows stages a thread's sums, columns from col on, in the warp's slab.
func (t *thin) stageRows(col asm.Reg) {
	at := t.stageAt(t.b32("mul.lo.u32", t.warp, t.c.BM), col)
	for m, row := range t.sums {
		for n := 0; n < len(row); n += t.acc.vector {
			v := row[n:min(n+t.acc.vector, len(row))]
			t.Emit("st.shared"+vectorSuffix(len(v))+t.acc.typ,
				asm.At(at, (m*t.c.stagingPitch()+n)*t.acc.bytes), vectorOperand(v))
		}
	}
}

// axpy emits the form for B by n, or strided: vectors along n if the operand is
// aligned, else element by element.
func (t *thin) axpy() {
	v := t.p.vectorN()
	for range t.rows {
		t.sums = append(t.sums, t.zeros(v))
	}
	col := t.b32("mul.lo.u32", t.lane, v)
	left := t.b32("sub.u32", t.b32("sub.u32", t.par.n, t.b.first), col)
	base := t.wide(col, t.b.mn, t.b.base)
	end := t.depth
	i := t.b32("mul.lo.u32", t.warp, axpySteps)
	scalar, done := t.NewLabel(), t.NewLabel()
	if t.b.major == MNMajor {
		t.EmitIf(t.pred("setp.eq.u32", t.par.vector, 0), "bra", scalar)
		t.from(i, end, t.c.BK, func() { t.axpyStep(i, end, left, base, true) })
		t.Emit("bra", done)
	}
	t.Place(scalar)
	t.from(i, end, t.c.BK, func() { t.axpyStep(i, end, left, base, false) })
	t.Place(done)
	t.stageRows(col)
}

// axpyStep multiplies axpySteps steps of k from i on. Where they reach beyond the
// end, or columns beyond n, zeros are multiplied.
func (t *thin) axpyStep(i, end, left, base asm.Reg, whole bool) {
	more := t.b32("sub.s32", end, i)
	at := t.wide(i, t.b.k, base)
	var b []asm.Vec
	var there []asm.Reg
	for s := range axpySteps {
		if s > 0 {
			at = t.b64("add.s64", at, t.b.k)
		}
		there = append(there, t.pred("setp.gt.s32", more, s))
		b = append(b, t.columns(there[s], left, at, whole))
	}
	for m, r := range t.rows {
		at := t.wide(i, t.a.k, r)
		for s := range axpySteps {
			if s > 0 {
				at = t.b64("add.s64", at, t.a.k)
			}
			raw := t.Reg(t.ta.class)
			t.guarded(t.ta, raw, there[s], asm.At(at, 0))
			a := t.ta.widen(t.emitter, raw)
			for n, s := range t.sums[m] {
				t.Set(s, t.acc.fma, a, b[0][n], s)
			}
			b = append(b[1:], b[0])
		}
	}
}

// columns loads a lane's columns of a step of k that may not be there.
func (t *thin) columns(there, left, at asm.Reg, whole bool) asm.Vec {
	n := t.p.vectorN()
	raw := t.Regs(t.tb.class, n)
	if !whole {
		left = t.b32("selp.b32", left, 0, there)
		for j, r := range raw {
			if j > 0 {
				at = t.b64("add.s64", at, t.b.mn)
			}
			t.guarded(t.tb, r, t.pred("setp.gt.s32", left, j), asm.At(at, 0))
		}
		return t.widened(t.tb, raw)
	}
	there = t.pred("and.pred", there, t.pred("setp.gt.s32", left, 0))
	if t.tb.class != asm.B16 {
		for _, r := range raw {
			t.Set(r, "mov"+t.tb.load, t.tb.zero)
		}
		t.EmitIf(there, "ld.global.nc"+vectorSuffix(n)+t.tb.load, raw, asm.At(at, 0))
		return t.widened(t.tb, raw)
	}
	words := t.Regs(asm.B32, n/2)
	for _, w := range words {
		t.Set(w, "mov.b32", 0)
	}
	t.EmitIf(there, "ld.global.nc"+vectorSuffix(n/2)+".b32", words, asm.At(at, 0))
	for i, w := range words {
		t.Emit("mov.b32", raw[2*i:2*i+2], w)
	}
	return t.widened(t.tb, raw)
}
