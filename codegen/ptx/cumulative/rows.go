package cumulative

import (
	"fmt"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

const (
	run   = 4             // neighbours that a thread combines
	tile  = run * threads // elements that a block has at a time
	warps = threads / 32
)

// row is the part of a line that a block has.
type row struct {
	*gen
	part       asm.Reg // of the line
	lane, warp asm.Reg
	sums       asm.Reg // shared memory: what warps combine to
	x, out     asm.Reg // the element of the line that is combined first
	step       asm.Reg // bytes to the next
	total      asm.Reg // the line's first total
}

func newRow(name string, p Problem) *row {
	r := &row{gen: newGen(name, p)}
	r.Shared("sums", warps*r.size, 16)
	r.sums = r.Op(asm.B32, "mov.b32", "sums")
	r.warp = r.Op(asm.B32, "shr.u32", r.tid, 5)
	r.lane = r.Op(asm.B32, "and.b32", r.tid, 31)
	line, part := r.divmod(r.Op(asm.B32, "mov.b32", "%ctaid.x"), r.word("parts"))
	begin := r.mad(r.wide(line), r.long("apart"), r.long("first"))
	r.x, r.out, r.step, r.part = r.add(r.long("x"), begin), r.add(r.long("out"), begin), r.long("step"), part
	r.total = r.mad(r.Op(asm.B64, "mul.wide.u32", line, r.word("cuts")), r.size, r.long("totals"))
	return r
}

// emitRows combines the totals before the part, and then the part's elements.
func emitRows(p Problem) *asm.Kernel {
	r := newRow(EntryRows, p)
	carry := r.copied(r.neutral)
	r.SkipUnless(r.Op(asm.Pred, "setp.ne.u32", r.part, 0), func() {
		size := r.Op(asm.B64, "mov.b64", r.size)
		r.let(carry, r.fold(p.compute(), r.total, size, r.Op(asm.B64, "mov.b64", 0), r.wide(r.part)))
	})
	r.walk(carry)
	return r.Kernel
}

// emitRowTotals keeps what the part combines to.
func emitRowTotals(p Problem) *asm.Kernel {
	r := newRow(EntryRowTotals, p)
	from, end := r.partOf(r.part)
	v := r.fold(p.DType, r.x, r.step, from, end)
	first := r.Op(asm.Pred, "setp.eq.u32", r.tid, 0)
	ptx.StoreElement(r.Kernel, p.compute(), first, asm.At(r.Op(asm.B64, "mad.wide.u32", r.part, r.size, r.total), 0), v)
	return r.Kernel
}

// every visits every 256th element from i on, with whether it is below end and where
// it is.
func (r *row) every(base, step, i, end asm.Reg, visit func(k int, pred asm.Reg, at asm.Addr)) {
	at, stride := r.mad(i, step, base), r.Op(asm.B64, "mul.lo.s64", step, threads)
	for k := range run {
		visit(k, r.less(r.add(i, k*threads), end), asm.At(at, 0))
		at = r.add(at, stride)
	}
}

// loads loads what every visits.
func (r *row) loads(t tensor.DType, base, step, i, end asm.Reg) (vs [run]asm.Reg) {
	r.every(base, step, i, end, func(k int, pred asm.Reg, at asm.Addr) { vs[k] = r.load(t, pred, at) })
	return vs
}

// tiles writes a loop over the tiles of [from, end); i is the thread's first element
// of each. All threads stay together.
func (r *row) tiles(from, end asm.Reg, body func(i asm.Reg)) {
	tid := r.wide(r.tid)
	r.steps(from, end, tile, func(first asm.Reg) { body(r.add(first, tid)) })
}

// fold is what elements combine to, in all threads, in an order that depends on their
// number. The sums may be written again behind the next barrier.
func (r *row) fold(t tensor.DType, base, step, from, end asm.Reg) asm.Reg {
	acc := r.copied(r.neutral)
	r.tiles(from, end, func(i asm.Reg) {
		for _, v := range r.loads(t, base, step, i, end) {
			r.let(acc, r.combine(acc, v))
		}
	})
	for d := 1; d < 32; d *= 2 {
		other, _ := r.shuffled("bfly", acc, d, 31)
		acc = r.combine(acc, other)
	}
	r.sum(acc)
	all := r.copied(r.neutral)
	for w := range warps {
		r.let(all, r.combine(all, r.summed(w)))
	}
	return all
}

// walk combines the part's elements from the carry on, tile by tile:
//
//	barrier | what is staged is combined to runs, runs to warps
//	barrier | warps to the tile, whose results are staged
//	barrier | results are stored, and elements staged, by the same thread
func (r *row) walk(carry asm.Reg) {
	r.Shared("stage", tile*r.size, 16)
	stage := r.Op(asm.B32, "mov.b32", "stage")
	own := r.Op(asm.B32, "mad.lo.u32", r.tid, run*r.size, stage)
	stage = r.Op(asm.B32, "mad.lo.u32", r.tid, r.size, stage)
	from, end := r.partOf(r.part)
	r.tiles(from, end, func(i asm.Reg) {
		for k, v := range r.loads(r.p.DType, r.x, r.step, i, end) {
			r.Emit("st.shared."+r.typ(), asm.At(stage, k*threads*r.size), v)
		}
		r.barrier()
		r.combineTile(carry, own)
		r.barrier()
		r.every(r.out, r.step, i, end, func(k int, pred asm.Reg, at asm.Addr) {
			v := r.Op(r.class, "ld.shared."+r.typ(), asm.At(stage, k*threads*r.size))
			ptx.StoreElement(r.Kernel, r.p.DType, pred, at, v)
		})
	})
}

// combineTile replaces what is staged by what it combines to, and the carry.
func (r *row) combineTile(carry, own asm.Reg) {
	vs := r.runOf(own)
	for k := 1; k < run; k++ {
		vs[k] = r.combine(vs[k-1], vs[k])
	}
	upTo := vs[run-1] // of the warp, to the thread's last
	for d := 1; d < 32; d *= 2 {
		before, has := r.shuffled("up", upTo, d, 0)
		upTo = r.choose(has, r.combine(before, upTo), upTo)
	}
	r.sum(upTo)
	start := r.copied(carry) // of the warp
	for w := range warps {
		r.let(carry, r.combine(carry, r.summed(w)))
		if w+1 < warps {
			r.let(start, r.choose(r.Op(asm.Pred, "setp.gt.u32", r.warp, w), carry, start))
		}
	}
	before, has := r.shuffled("up", upTo, 1, 0)
	start = r.choose(has, r.combine(start, before), start)
	for k := range vs {
		vs[k] = r.combine(start, vs[k])
	}
	r.eachAccess(func(k, width int) {
		r.Emit(fmt.Sprintf("st.shared.v%d.%s", width, r.typ()), asm.At(own, k*r.size), vs[k:k+width])
	})
}

// runOf loads the thread's run of the stage.
func (r *row) runOf(own asm.Reg) asm.Vec {
	vs := r.Regs(r.class, run)
	r.eachAccess(func(k, width int) {
		r.Emit(fmt.Sprintf("ld.shared.v%d.%s", width, r.typ()), vs[k:k+width], asm.At(own, k*r.size))
	})
	return vs
}

// eachAccess visits the accesses of a run, of 16 bytes each.
func (r *row) eachAccess(visit func(k, width int)) {
	for k := 0; k < run; k += 16 / r.size {
		visit(k, 16/r.size)
	}
}

// sum shows the last lane's value to the block.
func (r *row) sum(v asm.Reg) {
	last := r.Op(asm.Pred, "setp.eq.u32", r.lane, 31)
	r.EmitIf(last, "st.shared."+r.typ(), asm.At(r.Op(asm.B32, "mad.lo.u32", r.warp, r.size, r.sums), 0), v)
	r.barrier()
}

// summed is what a warp has shown.
func (r *row) summed(warp int) asm.Reg {
	return r.Op(r.class, "ld.shared."+r.typ(), asm.At(r.sums, warp*r.size))
}

func (r *row) barrier() { r.Emit("bar.sync", 0) }

// shuffled is the value of the lane d further, by the mode of a shuffle, and whether
// there is one.
func (r *row) shuffled(mode string, v asm.Reg, d, clamp int) (other, has asm.Reg) {
	const all = "0xFFFFFFFF"
	has = r.Reg(asm.Pred)
	shuffle := func(w asm.Reg) asm.Reg {
		to := r.Reg(asm.B32)
		r.Emit("shfl.sync."+mode+".b32", to.String()+"|"+has.String(), w, d, clamp, all)
		return to
	}
	switch {
	case v.Class() == asm.B32:
		return shuffle(v), has
	case r.size == 4:
		return r.Op(r.class, "mov.b32", shuffle(r.Op(asm.B32, "mov.b32", v))), has
	}
	halves := r.Regs(asm.B32, 2)
	r.Emit("mov.b64", halves, v)
	for i, h := range halves {
		halves[i] = shuffle(h)
	}
	return r.Op(r.class, "mov.b64", halves), has
}
