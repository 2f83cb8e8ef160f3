package codegen

import (
	"fmt"
	"slices"

	"jitc/ir/tensor"
)

// signature checks an instruction against the types of its operands; it returns
// what is wrong.
type signature func(n *Nest, p *Phase, in *Inst, args []tensor.DType) string

// Type classes of compute types.
var (
	floatTypes  = []tensor.DType{tensor.F32, tensor.F64}
	intTypes    = []tensor.DType{tensor.I32, tensor.I64, tensor.U32, tensor.U64}
	indexTypes  = []tensor.DType{tensor.I32, tensor.I64}
	numberTypes = append(slices.Clone(floatTypes), intTypes...)
	bitTypes    = append([]tensor.DType{tensor.Bool}, intTypes...)
	allTypes    = append([]tensor.DType{tensor.Bool}, numberTypes...)
)

// signatures has one row per code; Load and Store are checked with their access.
var signatures = [numCodes]signature{
	Const: ofType(allTypes), Index: checkIndex, Size: ofType(indexTypes),
	Acc: func(*Nest, *Phase, *Inst, []tensor.DType) string { return "an accumulator inside of a phase" },

	Add: ofType(numberTypes), Sub: ofType(numberTypes), Mul: ofType(numberTypes),
	Div: ofType(numberTypes), Rem: ofType(numberTypes), Min: ofType(numberTypes), Max: ofType(numberTypes),
	Neg: ofType(numberTypes), Abs: ofType(numberTypes), FMA: ofType(floatTypes), FNMA: ofType(floatTypes),

	And: ofType(bitTypes), Or: ofType(bitTypes), Xor: ofType(bitTypes), Not: ofType(bitTypes),
	Shl: ofType(intTypes), ShrL: ofType(intTypes), ShrA: ofType(intTypes),

	Eq: comparison, Ne: comparison, Lt: comparison, Le: comparison, Gt: comparison, Ge: comparison,
	Select: checkSelect, Cast: checkCast, RoundTo: checkRoundTo, Bits: checkBits,

	Sqrt: ofType(floatTypes), RoundEven: ofType(floatTypes), Floor: ofType(floatTypes), Ceil: ofType(floatTypes),
	Trunc: ofType(floatTypes), Scale2: ofType(floatTypes), RcpE: ofType([]tensor.DType{tensor.F32}),

	Exp: ofType(floatTypes), Exp2: ofType(floatTypes), Expm1: ofType(floatTypes), Log: ofType(floatTypes),
	Log2: ofType(floatTypes), Log1p: ofType(floatTypes), Sin: ofType(floatTypes), Cos: ofType(floatTypes),
	Tan: ofType(floatTypes), Asin: ofType(floatTypes), Acos: ofType(floatTypes), Atan: ofType(floatTypes),
	Atan2: ofType(floatTypes), Sinh: ofType(floatTypes), Cosh: ofType(floatTypes), Tanh: ofType(floatTypes),
	Sigmoid: ofType(floatTypes), Erf: ofType(floatTypes), Rsqrt: ofType(floatTypes), Cbrt: ofType(floatTypes),
	Pow: ofType(floatTypes),
}

// ofType wants an instruction of one of the types with operands of its type.
func ofType(types []tensor.DType) signature {
	return func(_ *Nest, _ *Phase, in *Inst, args []tensor.DType) string {
		if !slices.Contains(types, in.Type) {
			return fmt.Sprintf("not defined for %s", in.Type)
		}
		return sameTypes(in.Type, args)
	}
}

func sameTypes(want tensor.DType, args []tensor.DType) string {
	for i, t := range args {
		if t != want {
			return fmt.Sprintf("operand %d is %s, expected %s", i, t, want)
		}
	}
	return ""
}

func comparison(_ *Nest, _ *Phase, in *Inst, args []tensor.DType) string {
	if in.Type != tensor.Bool {
		return "a comparison gives bool"
	}
	return sameTypes(args[0], args)
}

func checkSelect(_ *Nest, _ *Phase, in *Inst, args []tensor.DType) string {
	if args[0] != tensor.Bool {
		return "the condition is not bool"
	}
	return sameTypes(in.Type, args[1:])
}

func checkCast(_ *Nest, _ *Phase, _ *Inst, _ []tensor.DType) string { return "" }

func checkIndex(n *Nest, p *Phase, in *Inst, _ []tensor.DType) string {
	if in.Axis < 0 || in.Axis >= len(n.Axes) {
		return fmt.Sprintf("axis %d of %d", in.Axis, len(n.Axes))
	}
	if !p.Loop && slices.Contains(n.Inner, in.Axis) {
		return fmt.Sprintf("inner axis %s in a phase that runs once", n.Axes[in.Axis].Name)
	}
	if !slices.Contains(indexTypes, in.Type) {
		return fmt.Sprintf("a position of type %s", in.Type)
	}
	return ""
}

func checkRoundTo(_ *Nest, _ *Phase, in *Inst, args []tensor.DType) string {
	narrowFloat := in.Round.IsFloat() && in.Round.Size() < in.Type.Size()
	narrowInt := in.Round.IsInt() && in.Round.Size() < 4
	if in.Type.IsFloat() && !narrowFloat || in.Type == tensor.I32 && !narrowInt {
		return fmt.Sprintf("%s is not narrower than %s", in.Round, in.Type)
	}
	if !in.Type.IsFloat() && in.Type != tensor.I32 {
		return fmt.Sprintf("not defined for %s", in.Type)
	}
	return sameTypes(in.Type, args)
}

func checkBits(_ *Nest, _ *Phase, in *Inst, args []tensor.DType) string {
	if in.Type == tensor.Bool || args[0] == tensor.Bool || in.Type.Size() != args[0].Size() {
		return fmt.Sprintf("%s from %s", in.Type, args[0])
	}
	return ""
}
