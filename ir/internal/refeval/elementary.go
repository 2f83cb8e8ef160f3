package refeval

import "math"

// Package math is the reference but where an implementation of it is known to be
// wrong: on amd64, Log takes subnormal numbers for 2^-1023, and Exp overflows
// early.

// Log is the natural logarithm.
func Log(x float64) float64 {
	if x > 0 && x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// maxExpArg is the largest x whose exponential is finite.
const maxExpArg = 709.782712893384

// Exp is e**x.
func Exp(x float64) float64 {
	if x > 709 && x <= maxExpArg {
		return math.Exp(x-1) * math.E
	}
	return math.Exp(x)
}
