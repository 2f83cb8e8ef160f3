package codegen

import (
	"math"
	"unsafe"

	"jitc/ir/tensor"
)

// A lane block holds one value of up to laneBlock points, as 64-bit words viewed
// in the value's Go type from the start.
const laneBlock = 128

// laneType is a Go type that holds a value of a compute type.
type laneType interface {
	float32 | float64 | int32 | int64 | uint32 | uint64 | bool
}

type number interface {
	float32 | float64 | int32 | int64 | uint32 | uint64
}

type integer interface {
	int32 | int64 | uint32 | uint64
}

type float interface{ float32 | float64 }

// lanesOf views a lane block in a Go type of at most 64 bits.
func lanesOf[T laneType](words []uint64) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}

// operands are the lane blocks of an instruction.
type operands struct {
	inst         *Inst
	from         tensor.DType // type of operand A
	dst, a, b, c []uint64
}

// lanesOp makes the code of one instruction: a function that computes the first
// n lanes of dst.
type lanesOp func(o operands) func(n int)

func unary[D, T laneType](loop func(d []D, a []T)) lanesOp {
	return func(o operands) func(int) {
		d, a := lanesOf[D](o.dst), lanesOf[T](o.a)
		return func(n int) { loop(d[:n], a[:n]) }
	}
}

func binary[D, T laneType](loop func(d []D, a, b []T)) lanesOp {
	return func(o operands) func(int) {
		d, a, b := lanesOf[D](o.dst), lanesOf[T](o.a), lanesOf[T](o.b)
		return func(n int) { loop(d[:n], a[:n], b[:n]) }
	}
}

func ternary[T laneType](loop func(d, a, b, c []T)) lanesOp {
	return func(o operands) func(int) {
		d, a, b, c := lanesOf[T](o.dst), lanesOf[T](o.a), lanesOf[T](o.b), lanesOf[T](o.c)
		return func(n int) { loop(d[:n], a[:n], b[:n], c[:n]) }
	}
}

// Loops over lanes: the operand slices have the length of d.

func addLanes[T number](d, a, b []T) {
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func subLanes[T number](d, a, b []T) {
	for i := range d {
		d[i] = a[i] - b[i]
	}
}

func mulLanes[T number](d, a, b []T) {
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func minLanes[T number](d, a, b []T) {
	for i := range d {
		d[i] = min(a[i], b[i])
	}
}

func maxLanes[T number](d, a, b []T) {
	for i := range d {
		d[i] = max(a[i], b[i])
	}
}

func divFloats[T float](d, a, b []T) {
	for i := range d {
		d[i] = a[i] / b[i]
	}
}

func divInts[T integer](d, a, b []T) {
	for i := range d {
		if b[i] == 0 {
			d[i] = ^T(0)
		} else {
			d[i] = a[i] / b[i]
		}
	}
}

func remInts[T integer](d, a, b []T) {
	for i := range d {
		if b[i] == 0 {
			d[i] = a[i]
		} else {
			d[i] = a[i] % b[i]
		}
	}
}

func remFloats[T float](d, a, b []T) {
	for i := range d {
		d[i] = T(math.Mod(float64(a[i]), float64(b[i])))
	}
}

func negLanes[T number](d, a []T) {
	for i := range d {
		d[i] = -a[i]
	}
}

func absInts[T integer](d, a []T) {
	for i := range d {
		if d[i] = a[i]; a[i] < 0 {
			d[i] = -a[i]
		}
	}
}

func absFloats[T float](d, a []T) {
	for i := range d {
		d[i] = T(math.Abs(float64(a[i])))
	}
}

func andLanes[T integer](d, a, b []T) {
	for i := range d {
		d[i] = a[i] & b[i]
	}
}

func orLanes[T integer](d, a, b []T) {
	for i := range d {
		d[i] = a[i] | b[i]
	}
}

func xorLanes[T integer](d, a, b []T) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
}

func notLanes[T integer](d, a []T) {
	for i := range d {
		d[i] = ^a[i]
	}
}

func andBools(d, a, b []bool) {
	for i := range d {
		d[i] = a[i] && b[i]
	}
}

func orBools(d, a, b []bool) {
	for i := range d {
		d[i] = a[i] || b[i]
	}
}

func xorBools(d, a, b []bool) {
	for i := range d {
		d[i] = a[i] != b[i]
	}
}

func notBools(d, a []bool) {
	for i := range d {
		d[i] = !a[i]
	}
}

// Go's shifts by the width or more give 0, or the sign: as the codes say. A
// negative count reads as a large unsigned one.

func shlLanes[T uint32 | uint64](d, a, b []T) {
	for i := range d {
		d[i] = a[i] << b[i]
	}
}

func shrLanes[T uint32 | uint64](d, a, b []T) {
	for i := range d {
		d[i] = a[i] >> b[i]
	}
}

func sarLanes32(d, a, b []int32) {
	for i := range d {
		d[i] = a[i] >> uint32(b[i])
	}
}

func sarLanes64(d, a, b []int64) {
	for i := range d {
		d[i] = a[i] >> uint64(b[i])
	}
}

func eqLanes[T laneType](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] == b[i]
	}
}

func neLanes[T laneType](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] != b[i]
	}
}

func ltLanes[T number](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] < b[i]
	}
}

func leLanes[T number](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] <= b[i]
	}
}

func gtLanes[T number](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] > b[i]
	}
}

func geLanes[T number](d []bool, a, b []T) {
	for i := range d {
		d[i] = a[i] >= b[i]
	}
}

// Bool order: false < true.
func boolCompare(f func(a, b uint8) bool) lanesOp {
	return binary(func(d, a, b []bool) {
		for i := range d {
			d[i] = f(boolByte(a[i]), boolByte(b[i]))
		}
	})
}

func boolByte(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func selectLanes[T laneType](o operands) func(int) {
	d, a, b, c := lanesOf[T](o.dst), lanesOf[bool](o.a), lanesOf[T](o.b), lanesOf[T](o.c)
	return func(n int) {
		d, a, b, c := d[:n], a[:n], b[:n], c[:n]
		for i := range d {
			if a[i] {
				d[i] = b[i]
			} else {
				d[i] = c[i]
			}
		}
	}
}

func fmaLanes64(d, a, b, c []float64) {
	for i := range d {
		d[i] = math.FMA(a[i], b[i], c[i])
	}
}

func fnmaLanes64(d, a, b, c []float64) {
	for i := range d {
		d[i] = math.FMA(-a[i], b[i], c[i])
	}
}

func fmaLanes32(d, a, b, c []float32) {
	for i := range d {
		d[i] = fma32(a[i], b[i], c[i])
	}
}

func fnmaLanes32(d, a, b, c []float32) {
	for i := range d {
		d[i] = fma32(-a[i], b[i], c[i])
	}
}

// fma32 is a*b + c rounded once. The product is exact in float64; the sum is
// rounded to odd, so that the second rounding, to float32, sees which way the
// first one went (Boldo and Melquiond, "Emulation of FMA and correctly rounded
// sums", 2008).
func fma32(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	t := s - p
	e := (p - (s - t)) + (q - t) // the rounding error of s, exactly
	if e > 0 || e < 0 {
		u := math.Float64bits(s)
		away := int64(math.Float64bits(e)^u)>>63 | 1 // +1 if the exact sum is larger in magnitude
		s = math.Float64frombits(u + uint64(away)*(^u&1))
	}
	return float32(s)
}

// mapFloats applies a float64 function to floats of either width.
func mapFloats[T float](f func(float64) float64) lanesOp {
	return unary(func(d, a []T) {
		for i := range d {
			d[i] = T(f(float64(a[i])))
		}
	})
}

func mapFloats2[T float](f func(a, b float64) float64) lanesOp {
	return binary(func(d, a, b []T) {
		for i := range d {
			d[i] = T(f(float64(a[i]), float64(b[i])))
		}
	})
}

// ldexp is a * 2^b for an integral float b of any magnitude.
func ldexp(a, b float64) float64 {
	if b != b {
		return b
	}
	return math.Ldexp(a, int(max(-1<<12, min(b, 1<<12))))
}

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

func rsqrt(x float64) float64 { return 1 / math.Sqrt(x) }

// rcpEstimate has the 12 leading bits of 1/x, as processors' estimates do, and
// like them reads a subnormal as zero.
func rcpEstimate(d, a []float32) {
	for i := range d {
		x := a[i]
		if math.Abs(float64(x)) < 0x1p-126 {
			x *= 0
		}
		d[i] = math.Float32frombits(math.Float32bits(1/x) &^ 0xFFF)
	}
}
