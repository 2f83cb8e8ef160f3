package ptx

import (
	"math"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// negatedProduct is C-A*B, rounded once.
func negatedProduct(k *asm.Kernel, o op) asm.Reg {
	return k.Op(o.to.class(), "fma.rn."+o.k.typ(), k.Op(o.k.class(), "neg."+o.k.typ(), o.a), o.b, o.c)
}

// exponential is e^a to 2 ulp, as CUDA's expf computes it: a/ln 2 is split into an
// integer n, limited to the exponents of normal numbers, and the rest; 2^n is made
// of its bits, the rest goes to the special function unit.
func exponential(k *asm.Kernel, o op) asm.Reg {
	const (
		steps  = 252                // exponents, from -126 on
		magic  = float32(12582913)  // 1.5*2^23 + 1: its low bits count
		bias   = float32(-12583039) // -(magic + 126)
		ln2Inv = float32(1.44269502162933349609375)
		ln2Low = float32(1.92596299112661746887e-8) // 1/ln 2 = ln2Inv + ln2Low
	)
	part := k.Op(asm.F32, "fma.rn.sat.f32", o.a, ln2Inv/steps, float32(0.5))
	bits := k.Op(asm.F32, "fma.rm.f32", part, float32(steps), magic)
	n := k.Op(asm.F32, "add.rn.f32", bits, bias)
	rest := k.Op(asm.F32, "fma.rn.f32", o.a, ln2Inv, k.Op(asm.F32, "neg.f32", n))
	rest = k.Op(asm.F32, "fma.rn.f32", o.a, ln2Low, rest)
	scale := k.Op(asm.F32, "mov.b32", k.Op(asm.B32, "shl.b32", k.Op(asm.B32, "mov.b32", bits), 23))
	return k.Op(asm.F32, "mul.rn.f32", exp2(k, rest), scale)
}

// exp2 is the special function unit's 2^x, for x for which nothing hangs on
// subnormal numbers: .ftz saves the code that scales them.
func exp2(k *asm.Kernel, x asm.Reg) asm.Reg { return k.Op(asm.F32, "ex2.approx.ftz.f32", x) }

// erfNear is (erf(x)/x - 1) in x^2 for |x| below erfSplit, erfFar what ln(1 -
// erf(x))/x + 1 has behind its two leading coefficients: N. Juffa's fits, "Efficient
// faithfully rounded erff()", 2016.
var (
	erfNear = []float32{-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1}
	erfFar  = []float32{-1.06777877e-1, -6.34846687e-1, -1.28717512e-1}
)

const erfSplit = float32(0.927734375)

// errorFunction is erf(a) to 2 ulp: a polynomial near 0, 1 - e^p beyond.
func errorFunction(k *asm.Kernel, o op) asm.Reg {
	fma := func(a, b, c any) asm.Reg { return k.Op(asm.F32, "fma.rn.f32", a, b, c) }
	t, s := k.Op(asm.F32, "abs.f32", o.a), k.Op(asm.F32, "mul.rn.f32", o.a, o.a)
	far := fma(t, float32(-1.72853470e-5), float32(3.83197126e-4))
	far = fma(far, s, fma(t, float32(-3.88396438e-3), float32(2.42546219e-2)))
	for _, c := range erfFar {
		far = fma(far, t, c)
	}
	far = fma(far, t, k.Op(asm.F32, "neg.f32", t))
	far = k.Op(asm.F32, "sub.rn.f32", float32(1), exp2(k, k.Op(asm.F32, "mul.rn.f32", far, float32(math.Log2E))))
	far = k.Op(asm.F32, "copysign.f32", o.a, far)
	near := fma(s, erfNear[0], erfNear[1])
	for _, c := range erfNear[2:] {
		near = fma(near, s, c)
	}
	near = fma(near, o.a, o.a)
	return k.Op(asm.F32, "selp.f32", far, near, k.Op(asm.Pred, "setp.gt.f32", t, erfSplit))
}

// fastExp is 2^(a/ln 2). The product is rounded, so the relative error grows with
// the magnitude of a.
func fastExp(k *asm.Kernel, o op) asm.Reg {
	return k.Op(asm.F32, "ex2.approx.f32", k.Op(asm.F32, "mul.rn.f32", o.a, "0f3FB8AA3B"))
}

func copyValue(k *asm.Kernel, o op) asm.Reg {
	return k.Op(o.to.class(), "mov."+o.to.bits(), o.a)
}

// negateUnsigned wraps; PTX negates signed integers only.
func negateUnsigned(k *asm.Kernel, o op) asm.Reg {
	name := "neg.s32"
	if o.k == kU64 {
		name = "neg.s64"
	}
	return k.Op(o.k.class(), name, o.a)
}

// minMax64 propagates NaN, for which F64 has no instruction of its own.
func minMax64(k *asm.Kernel, o op) asm.Reg {
	name := "min.f64"
	if o.in.Op == codegen.Max {
		name = "max.f64"
	}
	r := k.Op(asm.F64, name, o.a, o.b)
	nan := k.Op(asm.Pred, "setp.nan.f64", o.a, o.b)
	return k.Op(asm.F64, "selp.f64", k.Op(asm.F64, "add.rn.f64", o.a, o.b), r, nan)
}

// divisor replaces divisors for which the hardware's quotient is not defined by 1:
// 0, and -1 of a signed type, whose quotient may not fit.
func divisor(k *asm.Kernel, o op) (safe, zero, minusOne asm.Reg) {
	zero = k.Op(asm.Pred, "setp.eq."+o.k.typ(), o.b, 0)
	if !kinds[o.k].sgn {
		return k.Op(o.k.class(), "selp."+o.k.bits(), 1, o.b, zero), zero, asm.Reg{}
	}
	minusOne = k.Op(asm.Pred, "setp.eq."+o.k.typ(), o.b, -1)
	odd := k.Op(asm.Pred, "or.pred", zero, minusOne)
	return k.Op(o.k.class(), "selp."+o.k.bits(), 1, o.b, odd), zero, minusOne
}

// divide truncates toward zero; x/0 is all ones, and the least integer over -1
// itself.
func divide(k *asm.Kernel, o op) asm.Reg {
	safe, zero, minusOne := divisor(k, o)
	q := k.Op(o.k.class(), "div."+o.k.typ(), o.a, safe)
	if !minusOne.IsNone() {
		q = k.Op(o.k.class(), "selp."+o.k.bits(), k.Op(o.k.class(), "neg."+o.k.typ(), o.a), q, minusOne)
	}
	return k.Op(o.k.class(), "selp."+o.k.bits(), -1, q, zero)
}

// remainder has the sign of the dividend; x%0 is x, and x%-1 is 0 as x%1 is.
func remainder(k *asm.Kernel, o op) asm.Reg {
	safe, zero, _ := divisor(k, o)
	r := k.Op(o.k.class(), "rem."+o.k.typ(), o.a, safe)
	return k.Op(o.k.class(), "selp."+o.k.bits(), o.a, r, zero)
}

// shift clamps counts to the width, as PTX does for counts of 32 bits.
func shift(name string) spell {
	return func(k *asm.Kernel, o op) asm.Reg {
		if kinds[o.k].size == 4 {
			return k.Op(asm.B32, name+"32", o.a, o.b)
		}
		n := k.Op(asm.B32, "cvt.u32.u64", k.Op(asm.B64, "min.u64", o.b, 64))
		return k.Op(asm.B64, name+"64", o.a, n)
	}
}

func equalBools(k *asm.Kernel, o op) asm.Reg {
	return k.Op(asm.Pred, "not.pred", k.Op(asm.Pred, "xor.pred", o.a, o.b))
}

// orderBools compares with false below true: a < b is b and not a.
func orderBools(k *asm.Kernel, o op) asm.Reg {
	a, b := o.a, o.b
	if o.in.Op == codegen.Gt || o.in.Op == codegen.Le {
		a, b = b, a
	}
	r := k.Op(asm.Pred, "and.pred", b, k.Op(asm.Pred, "not.pred", a))
	if o.in.Op == codegen.Le || o.in.Op == codegen.Ge {
		r = k.Op(asm.Pred, "not.pred", r)
	}
	return r
}

// choose is A ? B : C.
func choose(k *asm.Kernel, o op) asm.Reg {
	if o.to != kBool {
		return k.Op(o.to.class(), "selp."+o.to.bits(), o.b, o.c, o.a)
	}
	yes := k.Op(asm.Pred, "and.pred", o.a, o.b)
	no := k.Op(asm.Pred, "and.pred", o.c, k.Op(asm.Pred, "not.pred", o.a))
	return k.Op(asm.Pred, "or.pred", yes, no)
}

// floatRemainder is the remainder of a truncated division, exact: binary long
// division of the mantissas, one bit of the quotient per step (as musl's fmod). F32
// is computed in F64, where all its values are normal numbers.
func floatRemainder(k *asm.Kernel, o op) asm.Reg {
	if o.k == kF64 {
		return remainder64(k, o.a, o.b)
	}
	r := remainder64(k, k.Op(asm.F64, "cvt.f64.f32", o.a), k.Op(asm.F64, "cvt.f64.f32", o.b))
	return k.Op(asm.F32, "cvt.rn.f32.f64", r)
}

func remainder64(k *asm.Kernel, a, b asm.Reg) asm.Reg {
	out := k.Op(asm.F64, "mov.f64", a)
	x, y := absBits(k, a), absBits(k, b)
	const inf = "0x7FF0000000000000"
	special, small, done := k.NewLabel(), k.NewLabel(), k.NewLabel()
	k.EmitIf(k.Op(asm.Pred, "setp.eq.u64", y, 0), "bra", special)
	k.EmitIf(k.Op(asm.Pred, "setp.gt.u64", y, inf), "bra", special)
	k.EmitIf(k.Op(asm.Pred, "setp.ge.u64", x, inf), "bra", special)
	k.EmitIf(k.Op(asm.Pred, "setp.lt.u64", x, y), "bra", small) // a itself
	mx, ex := mantissa(k, x)
	my, ey := mantissa(k, y)
	longDivision(k, mx, ex, my, ey)
	compose(k, out, mx, ex, a)
	k.Emit("bra.uni", done)
	k.Place(special)
	p := k.Op(asm.F64, "mul.rn.f64", a, b)
	k.Set(out, "div.rn.f64", p, p)
	k.Place(small)
	k.Place(done)
	return out
}

func absBits(k *asm.Kernel, a asm.Reg) asm.Reg {
	return k.Op(asm.B64, "and.b64", k.Op(asm.B64, "mov.b64", a), "0x7FFFFFFFFFFFFFFF")
}

// mantissa splits the bits of a positive number into a mantissa with bit 52 set
// and its exponent, which a subnormal has below 1.
func mantissa(k *asm.Kernel, x asm.Reg) (m, e asm.Reg) {
	e = k.Op(asm.B32, "cvt.u32.u64", k.Op(asm.B64, "shr.u64", x, 52))
	sub := k.Op(asm.Pred, "setp.eq.u32", e, 0)
	m = k.Op(asm.B64, "and.b64", x, "0xFFFFFFFFFFFFF")
	by := k.Op(asm.B32, "add.s32", k.Op(asm.B32, "clz.b64", m), -11)
	low := k.Op(asm.B64, "shl.b64", m, by)
	m = k.Op(asm.B64, "selp.b64", low, k.Op(asm.B64, "or.b64", m, "0x10000000000000"), sub)
	e = k.Op(asm.B32, "selp.b32", k.Op(asm.B32, "sub.s32", 1, by), e, sub)
	return m, e
}

// longDivision leaves the remainder's mantissa in mx and its exponent in ex.
func longDivision(k *asm.Kernel, mx, ex, my, ey asm.Reg) {
	head, last := k.NewLabel(), k.NewLabel()
	step := func() {
		d := k.Op(asm.B64, "sub.s64", mx, my)
		k.Set(mx, "selp.b64", d, mx, k.Op(asm.Pred, "setp.ge.s64", d, 0))
	}
	k.Place(head)
	k.EmitIf(k.Op(asm.Pred, "setp.le.s32", ex, ey), "bra", last)
	step()
	k.Set(mx, "shl.b64", mx, 1)
	k.Set(ex, "sub.s32", ex, 1)
	k.Emit("bra.uni", head)
	k.Place(last)
	step()
}

// compose normalises a mantissa below 2^53 and gives it the sign of a.
func compose(k *asm.Kernel, out, m, e, a asm.Reg) {
	by := k.Op(asm.B32, "add.s32", k.Op(asm.B32, "clz.b64", m), -11)
	m = k.Op(asm.B64, "shl.b64", m, by)
	e = k.Op(asm.B32, "sub.s32", e, by)
	field := k.Op(asm.B64, "shl.b64", k.Op(asm.B64, "cvt.s64.s32", e), 52)
	normal := k.Op(asm.B64, "or.b64", k.Op(asm.B64, "and.b64", m, "0xFFFFFFFFFFFFF"), field)
	low := k.Op(asm.B64, "shr.u64", m, k.Op(asm.B32, "sub.s32", 1, e))
	r := k.Op(asm.B64, "selp.b64", normal, low, k.Op(asm.Pred, "setp.gt.s32", e, 0))
	r = k.Op(asm.B64, "selp.b64", 0, r, k.Op(asm.Pred, "setp.eq.u64", m, 0))
	sign := k.Op(asm.B64, "and.b64", k.Op(asm.B64, "mov.b64", a), "0x8000000000000000")
	k.Set(out, "mov.b64", k.Op(asm.B64, "or.b64", r, sign))
}
