package codegen

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// maxAccesses is how many different accesses recompute a value; a value wanted
// at more of them is stored, so that stencils and prefix sums stay linear.
const maxAccesses = 8

// retry says why a nest cannot be built yet; exactly one field is set.
type retry struct {
	need  *ir.Value   // store this value first
	split *split      // split a loop axis first
	inner []*variable // loop over these axes inside of each outer point
	never string      // nothing helps
}

// puller builds the graph of one nest from its roots: a value is pulled at an
// index, which is an affine expression of the loop axes per dimension, and pulls
// its operands at the indices it needs.
//
//	y[i,j] pulls transpose(x) at (i,j), which pulls x at (j,i): load x[j*C + i]
type puller struct {
	graph
	prover
	l     *lowering
	s     *space
	dot   *ir.Value // the product that the nest is the epilogue of, or nil
	dotAt []affine  // the index at which it was pulled
	tile  *node     // its load
	memo  map[string]*node
	seen  map[*ir.Value]int // accesses so far
	vars  map[string]*variable
	why   *retry
}

func newPuller(l *lowering, s *space) *puller {
	return &puller{
		graph: graph{index: map[string]*node{}}, prover: l.prover, l: l, s: s,
		memo: map[string]*node{}, seen: map[*ir.Value]int{}, vars: map[string]*variable{},
	}
}

// stop gives up on the nest as it is; what is built afterwards is thrown away.
func (p *puller) stop(r retry) {
	if p.why == nil {
		p.why = &r
	}
}

// poison stands for a value that could not be pulled.
func (p *puller) poison(v *ir.Value) *node {
	return p.constBits(ComputeType(v.Type.DType), 0)
}

func (p *puller) need(v *ir.Value) *node {
	p.stop(retry{need: v})
	return p.poison(v)
}

// pullFunc pulls a value of an op that moves elements.
type pullFunc func(p *puller, v *ir.Value, at []affine) *node

// pointFunc computes an op from its operands at the same index.
type pointFunc func(p *puller, v *ir.Value, args []*node) *node

// pull returns the element of v at an index. Where a mask variable of the index is
// out of range, the element is not wanted and may be anything.
func (p *puller) pull(v *ir.Value, at []affine) *node {
	if p.why != nil {
		return p.poison(v)
	}
	key := fmt.Appendf(nil, "%p:", v)
	for _, a := range at {
		key = a.key(key)
	}
	if n, ok := p.memo[string(key)]; ok {
		return n
	}
	n := p.pullNew(v, at)
	p.memo[string(key)] = n
	return n
}

func (p *puller) pullNew(v *ir.Value, at []affine) *node {
	if buf, ok := p.l.stored[v]; ok {
		return p.load(buf, linear(at, v.Type.Shape))
	}
	if v == p.dot {
		return p.product(v, at)
	}
	if b, ok := p.l.partials[v]; ok {
		return p.pullPartial(b, at)
	}
	if move, ok := moves[v.Op]; ok {
		return move(p, v, at)
	}
	point, ok := points[v.Op]
	if !ok {
		why := " is not primitive: decompose it first"
		if v.Is(ir.Dynamic) {
			why = " has a size that data gives: no kernel can have it"
		}
		p.stop(retry{never: "op " + v.Op.String() + why})
		return p.poison(v)
	}
	if p.seen[v]++; p.seen[v] > maxAccesses {
		return p.need(v)
	}
	args := make([]*node, len(v.Args))
	for i, a := range v.Args {
		args[i] = p.pull(a, at)
	}
	return point(p, v, args)
}

// load reads a buffer; where a mask variable of the address is out of range, it
// touches nothing and gives zero.
func (p *puller) load(buf int, addr affine) *node {
	b := &p.l.k.Bufs[buf]
	if isConst(b.Len, 0) { // with strides of 0, masks would drop out of the address
		return p.constBits(ComputeType(b.DType), 0)
	}
	return p.intern(node{op: Load, typ: ComputeType(b.DType), buf: buf, at: addr})
}

// variable interns a mask or dyn variable.
func (p *puller) variable(key []byte, make func() *variable) *variable {
	v, ok := p.vars[string(key)]
	if !ok {
		v = make()
		v.id = p.l.nextVar()
		p.vars[string(key)] = v
	}
	return v
}

// masked is position a of a dimension of a size that loops may run past, as an
// expression that is in range wherever own, the mask variables so far and perhaps
// a new one, are. ok is false for a data-dependent position, which masks cannot
// say.
func (p *puller) masked(a affine, size dim.Expr, own []*variable) (in affine, all []*variable, ok bool) {
	if p.within(a, size) {
		return a, own, true
	}
	if a.hasDyn() {
		return a, own, false
	}
	def := a.expand()
	key := append(def.key([]byte("m")), size.Key()...)
	m := p.variable(key, func() *variable { return &variable{kind: maskVar, extent: size, def: def} })
	if !slices.Contains(own, m) {
		own = append(own, m)
	}
	return ofVar(m), own, true
}

// holds is the condition of a mask as a value.
func (p *puller) holds(m *variable) *node {
	x := p.position(m.def)
	low, high := p.sides(m.def, m.extent)
	var conds []*node
	if !low {
		conds = append(conds, p.apply(Ge, x, p.constInt(x.typ, 0)))
	}
	if !high {
		conds = append(conds, p.apply(Lt, x, p.sizeOf(x.typ, m.extent)))
	}
	return p.all(conds)
}

// all is the conjunction of conditions.
func (p *puller) all(conds []*node) *node {
	if len(conds) == 0 {
		return p.constBits(tensor.Bool, 1)
	}
	out := conds[0]
	for _, c := range conds[1:] {
		out = p.apply(And, out, c)
	}
	return out
}

// unless is x where the masks hold and other elsewhere.
func (p *puller) unless(ms []*variable, x, other *node) *node {
	if len(ms) == 0 || x == other {
		return x
	}
	if other.isZero() && x.op == Load && dependsOnAll(x.at, ms) {
		return x // a masked load gives zero by itself
	}
	var conds []*node
	for _, m := range ms {
		conds = append(conds, p.holds(m))
	}
	return p.apply(Select, p.all(conds), x, other)
}

func dependsOnAll(a affine, vs []*variable) bool {
	for _, v := range vs {
		if isConst(a.coef(v), 0) {
			return false
		}
	}
	return true
}

// position is an index expression as a value, in I32 where it provably fits.
func (p *puller) position(a affine) *node {
	a = a.expand()
	t := tensor.I64
	if p.narrow(a) && !a.hasDyn() {
		t = tensor.I32
	}
	loops := affine{off: a.off}
	var sum *node
	for _, x := range a.terms {
		if x.v.kind == axisVar {
			loops.terms = append(loops.terms, x)
			continue
		}
		d := p.apply(Mul, p.clamp(p.to(t, x.v.val), x.v.extent), p.sizeOf(t, x.coef))
		if sum == nil {
			sum = d
		} else {
			sum = p.apply(Add, sum, d)
		}
	}
	base := p.sizeOf(t, loops.off)
	if len(loops.terms) > 0 {
		base = p.intern(node{op: Index, typ: t, at: loops})
	}
	if sum == nil {
		return base
	}
	return p.apply(Add, base, sum)
}

// clamp is x clamped to [0, limit).
func (p *puller) clamp(x *node, limit dim.Expr) *node {
	last := p.sizeOf(x.typ, limit.Sub(dim.Const(1)))
	return p.apply(Max, p.apply(Min, x, last), p.constInt(x.typ, 0))
}

// index is an integer element as a data-dependent position in [0, limit).
func (p *puller) index(x *node, limit dim.Expr) affine {
	switch x.typ {
	case tensor.U64: // beyond int64 is beyond every axis
		x = p.to(tensor.I64, p.apply(Min, x, p.constBits(tensor.U64, 1<<63-1)))
	case tensor.U32:
		x = p.to(tensor.I64, x)
	}
	key := fmt.Appendf(nil, "d%d,%s", x.id, limit.Key())
	return ofVar(p.variable(key, func() *variable { return &variable{kind: dynVar, extent: limit, val: x} }))
}

// unravel is prover.unravel; a failure stops the nest for the axis to split, if
// there is one.
func (p *puller) unravel(a affine, shape []dim.Expr) ([]affine, bool) {
	at, s, ok := p.prover.unravel(a, shape)
	if s != nil {
		p.stop(retry{split: s})
	}
	return at, ok
}
