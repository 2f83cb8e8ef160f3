package codegen

import (
	"fmt"
	"runtime"
	"unsafe"

	"jitc/ir/tensor"
)

// Interpret runs a bound kernel in plain Go: the executor of processors without
// an emitter and the oracle for machine code. bufs is as for NewMachine; a nil
// temporary is allocated.
func Interpret(b *Bound, bufs [][]byte) error {
	own := append([][]byte(nil), bufs...)
	for i := range own {
		if own[i] == nil && b.Kernel.Bufs[i].Kind == Temp {
			own[i] = make([]byte, b.Lens[i]*int64(b.Kernel.Bufs[i].DType.Size())+8)
		}
	}
	m, err := NewMachine(b)
	if err != nil {
		return err
	}
	if err := m.SetBuffers(own); err != nil {
		return err
	}
	return m.Run()
}

// Machine interprets the steps of a bound kernel, in blocks of lanes along one
// axis. It belongs to one goroutine: workers that share a kernel's outer points
// each have their own machine on the same buffers. Running allocates nothing.
type Machine struct {
	bound *Bound
	bufs  [][]byte
	nests []*nestPlan // per step; nil for products
	gemms []*gemmPlan // per step; nil for nests
}

// NewMachine prepares a machine with its own row and tile buffers.
func NewMachine(b *Bound) (*Machine, error) {
	m := &Machine{bound: b, bufs: make([][]byte, len(b.Lens))}
	for i, buf := range b.Kernel.Bufs {
		if buf.Kind == Row {
			m.bufs[i] = alignedBytes(b.Lens[i] * int64(buf.DType.Size()))
		}
	}
	for _, s := range b.Steps {
		var np *nestPlan
		var gp *gemmPlan
		if s.Nest != nil {
			np = newNestPlan(m, s.Nest, -1)
		} else {
			gp = newGemmPlan(m, s.Gemm)
		}
		m.nests, m.gemms = append(m.nests, np), append(m.gemms, gp)
	}
	return m, nil
}

// alignedBytes is memory whose start suits every element type.
func alignedBytes(n int64) []byte {
	words := make([]uint64, (n+7)/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// SetBuffers gives the machine its memory, one slice per kernel buffer in order;
// entries of row and tile buffers are ignored. Slices may be longer than needed.
// It allocates nothing.
func (m *Machine) SetBuffers(bufs [][]byte) error {
	k := m.bound.Kernel
	if len(bufs) != len(k.Bufs) {
		return fmt.Errorf("codegen: %s takes %d buffers, got %d", k.Name, len(k.Bufs), len(bufs))
	}
	for i := range k.Bufs {
		b := &k.Bufs[i]
		if b.Kind >= Row {
			continue
		}
		size := int64(b.DType.Size())
		need := m.bound.Lens[i] * size
		if int64(len(bufs[i])) < need {
			return fmt.Errorf("codegen: buffer %s of %s needs %d bytes, got %d", b.Name, k.Name, need, len(bufs[i]))
		}
		if uintptr(unsafe.Pointer(unsafe.SliceData(bufs[i])))%uintptr(size) != 0 {
			return fmt.Errorf("codegen: buffer %s of %s is not aligned to %d bytes", b.Name, k.Name, size)
		}
		m.bufs[i] = bufs[i][:need]
	}
	return nil
}

// Run runs every step over all of its points.
func (m *Machine) Run() error {
	for i := range m.nests {
		if err := m.RunStep(i, m.fullBox(i)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) fullBox(step int) Box {
	if p := m.nests[step]; p != nil {
		return p.full
	}
	return m.gemms[step].epilogue.full
}

// RunStep runs a part of a step: a nest, or a product by the outer axes of its
// epilogue. A Go bounds check that fails (which Bind has excluded) comes back as
// an error that starts with BUG.
func (m *Machine) RunStep(step int, box Box) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(runtime.Error)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("BUG: codegen: interpreting step %d of %s: %w", step, m.bound.Kernel.Name, e)
		}
	}()
	if p := m.nests[step]; p != nil {
		p.run(box)
		return nil
	}
	m.gemms[step].run(box)
	return nil
}

// RunNest is RunStep for a step that is a nest.
func (m *Machine) RunNest(step int, box Box) error { return m.RunStep(step, box) }

// nestPlan is a nest ready to run: instructions as functions on lane blocks.
type nestPlan struct {
	m       *Machine
	b       *BoundNest
	full    Box
	lane    int     // the axis computed in blocks of lanes; -1: one lane
	outer   []int   // outer axes but the lane axis
	inner   []int   // inner axes but the lane axis
	at      []int64 // current position per axis; of the lane axis: of lane 0
	ends    []int64 // where the current box ends, per axis
	starts  []int64
	regs    [][]uint64 // lane block per value
	phases  []phasePlan
	tile    int   // the tile buffer of an epilogue, or -1
	tileOff int64 // of the tile's element at position 0, in elements
}

type phasePlan struct {
	loop   bool
	ops    []func(n int)
	splat  []Val // values of a phase that runs once, wanted in all lanes later
	reduce []foldPlan
}

// foldPlan folds a value into the lanes of acc, then the lanes into the result.
type foldPlan struct {
	neutral uint64
	typ     tensor.DType
	acc     []uint64
	result  Val
	step    func(n int)
	fold    foldFn
}

// laneAxis is the axis interpreted in blocks: the vector axis, unless the inner
// one is short and outer points can be lanes instead. Lanes that are outer
// points would share row buffers.
func laneAxis(k *Kernel, b *BoundNest) int {
	const short = 16
	n := b.Nest
	outer, inner := -1, -1
	if len(n.Outer) > 0 {
		outer = n.Outer[len(n.Outer)-1]
	}
	if len(n.Inner) > 0 {
		inner = n.Inner[len(n.Inner)-1]
	}
	for i := range n.Accs {
		if k.Bufs[n.Accs[i].Buf].Kind == Row {
			return inner
		}
	}
	switch {
	case outer >= 0 && inner >= 0 && n.Vec == inner && b.Extent[inner] < short && b.Extent[outer] > b.Extent[inner]:
		return outer
	case n.Vec >= 0:
		return n.Vec
	case outer >= 0:
		return outer
	}
	return inner
}

func newNestPlan(m *Machine, b *BoundNest, tile int) *nestPlan {
	n := b.Nest
	p := &nestPlan{m: m, b: b, full: b.FullBox(), lane: laneAxis(m.bound.Kernel, b), tile: tile,
		at: make([]int64, len(n.Axes)), starts: make([]int64, len(n.Axes)), ends: append([]int64(nil), b.Extent...)}
	p.outer, p.inner = without(n.Outer, p.lane), without(n.Inner, p.lane)
	words := make([]uint64, laneBlock*len(n.Insts))
	for i := range n.Insts {
		p.regs = append(p.regs, words[i*laneBlock:(i+1)*laneBlock:(i+1)*laneBlock])
	}
	for i := range n.Phases {
		p.phases = append(p.phases, p.phasePlan(i))
	}
	return p
}

func without(axes []int, axis int) []int {
	var out []int
	for _, a := range axes {
		if a != axis {
			out = append(out, a)
		}
	}
	return out
}

// laneOuter reports whether lanes are outer points.
func (p *nestPlan) laneOuter() bool {
	o := p.b.Nest.Outer
	return p.lane >= 0 && len(o) > 0 && o[len(o)-1] == p.lane
}

func (p *nestPlan) phasePlan(i int) phasePlan {
	n := p.b.Nest
	ph := n.Phases[i]
	out := phasePlan{loop: ph.Loop}
	for v := ph.From; v < ph.To; v++ {
		if op := p.inst(v); op != nil {
			out.ops = append(out.ops, op)
		}
	}
	if !ph.Loop && !p.laneOuter() {
		out.splat = usedFrom(n, i+1, ph.From, ph.To)
	}
	for _, r := range ph.Reduce {
		t := n.Insts[r.Result].Type
		acc := make([]uint64, laneBlock)
		step := Inst{Op: r.Op, Type: t}
		out.reduce = append(out.reduce, foldPlan{
			neutral: Neutral(r.Op, t), typ: t, acc: acc, result: r.Result, fold: folds[t][r.Op],
			step: interpOp(&step, t)(operands{inst: &step, from: t, dst: acc, a: acc, b: p.regs[r.Value]}),
		})
	}
	return out
}

// usedFrom lists the values of Insts[lo:hi] that phases from on use.
func usedFrom(n *Nest, from, lo, hi int) []Val {
	seen := map[Val]bool{}
	var out []Val
	use := func(v Val) {
		if int(v) >= lo && int(v) < hi && !seen[v] && n.Insts[v].Op != Const && n.Insts[v].Op != Size {
			seen[v] = true
			out = append(out, v)
		}
	}
	for _, p := range n.Phases[from:] {
		for i := p.From; i < p.To; i++ {
			n.Operands(i, use)
		}
		for _, r := range p.Reduce {
			use(r.Value)
		}
	}
	return out
}

// Operands calls use for every value that instruction i reads: operands,
// predicate and data-dependent indices.
func (n *Nest) Operands(i int, use func(Val)) {
	in := &n.Insts[i]
	for j, v := range [3]Val{in.A, in.B, in.C} {
		if j < in.Op.Arity() {
			use(v)
		}
	}
	if in.Op == Load || in.Op == Store {
		if in.Pred != None {
			use(in.Pred)
		}
		for _, d := range n.Accs[in.Acc].Dyn {
			use(d.Val)
		}
	}
}

// inst makes the function of an instruction; nil if its block is filled for good.
func (p *nestPlan) inst(i int) func(n int) {
	in := &p.b.Nest.Insts[i]
	dst := p.regs[i]
	switch in.Op {
	case Const:
		fillLanes(dst, in.Type, in.Imm)
		return nil
	case Size:
		fillLanes(dst, in.Type, uint64(p.b.Sizes[i]))
		return nil
	case Index:
		if in.Type == tensor.I32 {
			return indexOp[int32](p, in.Axis, dst)
		}
		return indexOp[int64](p, in.Axis, dst)
	case Load, Store:
		return p.memory(i)
	}
	o := operands{inst: in, from: p.b.Nest.Insts[in.A].Type, dst: dst, a: p.regs[in.A]}
	if in.Op.Arity() > 1 {
		o.b = p.regs[in.B]
	}
	if in.Op.Arity() > 2 {
		o.c = p.regs[in.C]
	}
	return interpOp(in, o.from)(o)
}

func indexOp[T int32 | int64](p *nestPlan, axis int, dst []uint64) func(int) {
	d := lanesOf[T](dst)
	return func(n int) {
		x, step := T(p.at[axis]), T(0)
		if axis == p.lane {
			step = 1
		}
		for l := range d[:n] {
			d[l] = x + step*T(l)
		}
	}
}
