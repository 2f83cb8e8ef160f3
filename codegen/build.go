package codegen

import (
	"fmt"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// KernelBuilder assembles a Kernel step by step:
//
//	b := NewKernel("double")
//	x, y := b.Buffer(Input, "x", tensor.F32, n), b.Buffer(Output, "y", tensor.F32, n)
//	i := b.Nest([]Axis{{"i", n}}, 1)
//	i.Once()
//	v := i.Load(At(x, 1))
//	i.Store(At(y, 1), i.Op(Add, v, v))
//	k, err := b.Build()
//
// Misuse (an operand that is not visible, no phase begun) panics with BUG; what
// only the whole shows is Build's error. A builder serves one goroutine.
type KernelBuilder struct {
	k *Kernel
}

// NewKernel starts an empty kernel.
func NewKernel(name string) *KernelBuilder {
	return &KernelBuilder{k: &Kernel{Name: name}}
}

// WithFacts records what is known of the kernel's symbols.
func (b *KernelBuilder) WithFacts(f *dim.Facts) *KernelBuilder {
	b.k.Facts = f
	return b
}

// Buffer declares a buffer of length elements and returns its index. Inputs
// come first, then outputs, then the rest.
func (b *KernelBuilder) Buffer(kind BufKind, name string, dt tensor.DType, length dim.Expr) int {
	b.k.Bufs = append(b.k.Bufs, Buffer{Name: name, Kind: kind, DType: dt, Len: length})
	return len(b.k.Bufs) - 1
}

// Nest appends a nest as the next step: the first outer axes are the parallel
// loops, the others the loops of looping phases; the last axis is the vector
// axis (change it with Vec).
func (b *KernelBuilder) Nest(axes []Axis, outer int) *NestBuilder {
	n := newNest(b.k.Bufs, axes, outer)
	b.k.Steps = append(b.k.Steps, Step{Nest: n.nest})
	n.owner = b
	return n
}

// Gemm appends a matrix product as the next step. Its epilogue comes from
// EpilogueNest and may be filled in later.
func (b *KernelBuilder) Gemm(g *Gemm) {
	b.k.Steps = append(b.k.Steps, Step{Gemm: g})
}

// EpilogueNest starts the epilogue of a matrix product over its batch axes, m
// and n; it is no step of its own.
func (b *KernelBuilder) EpilogueNest(g *Gemm) *NestBuilder {
	axes := append(append([]Axis(nil), g.Batch...), Axis{"m", g.M}, Axis{"n", g.N})
	n := newNest(b.k.Bufs, axes, len(axes))
	n.owner = b
	g.Epilogue = n.nest
	return n
}

// Build verifies the kernel and returns it.
func (b *KernelBuilder) Build() (*Kernel, error) {
	if err := Verify(b.k); err != nil {
		return nil, err
	}
	return b.k, nil
}

// NestBuilder fills one nest. Within a phase, equal instructions give one
// value; values of earlier phases that run once are reused too.
type NestBuilder struct {
	owner  *KernelBuilder
	bufs   []Buffer
	nest   *Nest
	open   bool // a phase is begun and takes instructions
	seen   map[instKey]Val
	shared map[instKey]Val // pure values of phases that run once
	accs   map[string]int
}

// instKey is an instruction as a map key.
type instKey struct {
	op        Code
	typ       tensor.DType
	a, b, c   Val
	imm       uint64
	acc, axis int
	size      string
	round     tensor.DType
	pred      Val
}

func keyOf(in Inst) instKey {
	k := instKey{in.Op, in.Type, in.A, in.B, in.C, in.Imm, in.Acc, in.Axis, "", in.Round, in.Pred}
	if in.Op == Size {
		k.size = in.Size.Key()
	}
	return k
}

func newNest(bufs []Buffer, axes []Axis, outer int) *NestBuilder {
	n := &Nest{Axes: append([]Axis(nil), axes...), Vec: len(axes) - 1}
	for a := range axes {
		if a < outer {
			n.Outer = append(n.Outer, a)
		} else {
			n.Inner = append(n.Inner, a)
		}
	}
	return &NestBuilder{bufs: bufs, nest: n, shared: map[instKey]Val{}, accs: map[string]int{}}
}

// Vec chooses the vector axis: the last outer or the last inner axis, or -1.
func (n *NestBuilder) Vec(axis int) *NestBuilder {
	n.nest.Vec = axis
	return n
}

// Nest is the nest under construction.
func (n *NestBuilder) Nest() *Nest { return n.nest }

// Once begins a phase that runs once per outer point.
func (n *NestBuilder) Once() { n.begin(false) }

// Loop begins a phase that loops over the inner axes.
func (n *NestBuilder) Loop() { n.begin(true) }

func (n *NestBuilder) begin(loop bool) {
	at := len(n.nest.Insts)
	n.nest.Phases = append(n.nest.Phases, Phase{Loop: loop, From: at, To: at})
	n.open, n.seen = true, map[instKey]Val{}
}

func (n *NestBuilder) phase() *Phase {
	if !n.open {
		panic("BUG: codegen: instruction outside of a phase")
	}
	return &n.nest.Phases[len(n.nest.Phases)-1]
}

// NewInst is an instruction without operands or predicate.
func NewInst(op Code, t tensor.DType, args ...Val) Inst {
	in := Inst{Op: op, Type: t, A: None, B: None, C: None, Pred: None}
	for i, a := range args {
		switch i {
		case 0:
			in.A = a
		case 1:
			in.B = a
		case 2:
			in.C = a
		default:
			panic("BUG: codegen: " + op.String() + " with more than three operands")
		}
	}
	return in
}

// Emit appends an instruction to the current phase, or finds an equal one.
func (n *NestBuilder) Emit(in Inst) Val {
	p := n.phase()
	key := keyOf(in)
	if v, ok := n.seen[key]; ok && in.Op != Store {
		return v
	}
	pure := in.Op != Store && in.Op != Load
	if v, ok := n.shared[key]; ok && pure {
		return v
	}
	v := Val(len(n.nest.Insts))
	n.nest.Insts = append(n.nest.Insts, in)
	p.To = len(n.nest.Insts)
	switch {
	case in.Op == Store:
		n.forgetLoads()
	case pure && !p.Loop:
		n.shared[key] = v
	default:
		n.seen[key] = v
	}
	return v
}

// forgetLoads makes later loads read memory again: a store may have changed it.
func (n *NestBuilder) forgetLoads() {
	for k := range n.seen {
		if k.op == Load {
			delete(n.seen, k)
		}
	}
}

// TypeOf is the element type of a value.
func (n *NestBuilder) TypeOf(v Val) tensor.DType { return n.nest.Insts[v].Type }

// Op emits an instruction whose type follows from its operands: Bool for a
// comparison, else the type of the last operand.
func (n *NestBuilder) Op(op Code, args ...Val) Val {
	if len(args) != op.Arity() || len(args) == 0 {
		panic(fmt.Sprintf("BUG: codegen: %s with %d operands", op, len(args)))
	}
	t := n.TypeOf(args[len(args)-1])
	if op >= Eq && op <= Ge {
		t = tensor.Bool
	}
	return n.Emit(NewInst(op, t, args...))
}

// To emits Cast or Bits, which choose their type; a Cast to the operand's own
// type is the operand.
func (n *NestBuilder) To(op Code, t tensor.DType, a Val) Val {
	if n.TypeOf(a) == t {
		return a
	}
	return n.Emit(NewInst(op, t, a))
}

// RoundTo rounds a value to the precision or range of a narrow type.
func (n *NestBuilder) RoundTo(narrow tensor.DType, a Val) Val {
	in := NewInst(RoundTo, n.TypeOf(a), a)
	in.Round = narrow
	return n.Emit(in)
}

// Index is the position on an axis, in I32 or I64.
func (n *NestBuilder) Index(t tensor.DType, axis int) Val {
	in := NewInst(Index, t)
	in.Axis = axis
	return n.Emit(in)
}

// Size is the value of an expression, in I32 or I64; a constant becomes Const.
func (n *NestBuilder) Size(t tensor.DType, e dim.Expr) Val {
	if c, ok := e.Const(); ok {
		return n.ConstI(t, c)
	}
	in := NewInst(Size, t)
	in.Size = e
	return n.Emit(in)
}

// At is an access to buf without offset: one constant stride per axis, missing
// ones 0.
func At(buf int, strides ...int64) Access {
	a := Access{Buf: buf}
	for _, s := range strides {
		a.Strides = append(a.Strides, dim.Const(s))
	}
	return a
}

// AtExpr is At with symbolic strides.
func AtExpr(buf int, offset dim.Expr, strides ...dim.Expr) Access {
	return Access{Buf: buf, Offset: offset, Strides: strides}
}

// access interns an access, padding missing strides with zeros.
func (n *NestBuilder) access(a Access) int {
	a.Strides = padExprs(a.Strides, len(n.nest.Axes))
	a.Masks = append([]Mask(nil), a.Masks...)
	for i := range a.Masks {
		a.Masks[i].Coef = padExprs(a.Masks[i].Coef, len(n.nest.Axes))
	}
	key := accessKey(&a)
	if i, ok := n.accs[key]; ok {
		return i
	}
	n.nest.Accs = append(n.nest.Accs, a)
	n.accs[key] = len(n.nest.Accs) - 1
	return n.accs[key]
}

func padExprs(es []dim.Expr, n int) []dim.Expr {
	out := make([]dim.Expr, max(n, len(es)))
	copy(out, es)
	return out
}

func accessKey(a *Access) string {
	b := fmt.Appendf(nil, "%d;%s", a.Buf, a.Offset.Key())
	for _, s := range a.Strides {
		b = append(append(b, ','), s.Key()...)
	}
	for _, d := range a.Dyn {
		b = fmt.Appendf(b, ";d%d,%s,%s", d.Val, d.Limit.Key(), d.Stride.Key())
	}
	for _, m := range a.Masks {
		b = fmt.Appendf(b, ";m%s,%s,%s", m.Offset.Key(), m.Limit.Key(), m.Stride.Key())
		for _, c := range m.Coef {
			b = append(append(b, ','), c.Key()...)
		}
	}
	return string(b)
}

func (n *NestBuilder) buffers() []Buffer {
	if n.owner != nil {
		return n.owner.k.Bufs
	}
	return n.bufs
}

// Load reads one element, widened to its compute type.
func (n *NestBuilder) Load(a Access) Val { return n.LoadIf(a, None) }

// LoadIf is Load where pred holds and zero elsewhere.
func (n *NestBuilder) LoadIf(a Access, pred Val) Val {
	in := NewInst(Load, ComputeType(n.buffers()[a.Buf].DType))
	in.Acc, in.Pred = n.access(a), pred
	return n.Emit(in)
}

// Store writes v, narrowed to the buffer's element type.
func (n *NestBuilder) Store(a Access, v Val) { n.StoreIf(a, v, None) }

// StoreIf is Store where pred holds.
func (n *NestBuilder) StoreIf(a Access, v, pred Val) {
	in := NewInst(Store, n.TypeOf(v), v)
	in.Acc, in.Pred = n.access(a), pred
	n.Emit(in)
}

// Reduce folds v over the inner axes and ends the current looping phase: it may
// be followed by further Reduce calls, then by the next phase.
func (n *NestBuilder) Reduce(op Code, v Val) Val {
	p := &n.nest.Phases[len(n.nest.Phases)-1]
	if !p.Loop {
		panic("BUG: codegen: Reduce in a phase that does not loop")
	}
	n.open = false
	r := Val(len(n.nest.Insts))
	n.nest.Insts = append(n.nest.Insts, NewInst(Acc, n.TypeOf(v)))
	p.Reduce = append(p.Reduce, Reduction{Op: op, Value: v, Result: r})
	return r
}

// ComputeType is the type in which elements of a memory type are computed.
func ComputeType(dt tensor.DType) tensor.DType {
	switch dt {
	case tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2:
		return tensor.F32
	case tensor.I8, tensor.I16, tensor.U8, tensor.U16:
		return tensor.I32
	}
	return dt
}
