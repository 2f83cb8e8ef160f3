package gemm

import (
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// mmaInstructions multiply 16 rows by 8 columns by 32 bytes of k.
var mmaInstructions = map[tensor.DType]string{
	tensor.BF16: "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
	tensor.F16:  "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32",
	tensor.F32:  "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
}

// product is the tensor-core template's state.
type product struct {
	*emitter
	la, lb *loader
	fa, fb *fragments
	sums   [][]asm.Vec // per block of 16 rows, of 8 columns: 4 sums
	stage  int         // bytes of a stage
	row    asm.Reg     // B32, first row and column of the warp in the tile
	col    asm.Reg
}

// tensor emits the tensor-core template. A stage holds a tile of A, then one of B.
func (e *emitter) tensor() {
	g := &product{emitter: e}
	aBytes := e.c.layoutOf(e.c.BM, e.p.A, e.a.major).bytes()
	g.stage = e.c.stageBytes(e.p)
	rows, cols := e.c.BM/e.c.WM, e.c.BN/e.c.WN
	wn, wm := e.divideBy(e.warp, e.c.WM)
	g.row = e.b32("mul.lo.u32", wm, rows)
	g.col = e.b32("mul.lo.u32", wn, cols)
	g.la, g.lb = e.newLoader(&e.a, 0), e.newLoader(&e.b, aBytes)
	g.fa = e.newFragments(&e.a, g.row, rows, 0, 0)
	g.fb = e.newFragments(&e.b, g.col, cols, 1, aBytes)
	g.sums = make([][]asm.Vec, rows/16)
	for i := range g.sums {
		for range cols / 8 {
			g.sums[i] = append(g.sums[i], e.zeros(4))
		}
	}
	if e.c.Scalar {
		g.loopScalar()
	} else {
		g.loopAsync()
	}
	g.store()
	e.tail(1)
}

// divideBy divides by a power of two, or another constant.
func (e *emitter) divideBy(n asm.Reg, d int) (quotient, remainder asm.Reg) {
	q := e.b32("div.u32", n, d)
	return q, e.b32("rem.u32", n, d)
}

// loopAsync keeps Stages-1 tiles on their way:
//
//	stage   0        1        2
//	        multiply loaded   loading     tile t, t+1, t+2; t+3 goes to stage 0
//
// A stage is filled again only behind the barrier that says that all warps are
// done with it. Every thread commits one group per tile, and more behind the last
// one, so that waiting for all but Stages-2 groups waits for the tile to be
// multiplied. The copies are asked for once the first multiplications may begin.
func (g *product) loopAsync() {
	issue := func(stage asm.Reg) {
		g.la.async(stage)
		g.lb.async(stage)
		g.Emit("cp.async.commit_group")
	}
	last := g.c.Stages - 1
	for s := range last {
		issue(g.b32("add.u32", g.shared, s*g.stage))
	}
	read, write := g.b32("mov.b32", g.shared), g.b32("add.u32", g.shared, last*g.stage)
	end := g.b32("add.u32", g.shared, g.c.Stages*g.stage)
	g.count(g.tiles, func(asm.Reg) {
		g.Emit("cp.async.wait_group", g.c.Stages-2)
		g.Emit("bar.sync", 0)
		g.multiply(read, func() { issue(write) })
		for _, r := range []asm.Reg{read, write} {
			g.Set(r, "add.u32", r, g.stage)
			g.Set(r, "selp.b32", g.shared, r, g.pred("setp.eq.u32", r, end))
		}
	})
	g.Emit("cp.async.wait_group", 0)
	g.Emit("bar.sync", 0)
}

// loopScalar loads the elements of the next tile while it multiplies this one, two
// stages.
func (g *product) loopScalar() {
	stage := g.b32("mov.b32", g.shared)
	both := g.b32("mad.lo.u32", g.shared, 2, g.stage) // stage, and the other one
	fetch := func() { g.la.fetch(); g.lb.fetch() }
	commit := func() { g.la.commit(stage); g.lb.commit(stage) }
	fetch()
	commit()
	g.Emit("bar.sync", 0)
	g.count(g.tiles, func(asm.Reg) {
		fetch() // nothing beyond the end of k
		g.multiply(stage, func() {})
		g.Set(stage, "sub.u32", both, stage)
		commit()
		g.Emit("bar.sync", 0)
	})
}

// multiply adds the product of the tiles of the stage at a shared address. between
// comes behind the first reads of it.
func (g *product) multiply(stage asm.Reg, between func()) {
	op := mmaInstructions[g.p.A]
	for s := range g.c.stepsOfK(g.fa.size) {
		var a, b []asm.Vec
		for i := range g.sums {
			a = append(a, g.fragment(g.fa, stage, i, s))
		}
		for j := range len(g.sums[0]) / 2 {
			r := g.fragment(g.fb, stage, j, s)
			b = append(b, r[:2], r[2:])
		}
		if s == 0 {
			between()
		}
		for i := range a {
			for j := range b {
				g.Emit(op, g.sums[i][j], a[i], b[j], g.sums[i][j])
			}
		}
	}
}

func (g *product) fragment(f *fragments, stage asm.Reg, block, step int) asm.Vec {
	r := f.read(stage, block, step)
	if g.p.A == tensor.F32 {
		for i := range r {
			r[i] = g.b32("cvt.rna.tf32.f32", g.Op(asm.F32, "mov.b32", r[i]))
		}
	}
	return r
}

// store stages the sums: of a block of 16 x 8, a thread has two neighbours in row
// lane/4 and two in the row 8 below.
func (g *product) store() {
	row := g.b32("add.u32", g.row, g.b32("shr.u32", g.lane, 2))
	col := g.b32("mad.lo.u32", g.b32("and.b32", g.lane, 3), 2, g.col)
	at := g.stageAt(row, col)
	for i := range g.sums {
		for j, v := range g.sums[i] {
			for h := range 2 {
				offset := (16*i+8*h)*g.c.stagingPitch() + 8*j
				g.Emit("st.shared.v2.f32", asm.At(at, 4*offset), v[2*h:2*h+2])
			}
		}
	}
}
