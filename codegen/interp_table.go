package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// typeRow holds the interpreter's code of one operation per compute type.
// Comparisons, casts and bit casts are looked up by their operand's type.
type typeRow struct {
	f32, f64, i32, i64, u32, u64, boolean lanesOp
}

func (r *typeRow) of(t tensor.DType) lanesOp {
	switch t {
	case tensor.F32:
		return r.f32
	case tensor.F64:
		return r.f64
	case tensor.I32:
		return r.i32
	case tensor.I64:
		return r.i64
	case tensor.U32:
		return r.u32
	case tensor.U64:
		return r.u64
	case tensor.Bool:
		return r.boolean
	}
	return nil
}

func everyType(op lanesOp) typeRow { return typeRow{op, op, op, op, op, op, op} }

// byMath is a function that computes in float64.
func byMath(f func(float64) float64) typeRow {
	return typeRow{f32: mapFloats[float32](f), f64: mapFloats[float64](f)}
}

func byMath2(f func(a, b float64) float64) typeRow {
	return typeRow{f32: mapFloats2[float32](f), f64: mapFloats2[float64](f)}
}

var interpTable = [numCodes]typeRow{
	Add: {binary(addLanes[float32]), binary(addLanes[float64]), binary(addLanes[int32]), binary(addLanes[int64]), binary(addLanes[uint32]), binary(addLanes[uint64]), nil},
	Sub: {binary(subLanes[float32]), binary(subLanes[float64]), binary(subLanes[int32]), binary(subLanes[int64]), binary(subLanes[uint32]), binary(subLanes[uint64]), nil},
	Mul: {binary(mulLanes[float32]), binary(mulLanes[float64]), binary(mulLanes[int32]), binary(mulLanes[int64]), binary(mulLanes[uint32]), binary(mulLanes[uint64]), nil},
	Div: {binary(divFloats[float32]), binary(divFloats[float64]), binary(divInts[int32]), binary(divInts[int64]), binary(divInts[uint32]), binary(divInts[uint64]), nil},
	Rem: {binary(remFloats[float32]), binary(remFloats[float64]), binary(remInts[int32]), binary(remInts[int64]), binary(remInts[uint32]), binary(remInts[uint64]), nil},
	Min: {binary(minLanes[float32]), binary(minLanes[float64]), binary(minLanes[int32]), binary(minLanes[int64]), binary(minLanes[uint32]), binary(minLanes[uint64]), nil},
	Max: {binary(maxLanes[float32]), binary(maxLanes[float64]), binary(maxLanes[int32]), binary(maxLanes[int64]), binary(maxLanes[uint32]), binary(maxLanes[uint64]), nil},
	Neg: {unary(negLanes[float32]), unary(negLanes[float64]), unary(negLanes[int32]), unary(negLanes[int64]), unary(negLanes[uint32]), unary(negLanes[uint64]), nil},
	Abs: {unary(absFloats[float32]), unary(absFloats[float64]), unary(absInts[int32]), unary(absInts[int64]), unary(absInts[uint32]), unary(absInts[uint64]), nil},

	FMA:  {f32: ternary(fmaLanes32), f64: ternary(fmaLanes64)},
	FNMA: {f32: ternary(fnmaLanes32), f64: ternary(fnmaLanes64)},

	And:  {nil, nil, binary(andLanes[int32]), binary(andLanes[int64]), binary(andLanes[uint32]), binary(andLanes[uint64]), binary(andBools)},
	Or:   {nil, nil, binary(orLanes[int32]), binary(orLanes[int64]), binary(orLanes[uint32]), binary(orLanes[uint64]), binary(orBools)},
	Xor:  {nil, nil, binary(xorLanes[int32]), binary(xorLanes[int64]), binary(xorLanes[uint32]), binary(xorLanes[uint64]), binary(xorBools)},
	Not:  {nil, nil, unary(notLanes[int32]), unary(notLanes[int64]), unary(notLanes[uint32]), unary(notLanes[uint64]), unary(notBools)},
	Shl:  {nil, nil, binary(shlLanes[uint32]), binary(shlLanes[uint64]), binary(shlLanes[uint32]), binary(shlLanes[uint64]), nil},
	ShrL: {nil, nil, binary(shrLanes[uint32]), binary(shrLanes[uint64]), binary(shrLanes[uint32]), binary(shrLanes[uint64]), nil},
	ShrA: {nil, nil, binary(sarLanes32), binary(sarLanes64), binary(sarLanes32), binary(sarLanes64), nil},

	Eq: {binary(eqLanes[float32]), binary(eqLanes[float64]), binary(eqLanes[int32]), binary(eqLanes[int64]), binary(eqLanes[uint32]), binary(eqLanes[uint64]), binary(eqLanes[bool])},
	Ne: {binary(neLanes[float32]), binary(neLanes[float64]), binary(neLanes[int32]), binary(neLanes[int64]), binary(neLanes[uint32]), binary(neLanes[uint64]), binary(neLanes[bool])},
	Lt: {binary(ltLanes[float32]), binary(ltLanes[float64]), binary(ltLanes[int32]), binary(ltLanes[int64]), binary(ltLanes[uint32]), binary(ltLanes[uint64]), boolCompare(func(a, b uint8) bool { return a < b })},
	Le: {binary(leLanes[float32]), binary(leLanes[float64]), binary(leLanes[int32]), binary(leLanes[int64]), binary(leLanes[uint32]), binary(leLanes[uint64]), boolCompare(func(a, b uint8) bool { return a <= b })},
	Gt: {binary(gtLanes[float32]), binary(gtLanes[float64]), binary(gtLanes[int32]), binary(gtLanes[int64]), binary(gtLanes[uint32]), binary(gtLanes[uint64]), boolCompare(func(a, b uint8) bool { return a > b })},
	Ge: {binary(geLanes[float32]), binary(geLanes[float64]), binary(geLanes[int32]), binary(geLanes[int64]), binary(geLanes[uint32]), binary(geLanes[uint64]), boolCompare(func(a, b uint8) bool { return a >= b })},

	Select: {selectLanes[float32], selectLanes[float64], selectLanes[int32], selectLanes[int64], selectLanes[uint32], selectLanes[uint64], selectLanes[bool]},

	Cast: everyType(castOp), Bits: everyType(bitsOp),
	RoundTo: {f32: roundToOp, f64: roundToOp, i32: roundToOp},

	Sqrt: byMath(math.Sqrt), RoundEven: byMath(math.RoundToEven), Floor: byMath(math.Floor), Ceil: byMath(math.Ceil),
	Trunc: byMath(math.Trunc), Scale2: byMath2(ldexp), RcpE: {f32: unary(rcpEstimate)},

	Exp: byMath(math.Exp), Exp2: byMath(math.Exp2), Expm1: byMath(math.Expm1), Log: byMath(math.Log),
	Log2: byMath(math.Log2), Log1p: byMath(math.Log1p), Sin: byMath(math.Sin), Cos: byMath(math.Cos),
	Tan: byMath(math.Tan), Asin: byMath(math.Asin), Acos: byMath(math.Acos), Atan: byMath(math.Atan),
	Atan2: byMath2(math.Atan2), Sinh: byMath(math.Sinh), Cosh: byMath(math.Cosh), Tanh: byMath(math.Tanh),
	Sigmoid: byMath(sigmoid), Erf: byMath(math.Erf), Rsqrt: byMath(rsqrt), Cbrt: byMath(math.Cbrt),
	Pow: byMath2(math.Pow),
}

// interpOp is the interpreter's code of a value instruction that Verify accepts.
func interpOp(in *Inst, from tensor.DType) lanesOp {
	t := in.Type
	if in.Op >= Eq && in.Op <= Ge {
		t = from
	}
	op := interpTable[in.Op].of(t)
	if op == nil {
		panic("BUG: codegen: interpreter has no " + in.Op.String() + " of " + t.String())
	}
	return op
}
