package sim

import "math"

// rounding is a rounding mode.
type rounding uint8

const (
	nearestEven rounding = iota
	towardsZero
	towardsMinus
	towardsPlus
	nearestAway
)

// roundings are the modifiers of floats, and of conversions to integers.
var roundings = map[string]rounding{
	"rn": nearestEven, "rz": towardsZero, "rm": towardsMinus, "rp": towardsPlus, "rna": nearestAway,
	"rni": nearestEven, "rzi": towardsZero, "rmi": towardsMinus, "rpi": towardsPlus,
}

// format is a binary floating-point format with exp bits of exponent and man of
// mantissa.
type format struct {
	exp, man int
	// finite: no infinities, and the NaN is all ones (e4m3 of the OCP 8-bit formats).
	finite bool
}

var (
	float8e4m3 = format{exp: 4, man: 3, finite: true}
	float8e5m2 = format{exp: 5, man: 2}
	float16    = format{exp: 5, man: 10}
	bfloat16   = format{exp: 8, man: 7}
	float32s   = format{exp: 8, man: 23}
)

func (f format) bias() int { return 1<<(f.exp-1) - 1 }

func (f format) sign() uint64 { return 1 << (f.exp + f.man) }

// most is the encoding of the largest finite value.
func (f format) most() uint64 {
	if f.finite {
		return f.sign() - 2
	}
	return f.infinity() - 1
}

func (f format) infinity() uint64 { return (1<<f.exp - 1) << f.man }

// nan is the NaN that the hardware makes.
func (f format) nan() uint64 { return f.sign() - 1 }

// decode is the value of an encoding. It is exact.
func (f format) decode(x uint64) float64 {
	e, m := int(x>>f.man)&(1<<f.exp-1), x&(1<<f.man-1)
	var v float64
	switch {
	case f.finite && x&f.nan() == f.nan() || !f.finite && e == 1<<f.exp-1 && m != 0:
		return math.NaN()
	case !f.finite && e == 1<<f.exp-1:
		v = math.Inf(1)
	case e == 0:
		v = float64(m) * power(1-f.bias()-f.man)
	default:
		v = float64(m|1<<f.man) * power(e-f.bias()-f.man)
	}
	if x&f.sign() != 0 {
		return -v
	}
	return v
}

// decodeHalf is float16.decode, faster.
func decodeHalf(x uint64) float64 {
	if x&0x7C00 == 0x7C00 {
		return float16.decode(x)
	}
	magnitude := float64(f32(x&0x7FFF<<13)) * 0x1p112 // the exponents' biases differ by 112
	if x&0x8000 != 0 {
		return -magnitude
	}
	return magnitude
}

// power is 2^e, for normal exponents.
func power(e int) float64 { return math.Float64frombits(uint64(e+1023) << 52) }

// encode rounds a value. Where x stands for a value that float64 cannot hold, it is
// that value rounded to odd (see addOdd), which makes the result the correct one.
func (f format) encode(x float64, mode rounding) uint64 {
	b := math.Float64bits(x)
	negative := b>>63 == 1
	sign := f.sign() * (b >> 63)
	b &= 1<<63 - 1
	switch {
	case x != x:
		return f.nan()
	case b == 0:
		return sign
	case math.IsInf(x, 0):
		return sign | f.beyond(nearestEven, negative)
	}
	e, m := int(b>>52)-1023, b&(1<<52-1)|1<<52
	if e == -1023 { // a subnormal float64 is below what any format here resolves
		e, m = -1022, b&(1<<52-1)
	}
	least := 1 - f.bias()
	drop := min(52-f.man+max(0, least-e), 63)
	q, rest, half := m>>drop, m&(1<<drop-1), uint64(1)<<(drop-1)
	if roundsUp(mode, negative, rest, half, q&1 == 1) {
		q++
	}
	// The implicit bit in q counts one up in the exponent, as does a carry out of q.
	out := uint64(max(e, least)+f.bias()-1)<<f.man + q
	if out > f.most() {
		out = f.beyond(mode, negative)
	}
	return sign | out
}

func roundsUp(mode rounding, negative bool, rest, half uint64, odd bool) bool {
	switch mode {
	case nearestEven:
		return rest > half || rest == half && odd
	case nearestAway:
		return rest >= half
	case towardsPlus:
		return !negative && rest != 0
	case towardsMinus:
		return negative && rest != 0
	}
	return false
}

// beyond is the magnitude of a result that is too large.
func (f format) beyond(mode rounding, negative bool) uint64 {
	away := mode == nearestEven || mode == nearestAway || mode == towardsPlus && !negative || mode == towardsMinus && negative
	switch {
	case !away:
		return f.most()
	case f.finite:
		return f.nan()
	}
	return f.infinity()
}

// saturate makes infinities and what is beyond the largest value the largest value.
func (f format) saturate(x float64, enc uint64) uint64 {
	if x == x && enc&^f.sign() > f.most() {
		return enc&f.sign() | f.most()
	}
	return enc
}

// toOdd makes a rounded result odd if it is not exact: where the last bit is even,
// it goes one step towards the exact value, of which residue has the sign. Rounding
// the outcome to a format with at least two bits less is then rounding the exact
// value (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008).
func toOdd(rounded, residue float64) float64 {
	b := math.Float64bits(rounded)
	if residue == 0 || b&1 == 1 || residue != residue || math.IsInf(rounded, 0) {
		return rounded
	}
	if (residue > 0) == (rounded > 0) {
		return math.Float64frombits(b + 1)
	}
	return math.Float64frombits(b - 1)
}

// addOdd is x+y, rounded to odd.
func addOdd(x, y, _ float64) float64 {
	s := x + y
	t := s - x // Knuth's two-sum
	return toOdd(s, (x-(s-t))+(y-t))
}

func subOdd(x, y, _ float64) float64 { return addOdd(x, -y, 0) }

// mulOdd is x*y, which is exact for factors of at most 26 bits.
func mulOdd(x, y, _ float64) float64 { return float64(x * y) }

// fmaOdd is x*y+z, rounded to odd.
func fmaOdd(x, y, z float64) float64 { return addOdd(float64(x*y), z, 0) }

func divOdd(x, y, _ float64) float64 {
	q := x / y
	if math.IsInf(q, 0) || q == 0 || math.IsInf(y, 0) {
		return q
	}
	return toOdd(q, math.FMA(-q, y, x)*sign(y))
}

func sqrtOdd(x, _, _ float64) float64 {
	s := math.Sqrt(x)
	if s == 0 || math.IsInf(s, 0) {
		return s
	}
	return toOdd(s, math.FMA(-s, s, x))
}

func rcpOdd(x, _, _ float64) float64 { return divOdd(1, x, 0) }

func sign(x float64) float64 { return math.Copysign(1, x) }

// flush32 replaces a subnormal f32 by a zero of its sign.
func flush32(x uint64) uint64 {
	if x&0x7F800000 == 0 {
		return x & 0x80000000
	}
	return x
}

// clamp01 limits a float to [0, 1]; NaN becomes 0.
func clamp01(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// encodeBfloat is bfloat16.encode of an f32 to the nearest.
func encodeBfloat(x float32) uint64 {
	if x != x {
		return nan16
	}
	b := uint64(math.Float32bits(x))
	return (b + 0x7FFF + b>>16&1) >> 16
}
