package codegen

import (
	"fmt"
	"math"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// node is a value of a nest before it is scheduled into phases. Nodes form a
// graph without duplicates; operands have lower ids.
type node struct {
	id    int
	op    Code
	typ   tensor.DType
	args  []*node
	imm   uint64       // Const
	size  dim.Expr     // Size
	round tensor.DType // RoundTo
	at    affine       // Index: its value, over axes; Load: the address in elements
	buf   int          // Load
	fold  Code         // Acc: folds args[0] over the inner axes

	// Set by schedule.
	varies bool // along an inner axis
	depth  int  // reductions on the longest path to it: it is ready in that phase
}

// graph makes nodes, equal ones once.
type graph struct {
	nodes []*node
	index map[string]*node
}

func (g *graph) intern(n node) *node {
	key := fmt.Appendf(nil, "%d,%d,%x,%d,%d,%d,%s;", n.op, n.typ, n.imm, n.round, n.buf, n.fold, n.size.Key())
	for _, a := range n.args {
		key = fmt.Appendf(key, "%d,", a.id)
	}
	key = n.at.key(key)
	if old, ok := g.index[string(key)]; ok {
		return old
	}
	n.id = len(g.nodes)
	out := &n
	g.nodes = append(g.nodes, out)
	g.index[string(key)] = out
	return out
}

// apply is op(args); its type follows as in NestBuilder.Op.
func (g *graph) apply(op Code, args ...*node) *node {
	t := args[len(args)-1].typ
	if op >= Eq && op <= Ge {
		t = tensor.Bool
	}
	return g.intern(node{op: op, typ: t, args: args})
}

// to converts to a compute type.
func (g *graph) to(t tensor.DType, a *node) *node {
	if a.typ == t {
		return a
	}
	return g.intern(node{op: Cast, typ: t, args: []*node{a}})
}

// roundTo rounds to a narrow type, once.
func (g *graph) roundTo(narrow tensor.DType, a *node) *node {
	if narrow == a.typ || a.op == RoundTo && a.round == narrow {
		return a
	}
	return g.intern(node{op: RoundTo, typ: a.typ, round: narrow, args: []*node{a}})
}

// wrap brings a result of integer arithmetic back into the range of its element
// type; every node of an 8- or 16-bit type is kept in range.
func (g *graph) wrap(dt tensor.DType, a *node) *node {
	if dt.IsInt() && dt.Size() < 4 {
		return g.roundTo(dt, a)
	}
	return a
}

func (g *graph) constBits(t tensor.DType, bits uint64) *node {
	return g.intern(node{op: Const, typ: t, imm: bits})
}

// constInt is x in type t, wrapped or rounded.
func (g *graph) constInt(t tensor.DType, x int64) *node {
	switch t {
	case tensor.F32:
		return g.constBits(t, uint64(math.Float32bits(float32(x))))
	case tensor.F64:
		return g.constBits(t, math.Float64bits(float64(x)))
	case tensor.Bool:
		if x != 0 {
			x = 1
		}
	}
	return g.constBits(t, IntBits(t, x))
}

// constFloat is x in a float type.
func (g *graph) constFloat(t tensor.DType, x float64) *node {
	if t == tensor.F32 {
		return g.constBits(t, uint64(math.Float32bits(float32(x))))
	}
	return g.constBits(t, math.Float64bits(x))
}

// sizeOf is the value of an expression in an integer type.
func (g *graph) sizeOf(t tensor.DType, e dim.Expr) *node {
	if c, ok := e.Const(); ok {
		return g.constInt(t, c)
	}
	return g.intern(node{op: Size, typ: t, size: e})
}

// isZero reports whether a node is the constant with all bits 0.
func (n *node) isZero() bool { return n.op == Const && n.imm == 0 }

// deps calls use for every node whose value n needs.
func (n *node) deps(use func(*node)) {
	for _, a := range n.args {
		use(a)
	}
	for _, t := range n.at.terms {
		if t.v.kind == dynVar {
			use(t.v.val)
		}
	}
}
