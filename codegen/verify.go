package codegen

import (
	"errors"
	"fmt"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Verify checks the invariants of the package comment, the types and number of
// operands, and the shape of every access. It does not look at addresses, which
// Bind proves. An error names the nest's step and the instruction.
func Verify(k *Kernel) error {
	v := &verifier{k: k}
	v.buffers()
	for i := range k.Steps {
		v.step(i)
		if v.err != nil {
			return fmt.Errorf("verify %s: step %d: %w", k.Name, i, v.err)
		}
	}
	if v.err != nil {
		return fmt.Errorf("verify %s: %w", k.Name, v.err)
	}
	return nil
}

type verifier struct {
	k    *Kernel
	err  error
	nest *Nest
	tile int // the tile an epilogue reads, or -1
	// visible[v] says that value v may be used at the current instruction.
	visible []bool
}

func (v *verifier) check(ok bool, format string, args ...any) {
	if !ok && v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
}

func (v *verifier) buffers() {
	last := Input
	for i, b := range v.k.Bufs {
		v.check(b.DType.Size() > 0, "buffer %d (%s) has no element type", i, b.Name)
		v.check(b.Kind <= Tile, "buffer %d (%s) has kind %d", i, b.Name, b.Kind)
		group := min(b.Kind, Temp)
		v.check(group >= last, "buffer %d (%s): inputs come first, then outputs, then temporaries", i, b.Name)
		v.check(!b.Len.Invalid(), "buffer %d (%s) has length %s", i, b.Name, b.Len)
		last = group
	}
}

func (v *verifier) step(i int) {
	s := v.k.Steps[i]
	v.tile = -1
	switch {
	case (s.Nest == nil) == (s.Gemm == nil):
		v.err = errors.New("a step is either a nest or a matrix product")
	case s.Nest != nil:
		v.verifyNest(s.Nest)
	default:
		v.verifyGemm(s.Gemm)
	}
}

func (v *verifier) verifyGemm(g *Gemm) {
	t := g.DType
	v.check(t == tensor.F32 || t == tensor.F64 || t == tensor.I32, "product accumulates in %s", t)
	v.operand("A", g.A, g)
	v.operand("B", g.B, g)
	if v.err == nil {
		v.check(g.Tile >= 0 && g.Tile < len(v.k.Bufs) && v.k.Bufs[g.Tile].Kind == Tile, "product names buffer %d as its tile", g.Tile)
	}
	v.check(g.Epilogue != nil, "product without an epilogue")
	if v.err != nil {
		return
	}
	v.check(v.k.Bufs[g.Tile].DType == t, "tile holds %s, product is %s", v.k.Bufs[g.Tile].DType, t)
	e := g.Epilogue
	want := append(append([]Axis(nil), g.Batch...), Axis{"m", g.M}, Axis{"n", g.N})
	same := len(e.Axes) == len(want) && len(e.Outer) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = e.Outer[i] == i && e.Axes[i].Extent.Equal(want[i].Extent)
	}
	v.check(same && len(e.Inner) == 0, "the epilogue's axes are not the product's batch axes, m and n")
	v.check(e.Vec == len(want)-1, "the epilogue's vector axis is not n")
	v.tile = g.Tile
	v.verifyNest(e)
}

func (v *verifier) operand(name string, o Operand, g *Gemm) {
	if v.check(o.Buf >= 0 && o.Buf < len(v.k.Bufs), "operand %s names buffer %d", name, o.Buf); v.err != nil {
		return
	}
	b := v.k.Bufs[o.Buf]
	v.check(b.Kind <= Temp, "operand %s is in buffer %s, which is private to a worker", name, b.Name)
	v.check(len(o.Batch) == len(g.Batch), "operand %s has %d batch strides, the product %d batch axes", name, len(o.Batch), len(g.Batch))
	t := ComputeType(b.DType)
	v.check(t == g.DType, "operand %s is %s, the product accumulates in %s", name, b.DType, g.DType)
}

func (v *verifier) verifyNest(n *Nest) {
	v.nest, v.visible = n, make([]bool, len(n.Insts))
	v.axes()
	for i := range n.Accs {
		v.access(i)
	}
	at := 0
	for p := range n.Phases {
		if v.err != nil {
			return
		}
		at = v.phase(p, at)
	}
	v.check(at == len(n.Insts), "instruction %%%d is owned by no phase", at)
}

// axes checks that outer and inner axes partition the axes and that the vector
// axis is the last of one of them.
func (v *verifier) axes() {
	n := v.nest
	seen := make([]int, len(n.Axes))
	for _, a := range append(append([]int(nil), n.Outer...), n.Inner...) {
		if a < 0 || a >= len(n.Axes) {
			v.check(false, "axis %d of %d", a, len(n.Axes))
			return
		}
		seen[a]++
	}
	for a, times := range seen {
		v.check(times == 1, "axis %s is bound %d times", n.Axes[a].Name, times)
		v.check(!n.Axes[a].Extent.Invalid(), "axis %s has extent %s", n.Axes[a].Name, n.Axes[a].Extent)
	}
	v.check(n.Vec == -1 || n.VecOuter() || n.vecInner(), "vector axis %d is neither the last outer nor the last inner axis", n.Vec)
}

// VecOuter reports whether the vector axis is the last outer axis.
func (n *Nest) VecOuter() bool { return len(n.Outer) > 0 && n.Outer[len(n.Outer)-1] == n.Vec }

func (n *Nest) vecInner() bool { return len(n.Inner) > 0 && n.Inner[len(n.Inner)-1] == n.Vec }

func (v *verifier) access(i int) {
	n, a := v.nest, &v.nest.Accs[i]
	if a.Buf < 0 || a.Buf >= len(v.k.Bufs) {
		v.check(false, "access %d names buffer %d", i, a.Buf)
		return
	}
	b := v.k.Bufs[a.Buf]
	v.check(len(a.Strides) == len(n.Axes), "access %d to %s has %d strides for %d axes", i, b.Name, len(a.Strides), len(n.Axes))
	ok := valid(a.Offset) && valid(a.Strides...)
	for _, m := range a.Masks {
		v.check(len(m.Coef) == len(n.Axes), "a mask of access %d to %s has %d coefficients for %d axes", i, b.Name, len(m.Coef), len(n.Axes))
		ok = ok && valid(m.Offset, m.Limit, m.Stride) && valid(m.Coef...)
	}
	for _, d := range a.Dyn {
		ok = ok && valid(d.Limit, d.Stride)
		v.check(d.Val >= 0 && int(d.Val) < len(n.Insts), "access %d to %s is indexed by %%%d", i, b.Name, d.Val)
	}
	v.check(ok, "access %d to %s has an invalid expression", i, b.Name)
	switch b.Kind {
	case Row:
		v.check(!n.VecOuter(), "row buffer %s in a nest whose vector axis is outer: its lanes would share it", b.Name)
	case Tile:
		v.check(a.Buf == v.tile, "tile %s is accessed outside of its product's epilogue", b.Name)
		v.check(len(a.Dyn) == 0 && len(a.Masks) == 0, "tile %s is addressed by row and column only", b.Name)
		v.check(tilePattern(a), "tile %s is addressed by row and column only: offset 0, column stride 1", b.Name)
	}
}

// tilePattern reports whether an access reads element (m, n) of the tile.
func tilePattern(a *Access) bool {
	last := len(a.Strides) - 1
	off, ok := a.Offset.Const()
	return last >= 1 && ok && off == 0 && a.Class(last) == StrideOne && a.Class(last-1) != StrideZero
}

func valid(es ...dim.Expr) bool {
	for _, e := range es {
		if e.Invalid() {
			return false
		}
	}
	return true
}

// phase checks a phase that starts at instruction at; it returns where the next
// one starts, behind the accumulators.
func (v *verifier) phase(i, at int) int {
	n, p := v.nest, &v.nest.Phases[i]
	v.check(p.From == at && p.To >= p.From && p.To <= len(n.Insts), "phase %d owns %%%d..%%%d, expected to start at %%%d", i, p.From, p.To, at)
	v.check(p.Loop || len(p.Reduce) == 0, "phase %d reduces but does not loop", i)
	v.check(p.To+len(p.Reduce) <= len(n.Insts), "phase %d lacks the results of its reductions", i)
	for at := p.From; at < p.To && v.err == nil; at++ {
		if v.inst(at, p); v.err != nil {
			v.err = fmt.Errorf("%%%d = %s: %w", at, n.Insts[at].Op, v.err)
		}
		v.visible[at] = true
	}
	for j := range p.Reduce {
		if v.err == nil {
			v.reduction(i, p, j)
		}
	}
	if v.err != nil {
		return at
	}
	for at := p.From; p.Loop && at < p.To; at++ {
		v.visible[at] = false
	}
	for _, r := range p.Reduce {
		v.visible[r.Result] = true
	}
	return p.To + len(p.Reduce)
}

func (v *verifier) reduction(i int, p *Phase, j int) {
	r := p.Reduce[j]
	v.check(int(r.Result) == p.To+j, "phase %d: reduction %d has result %%%d, expected %%%d", i, j, r.Result, p.To+j)
	v.check(r.Value >= 0 && int(r.Value) < p.To && v.visible[r.Value], "phase %d reduces %%%d, which is not visible", i, r.Value)
	if v.err != nil {
		return
	}
	res, t := &v.nest.Insts[r.Result], v.nest.Insts[r.Value].Type
	v.check(res.Op == Acc && res.Type == t, "phase %d: result %%%d of a reduction is %s %s", i, r.Result, res.Op, res.Type)
	switch r.Op {
	case Add, Mul, Max, Min:
		v.check(t != tensor.Bool, "phase %d folds bool with %s", i, r.Op)
	case And, Or:
		v.check(!t.IsFloat(), "phase %d folds %s with %s", i, t, r.Op)
	default:
		v.check(false, "phase %d folds with %s", i, r.Op)
	}
	v.check(v.nest.Insts[r.Value].Op != Store, "phase %d reduces a store", i)
}

// typeOf is the type of an operand, after checking that it may be used here.
func (v *verifier) typeOf(a Val) tensor.DType {
	if a < 0 || int(a) >= len(v.visible) || !v.visible[a] {
		v.check(false, "operand %%%d is not visible here", a)
		return tensor.Invalid
	}
	v.check(v.nest.Insts[a].Op != Store, "operand %%%d is a store", a)
	return v.nest.Insts[a].Type
}

func (v *verifier) inst(at int, p *Phase) {
	in := &v.nest.Insts[at]
	if in.Op >= numCodes {
		v.check(false, "unknown code")
		return
	}
	v.check(isCompute(in.Type), "%s is no compute type", in.Type)
	args := []Val{in.A, in.B, in.C}
	types := make([]tensor.DType, 0, 3)
	for i, a := range args {
		if i >= in.Op.Arity() {
			v.check(a == None, "takes %d operands", in.Op.Arity())
			continue
		}
		types = append(types, v.typeOf(a))
	}
	memory := in.Op == Load || in.Op == Store
	v.check(in.Pred == None || memory, "only loads and stores take a predicate")
	if v.err != nil {
		return
	}
	if memory {
		v.memory(in)
		return
	}
	if why := signatures[in.Op](v.nest, p, in, types); why != "" {
		v.check(false, "%s", why)
	}
}

func (v *verifier) memory(in *Inst) {
	if in.Acc < 0 || in.Acc >= len(v.nest.Accs) {
		v.check(false, "access %d of %d", in.Acc, len(v.nest.Accs))
		return
	}
	a := &v.nest.Accs[in.Acc]
	b := v.k.Bufs[a.Buf]
	v.check(in.Type == ComputeType(b.DType), "%s element of %s in an instruction of type %s", b.DType, b.Name, in.Type)
	if in.Pred != None {
		v.check(v.typeOf(in.Pred) == tensor.Bool, "predicate %%%d is not bool", in.Pred)
	}
	for _, d := range a.Dyn {
		t := v.typeOf(d.Val)
		v.check(t == tensor.I32 || t == tensor.I64, "index %%%d is %s, expected i32 or i64", d.Val, t)
	}
	if in.Op == Store {
		v.check(b.Kind != Input && b.Kind != Tile, "store to %s, which is read only", b.Name)
		v.check(v.nest.Insts[in.A].Type == in.Type, "stores %s as %s", v.nest.Insts[in.A].Type, in.Type)
	}
}

func isCompute(t tensor.DType) bool {
	return t == tensor.Bool || t.Size() >= 4
}
