package sim

import (
	"math"
	"math/bits"
)

// divide is div of floats: correctly rounded, or .approx and .full.
func divide(d *decoder) exec {
	kind := d.any("approx", "full")
	if kind == "" {
		return division.decode(d)
	}
	ftz := d.has("ftz")
	t := d.typ("f32")
	to, a := d.dst(t), d.src(t)
	return d.perturbed(t, ftz, to, a, d.src(t), func(x, y float64) float64 {
		if kind == "approx" && math.Abs(y) > 0x1p126 && !math.IsInf(y, 0) && x-x == 0 {
			return 0 // of the specification
		}
		return x / y
	})
}

// reciprocal is rcp.
func reciprocal(d *decoder) exec {
	return orRounded(d, reciprocation, func(x float64) float64 { return 1 / x })
}

// squareRoot is sqrt.
func squareRoot(d *decoder) exec { return orRounded(d, squareRooting, math.Sqrt) }

// orRounded is the approximation where .approx follows, else the rounded operation.
func orRounded(d *decoder, rounded arithmetic, f func(x float64) float64) exec {
	if len(d.mods) > 0 && d.mods[0] == "approx" {
		return approximate(f)(d)
	}
	return rounded.decode(d)
}

// narrowApproximations are the architectures that approximate 16-bit floats.
var narrowApproximations = map[string]map[string]int{
	"ex2":  {"f16": 75, "f16x2": 75, "bf16": 90, "bf16x2": 90},
	"tanh": {"f16": 75, "f16x2": 75, "bf16": 90, "bf16x2": 90},
}

// approximate is an opcode whose .approx of f32 the hardware gets almost right.
func approximate(f func(x float64) float64) opcode {
	return func(d *decoder) exec {
		d.one("approx")
		ftz := d.has("ftz")
		t := d.typ(floatTypes...)
		if arch, ok := narrowApproximations[d.op][t.name]; ok {
			d.needs(arch, d.op+"."+t.name)
		} else if t.name != "f32" && !(t.name == "f64" && (d.op == "rsqrt" || d.op == "rcp")) {
			d.fail("expected a type that %s.approx has, got .%s", d.op, t.name)
		}
		to := d.dst(t)
		a := d.src(t)
		return d.perturbed(t, ftz, to, a, a, func(x, _ float64) float64 { return f(x) })
	}
}

// perturbed computes in float64, rounds, and perturbs where the launch says so.
func (d *decoder) perturbed(t typ, ftz bool, to, a, b int32, f func(x, y float64) float64) exec {
	one := approximation(t, ftz, f)
	return func(w *warp) {
		seed := w.b.seed
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			w.regs[to][i] = one(w.regs[a][i], w.regs[b][i], seed)
		}
	}
}

// approximation is f on the bits of a lane. The last argument is the seed.
func approximation(t typ, ftz bool, f func(x, y float64) float64) func(x, y, seed uint64) uint64 {
	switch t.name {
	case "f32":
		return func(x, y, seed uint64) uint64 {
			if ftz {
				x, y = flush32(x), flush32(y)
			}
			out := perturb(bits32(float32(f(float64(f32(x)), float64(f32(y))))), mix(seed^x^y<<32), seed, float32s, 2)
			if ftz {
				return flush32(out)
			}
			return out
		}
	case "f64":
		return func(x, _, seed uint64) uint64 { return bits64(f(f64(x), 0)) }
	}
	narrow := float16
	if t.family == bitsFamily {
		narrow = bfloat16
	}
	// Half precision is promised to about one unit in the last place.
	return func(x, y, seed uint64) uint64 {
		return pairwise(t, func(x, _, _ uint64) uint64 {
			return perturb(narrow.encode(f(narrow.decode(x), 0), nearestEven), mix(seed^x), seed, narrow, 1)
		})(x, y, 0)
	}
}

// perturb moves a finite value that is not 0 by at most ulps units in the last
// place, as the hash says. Zeros, infinities and NaN are exact in the hardware too,
// and so are 1 and its like: their mantissa is 0, and stays.
func perturb(x, hash, seed uint64, f format, ulps int64) uint64 {
	magnitude := x &^ f.sign()
	if seed == 0 || magnitude == 0 || magnitude >= f.infinity() || magnitude&(1<<f.man-1) == 0 {
		return x
	}
	moved := int64(magnitude) + int64(hash%uint64(2*ulps+1)) - ulps
	if moved <= 0 || moved >= int64(f.infinity()) {
		return x
	}
	return x&f.sign() | uint64(moved)
}
