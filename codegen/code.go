package codegen

import "fmt"

// Code is the operation of an instruction.
type Code uint8

// The codes. Arithmetic takes operands of the instruction's type and wraps
// (integers) or follows IEEE 754 (floats); comparisons give Bool and take
// operands of one type, found at the operand.
const (
	Const Code = iota // Imm
	Index             // position on Axis, I64 or I32
	Size              // the value of Inst.Size, I64 or I32
	Acc               // result of a Reduction
	Load
	Store // A; its value is not used

	Add
	Sub
	Mul
	Div // integers truncate toward zero; x/0 = -1 (all bits set), min/-1 = min
	Rem // sign of the dividend; x%0 = x
	Min // NaN propagates; -0 < +0
	Max
	Neg
	Abs
	FMA  // A*B+C, one rounding
	FNMA // C-A*B, one rounding

	And // Bool and integers
	Or
	Xor
	Not
	Shl // a shift by the width or more gives 0 (ShrA: the sign)
	ShrL
	ShrA

	Eq // Bool; false on NaN, except Ne
	Ne
	Lt
	Le
	Gt
	Ge
	Select // A ? B : C

	Cast    // from the operand's type to Type; float to integer truncates, saturates, NaN gives 0
	RoundTo // round an F32 or F64 to the precision of Round, an I32 to the range of Round (wraps)
	Bits    // reinterpret between F32/I32/U32 or F64/I64/U64

	Sqrt
	RoundEven
	Floor
	Ceil
	Trunc
	Scale2 // A * 2^B, B an integral float; overflow and underflow as ldexp
	RcpE   // hardware estimate of 1/A (relative error below 2^-11), F32 only

	// Elementary functions; Legalize expands those that the target does not spell.
	Exp
	Exp2
	Expm1
	Log
	Log2
	Log1p
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Atan2
	Sinh
	Cosh
	Tanh
	Sigmoid
	Erf
	Rsqrt
	Cbrt
	Pow

	numCodes
)

// codeRow is one row of the instruction table.
type codeRow struct {
	name  string
	arity int  // value operands
	elem  bool // elementary function: expanded by Legalize
}

var codes = [numCodes]codeRow{
	Const: {"const", 0, false}, Index: {"index", 0, false}, Size: {"size", 0, false},
	Acc: {"acc", 0, false}, Load: {"load", 0, false}, Store: {"store", 1, false},
	Add: {"add", 2, false}, Sub: {"sub", 2, false}, Mul: {"mul", 2, false}, Div: {"div", 2, false},
	Rem: {"rem", 2, false}, Min: {"min", 2, false}, Max: {"max", 2, false}, Neg: {"neg", 1, false},
	Abs: {"abs", 1, false}, FMA: {"fma", 3, false}, FNMA: {"fnma", 3, false},
	And: {"and", 2, false}, Or: {"or", 2, false}, Xor: {"xor", 2, false}, Not: {"not", 1, false},
	Shl: {"shl", 2, false}, ShrL: {"shr_logical", 2, false}, ShrA: {"shr_arith", 2, false},
	Eq: {"eq", 2, false}, Ne: {"ne", 2, false}, Lt: {"lt", 2, false}, Le: {"le", 2, false},
	Gt: {"gt", 2, false}, Ge: {"ge", 2, false}, Select: {"select", 3, false},
	Cast: {"cast", 1, false}, RoundTo: {"round_to", 1, false}, Bits: {"bits", 1, false},
	Sqrt: {"sqrt", 1, false}, RoundEven: {"round_even", 1, false}, Floor: {"floor", 1, false},
	Ceil: {"ceil", 1, false}, Trunc: {"trunc", 1, false}, Scale2: {"scale2", 2, false}, RcpE: {"rcp_estimate", 1, false},
	Exp: {"exp", 1, true}, Exp2: {"exp2", 1, true}, Expm1: {"expm1", 1, true}, Log: {"log", 1, true},
	Log2: {"log2", 1, true}, Log1p: {"log1p", 1, true}, Sin: {"sin", 1, true}, Cos: {"cos", 1, true},
	Tan: {"tan", 1, true}, Asin: {"asin", 1, true}, Acos: {"acos", 1, true}, Atan: {"atan", 1, true},
	Atan2: {"atan2", 2, true}, Sinh: {"sinh", 1, true}, Cosh: {"cosh", 1, true}, Tanh: {"tanh", 1, true},
	Sigmoid: {"sigmoid", 1, true}, Erf: {"erf", 1, true}, Rsqrt: {"rsqrt", 1, true}, Cbrt: {"cbrt", 1, true},
	Pow: {"pow", 2, true},
}

// String is the code's name in a dump.
func (c Code) String() string {
	if c >= numCodes {
		return fmt.Sprintf("code(%d)", uint8(c))
	}
	return codes[c].name
}

// Arity is the number of value operands (A, then B, then C).
func (c Code) Arity() int { return codes[c].arity }

// Elementary reports whether c is an elementary function that Legalize may expand.
func (c Code) Elementary() bool { return codes[c].elem }
