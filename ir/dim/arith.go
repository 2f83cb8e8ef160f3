package dim

import (
	"math"
	"math/bits"
)

// The functions below are int64 arithmetic that says when it cannot be done:
// ok is false on overflow and on division by zero.

func addOK(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}

func negOK(a int64) (int64, bool) {
	return -a, a != math.MinInt64
}

func mulOK(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return int64(-lo), lo <= 1<<63
	}
	return int64(lo), lo < 1<<63
}

func floorDivOK(a, b int64) (int64, bool) {
	if b == 0 || (b == -1 && a == math.MinInt64) {
		return 0, false
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q, true
}

func floorModOK(a, b int64) (int64, bool) {
	if b == 0 {
		return 0, false
	}
	if b == -1 { // the processor's remainder may trap on MinInt64 % -1
		return 0, true
	}
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r, true
}

// floorDiv is floorDivOK for a positive divisor, where nothing can go wrong.
func floorDiv(a, n int64) int64 {
	q, _ := floorDivOK(a, n)
	return q
}

// magnitude is |a|, exact for the least int64 too.
func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// gcd is the greatest common divisor; 0 is the neutral element.
func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
