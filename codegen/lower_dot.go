package codegen

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// dotAxes are the axes of a product's two operands by their role; batch and
// contract axes go in pairs.
type dotAxes struct {
	batch, contract, free [2][]int64
}

func dotAxesOf(v *ir.Value) dotAxes {
	var d dotAxes
	for i, side := range []string{"lhs", "rhs"} {
		d.batch[i], d.contract[i] = v.Attrs.Ints(side+"_batch"), v.Attrs.Ints(side+"_contract")
		for a := range int64(v.Args[i].Type.Rank()) {
			if !slices.Contains(d.batch[i], a) && !slices.Contains(d.contract[i], a) {
				d.free[i] = append(d.free[i], a)
			}
		}
	}
	return d
}

// operandIndex is the index of one operand for positions of its axes by role.
func (d *dotAxes) operandIndex(side int, batch, free, contract []affine) []affine {
	at := make([]affine, len(batch)+len(free)+len(contract))
	for i, a := range d.batch[side] {
		at[a] = batch[i]
	}
	for i, a := range d.free[side] {
		at[a] = free[i]
	}
	for i, a := range d.contract[side] {
		at[a] = contract[i]
	}
	return at
}

// dotType is the type in which a product is accumulated.
func dotType(v *ir.Value) tensor.DType {
	from, to := ComputeType(v.Args[0].Type.DType), ComputeType(v.Type.DType)
	if to.Size() > from.Size() {
		return to
	}
	return from
}

// isMatrixProduct reports whether a product gets a step of its own. Outer
// products and dot products of vectors are loops like others, and so are types
// that no matrix product accumulates in.
func (l *lowering) isMatrixProduct(v *ir.Value) bool {
	if v.Op != ir.OpDotGeneral {
		return false
	}
	acc, d := dotType(v), dotAxesOf(v)
	if acc != ComputeType(v.Args[0].Type.DType) || acc != tensor.F32 && acc != tensor.F64 && acc != tensor.I32 {
		return false
	}
	m := dim.Product(pickDims(v.Args[0].Type.Shape, d.free[0]))
	n := dim.Product(pickDims(v.Args[1].Type.Shape, d.free[1]))
	k := dim.Product(pickDims(v.Args[0].Type.Shape, d.contract[0]))
	return !l.one(k) && !(l.one(m) && l.one(n))
}

// pullDot computes a product as a reduction, unless it is a matrix product, which
// is stored first.
func pullDot(p *puller, v *ir.Value, at []affine) *node {
	if p.l.isMatrixProduct(v) {
		return p.need(v)
	}
	d, acc := dotAxesOf(v), dotType(v)
	nb, nf := len(d.batch[0]), len(d.free[0])
	batch, free := at[:nb], [2][]affine{at[nb : nb+nf], at[nb+nf:]}
	sizes := pickDims(v.Args[0].Type.Shape, d.contract[0])
	sum := p.fold(folding{v: v, op: Add, at: at, sizes: sizes, value: func(k []affine) *node {
		var xs [2]*node
		for i, a := range v.Args {
			x := p.pull(a, d.operandIndex(i, batch, free[i], k))
			xs[i] = p.to(acc, x)
		}
		return p.apply(Mul, xs[0], xs[1])
	}})
	return p.fromAccumulator(v, sum)
}

// fromAccumulator brings a product from its accumulation type to its own.
func (p *puller) fromAccumulator(v *ir.Value, sum *node) *node {
	return p.wrap(v.Type.DType, p.to(ComputeType(v.Type.DType), sum))
}

// product reads the finished product in its epilogue, which sees one element of
// it per point.
func (p *puller) product(v *ir.Value, at []affine) *node {
	if p.dotAt == nil {
		p.dotAt = at
	}
	for i := range at {
		if string(at[i].key(nil)) != string(p.dotAt[i].key(nil)) {
			return p.need(v)
		}
	}
	if p.tile == nil {
		p.tile = p.intern(node{op: Load, typ: dotType(v), buf: tileBuf})
	}
	return p.fromAccumulator(v, p.tile)
}

// tileBuf stands for the buffer of the product's tile while a graph is built.
const tileBuf = -1
