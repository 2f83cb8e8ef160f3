package codegen

import (
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// folding is a reduction as the nest sees it: value(index of the folded
// dimensions) folded by op, for one index of the others.
type folding struct {
	v     *ir.Value
	op    Code
	at    []affine   // index of the result
	sizes []dim.Expr // of the folded dimensions
	value func(folded []affine) *node
}

// fold makes a reduction over the nest's inner axes. A nest has one set of them:
// the first reduction chooses it, those that do not fit are stored first.
//
//	root y[i,j], reduction at (i) over C = extent of j   j becomes an inner axis
//	root y[i],   reduction at (i) over C                 a new inner axis
//	root y[i,j], reduction at (i) over K != C            stored first
//
// A reduction of nothing whatever the sizes, which no layout of axes describes,
// is the number that it starts from.
func (p *puller) fold(f folding) *node {
	if _, most := p.l.facts.Range(dim.Product(f.sizes)); most == 0 {
		return p.ofNothing(f)
	}
	folded := p.bigger(f.sizes)
	if len(folded) == 0 {
		return f.value(make([]affine, len(f.sizes)))
	}
	if p.dot != nil {
		return p.need(f.v)
	}
	used, ok := p.usedAxes(f.at)
	if !ok {
		return p.need(f.v)
	}
	inner := p.innerAxes()
	if len(inner) == 0 {
		if inner, ok = p.chooseInner(used, folded); !ok {
			return p.need(f.v)
		}
	}
	for _, a := range append(slices.Clone(p.s.axes), p.s.loops...) {
		if a.inner == used[a] { // an outer axis unused, or an inner one used
			return p.need(f.v)
		}
	}
	at, ok := p.unravelAll(inner, f.sizes)
	if p.why != nil {
		return p.poison(f.v)
	}
	if !ok {
		return p.need(f.v)
	}
	x := f.value(at)
	return p.intern(node{op: Acc, typ: x.typ, fold: f.op, args: []*node{x}})
}

// ofNothing is what a reduction without elements gives.
func (p *puller) ofNothing(f folding) *node {
	if f.op == Max || f.op == Min {
		return p.extreme(f.v.Type.DType, f.op)
	}
	t := ComputeType(f.v.Type.DType)
	return p.constBits(t, Neutral(f.op, t)&widthMask(t))
}

// bigger are the sizes that are not known to be 1.
func (p *puller) bigger(sizes []dim.Expr) []dim.Expr {
	return slices.DeleteFunc(slices.Clone(sizes), p.one)
}

// usedAxes are the loop axes that an index depends on; ok is false for one that
// depends on data.
func (p *puller) usedAxes(at []affine) (used map[*variable]bool, ok bool) {
	used = map[*variable]bool{}
	for _, a := range at {
		a = a.expand()
		if a.hasDyn() {
			return nil, false
		}
		for _, t := range a.terms {
			used[t.v] = true
		}
	}
	return used, true
}

func (p *puller) innerAxes() []*variable {
	inner := slices.Clone(p.s.loops)
	for _, a := range p.s.axes {
		if a.inner {
			inner = append(inner, a)
		}
	}
	return inner
}

// chooseInner makes the axes of a nest's first reduction: new ones if it uses
// every axis of the root; else those it does not use, which restarts the nest.
func (p *puller) chooseInner(used map[*variable]bool, sizes []dim.Expr) ([]*variable, bool) {
	var rest []*variable
	for _, a := range p.s.axes {
		if !used[a] {
			rest = append(rest, a)
		}
	}
	if len(rest) == 0 {
		for _, e := range sizes {
			p.s.loops = append(p.s.loops, p.l.axis(e, true))
		}
		return p.s.loops, true
	}
	if _, ok := p.unravelAll(rest, sizes); !ok && p.why == nil {
		return nil, false
	}
	p.stop(retry{inner: rest})
	return rest, true
}

// unravelAll lays a tensor's dimensions on axes, in row-major order.
func (p *puller) unravelAll(axes []*variable, sizes []dim.Expr) ([]affine, bool) {
	extents := make([]dim.Expr, len(axes))
	at := make([]affine, len(axes))
	for i, a := range axes {
		extents[i], at[i] = a.extent, ofVar(a)
	}
	if !p.equal(dim.Product(extents), dim.Product(sizes)) {
		return nil, false
	}
	return p.unravel(linear(at, extents), sizes)
}

// pullReduce is the row of a reduction over whole axes.
func pullReduce(op Code) pullFunc {
	return func(p *puller, v *ir.Value, at []affine) *node {
		if n, ok := p.count(v, op); ok {
			return n
		}
		if part, ok := p.l.partial(v, op); ok {
			return p.finish(v, op, p.combine(v, part, op, at))
		}
		x, axes := v.Args[0], v.Attrs.Ints("axes")
		n := p.fold(folding{v: v, op: op, at: at, sizes: pickDims(x.Type.Shape, axes), value: func(folded []affine) *node {
			return p.pull(x, placed(x.Type.Rank(), axes, folded, at))
		}})
		return p.finish(v, op, n)
	}
}

// count is the sum of equal elements, which is how programs say a symbolic size
// as a number: the element times their number, which is 0 of no elements if the
// element is finite.
func (p *puller) count(v *ir.Value, op Code) (*node, bool) {
	x := v.Args[0]
	for x.Op == ir.OpBroadcast || x.Op == ir.OpReshape {
		x = x.Args[0]
	}
	if op != Add || x.Op != ir.OpConstant || x.Attrs.Tensor("data") != nil {
		return nil, false
	}
	one := p.pull(x, make([]affine, x.Type.Rank()))
	if f, ok := floatConst(one); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, false
	}
	n := p.sizeOf(tensor.I64, dim.Product(pickDims(v.Args[0].Type.Shape, v.Attrs.Ints("axes"))))
	return p.wrap(v.Type.DType, p.times(one, p.to(one.typ, n))), true
}

// finish brings an accumulated value into the range of the element type.
func (p *puller) finish(v *ir.Value, op Code, x *node) *node {
	dt := v.Type.DType
	if op == Max || op == Min { // of nothing, accumulators give the compute type's limit
		if limit := p.extreme(dt, op); limit.imm != Neutral(op, x.typ) && x.op == Acc {
			return p.apply(op, x, limit)
		}
		return x
	}
	return p.wrap(dt, x)
}

// placed is the index of a reduction's operand: folded on axes, the rest at.
func placed(rank int, axes []int64, folded, at []affine) []affine {
	in := make([]affine, rank)
	k := 0
	for i := range in {
		if j := slices.Index(axes, int64(i)); j >= 0 {
			in[i] = folded[j]
			continue
		}
		in[i], k = at[k], k+1
	}
	return in
}

func pickDims(shape []dim.Expr, axes []int64) []dim.Expr {
	out := make([]dim.Expr, len(axes))
	for i, a := range axes {
		out[i] = shape[a]
	}
	return out
}

var windowFolds = map[string]Code{"sum": Add, "max": Max, "min": Min}

// pullReduceWindow folds the window's positions; outside of the operand counts as
// the identity.
func pullReduceWindow(p *puller, v *ir.Value, at []affine) *node {
	x, s, op := v.Args[0], slideOf(v), windowFolds[v.Attrs.Str("op", "")]
	sizes := make([]dim.Expr, len(s.window))
	for i, w := range s.window {
		sizes[i] = dim.Const(w)
	}
	identity := p.constInt(ComputeType(v.Type.DType), 0)
	if op != Add {
		identity = p.extreme(v.Type.DType, op)
	}
	n := p.fold(folding{v: v, op: op, at: at, sizes: sizes, value: func(k []affine) *node {
		in, own, ok := make([]affine, len(at)), []*variable(nil), false
		for i := range at {
			if in[i], own, ok = p.masked(s.position(i, at[i], k[i]), x.Type.Shape[i], own); !ok {
				return p.need(v)
			}
		}
		return p.unless(own, p.pull(x, in), identity)
	}})
	return p.finish(v, op, n)
}

// The sizes of reductions that are split into blocks: with few results, whose
// loops would leave processors idle, and many elements each.
const (
	fewResults   = 32
	manyElements = 1 << 16
	blockSize    = 1 << 14 // elements of a block, about
)

// blocks is a big reduction split in two: partial[b, ...] folds block b of the
// operand's positions on axis.
type blocks struct {
	partial *ir.Value // [count, kept...], in the accumulation type
	axis    int64     // of the operand, split into blocks
	block   dim.Expr  // positions per block; the last block may be ragged
}

// partial returns how a reduction is split into blocks; ok is false for one that
// is not. The split depends on sizes only: results do not change with the number
// of processors.
func (l *lowering) partial(v *ir.Value, op Code) (*blocks, bool) {
	if b, ok := l.blocks[v]; ok {
		return b, b != nil
	}
	b := l.splitReduction(v, op)
	l.blocks[v] = b
	return b, b != nil
}

func (l *lowering) splitReduction(v *ir.Value, _ Code) *blocks {
	x, axes := v.Args[0].Type, v.Attrs.Ints("axes")
	_, kept := l.facts.Range(v.Type.Elements())
	_, folded := l.facts.Range(dim.Product(pickDims(x.Shape, axes)))
	if kept > fewResults || folded < manyElements {
		return nil
	}
	axis, best := axes[0], int64(-1)
	rest := int64(1) // elements of the folded axes but the longest, at most
	for _, a := range axes {
		if _, n := l.facts.Range(x.Shape[a]); n > best {
			axis, best = a, n
		}
	}
	for _, a := range axes {
		if _, n := l.facts.Range(x.Shape[a]); a != axis {
			rest = min(rest, blockSize) * min(n, blockSize)
		}
	}
	block := dim.Const(max(blockSize/max(rest, 1), 16))
	count := x.Shape[axis].CeilDiv(block)
	t := ir.T(ComputeType(v.Type.DType), append([]dim.Expr{count}, v.Type.Shape...)...)
	return &blocks{partial: &ir.Value{Op: v.Op, Args: v.Args, Attrs: v.Attrs, Type: t, Pos: v.Pos}, axis: axis, block: block}
}

// combine folds the stored partial results of v.
func (p *puller) combine(v *ir.Value, b *blocks, op Code, at []affine) *node {
	part := b.partial
	if _, ok := p.l.stored[part]; !ok {
		p.l.partials[part] = b
		return p.need(part)
	}
	return p.fold(folding{v: v, op: op, at: at, sizes: part.Type.Shape[:1], value: func(folded []affine) *node {
		return p.pull(part, slices.Concat(folded, at))
	}})
}

// pullPartial folds one block: at is (block, kept...).
func (p *puller) pullPartial(b *blocks, at []affine) *node {
	v := b.partial
	x, axes := v.Args[0], v.Attrs.Ints("axes")
	op := reduceFolds[v.Op]
	sizes := pickDims(x.Type.Shape, axes)
	k := slices.Index(axes, b.axis)
	sizes[k] = b.block.Min(x.Type.Shape[b.axis]) // a short axis of unknown length is one block, and no longer than it is
	identity := p.constBits(ComputeType(x.Type.DType), Neutral(op, ComputeType(x.Type.DType)))
	return p.fold(folding{v: v, op: op, at: at, sizes: sizes, value: func(folded []affine) *node {
		in, own, ok := p.masked(at[0].scale(b.block).add(folded[k]), x.Type.Shape[b.axis], nil)
		if !ok {
			return p.need(v)
		}
		folded = slices.Clone(folded)
		folded[k] = in
		return p.unless(own, p.pull(x, placed(x.Type.Rank(), axes, folded, at[1:])), identity)
	}})
}

var reduceFolds = map[ir.Op]Code{
	ir.OpReduceSum: Add, ir.OpReduceProd: Mul, ir.OpReduceMax: Max,
	ir.OpReduceMin: Min, ir.OpReduceAny: Or, ir.OpReduceAll: And,
}
