package codegen

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// lastProduct is the last matrix product in the region that v depends on and that
// is not stored; nil if there is none.
func (l *lowering) lastProduct(v *ir.Value) *ir.Value {
	var last *ir.Value
	l.cone(v, func(u *ir.Value) bool {
		if l.isMatrixProduct(u) && (last == nil || l.order[u] > l.order[last]) {
			last = u
		}
		return true
	})
	return last
}

// product is a matrix product with its epilogue in the making.
type product struct {
	d        *ir.Value
	axes     dotAxes
	p        *puller
	sinks    []*sink
	batch    []*variable    // axes of the epilogue
	mn       [2][]*variable // axes of the rows (of the first operand) and columns
	operands [2]dotOperand
}

// dotOperand is a matrix operand: the buffer it lies in, its address by the
// product's batch dimensions, and the strides of its free and contracted axes.
type dotOperand struct {
	buf            int
	off            dim.Expr
	batch          []dim.Expr // per batch dimension of the product
	free, contract dim.Expr
}

// lowerProduct computes d as a step of its own with r, and the waiting results
// that fit, as its epilogue. done is false where r cannot be that: then d is to
// be stored by itself.
//
// An epilogue visits each element of the product once. Its axes are the batch
// axes, then one for the rows and one for the columns:
//
//	d[b, i, j], root y[b, j, i]: pulled at d's (b, i, j), axes b, i -> m, j -> n
func (l *lowering) lowerProduct(d *ir.Value, r *root) (done bool, err error) {
	g := &product{d: d, axes: dotAxesOf(d)}
	for i := range g.operands {
		if err := l.dotOperand(g, i); err != nil {
			return false, err
		}
	}
	if _, ok := l.stored[r.v]; ok { // joined an operand's nest
		return true, nil
	}
	ok, err := l.epilogue(g, r)
	if !ok || err != nil {
		return false, err
	}
	l.orient(g)
	l.emitProduct(g)
	for _, k := range g.sinks {
		l.done(k.root)
	}
	return true, nil
}

// dotOperand finds or stores the operand in a buffer from which it can be read
// with one stride for all free axes and one for all contracted axes.
func (l *lowering) dotOperand(g *product, side int) error {
	v := g.d.Args[side]
	base, addr, vars := l.operandAddress(g, v, side, nil)
	if o, ok := l.strides(addr, vars); ok {
		base = l.packable(base, dotType(g.d))
		if err := l.materialise(base); err != nil {
			return err
		}
		o.buf = l.stored[base]
		g.operands[side] = o
		return nil
	}
	order := [2][]int64{
		slices.Concat(g.axes.batch[0], g.axes.free[0], g.axes.contract[0]),
		slices.Concat(g.axes.batch[1], g.axes.contract[1], g.axes.free[1]),
	}[side]
	copied := l.arranged(l.packable(v, dotType(g.d)), order)
	if err := l.materialise(copied); err != nil {
		return err
	}
	_, addr, vars = l.operandAddress(g, copied, side, order)
	o, ok := l.strides(addr, vars)
	if !ok {
		panic("BUG: codegen: a contiguous matrix operand without strides")
	}
	o.buf = l.stored[copied]
	g.operands[side] = o
	return nil
}

// packable is v in an element type that matrix products take: the one they
// accumulate in, or a 16-bit float, which is widened while it is packed.
func (l *lowering) packable(v *ir.Value, acc tensor.DType) *ir.Value {
	dt := v.Type.DType
	if dt == acc || acc == tensor.F32 && (dt == tensor.F16 || dt == tensor.BF16) {
		return v
	}
	return l.synthetic(ir.OpCast, v, ir.Attr{Name: "dtype", Value: acc}, v.Type.WithDType(acc))
}

// arranged is v with its axes in an order.
func (l *lowering) arranged(v *ir.Value, order []int64) *ir.Value {
	return l.synthetic(ir.OpTranspose, v, ir.Attr{Name: "perm", Value: order}, v.Type.WithShape(pickDims(v.Type.Shape, order)))
}

// synthetic is op(v), a value of no function; equal ones are one.
func (l *lowering) synthetic(op ir.Op, v *ir.Value, a ir.Attr, t ir.Type) *ir.Value {
	attrs := ir.NewAttrs(a)
	for _, c := range l.copies {
		if c.Op == op && c.Args[0] == v && c.Attrs.Equal(attrs) {
			return c
		}
	}
	c := &ir.Value{Op: op, Args: []*ir.Value{v}, Attrs: attrs, Type: t, Pos: v.Pos}
	l.copies = append(l.copies, c)
	return c
}

// operandVars are the positions of an operand's axes by role; nil for one of
// size 1.
type operandVars struct{ batch, free, contract []*variable }

// operandAddress is the address of an operand's element in the value that its
// views start from. order is the permutation of an arranged copy.
func (l *lowering) operandAddress(g *product, v *ir.Value, side int, order []int64) (*ir.Value, affine, operandVars) {
	shape := g.d.Args[side].Type.Shape
	var vars operandVars
	make1 := func(axes []int64, to *[]*variable) (at []affine) {
		for _, a := range axes {
			var x *variable
			var e affine
			if !l.one(shape[a]) {
				x = l.axis(shape[a], false)
				e = ofVar(x)
			}
			*to, at = append(*to, x), append(at, e)
		}
		return at
	}
	batch := make1(g.axes.batch[side], &vars.batch)
	free := make1(g.axes.free[side], &vars.free)
	contract := make1(g.axes.contract[side], &vars.contract)
	at := g.axes.operandIndex(side, batch, free, contract)
	if order != nil {
		permuted := make([]affine, len(at))
		for i, a := range order {
			permuted[i] = at[a]
		}
		at = permuted
	}
	base, addr := l.throughViews(v, at)
	return base, addr, vars
}

// throughViews follows views to the value whose elements are read, and gives the
// position of the element in it.
func (l *lowering) throughViews(v *ir.Value, at []affine) (*ir.Value, affine) {
	for {
		view, ok := views[v.Op]
		if _, is := l.stored[v]; is || !ok {
			return v, linear(at, v.Type.Shape)
		}
		in, _, ok := view(l.prover, v, at)
		if !ok { // a reshape whose operand will be stored, in the same order
			return v.Args[0], linear(at, v.Type.Shape)
		}
		v, at = v.Args[0], in
	}
}

// strides reads an operand's strides off its address; ok is false where the free
// or the contracted axes do not run through memory as one.
func (l *lowering) strides(addr affine, vars operandVars) (o dotOperand, ok bool) {
	o.off = addr.off
	for _, b := range vars.batch {
		c := dim.Const(0)
		if b != nil {
			c = addr.coef(b)
		}
		o.batch = append(o.batch, c)
	}
	var okFree, okContract bool
	o.free, okFree = l.stride(addr, vars.free)
	o.contract, okContract = l.stride(addr, vars.contract)
	return o, okFree && okContract
}

// stride is the step of the last axis, if a step of every axis is as much as all
// of the axes behind it.
func (l *lowering) stride(addr affine, axes []*variable) (dim.Expr, bool) {
	step, span, first := dim.Const(0), dim.Const(0), true
	for i := len(axes) - 1; i >= 0; i-- {
		a := axes[i]
		if a == nil {
			continue
		}
		c := addr.coef(a)
		if first {
			step, first = c, false
		} else if !l.equal(c, span) {
			return step, false
		}
		span = c.Mul(a.extent)
	}
	return step, true
}

// orient exchanges rows and columns where the stores then have neighbours in the
// lanes, or where there are no columns at all.
func (l *lowering) orient(g *product) {
	last := func(axes []*variable) (dim.Expr, bool) {
		if len(axes) == 0 {
			return dim.Expr{}, false
		}
		return g.sinks[0].at.coef(axes[len(axes)-1]), true
	}
	m, rows := last(g.mn[0])
	n, columns := last(g.mn[1])
	if rows && (!columns || isConst(m, 1) && !isConst(n, 1)) {
		g.mn[0], g.mn[1] = g.mn[1], g.mn[0]
		g.operands[0], g.operands[1] = g.operands[1], g.operands[0]
		g.axes.batch[0], g.axes.batch[1] = g.axes.batch[1], g.axes.batch[0]
	}
}
