package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Sine, cosine and tangent of F64 by Payne and Hanek's reduction in floating
// point: x*(2/pi) modulo 4, to 2^-130, for every x.
//
// 2/pi is cut into words of 48 bits. With x = d * 2^(48j), d below 2^102, and d
// a multiple of 4 if j > 0, the words before the j-th contribute multiples of 4
// to the product, and five words from the j-th on suffice. Straight-line code
// has no table look-up: the window of five is found by conditional moves of
// 16, 8, 4, 2 and 1 words.
var twoOverPiWords = [25]float64{
	0xa2f9836e4e44, 0x1529fc2757d1, 0xf534ddc0db62, 0x95993c439041, 0xfe5163abdebb,
	0xc561b7246e3a, 0x424dd2e00649, 0x2eea09d1921c, 0xfe1deb1cb129, 0xa73ee88235f5,
	0x2ebb4484e99c, 0x7026b45f7e41, 0x3991d6398353, 0x39f49c845f8b, 0xbdf9283b1ff8,
	0x97ffde05980f, 0xef2f118b5a0a, 0x6d1f6d367ecf, 0x27cb09b74f46, 0x3f669e5fea2d,
	0x7527bac7ebe5, 0xf17b3d0739f7, 0x8a5292ea6bfb, 0x5fb11f8d5d08, 0x56033046fc7b,
}

const (
	wordBits    = 48
	windowWords = 5
)

// windowAt gives the words j .. j+4 of 2/pi, j an integral float below 32.
func (e *expander) windowAt(j Val) []Val {
	var words []Val
	for _, w := range twoOverPiWords {
		words = append(words, e.ConstF64(w))
	}
	for step := 16; step > 0; step /= 2 {
		move := e.op(Ge, j, e.ConstF64(float64(step)))
		j = e.choose(move, e.sub(j, e.ConstF64(float64(step))), j)
		// What remains to be moved is below step.
		keep := min(windowWords+step-1, len(words))
		for i := range keep {
			if i+step < len(words) {
				words[i] = e.choose(move, words[i+step], words[i])
			}
		}
		words = words[:keep]
	}
	return words
}

// modulo4 is x less the nearest multiple of 4; exact for every x.
func (e *expander) modulo4(x Val) Val {
	return e.fnma(e.op(RoundEven, e.mul(x, e.ConstF64(0.25))), e.ConstF64(4), x)
}

// twoSum is a + b and its rounding error (Knuth).
func (e *expander) twoSum(a, b Val) (s, err Val) {
	s = e.add(a, b)
	t := e.sub(s, a)
	return s, e.add(e.sub(a, e.sub(s, t)), e.sub(b, t))
}

// distill makes the last term the rounded sum of all and the others its error
// terms; the exact sum is unchanged (Ogita, Rump and Oishi, "Accurate sum and
// dot product", 2005).
func (e *expander) distill(terms []Val) {
	for i := 1; i < len(terms); i++ {
		terms[i], terms[i-1] = e.twoSum(terms[i], terms[i-1])
	}
}

// reduceTrig64 gives x = (4*m + q + hi + lo)*(pi/2) with q in {-2..2} and
// |hi + lo| at most about 1/2.
func (e *expander) reduceTrig64(x Val) (q, hi, lo Val) {
	bits := e.op(And, e.bitsI(double, x), e.ConstI(tensor.I64, math.MaxInt64))
	k := e.exponent(e.op(Sub, bits, e.ConstI(tensor.I64, floatBits(tensor.F64, 1))))
	// d in [2^54, 2^102) for j > 0: its last bit is worth at least 4.
	j := e.op(Floor, e.mul(e.sub(k, e.ConstF64(54)), e.ConstF64(1.0/wordBits)))
	j = e.op(Max, j, e.ConstF64(0))
	d := e.mul(x, e.pow2(e.mul(j, e.ConstF64(-wordBits))))

	var terms []Val // of the product, smallest first
	for i, w := range e.windowAt(j) {
		di := e.mul(d, e.ConstF64(math.Ldexp(1, -wordBits*(i+1))))
		p := e.mul(di, w)
		terms = append([]Val{e.modulo4(e.fma(di, w, e.op(Neg, p))), e.modulo4(p)}, terms...)
	}
	e.distill(terms)
	last := len(terms) - 1
	q = e.op(RoundEven, terms[last])
	terms[last] = e.sub(terms[last], q)
	e.distill(terms)
	lo = terms[0]
	for _, t := range terms[1:last] {
		lo = e.add(lo, t)
	}
	return e.modulo4(q), terms[last], lo
}

// quarterPi64 is (hi + lo)*(pi/2) as a sum of two.
func (e *expander) quarterPi64(hi, lo Val) (r, tail Val) {
	pi2 := e.ConstF64(math.Pi / 2)
	r = e.mul(hi, pi2)
	tail = e.fma(hi, pi2, e.op(Neg, r))
	tail = e.add(tail, e.fma(hi, e.ConstF64(piOver2Lo), e.mul(lo, pi2)))
	return r, tail
}

// Polynomials on [-pi/4, pi/4] of sin.c in Cephes.
var (
	sinTail64 = []float64{1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
		-1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1}
	cosTail64 = []float64{-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
		2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2}
)

// sinCos64 is sin(x + quarter*pi/2).
func (e *expander) sinCos64(x Val, quarter float64) Val {
	q, hi, lo := e.reduceTrig64(x)
	r, tail := e.quarterPi64(hi, lo)
	z := e.mul(r, r)
	half := e.ConstF64(0.5)
	s := e.add(r, e.fma(e.mul(z, r), e.poly(z, sinTail64...), e.fnma(e.mul(z, half), tail, tail)))
	c := e.fma(e.mul(z, z), e.poly(z, cosTail64...), e.op(Neg, e.mul(r, tail)))
	// 1 - z/2, with what its rounding loses.
	hz := e.mul(z, half)
	one := e.ConstF64(1)
	w := e.sub(one, hz)
	c = e.add(w, e.add(e.sub(e.sub(one, w), hz), c))
	n := e.bitsI(double, e.add(q, e.ConstF64(double.magic()+quarter)))
	odd := e.op(Ne, e.op(And, n, e.ConstI(tensor.I64, 1)), e.ConstI(tensor.I64, 0))
	sign := e.op(Shl, e.op(And, n, e.ConstI(tensor.I64, 2)), e.ConstI(tensor.I64, 62))
	return e.bitsF(double, e.op(Xor, e.bitsI(double, e.choose(odd, c, s)), sign))
}

func sin64(e *expander, _ tensor.DType, in Inst) Val {
	return e.tinyAsIs(in.A, e.sinCos64(in.A, 0), 0x1p-27)
}

func cos64(e *expander, _ tensor.DType, in Inst) Val { return e.sinCos64(in.A, 1) }

// tan64 is tan r or -1/tan r, corrected by tan' = 1 + tan^2 for the tail of r.
func tan64(e *expander, _ tensor.DType, in Inst) Val {
	q, hi, lo := e.reduceTrig64(in.A)
	r, tail := e.quarterPi64(hi, lo)
	z := e.mul(r, r)
	p := e.mul(z, e.div(e.poly(z, tanP...), e.poly(z, tanQ...)))
	y := e.add(r, e.fma(p, r, e.fma(z, tail, tail)))
	odd := e.op(Eq, e.op(Abs, q), e.ConstF64(1))
	y = e.div(e.choose(odd, e.ConstF64(-1), y), e.choose(odd, y, e.ConstF64(1)))
	return e.tinyAsIs(in.A, y, 0x1p-27)
}
