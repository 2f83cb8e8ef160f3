package codegen

import (
	"jitc/ir/tensor"
)

// castInts converts from an integer: to another integer by wrapping, to a float
// by rounding.
func castInts[D number, S integer](d []D, a []S) {
	for i := range d {
		d[i] = D(a[i])
	}
}

func castFloats[D, S float](d []D, a []S) {
	for i := range d {
		d[i] = D(a[i])
	}
}

// saturate truncates floats to integers of lo..hi; next is hi+1, exact as a
// float64 where hi itself is not.
func saturate[D integer, S float](lo, hi D, next float64) lanesOp {
	return unary(func(d []D, a []S) {
		for i := range d {
			switch x := float64(a[i]); {
			case x != x:
				d[i] = 0
			case x >= next:
				d[i] = hi
			case x <= float64(lo):
				d[i] = lo
			default:
				d[i] = D(x)
			}
		}
	})
}

func castFromBool[D number](d []D, a []bool) {
	for i := range d {
		d[i] = D(boolByte(a[i]))
	}
}

func castToBool[S number](d []bool, a []S) {
	for i := range d {
		d[i] = a[i] != 0
	}
}

func copyLanes[T laneType](d, a []T) { copy(d, a) }

type castRow map[tensor.DType]lanesOp // by target type

func castsOfInt[S integer]() castRow {
	return castRow{
		tensor.F32: unary(castInts[float32, S]), tensor.F64: unary(castInts[float64, S]),
		tensor.I32: unary(castInts[int32, S]), tensor.I64: unary(castInts[int64, S]),
		tensor.U32: unary(castInts[uint32, S]), tensor.U64: unary(castInts[uint64, S]),
		tensor.Bool: unary(castToBool[S]),
	}
}

func castsOfFloat[S float]() castRow {
	return castRow{
		tensor.F32: unary(castFloats[float32, S]), tensor.F64: unary(castFloats[float64, S]),
		tensor.I32:  saturate[int32, S](-1<<31, 1<<31-1, 0x1p31),
		tensor.I64:  saturate[int64, S](-1<<63, 1<<63-1, 0x1p63),
		tensor.U32:  saturate[uint32, S](0, 1<<32-1, 0x1p32),
		tensor.U64:  saturate[uint64, S](0, 1<<64-1, 0x1p64),
		tensor.Bool: unary(castToBool[S]),
	}
}

// casts is indexed by the operand's type, then by the result's.
var casts = map[tensor.DType]castRow{
	tensor.I32: castsOfInt[int32](), tensor.I64: castsOfInt[int64](),
	tensor.U32: castsOfInt[uint32](), tensor.U64: castsOfInt[uint64](),
	tensor.F32: castsOfFloat[float32](), tensor.F64: castsOfFloat[float64](),
	tensor.Bool: {
		tensor.F32: unary(castFromBool[float32]), tensor.F64: unary(castFromBool[float64]),
		tensor.I32: unary(castFromBool[int32]), tensor.I64: unary(castFromBool[int64]),
		tensor.U32: unary(castFromBool[uint32]), tensor.U64: unary(castFromBool[uint64]),
		tensor.Bool: unary(copyLanes[bool]),
	},
}

func castOp(o operands) func(int) { return casts[o.from][o.inst.Type](o) }

func bitsOp(o operands) func(int) {
	if o.inst.Type.Size() == 4 {
		return unary(copyLanes[uint32])(o)
	}
	return unary(copyLanes[uint64])(o)
}

// narrowings round a value to a narrow type and back.
var narrowings32 = map[tensor.DType]func(float32) float32{
	tensor.F16:    func(x float32) float32 { return tensor.F16ToF32(tensor.F32ToF16(x)) },
	tensor.BF16:   func(x float32) float32 { return tensor.BF16ToF32(tensor.F32ToBF16(x)) },
	tensor.F8E4M3: func(x float32) float32 { return tensor.F8E4M3ToF32(tensor.F32ToF8E4M3(x)) },
	tensor.F8E5M2: func(x float32) float32 { return tensor.F8E5M2ToF32(tensor.F32ToF8E5M2(x)) },
}

var narrowings64 = map[tensor.DType]func(float64) float64{
	tensor.F32:    func(x float64) float64 { return float64(float32(x)) },
	tensor.F16:    func(x float64) float64 { return float64(tensor.F16ToF32(tensor.F64ToF16(x))) },
	tensor.BF16:   func(x float64) float64 { return float64(tensor.BF16ToF32(tensor.F64ToBF16(x))) },
	tensor.F8E4M3: func(x float64) float64 { return float64(tensor.F8E4M3ToF32(tensor.F64ToF8E4M3(x))) },
	tensor.F8E5M2: func(x float64) float64 { return float64(tensor.F8E5M2ToF32(tensor.F64ToF8E5M2(x))) },
}

var narrowingsI32 = map[tensor.DType]func(int32) int32{
	tensor.I8:  func(x int32) int32 { return int32(int8(x)) },
	tensor.I16: func(x int32) int32 { return int32(int16(x)) },
	tensor.U8:  func(x int32) int32 { return int32(uint8(x)) },
	tensor.U16: func(x int32) int32 { return int32(uint16(x)) },
}

func roundWith[T laneType](f func(T) T) lanesOp {
	return unary(func(d, a []T) {
		for i := range d {
			d[i] = f(a[i])
		}
	})
}

func roundToOp(o operands) func(int) {
	switch o.inst.Type {
	case tensor.F32:
		return roundWith(narrowings32[o.inst.Round])(o)
	case tensor.F64:
		return roundWith(narrowings64[o.inst.Round])(o)
	}
	return roundWith(narrowingsI32[o.inst.Round])(o)
}
