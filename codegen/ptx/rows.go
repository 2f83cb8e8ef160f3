package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// spell emits one instruction of the nest on registers and returns its value.
type spell func(k *asm.Kernel, o op) asm.Reg

// op is an instruction with its operands in registers.
type op struct {
	in      *codegen.Inst
	k       kind // of the operand that chose the row
	to      kind // of the value
	a, b, c asm.Reg
}

func (o op) args() []any {
	out := []any{o.a, o.b, o.c}
	return out[:o.in.Op.Arity()]
}

// row holds the spellings of a code, by kind of operand.
type row [numKinds]spell

// spelling is the spelling of a code for a kind, nil if there is none; with fast
// the approximate one if there is one.
func spelling(c codegen.Code, k kind, fast bool) spell {
	switch {
	case int(c) >= len(rows) || k >= numKinds:
		return nil
	case fast && fastRows[c][k] != nil:
		return fastRows[c][k]
	}
	return rows[c][k]
}

// one is a single instruction.
func one(name string) spell {
	return func(k *asm.Kernel, o op) asm.Reg { return k.Op(o.to.class(), name, o.args()...) }
}

// floats spells a code as one instruction for both float types.
func floats(name string) row { return row{kF32: one(name + ".f32"), kF64: one(name + ".f64")} }

// ints spells a code as one instruction for every integer type.
func (r row) ints(name string) row {
	for _, k := range []kind{kI32, kI64, kU32, kU64} {
		r[k] = one(name + "." + k.typ())
	}
	return r
}

// with spells a code by a function for the given kinds.
func (r row) with(s spell, ks ...kind) row {
	for _, k := range ks {
		r[k] = s
	}
	return r
}

// bitwise spells a code as one instruction on bits.
func bitwise(name string) row {
	var r row
	for _, k := range []kind{kI32, kI64, kU32, kU64, kBool} {
		r[k] = one(name + "." + k.bits())
	}
	return r
}

func compare(name, ordered string) row {
	var r row
	for k := range kBool {
		if r[k] = one("setp." + name + "." + k.typ()); k == kF32 || k == kF64 {
			r[k] = one("setp." + ordered + "." + k.typ())
		}
	}
	return r
}

// rows is the spelling of every code, indexed by code; fastRows that of codes with
// an approximate instruction, used under FastMath only.
var rows, fastRows [codegen.Pow + 1]row

var (
	everyInt  = []kind{kI32, kI64, kU32, kU64}
	everyKind = []kind{kF32, kF64, kI32, kI64, kU32, kU64, kBool}
)

func init() {
	for c, r := range map[codegen.Code]row{
		codegen.Add: floats("add.rn").ints("add"),
		codegen.Sub: floats("sub.rn").ints("sub"),
		codegen.Mul: floats("mul.rn").ints("mul.lo"),
		codegen.Div: floats("div.rn").with(divide, everyInt...),
		codegen.Rem: row{}.with(remainder, everyInt...).with(floatRemainder, kF32, kF64),
		codegen.Min: row{kF32: one("min.NaN.f32"), kF64: minMax64}.ints("min"),
		codegen.Max: row{kF32: one("max.NaN.f32"), kF64: minMax64}.ints("max"),
		codegen.Neg: floats("neg").ints("neg").with(negateUnsigned, kU32, kU64),
		codegen.Abs: floats("abs").ints("abs").with(copyValue, kU32, kU64),
		codegen.FMA: floats("fma.rn"), codegen.FNMA: row{}.with(negatedProduct, kF32, kF64),

		codegen.And: bitwise("and"), codegen.Or: bitwise("or"), codegen.Xor: bitwise("xor"), codegen.Not: bitwise("not"),
		codegen.Shl:  row{}.with(shift("shl.b"), everyInt...),
		codegen.ShrL: row{}.with(shift("shr.u"), everyInt...),
		codegen.ShrA: row{}.with(shift("shr.s"), everyInt...),

		codegen.Eq: compare("eq", "eq").with(equalBools, kBool), codegen.Ne: compare("ne", "neu").with(one("xor.pred"), kBool),
		codegen.Lt: compare("lt", "lt").with(orderBools, kBool), codegen.Le: compare("le", "le").with(orderBools, kBool),
		codegen.Gt: compare("gt", "gt").with(orderBools, kBool), codegen.Ge: compare("ge", "ge").with(orderBools, kBool),
		codegen.Select: row{}.with(choose, everyKind...),

		codegen.Cast: row{}.with(cast, everyKind...), codegen.Bits: row{}.with(copyValue, everyKind[:6]...),
		codegen.RoundTo: {kF32: roundTo},

		codegen.Sqrt: floats("sqrt.rn"), codegen.RcpE: {kF32: one("rcp.approx.f32")},
		codegen.RoundEven: rounding("cvt.rni"), codegen.Floor: rounding("cvt.rmi"),
		codegen.Ceil: rounding("cvt.rpi"), codegen.Trunc: rounding("cvt.rzi"),
	} {
		rows[c] = r
	}
	for c, name := range map[codegen.Code]string{
		codegen.Div: "div.approx.f32", codegen.Sqrt: "sqrt.approx.f32", codegen.Min: "min.f32", codegen.Max: "max.f32",
		codegen.Exp2: "ex2.approx.f32", codegen.Log2: "lg2.approx.f32", codegen.Sin: "sin.approx.f32",
		codegen.Cos: "cos.approx.f32", codegen.Tanh: "tanh.approx.f32", codegen.Rsqrt: "rsqrt.approx.f32",
	} {
		fastRows[c][kF32] = one(name)
	}
	fastRows[codegen.Exp][kF32] = fastExp
	rows[codegen.Exp][kF32], rows[codegen.Erf][kF32] = exponential, errorFunction
}

func rounding(name string) row {
	return row{kF32: one(name + ".f32.f32"), kF64: one(name + ".f64.f64")}
}
