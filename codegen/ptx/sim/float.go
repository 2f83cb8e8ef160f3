package sim

import (
	"math"
	"math/big"
	"math/bits"
)

var floatTypes = []string{"f16", "f16x2", "bf16", "bf16x2", "f32", "f64"}

// floatOps are the opcodes of arithmetic, those included that integers have too.
var floatOps = map[string]opcode{
	"add":      either(integerBinary(sum), addition.decode),
	"sub":      either(integerBinary(difference), subtraction.decode),
	"mul":      either(multiply, multiplication.decode),
	"mad":      either(multiplyAdd, fusedMultiplyAdd.decode),
	"fma":      fusedMultiplyAdd.decode,
	"div":      either(integerBinary(quotient), divide),
	"rcp":      reciprocal,
	"sqrt":     squareRoot,
	"min":      either(integerBinary(lesser), extreme(false)),
	"max":      either(integerBinary(greater), extreme(true)),
	"abs":      either(absInteger, signBit(func(x, s uint64) uint64 { return x &^ s })),
	"neg":      either(negateInteger, signBit(func(x, s uint64) uint64 { return x ^ s })),
	"copysign": copySign,
	"ex2":      approximate(math.Exp2), "lg2": approximate(math.Log2), "sin": approximate(math.Sin),
	"cos": approximate(math.Cos), "tanh": approximate(math.Tanh),
	"rsqrt": approximate(func(x float64) float64 { return 1 / math.Sqrt(x) }),
}

// either chooses by the type, which is the last modifier.
func either(integers, floats opcode) opcode {
	return func(d *decoder) exec {
		if n := len(d.mods); n > 0 && contains(floatTypes, d.mods[n-1]) {
			return floats(d)
		}
		return integers(d)
	}
}

// arithmetic is a correctly rounded operation of floats.
type arithmetic struct {
	args   int
	f32    func(x, y, z float32) float32 // to the nearest
	f64    func(x, y, z float64) float64 // to the nearest
	odd    func(x, y, z float64) float64 // of narrower formats, rounded to odd
	exact  func(to, x, y, z *big.Float)  // any rounding of f64
	native int                           // the architecture that has it for bf16
}

var (
	addition = arithmetic{args: 2, native: 90, odd: addOdd,
		f32:   func(x, y, _ float32) float32 { return x + y },
		f64:   func(x, y, _ float64) float64 { return x + y },
		exact: func(to, x, y, _ *big.Float) { to.Add(x, y) }}
	subtraction = arithmetic{args: 2, native: 90, odd: subOdd,
		f32:   func(x, y, _ float32) float32 { return x - y },
		f64:   func(x, y, _ float64) float64 { return x - y },
		exact: func(to, x, y, _ *big.Float) { to.Sub(x, y) }}
	multiplication = arithmetic{args: 2, native: 90, odd: mulOdd,
		f32:   func(x, y, _ float32) float32 { return x * y },
		f64:   func(x, y, _ float64) float64 { return x * y },
		exact: func(to, x, y, _ *big.Float) { to.Mul(x, y) }}
	fusedMultiplyAdd = arithmetic{args: 3, native: 80, odd: fmaOdd, f32: fma32, f64: math.FMA,
		exact: func(to, x, y, z *big.Float) {
			product := new(big.Float).SetPrec(106).Mul(x, y) // exact
			to.Add(product, z)
		}}
	division = arithmetic{args: 2, odd: divOdd,
		f32:   func(x, y, _ float32) float32 { return x / y },
		f64:   func(x, y, _ float64) float64 { return x / y },
		exact: func(to, x, y, _ *big.Float) { to.Quo(x, y) }}
	reciprocation = arithmetic{args: 1, odd: rcpOdd,
		f32:   func(x, _, _ float32) float32 { return 1 / x },
		f64:   func(x, _, _ float64) float64 { return 1 / x },
		exact: func(to, x, _, _ *big.Float) { to.Quo(big.NewFloat(1), x) }}
	squareRooting = arithmetic{args: 1, odd: sqrtOdd,
		f32:   func(x, _, _ float32) float32 { return float32(math.Sqrt(float64(x))) },
		f64:   func(x, _, _ float64) float64 { return math.Sqrt(x) },
		exact: func(to, x, _, _ *big.Float) { to.Sqrt(x) }}
)

// fma32 rounds once. The product is exact in float64; the sum there is rounded once
// more to float32, which goes wrong only where the first rounding led to the middle
// of two float32, or the result is subnormal: then the sum is rounded to odd.
func fma32(x, y, z float32) float32 {
	s := float64(float64(x)*float64(y)) + float64(z)
	if roundsTwice(s) {
		s = fmaOdd(float64(x), float64(y), float64(z))
	}
	return float32(s)
}

// roundsTwice reports whether s, a rounded sum, may round wrongly to float32.
func roundsTwice(s float64) bool {
	const dropped, middle, normal = 1<<29 - 1, 1 << 28, (1023 - 126) << 52
	b := math.Float64bits(s)
	return b&dropped == middle || b<<1>>1 < normal
}

// floatMods are the modifiers of an arithmetic instruction.
type floatMods struct {
	mode           rounding
	ftz, sat, relu bool
}

// decode takes ".rn.ftz.sat.relu" and the type.
func (a arithmetic) decode(d *decoder) exec {
	var m floatMods
	name := d.any("rn", "rz", "rm", "rp")
	m.mode = roundings[name]
	if name == "" && (a.args != 2 || a.exactOnly()) {
		d.fail("expected a rounding, got %q", d.nextMod())
	}
	m.ftz, m.sat, m.relu = d.has("ftz"), d.has("sat"), d.has("relu")
	t := d.typ(floatTypes...)
	if wide := t.bytes == 8 || t.name == "f32"; m.relu && (wide || a.args != 3) || !wide && m.mode != nearestEven ||
		(m.ftz || m.sat) && (t.bytes == 8 || t.family == bitsFamily) || !wide && a.native == 0 {
		d.fail("expected modifiers that %s.%s has, got those of %q", d.op, t.name, d.inst.text)
	}
	if t.name == "bf16" || t.name == "bf16x2" {
		d.needs(a.native, d.op+"."+t.name)
	}
	to := d.dst(t)
	slots := [3]int32{}
	for i := range a.args {
		slots[i] = d.src(t)
	}
	return a.bind(d.op, t, m, to, slots)
}

// exactOnly: div, unlike add and mul, has no rounding by default.
func (a arithmetic) exactOnly() bool { return a.native == 0 }

func (a arithmetic) bind(op string, t typ, m floatMods, to int32, s [3]int32) exec {
	if t.name == "f32" && m == (floatMods{}) {
		if fast := fastFloat(op, to, s); fast != nil {
			return fast
		}
	}
	f := a.lane(t, m)
	switch a.args {
	case 1:
		return map1(to, s[0], func(x uint64) uint64 { return f(x, 0, 0) })
	case 2:
		return map2(to, s[0], s[1], func(x, y uint64) uint64 { return f(x, y, 0) })
	}
	return map3(to, s[0], s[1], s[2], f)
}

// lane is the operation on the bits of one lane.
func (a arithmetic) lane(t typ, m floatMods) func(x, y, z uint64) uint64 {
	switch {
	case t.name == "f64" && m.mode == nearestEven:
		return func(x, y, z uint64) uint64 { return bits64(a.f64(f64(x), f64(y), f64(z))) }
	case t.name == "f64":
		return func(x, y, z uint64) uint64 { return bits64(a.directed(f64(x), f64(y), f64(z), m.mode)) }
	case t.name == "f32":
		return a.lane32(m)
	case t.name == "f16" || t.name == "f16x2":
		return a.halves(float16, t, m)
	}
	return a.halves(bfloat16, t, m)
}

func (a arithmetic) lane32(m floatMods) func(x, y, z uint64) uint64 {
	return func(x, y, z uint64) uint64 {
		if m.ftz {
			x, y, z = flush32(x), flush32(y), flush32(z)
		}
		var out uint64
		if m.mode == nearestEven {
			out = bits32(a.f32(f32(x), f32(y), f32(z)))
		} else {
			out = float32s.encode(a.odd(float64(f32(x)), float64(f32(y)), float64(f32(z))), m.mode)
		}
		if m.ftz {
			out = flush32(out)
		}
		if m.sat {
			out = bits32(float32(clamp01(float64(f32(out)))))
		}
		return out
	}
}

// halves computes on one or two 16-bit floats.
func (a arithmetic) halves(f format, t typ, m floatMods) func(x, y, z uint64) uint64 {
	one := func(x, y, z uint64) uint64 {
		v := [3]float64{f.decode(x), f.decode(y), f.decode(z)}
		if m.ftz {
			for i := range v {
				v[i] = f.flush(v[i])
			}
		}
		out := a.odd(v[0], v[1], v[2])
		if m.sat {
			out = clamp01(out)
		}
		if m.relu && out < 0 {
			out = 0
		}
		enc := f.encode(out, nearestEven)
		if m.ftz && enc&f.infinity() == 0 {
			enc &= f.sign()
		}
		return enc
	}
	return pairwise(t, one)
}

// flush replaces a subnormal by a zero of its sign.
func (f format) flush(x float64) float64 {
	if math.Abs(x) < power(1-f.bias()) {
		return math.Copysign(0, x)
	}
	return x
}

// pairwise applies a function of 16-bit values to both halves of the packed types.
func pairwise(t typ, one func(x, y, z uint64) uint64) func(x, y, z uint64) uint64 {
	if t.bytes == 2 {
		return one
	}
	return func(x, y, z uint64) uint64 {
		return one(x&0xFFFF, y&0xFFFF, z&0xFFFF) | one(x>>16, y>>16, z>>16)<<16
	}
}

// directed is the operation on float64, rounded in a direction.
func (a arithmetic) directed(x, y, z float64, mode rounding) float64 {
	if nearest := a.f64(x, y, z); nearest != nearest || math.IsInf(x, 0) || math.IsInf(y, 0) || math.IsInf(z, 0) {
		return nearest // nothing to round
	}
	modes := map[rounding]big.RoundingMode{towardsZero: big.ToZero, towardsMinus: big.ToNegativeInf, towardsPlus: big.ToPositiveInf}
	out := new(big.Float).SetPrec(53).SetMode(modes[mode])
	a.exact(out, big.NewFloat(x), big.NewFloat(y), big.NewFloat(z))
	v, _ := out.Float64()
	return v
}

// extreme is min and max.
func extreme(most bool) opcode {
	return func(d *decoder) exec {
		ftz, nan := d.has("ftz"), d.has("NaN")
		t := d.typ(floatTypes...)
		if nan || t.bytes < 4 || t.name == "f16x2" || t.name == "bf16x2" {
			d.needs(80, d.inst.text)
		}
		if t.name == "f64" && (nan || ftz) || ftz && t.family == bitsFamily {
			d.fail("expected modifiers that %s.%s has, got those of %q", d.op, t.name, d.inst.text)
		}
		f := extremeOf(t, most, nan, ftz)
		return d.binary(t, func(x, y uint64) uint64 { return f(x, y, 0) })
	}
}

// extremeOf is the lesser or greater of two floats. Of a number and a NaN it is the
// number, or with nan the NaN; -0 is less than +0.
func extremeOf(t typ, most, nan, ftz bool) func(x, y, z uint64) uint64 {
	scalar := t
	if t.name == "f16x2" {
		scalar = types["f16"]
	} else if t.name == "bf16x2" {
		scalar = types["bf16"]
	}
	value := valueOf(scalar, false)
	canonical := map[string]uint64{"f32": nan32, "f64": nan64, "f16": nan16, "bf16": nan16}[scalar.name]
	one := func(x, y, _ uint64) uint64 {
		if ftz && scalar.bytes == 4 {
			x, y = flush32(x), flush32(y)
		}
		u, v := value(x), value(y)
		switch {
		case u != u && v != v || nan && (u != u || v != v):
			return canonical
		case u != u:
			return y
		case v != v:
			return x
		case u == v: // zeros: the sign decides
			if math.Signbit(u) == most {
				return y
			}
			return x
		case (u < v) == most:
			return y
		}
		return x
	}
	if scalar.bytes == 2 {
		return pairwise(t, one)
	}
	return one
}

// signBit is abs and neg.
func signBit(f func(x, sign uint64) uint64) opcode {
	return func(d *decoder) exec {
		ftz := d.has("ftz")
		t := d.typ(floatTypes...)
		s := uint64(1) << (t.bits() - 1)
		if t.name == "f16x2" || t.name == "bf16x2" {
			s |= 1 << 15
		}
		return d.unary(t, func(x uint64) uint64 {
			if ftz && t.name == "f32" {
				x = flush32(x)
			}
			return f(x, s)
		})
	}
}

// copySign is copysign d, a, b: the sign of a, the magnitude of b.
func copySign(d *decoder) exec {
	t := d.typ("f32", "f64")
	s := uint64(1) << (t.bits() - 1)
	return d.binary(t, func(x, y uint64) uint64 { return x&s | y&^s })
}

// fastFloat writes out what most kernels consist of, so that the compiler sees it
// whole; nil for the rest.
func fastFloat(op string, to int32, s [3]int32) exec {
	a, b, c := s[0], s[1], s[2]
	switch op {
	case "add":
		return func(w *warp) {
			d, x, y := &w.regs[to], &w.regs[a], &w.regs[b]
			for m := w.mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				d[i] = bits32(f32(x[i]) + f32(y[i]))
			}
		}
	case "mul":
		return func(w *warp) {
			d, x, y := &w.regs[to], &w.regs[a], &w.regs[b]
			for m := w.mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				d[i] = bits32(f32(x[i]) * f32(y[i]))
			}
		}
	case "fma":
		return func(w *warp) {
			d, x, y, z := &w.regs[to], &w.regs[a], &w.regs[b], &w.regs[c]
			for m := w.mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				s := float64(float64(f32(x[i]))*float64(f32(y[i]))) + float64(f32(z[i]))
				if roundsTwice(s) {
					s = fmaOdd(float64(f32(x[i])), float64(f32(y[i])), float64(f32(z[i])))
				}
				d[i] = bits32(float32(s))
			}
		}
	}
	return nil
}
