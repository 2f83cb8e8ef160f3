package tensor

import "math"

// miniFloat describes a float format of at most 16 bits. All conversions to one
// start from float64, which holds every f32, f16, bf16 and f8 value, and round
// once, to nearest, ties to even: going through f32 could round twice.
type miniFloat struct {
	expBits, manBits uint
	finite           bool   // no infinities; only the all-ones pattern is NaN
	beyond           uint64 // lowest magnitude, as float64 bits, that does not round to a finite value
}

var (
	formatF16    = newMiniFloat(5, 10, false)
	formatBF16   = newMiniFloat(8, 7, false)
	formatF8E4M3 = newMiniFloat(4, 3, true)
	formatF8E5M2 = newMiniFloat(5, 2, false)
)

func newMiniFloat(expBits, manBits uint, finite bool) miniFloat {
	f := miniFloat{expBits: expBits, manBits: manBits, finite: finite}
	bias := f.bias()
	if finite {
		// The all-ones pattern of the top exponent is NaN; the largest value ends
		// in ...10, so the midpoint above it (a tie) still rounds to it.
		tie := math.Ldexp(2-3*math.Ldexp(1, -int(manBits)-1), bias+1)
		f.beyond = math.Float64bits(tie) + 1
	} else {
		// The largest value ends in ...11, so the midpoint above it rounds away.
		f.beyond = math.Float64bits(math.Ldexp(2-math.Ldexp(1, -int(manBits)-1), bias))
	}
	return f
}

func (f *miniFloat) bias() int { return 1<<(f.expBits-1) - 1 }

// encode rounds x to the format's nearest value, ties to even, and returns its
// bits without the sign at their place. Beyond the largest finite value it gives
// infinity, or NaN in a format without infinities (the non-saturating mode of
// the OCP 8-bit floating point specification, section 5.2.1).
func (f *miniFloat) encode(x float64) uint16 {
	const manBits64, bias64 = 52, 1023
	b := math.Float64bits(x)
	sign := uint16(b>>63) << (f.expBits + f.manBits)
	b &= 1<<63 - 1
	if b >= f.beyond {
		return sign | f.special(b)
	}
	bias := f.bias()
	exp := int(b>>manBits64) - bias64 + bias // biased exponent in the target format
	drop := manBits64 - f.manBits
	if exp > 0 {
		// Re-bias in place: a carry out of the mantissa steps the exponent.
		b -= uint64(bias64-bias) << manBits64
	} else {
		// Subnormal: shift the mantissa, with its leading one, to the fixed scale.
		if exp < -int(f.manBits) {
			return sign // below half the smallest subnormal, also float64 subnormals
		}
		b = b&(1<<manBits64-1) | 1<<manBits64
		drop += uint(1 - exp)
	}
	b += 1<<(drop-1) - 1 + b>>drop&1
	return sign | uint16(b>>drop)
}

// special encodes a magnitude that is not finite in the format. A NaN stays one,
// quieted, with the upper bits of its payload.
func (f *miniFloat) special(b uint64) uint16 {
	allOnes := uint16(1)<<(f.expBits+f.manBits) - 1
	if f.finite {
		return allOnes
	}
	inf := allOnes &^ (1<<f.manBits - 1)
	if b <= math.Float64bits(math.Inf(1)) {
		return inf
	}
	quiet := uint16(1) << (f.manBits - 1)
	return inf | quiet | uint16(b>>(52-f.manBits))&(1<<f.manBits-1)
}

// decode is the exact value of a bit pattern.
func (f *miniFloat) decode(v uint16) float64 {
	man := uint64(v) & (1<<f.manBits - 1)
	exp := int(v>>f.manBits) & (1<<f.expBits - 1)
	sign := uint64(v>>(f.expBits+f.manBits)) << 63
	bias := f.bias()
	top := 1<<f.expBits - 1
	switch {
	case f.finite && exp == top && man == 1<<f.manBits-1:
		return math.Float64frombits(sign | math.Float64bits(math.NaN()))
	case !f.finite && exp == top:
		return math.Float64frombits(sign | 0x7FF<<52 | man<<(52-f.manBits))
	case exp == 0:
		return math.Copysign(math.Ldexp(float64(man), 1-bias-int(f.manBits)), math.Float64frombits(sign))
	}
	return math.Float64frombits(sign | uint64(exp-bias+1023)<<52 | man<<(52-f.manBits))
}
