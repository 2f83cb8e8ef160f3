package codegen

import (
	"math"

	"jitc/ir"
	"jitc/ir/tensor"
)

// points says how each pointwise op is computed: an op is one row here.
var points map[ir.Op]pointFunc

func init() {
	points = map[ir.Op]pointFunc{
		ir.OpNeg: point(Neg), ir.OpAbs: absolute, ir.OpSign: sign,
		ir.OpFloor: point(Floor), ir.OpCeil: point(Ceil), ir.OpRound: point(RoundEven), ir.OpTrunc: point(Trunc),
		ir.OpSqrt: point(Sqrt), ir.OpRsqrt: point(Rsqrt), ir.OpCbrt: point(Cbrt),
		ir.OpExp: point(Exp), ir.OpExp2: point(Exp2), ir.OpExpm1: point(Expm1),
		ir.OpLog: point(Log), ir.OpLog2: point(Log2), ir.OpLog1p: point(Log1p),
		ir.OpSin: point(Sin), ir.OpCos: point(Cos), ir.OpTan: point(Tan),
		ir.OpAsin: point(Asin), ir.OpAcos: point(Acos), ir.OpAtan: point(Atan), ir.OpAtan2: point(Atan2),
		ir.OpSinh: point(Sinh), ir.OpCosh: point(Cosh), ir.OpTanh: point(Tanh),
		ir.OpSigmoid: point(Sigmoid), ir.OpErf: point(Erf), ir.OpPow: point(Pow),

		ir.OpAdd: point(Add), ir.OpSub: point(Sub), ir.OpMul: multiply, ir.OpDiv: divide,
		ir.OpRem: point(Rem), ir.OpMax: point(Max), ir.OpMin: point(Min),
		ir.OpAnd: point(And), ir.OpOr: point(Or), ir.OpXor: point(Xor), ir.OpNot: point(Not),
		ir.OpShl: point(Shl), ir.OpShr: shiftRight,

		ir.OpEq: compare(Eq), ir.OpNe: compare(Ne), ir.OpLt: compare(Lt), ir.OpLe: compare(Le),
		ir.OpGt: compare(Gt), ir.OpGe: compare(Ge),
		ir.OpIsNaN: isNaN, ir.OpIsFinite: isFinite,
		ir.OpSelect: func(p *puller, _ *ir.Value, a []*node) *node { return p.apply(Select, a...) },
		ir.OpCast:   func(p *puller, v *ir.Value, a []*node) *node { return p.cast(v.Args[0].Type.DType, v.Type.DType, a[0]) },
	}
}

// point is a row of an op that one instruction computes.
func point(op Code) pointFunc {
	return func(p *puller, v *ir.Value, args []*node) *node {
		return p.wrap(v.Type.DType, p.apply(op, args...))
	}
}

// compare looks at elements as they are in their type: a narrow float that was
// computed in F32 is rounded first, so that a fused test decides like a stored one.
func compare(op Code) pointFunc {
	return func(p *puller, v *ir.Value, args []*node) *node {
		dt := v.Args[0].Type.DType
		x, y := p.rounded(dt, args[0]), p.rounded(dt, args[1])
		if a, b := p.widened(x), p.widened(y); a != nil && b != nil {
			x, y = a, b
		}
		return p.apply(op, x, y)
	}
}

// widened is the I32 that an I64 was made from, nil if it was not: positions are
// compared in twice as many lanes.
func (p *puller) widened(x *node) *node {
	switch {
	case x.typ != tensor.I64:
	case x.op == Cast && x.args[0].typ == tensor.I32:
		return x.args[0]
	case x.op == Const && int64(x.imm) == int64(int32(x.imm)):
		return p.constInt(tensor.I32, int64(x.imm))
	}
	return nil
}

// rounded is x as an element of type dt would hold it.
func (p *puller) rounded(dt tensor.DType, x *node) *node {
	if dt.IsFloat() && dt.Size() < 4 && x.op != Const && !(x.op == Load && x.buf != tileBuf && p.l.k.Bufs[x.buf].DType == dt) {
		return p.roundTo(dt, x)
	}
	return x
}

func multiply(p *puller, v *ir.Value, a []*node) *node {
	return p.wrap(v.Type.DType, p.times(a[0], a[1]))
}

// times is x*y; a factor of 1 is dropped.
func (p *puller) times(x, y *node) *node {
	switch one := p.constInt(x.typ, 1); one {
	case x:
		return y
	case y:
		return x
	}
	return p.apply(Mul, x, y)
}

// divide multiplies by the reciprocal of a power of two, which is exact.
func divide(p *puller, v *ir.Value, a []*node) *node {
	x, y := a[0], a[1]
	if r, ok := exactReciprocal(y); ok {
		return p.apply(Mul, x, p.constFloat(y.typ, r))
	}
	return p.wrap(v.Type.DType, p.apply(Div, x, y))
}

// exactReciprocal is 1/y of a constant power of two, both normal numbers.
func exactReciprocal(y *node) (float64, bool) {
	f, ok := floatConst(y)
	frac, exp := math.Frexp(f)
	return 1 / f, ok && math.Abs(frac) == 0.5 && exp > -100 && exp < 100
}

// floatConst is the value of a floating-point constant.
func floatConst(x *node) (float64, bool) {
	switch {
	case x.op != Const || !x.typ.IsFloat():
		return 0, false
	case x.typ == tensor.F32:
		return float64(math.Float32frombits(uint32(x.imm))), true
	}
	return math.Float64frombits(x.imm), true
}

func absolute(p *puller, v *ir.Value, a []*node) *node {
	if v.Type.DType.IsUnsigned() {
		return a[0]
	}
	return p.wrap(v.Type.DType, p.apply(Abs, a[0]))
}

func sign(p *puller, v *ir.Value, a []*node) *node {
	x := a[0]
	zero, one := p.constInt(x.typ, 0), p.constInt(x.typ, 1)
	switch {
	case v.Type.DType.IsUnsigned():
		return p.apply(Min, x, one)
	case !x.typ.IsFloat():
		return p.apply(Max, p.apply(Min, x, one), p.constInt(x.typ, -1))
	}
	below := p.apply(Select, p.apply(Lt, x, zero), p.constInt(x.typ, -1), x) // keeps -0 and NaN
	return p.apply(Select, p.apply(Gt, x, zero), one, below)
}

func shiftRight(p *puller, v *ir.Value, a []*node) *node {
	if v.Type.DType.IsUnsigned() {
		return p.apply(ShrL, a...)
	}
	return p.apply(ShrA, a...)
}

func isNaN(p *puller, v *ir.Value, a []*node) *node {
	x := p.rounded(v.Args[0].Type.DType, a[0])
	return p.apply(Ne, x, x)
}

// isFinite tests x-x == 0, which infinities and NaN fail.
func isFinite(p *puller, v *ir.Value, a []*node) *node {
	x := p.rounded(v.Args[0].Type.DType, a[0])
	return p.apply(Eq, p.apply(Sub, x, x), p.constInt(x.typ, 0))
}

// cast converts an element of type from to type to.
func (p *puller) cast(from, to tensor.DType, x *node) *node {
	if from == to {
		return x
	}
	t := ComputeType(to)
	switch {
	case to == tensor.Bool:
		return p.to(tensor.Bool, p.rounded(from, x))
	case to.IsFloat():
		return p.castToFloat(to, x)
	case from.IsFloat():
		return p.saturate(to, p.to(t, p.rounded(from, x)))
	case from == tensor.Bool:
		return p.to(t, x)
	}
	return p.wrap(to, p.to(t, x))
}

// castToFloat rounds once: integers and F64 reach a narrow type through F64,
// which holds them exactly (up to 53 bits).
func (p *puller) castToFloat(to tensor.DType, x *node) *node {
	if to.Size() >= 4 {
		return p.to(to, x)
	}
	if x.typ != tensor.F32 && x.typ != tensor.Bool {
		return p.to(tensor.F32, p.roundTo(to, p.to(tensor.F64, x)))
	}
	return p.roundTo(to, p.to(tensor.F32, x))
}

// saturate clamps an I32 that came from a float to a narrow integer type.
func (p *puller) saturate(to tensor.DType, x *node) *node {
	if to.Size() >= 4 {
		return x
	}
	lo, hi := intRange(to)
	return p.apply(Max, p.apply(Min, x, p.constInt(x.typ, hi)), p.constInt(x.typ, lo))
}

// intRange is the range of an integer type of at most 32 bits.
func intRange(dt tensor.DType) (lo, hi int64) {
	bits := 8 * dt.Size()
	if dt.IsUnsigned() {
		return 0, 1<<bits - 1
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}

// splat is the constant of an element type that an attribute gives.
func (p *puller) splat(dt tensor.DType, value any) *node {
	t := ComputeType(dt)
	switch x := value.(type) {
	case bool:
		if x {
			return p.constInt(t, 1)
		}
		return p.constInt(t, 0)
	case int64:
		if !dt.IsFloat() {
			return p.constInt(t, x)
		}
		return p.constFloat(t, tensor.RoundFloat(dt, float64(x)))
	case float64:
		if dt.IsFloat() {
			return p.constFloat(t, tensor.RoundFloat(dt, x))
		}
	}
	panic("BUG: codegen: constant without a value of its type")
}

// tensorSplat is the constant for a tensor whose elements all have the same bits.
func (p *puller) tensorSplat(x *tensor.Tensor) (*node, bool) {
	data, _ := x.Contiguous().Bytes()
	size := x.DType().Size()
	for i := size; i < len(data); i++ {
		if data[i] != data[i-size] {
			return nil, false
		}
	}
	t := ComputeType(x.DType())
	switch {
	case len(data) == 0:
		return p.constInt(t, 0), true
	case x.DType().IsFloat():
		return p.constFloat(t, tensor.Floats(x)[0]), true
	}
	return p.constInt(t, tensor.Ints(x)[0]), true
}

// extreme is the identity of max or min: the least or greatest element of a type.
func (p *puller) extreme(dt tensor.DType, fold Code) *node {
	t := ComputeType(dt)
	switch {
	case dt == tensor.F8E4M3: // has no infinities
		return p.constFloat(t, map[Code]float64{Max: -448, Min: 448}[fold])
	case dt.IsInt() && dt.Size() < 4:
		lo, hi := intRange(dt)
		return p.constInt(t, map[Code]int64{Max: lo, Min: hi}[fold])
	}
	return p.constBits(t, Neutral(fold, t)&widthMask(t))
}

func widthMask(t tensor.DType) uint64 {
	if t.Size() < 8 {
		return 1<<(8*t.Size()) - 1
	}
	return math.MaxUint64
}
