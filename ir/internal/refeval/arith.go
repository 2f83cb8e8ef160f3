package refeval

import "math"

// Number is a Go type that arithmetic is done in: one for each class of element
// types.
type Number interface{ float64 | int64 | uint64 }

// Integer is Number without floats.
type Integer interface{ int64 | uint64 }

// Neg is -x; integers wrap.
func Neg[T Number](x T) T { return -x }

// Add is x+y; integers wrap.
func Add[T Number](x, y T) T { return x + y }

// Sub is x-y; integers wrap.
func Sub[T Number](x, y T) T { return x - y }

// Mul is x*y; integers wrap.
func Mul[T Number](x, y T) T { return x * y }

// Div is x/y of floats.
func Div(x, y float64) float64 { return x / y }

// Max is the greater of x and y; NaN if either is; +0 is greater than -0.
func Max[T Number](x, y T) T { return max(x, y) }

// Min is the lesser of x and y; NaN if either is; -0 is less than +0.
func Min[T Number](x, y T) T { return min(x, y) }

// IntDiv is x/y truncated towards zero; x/0 has all bits set, and the least
// number divided by -1 is itself.
func IntDiv[T Integer](x, y T) T {
	if y == 0 {
		return ^T(0)
	}
	return x / y
}

// IntRem is x - y*(x/y), with the sign of x; x rem 0 is x.
func IntRem[T Integer](x, y T) T {
	if y == 0 {
		return x
	}
	return x % y
}

// And is the bitwise and.
func And[T Integer](x, y T) T { return x & y }

// Or is the bitwise or.
func Or[T Integer](x, y T) T { return x | y }

// Xor is the bitwise exclusive or.
func Xor[T Integer](x, y T) T { return x ^ y }

// Shl shifts left by y, read as unsigned; a narrower type then keeps its low
// bits, so that a shift by its width or more gives 0 there too.
func Shl[T Integer](x, y T) T { return x << uint64(y) }

// Shr shifts right by y, read as unsigned: arithmetic for int64, which holds the
// sign of a narrower type, logical for uint64.
func Shr[T Integer](x, y T) T { return x >> uint64(y) }

// Eq is x == y, false for NaN.
func Eq[T Number](x, y T) bool { return x == y }

// Ne is x != y, true for NaN.
func Ne[T Number](x, y T) bool { return x != y }

// Lt is x < y, false for NaN.
func Lt[T Number](x, y T) bool { return x < y }

// Le is x <= y, false for NaN.
func Le[T Number](x, y T) bool { return x <= y }

// Gt is x > y, false for NaN.
func Gt[T Number](x, y T) bool { return x > y }

// Ge is x >= y, false for NaN.
func Ge[T Number](x, y T) bool { return x >= y }

// AbsInt is |x|; the least number wraps to itself.
func AbsInt(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}

// Same is x: what |x| is for unsigned integers.
func Same[T Number](x T) T { return x }

// Sign is -1, 0 or 1; zeros and NaN are kept as they are.
func Sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

// SignInt is -1, 0 or 1.
func SignInt(x int64) int64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// SignUint is 0 or 1.
func SignUint(x uint64) uint64 { return min(x, 1) }

// IsNaN reports whether x is not a number.
func IsNaN(x float64) bool { return x != x }

// IsFinite reports whether x is neither NaN nor an infinity.
func IsFinite(x float64) bool { return x-x == 0 }

// Rsqrt is 1/sqrt(x).
func Rsqrt(x float64) float64 { return 1 / math.Sqrt(x) }

// Sigmoid is 1/(1+exp(-x)), arranged so that exp does not overflow and the tail
// to the left keeps its relative accuracy.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// Log2 is the binary logarithm. math.Log2 adds an exponent to the logarithm of
// the fraction, which cancels near 1; there x-1 is exact (Sterbenz) and log1p is
// accurate.
func Log2(x float64) float64 {
	if x > 0.75 && x < 1.5 {
		return math.Log1p(x-1) * math.Log2E
	}
	return math.Log2(x)
}

// Asin is the arc sine; unlike math.Asin it does not lose digits near 1.
func Asin(x float64) float64 { return math.Atan2(x, math.Sqrt((1-x)*(1+x))) }

// Acos is the arc cosine; unlike math.Acos, which subtracts from pi/2, it does
// not lose digits near 1.
func Acos(x float64) float64 { return 2 * math.Atan2(math.Sqrt(1-x), math.Sqrt(1+x)) }
