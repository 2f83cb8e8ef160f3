package padding

import (
	"fmt"
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// maskKey is a mask that was made: equal ones are one value.
type maskKey struct {
	x          *ir.Value
	axis, part int
	size       string // of the part
	identity   string
}

// mask makes the padding of operand arg on an axis, which is made of parts, hold the
// scalar c.
func (w *walker) mask(v *ir.Value, arg, at int, parts []part, c *tensor.Tensor, why string) error {
	splat := func(shape []dim.Expr) *ir.Value { return w.splat(c, shape) }
	for i, p := range parts {
		if !p.padded || same(p.fill, c) {
			continue
		}
		m := maskedPart{arg: arg, at: at, part: i, parts: parts, identity: ir.AttrString(numberOf(c)), other: splat, fill: c}
		if err := w.maskPart(v, m); err != nil {
			return err
		}
		w.note(v, arg, at, m.identity, why)
	}
	return nil
}

// note reports a mask, or a bound of an index.
func (w *walker) note(v *ir.Value, arg, at int, identity, why string) {
	m := Mask{Op: v.Op.String(), Within: w.within(v), Pos: v.Pos, Arg: arg, Axis: at, Identity: identity, Why: why}
	w.masks = append(w.masks, m)
}

// maskedPart is a mask that is asked for.
type maskedPart struct {
	arg, at, part int
	parts         []part // of the axis
	identity      string // tells masks apart
	other         func(shape []dim.Expr) *ir.Value
	fill          *tensor.Tensor // the scalar that other holds; nil: not known
}

// maskPart replaces an operand by one whose padding along a part is other:
//
//	%k: bool[B,4] = broadcast(keep of B) {axes=[0]}
//	%y: f32[B,4] = select(%k, %x, %other)
//
// in between reshapes where the axis is made of several parts.
func (w *walker) maskPart(v *ir.Value, m maskedPart) error {
	w.edits++
	x, size := v.Args[m.arg], m.parts[m.part].size
	key := maskKey{x, m.at, m.part, size.Key(), m.identity}
	if w.made[key] == nil {
		keep, err := w.keep(v, size)
		if err != nil {
			return err
		}
		shape, place := apart(x.Type.Shape, m)
		y := w.b.Select(w.b.Broadcast(keep, shape, int64(place)), w.reshaped(x, shape), m.other(shape))
		if y = w.reshaped(y, x.Type.Shape); w.b.Err() != nil {
			return w.refuse(v, w.leaveOut(), "cannot be masked: %v", w.b.Err())
		}
		y.Type = x.Type
		w.made[key], w.axes[y] = y, maskedAxes(w.axes[x], m)
	}
	v.Args[m.arg] = w.made[key]
	return nil
}

// maskedAxes are the axes of a value after the padding along one part was filled.
func maskedAxes(axes []axis, m maskedPart) []axis {
	out := slices.Clone(axes)
	out[m.at] = axis{parts: m.parts, by: axes[m.at].by}
	for i, a := range out {
		out[i] = fillOnly(a, m.fill)
	}
	p := &out[m.at].parts[m.part]
	p.fill, p.uniform = m.fill, false
	return out
}

// apart is a shape with the parts of the masked axis as axes of their own, and the
// place of the masked one.
func apart(shape []dim.Expr, m maskedPart) (sizes []dim.Expr, place int) {
	if len(m.parts) == 1 {
		return shape, m.at
	}
	sizes = slices.Clone(shape[:m.at])
	for _, p := range m.parts {
		sizes = append(sizes, p.size)
	}
	return append(sizes, shape[m.at+1:]...), m.at + m.part
}

// reshaped is x under another shape, x itself if it has it.
func (w *walker) reshaped(x *ir.Value, shape []dim.Expr) *ir.Value {
	if w.b.Err() != nil || ir.ShapeEqual(w.facts, x.Type.Shape, shape) {
		return x
	}
	return w.b.Reshape(x, shape)
}

// keep tells, for each index of an axis of some size, whether it is below the true
// size:
//
//	%i: i32[B] = iota() {axis=0}
//	%n: i32[B] = broadcast(%B.valid)
//	%k: bool[B] = lt(%i, %n)
//
// Indices are i32 where the size is known to fit, which is twice as many lanes.
func (w *walker) keep(v *ir.Value, size dim.Expr) (*ir.Value, error) {
	if k := w.keeps[size.Key()]; k != nil {
		return k, nil
	}
	bound, err := w.trueSize(v, size)
	if err != nil {
		return nil, err
	}
	t := ir.T(tensor.I64, size)
	if _, hi := w.facts.Range(size); hi <= math.MaxInt32 {
		t.DType = tensor.I32
	}
	k := w.b.Binary(ir.OpLt, w.b.Iota(t, 0), w.b.Broadcast(w.b.Cast(bound, t.DType), t.Shape))
	w.keeps[size.Key()] = k
	return k, nil
}

// trueSize is the value of a size at the true size of the symbol, as an i64[]: the
// symbol times a slope, plus an offset.
func (w *walker) trueSize(v *ir.Value, size dim.Expr) (*ir.Value, error) {
	if s := w.scalars[size.Key()]; s != nil {
		return s, nil
	}
	e := w.facts.Simplify(size)
	at := func(n int64) dim.Expr { return e.Subst(map[string]dim.Expr{w.sym: dim.Const(n)}) }
	offset, slope := at(0), at(1).Sub(at(0))
	if !slope.Mul(dim.Sym(w.sym)).Add(offset).Equal(e) {
		return nil, w.refuse(v, w.leaveOut(), "needs the value of %s, which is not linear in %s", size, w.sym)
	}
	n := w.valid
	if w.depends(e) {
		n = w.step(ir.OpAdd, w.step(ir.OpMul, n, slope, 1), offset, 0)
	} else {
		n = w.count(e)
	}
	w.scalars[size.Key()] = n
	return n, nil
}

// step is op of x and a size, x where the size is the one that changes nothing.
func (w *walker) step(op ir.Op, x *ir.Value, by dim.Expr, nothing int64) *ir.Value {
	if by.Equal(dim.Const(nothing)) {
		return x
	}
	return w.b.Binary(op, x, w.count(by))
}

// count is a size that the symbol does not occur in, as an i64[].
func (w *walker) count(e dim.Expr) *ir.Value {
	if n, ok := e.Const(); ok {
		return w.splat(tensor.IntScalar(tensor.I64, n), nil)
	}
	return w.b.Emit(ir.OpSize, nil, ir.Attr{Name: "of", Value: []dim.Expr{e}})
}

// splat is a constant with every element the scalar c.
func (w *walker) splat(c *tensor.Tensor, shape []dim.Expr) *ir.Value {
	return w.b.Emit(ir.OpConstant, nil, ir.Attr{Name: "value", Value: numberOf(c)},
		ir.Attr{Name: "dtype", Value: c.DType()}, ir.Attr{Name: "shape", Value: shape})
}

// numberOf is the value attribute of a splat of c.
func numberOf(c *tensor.Tensor) any {
	switch dt := c.DType(); {
	case dt == tensor.Bool:
		return tensor.Ints(c)[0] != 0
	case dt.IsFloat():
		return tensor.Floats(c)[0]
	}
	return tensor.Ints(c)[0]
}

// bound replaces operand arg, an index or start, by one that is at most the true
// value of limit. Results of the other integer types are i64; a u64 stays one. A
// limit of -1, of nothing to index, bounds no u64: then nothing is kept.
func (w *walker) bound(v *ir.Value, arg, at int, limit dim.Expr, why string) error {
	w.edits++
	most, err := w.trueSize(v, limit)
	if err != nil {
		return err
	}
	x, axes := v.Args[arg], w.axes[v.Args[arg]]
	dt := tensor.I64
	if x.Type.DType == tensor.U64 {
		dt = tensor.U64
	}
	y := w.b.Binary(ir.OpMin, w.b.Cast(x, dt), w.b.Broadcast(w.b.Cast(most, dt), x.Type.Shape))
	if w.b.Err() != nil {
		return w.refuse(v, w.leaveOut(), "cannot be bounded: %v", w.b.Err())
	}
	v.Args[arg], w.axes[y] = y, withoutFill(axes)
	w.note(v, arg, at, fmt.Sprintf("at most %s", limit), why)
	return nil
}
