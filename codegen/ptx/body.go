package ptx

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
)

// body emits runs of instructions for one or several neighbouring points, lanes,
// of a loop.
//
//	lanes 4 along i       x[4*t+0] x[4*t+1] x[4*t+2] x[4*t+3]   one 128-bit load
//	a value that varies   four registers
//	one that does not     one register
type body struct {
	*entry
	vals  [][]asm.Reg // per value: one register, or one per lane
	lanes int
	along *loop  // of the lanes; nil if there is one
	loops []loop // all of the nest's
	vary  []bool
	pos   []asm.Reg // per axis: its position, of lane 0
	addr  []asm.Reg // per access: its address without data-dependent parts, of lane 0
	runs  bool      // accesses of neighbouring elements are aligned and complete
	// Loads and stores happen where these hold; none: always.
	loadIf, storeIf asm.Reg
	shared          []bool                           // per buffer: it lies in shared memory
	tile            func(in *codegen.Inst) []asm.Reg // what loads of a product give, per lane
	given           map[int]func() []asm.Reg         // loads whose values come from elsewhere
	have            map[int]loaded                   // loads that have been emitted
	kept            func(i int) bool                 // told of every load and store; is this store dropped?
	// In an epilogue: which lanes exist, and whether all do and runs are aligned.
	live []asm.Reg
	full asm.Reg
}

func (e *entry) body() *body {
	n := e.nest
	return &body{entry: e, vals: make([][]asm.Reg, len(n.Insts)), lanes: 1, pos: make([]asm.Reg, len(n.Axes)),
		addr: make([]asm.Reg, len(n.Accs)), vary: make([]bool, len(n.Insts)), shared: make([]bool, len(e.c.kernel.Bufs))}
}

// across sets the lanes of what is emitted next.
func (b *body) across(l *loop, lanes int) {
	b.lanes, b.along = lanes, l
	b.vary = varying(b.nest, l)
}

// varying says of each value whether it differs between the positions of a loop.
func varying(n *codegen.Nest, l *loop) []bool {
	out := make([]bool, len(n.Insts))
	for i := range n.Insts {
		in := &n.Insts[i]
		switch in.Op {
		case codegen.Index:
			for _, a := range l.axes {
				out[i] = out[i] || in.Axis == a
			}
		case codegen.Load, codegen.Store:
			out[i] = n.Accs[in.Acc].Class(l.last()) != codegen.StrideZero
		}
		n.Operands(i, func(v codegen.Val) { out[i] = out[i] || out[v] })
	}
	return out
}

// run emits Insts[from:to].
func (b *body) run(from, to int) {
	for i := from; i < to; i++ {
		in := &b.nest.Insts[i]
		if v, ok := b.have[i]; ok {
			b.vals[i] = v()
			b.keep(i)
			continue
		}
		switch in.Op {
		case codegen.Const:
			b.vals[i] = []asm.Reg{b.constant(kindOf(in.Type), in.Imm)}
		case codegen.Size:
			b.vals[i] = []asm.Reg{b.sizeValue(i, in)}
		case codegen.Index:
			b.vals[i] = b.each(i, func(lane int) asm.Reg { return b.indexValue(in, lane) })
		case codegen.Load:
			b.vals[i] = b.load(i, in)
			b.keep(i)
		case codegen.Store:
			if !b.keep(i) {
				b.store(i, in)
			}
		default:
			from := kindOf(operandType(b.nest, in))
			s := spelling(in.Op, from, b.c.opts.FastMath)
			b.vals[i] = b.each(i, func(lane int) asm.Reg {
				o := op{in: in, k: from, to: kindOf(in.Type)}
				for j, v := range [3]codegen.Val{in.A, in.B, in.C} {
					if j < in.Op.Arity() {
						*[]*asm.Reg{&o.a, &o.b, &o.c}[j] = b.value(v, lane)
					}
				}
				return s(b.Kernel, o)
			})
		}
	}
}

// keep tells of a load or store; it reports whether a store is dropped.
func (b *body) keep(i int) bool { return b.kept != nil && b.kept(i) }

// each makes a value's registers: one, or one per lane.
func (b *body) each(i int, f func(lane int) asm.Reg) []asm.Reg {
	n := 1
	if b.vary[i] {
		n = b.lanes
	}
	out := make([]asm.Reg, n)
	for lane := range out {
		out[lane] = f(lane)
	}
	return out
}

// value is an operand in a lane.
func (b *body) value(v codegen.Val, lane int) asm.Reg {
	r := b.vals[v]
	if len(r) == 1 {
		return r[0]
	}
	return r[lane]
}

func (b *body) sizeValue(i int, in *codegen.Inst) asm.Reg {
	return b.param(kindOf(in.Type).class(), "size "+in.Size.Key(), func(f *frame) int64 { return f.nest.Sizes[i] })
}

// indexValue is the position on an axis, in the type that the instruction wants.
func (b *body) indexValue(in *codegen.Inst, lane int) asm.Reg {
	k := kindOf(in.Type)
	p := b.pos[in.Axis]
	if p.IsNone() { // an axis of one position
		return b.constant(k, 0)
	}
	if lane > 0 {
		p = b.ix("add", p, lane)
	}
	switch {
	case b.wide && kinds[k].size == 4:
		return b.Op(asm.B32, "cvt.u32.u64", p)
	case !b.wide && kinds[k].size == 8:
		return b.Op(asm.B64, "cvt.s64.s32", p)
	}
	return p
}

// moved are addresses after i steps of a loop, for the accesses that uses lists.
func (b *body) moved(addr []asm.Reg, l *loop, i asm.Reg, uses []bool) []asm.Reg {
	out := append([]asm.Reg(nil), addr...)
	for a := range out {
		if uses[a] && b.nest.Accs[a].Class(l.last()) != codegen.StrideZero {
			out[a] = b.offset(out[a], i, b.stride(a, l))
		}
	}
	return out
}

// stride is an access's step along a loop in bytes, as an operand.
func (b *body) stride(acc int, l *loop) any {
	a, axis := &b.nest.Accs[acc], l.last()
	size := int64(b.c.kernel.Bufs[a.Buf].DType.Size())
	return b.size(a.Strides[axis], size, func(f *frame) int64 { return f.nest.Accs[acc].Strides[axis] })
}

// base is the address of an access at position 0 of every axis.
func (b *body) base(acc int) asm.Reg {
	a := &b.nest.Accs[acc]
	size := int64(b.c.kernel.Bufs[a.Buf].DType.Size())
	return b.pointer(fmt.Sprint(a.Buf, " ", a.Offset.Key()), func(f *frame) Pointer {
		p := f.buffer(a.Buf)
		p.Offset += f.nest.Accs[acc].Offset * size
		return p
	})
}

// used lists the accesses of Insts[from:to].
func used(n *codegen.Nest, from, to int) []bool {
	out := make([]bool, len(n.Accs))
	for i := from; i < to; i++ {
		if op := n.Insts[i].Op; op == codegen.Load || op == codegen.Store {
			out[n.Insts[i].Acc] = true
		}
	}
	return out
}

// address is where lane's element of an access lies.
func (b *body) address(acc, lane int) asm.Addr {
	a := &b.nest.Accs[acc]
	size := int64(b.c.kernel.Bufs[a.Buf].DType.Size())
	r, near := b.addr[acc], int64(0)
	if lane > 0 {
		s := a.Strides[b.along.last()]
		if c, ok := s.Const(); ok && int64(int32(c*size*int64(lane))) == c*size*int64(lane) {
			near = c * size * int64(lane)
		} else {
			step := b.param(asm.B64, fmt.Sprint(size*int64(lane), "*", s.Key()), func(f *frame) int64 {
				return size * int64(lane) * f.nest.Accs[acc].Strides[b.along.last()]
			})
			r = b.Op(asm.B64, "add.s64", r, step)
		}
	}
	for i := range a.Dyn {
		r = b.dynamic(r, acc, i, lane, size)
	}
	return asm.At(r, int(near))
}

// dynamic adds a data-dependent part to an address.
func (b *body) dynamic(r asm.Reg, acc, i, lane int, size int64) asm.Reg {
	d := &b.nest.Accs[acc].Dyn[i]
	v := b.value(d.Val, lane)
	c, known := d.Stride.Mul(dim.Const(size)).Const()
	if v.Class() == asm.B32 {
		if known && int64(int32(c)) == c {
			return b.Op(asm.B64, "mad.wide.s32", v, c, r)
		}
		v = b.Op(asm.B64, "cvt.s64.s32", v)
	}
	if known {
		return b.Op(asm.B64, "mad.lo.s64", v, c, r)
	}
	step := b.param(asm.B64, fmt.Sprint(size, "*", d.Stride.Key()), func(f *frame) int64 { return size * f.nest.Accs[acc].Dyn[i].Stride })
	return b.Op(asm.B64, "mad.lo.s64", v, step, r)
}

// place is where an access happens and under which condition.
func (b *body) place(in *codegen.Inst, lane int, guard asm.Reg) place {
	p := place{space: "global", at: b.address(in.Acc, lane), pred: guard}
	if buf := b.nest.Accs[in.Acc].Buf; b.shared[buf] {
		p.space = "shared"
	}
	if in.Pred != codegen.None {
		if p.pred = b.value(in.Pred, lane); !guard.IsNone() {
			p.pred = b.Op(asm.Pred, "and.pred", p.pred, guard)
		}
	}
	return p
}

func (b *body) load(i int, in *codegen.Inst) []asm.Reg { return b.begin(i, in)() }

// begin emits a load.
func (b *body) begin(i int, in *codegen.Inst) loaded {
	buf := &b.c.kernel.Bufs[b.nest.Accs[in.Acc].Buf]
	switch f := b.given[i]; {
	case f != nil:
		return f
	case buf.Kind == codegen.Tile:
		return func() []asm.Reg { return b.tile(in) }
	case b.runs && b.isRun(in):
		return beginRun(b.Kernel, buf.DType, b.lanes, b.place(in, 0, b.loadIf))
	}
	p := b.choice(in)
	if p.IsNone() {
		return b.beginLanes(i, in)
	}
	out := b.Regs(kindOf(in.Type).class(), b.lanes)
	b.either(p, func() { b.assign(out, loadRun(b.Kernel, buf.DType, b.lanes, b.wholePlace(in, b.loadIf))) },
		func() { b.assign(out, b.beginLanes(i, in)()) })
	return func() []asm.Reg { return out }
}

func (b *body) beginLanes(i int, in *codegen.Inst) loaded {
	t := b.c.kernel.Bufs[b.nest.Accs[in.Acc].Buf].DType
	var all []func() asm.Reg
	b.each(i, func(lane int) asm.Reg {
		all = append(all, beginOne(b.Kernel, t, b.place(in, lane, b.guard(b.loadIf, lane))))
		return asm.Reg{}
	})
	return func() []asm.Reg {
		out := make([]asm.Reg, len(all))
		for i, f := range all {
			out[i] = f()
		}
		return out
	}
}

// guard is the condition of an access in a lane.
func (b *body) guard(p asm.Reg, lane int) asm.Reg {
	if b.live != nil {
		return b.live[lane]
	}
	return p
}

func (b *body) store(i int, in *codegen.Inst) {
	if b.runs && b.isRun(in) {
		b.storeRun(in, b.place(in, 0, b.storeIf))
		return
	}
	p := b.choice(in)
	if p.IsNone() {
		b.storeLanes(i, in)
		return
	}
	b.either(p, func() { b.storeRun(in, b.wholePlace(in, b.storeIf)) }, func() { b.storeLanes(i, in) })
}

func (b *body) storeRun(in *codegen.Inst, p place) {
	vals := make([]asm.Reg, b.lanes)
	for lane := range vals {
		vals[lane] = b.value(in.A, lane)
	}
	storeRun(b.Kernel, b.c.kernel.Bufs[b.nest.Accs[in.Acc].Buf].DType, p, vals)
}

func (b *body) storeLanes(i int, in *codegen.Inst) {
	t := b.c.kernel.Bufs[b.nest.Accs[in.Acc].Buf].DType
	b.each(i, func(lane int) asm.Reg {
		storeOne(b.Kernel, t, b.place(in, lane, b.guard(b.storeIf, lane)), b.value(in.A, lane))
		return asm.Reg{}
	})
}
