package asm

import "slices"

//go:generate go run gen.go

// Op is one VEX or EVEX instruction: a row of the tables.
type Op uint16

// row declares an instruction.
type row struct {
	name string
	enc  enc
}

// rows is indexed by Op; gen.go reads the files in the same order.
var rows = slices.Concat(floatRows, intRows, moveRows, maskRows)

// String returns the row's name, such as VMOVUPSld.
func (op Op) String() string {
	if int(op) >= len(rows) {
		return "Op(?)"
	}
	return rows[op].name
}

// Reg is a general register.
type Reg uint8

// The general registers.
const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	NoReg Reg = 0xff
	rip   Reg = 0xfe
)

// V is a vector register, 0..31; its width is the instruction's length. Registers 16..31 need EVEX.
type V uint8

// K is an opmask register, 0..7; 0 means unmasked where it stands in Flags.
type K uint8

// T is an AMX tile register, 0..7.
type T uint8

// VL is the vector length of an instruction.
type VL uint8

// The vector lengths. Where operands differ in width (conversions), the length is the wider one's.
const (
	X128 VL = iota
	Y256
	Z512
)

// Bytes returns 16, 32 or 64.
func (l VL) Bytes() int { return 16 << l }

// Mem is a memory operand, base + index<<scale + disp, or a label. Make it with Ptr, PtrX, VPtr or RIP:
// the zero value has RAX as its index.
type Mem struct {
	Base, Index Reg
	Scale       uint8 // log2 of the factor
	Vector      bool  // Index is the number of a vector register (gathers and scatters)
	Lab         Label
	Disp        int32
}

// Ptr is [base+disp].
func Ptr(base Reg, disp int32) Mem { return Mem{Base: base, Index: NoReg, Disp: disp} }

// PtrX is [base + index<<log2scale + disp].
func PtrX(base, index Reg, log2scale uint8, disp int32) Mem {
	return Mem{Base: base, Index: index, Scale: log2scale, Disp: disp}
}

// VPtr is [base + index<<log2scale + disp] with one address per element of a vector register.
func VPtr(base Reg, index V, log2scale uint8, disp int32) Mem {
	return Mem{Base: base, Index: Reg(index), Scale: log2scale, Vector: true, Disp: disp}
}

// RIP is the memory at a label; Disp may be added to it.
func RIP(l Label) Mem { return Mem{Base: rip, Index: NoReg, Lab: l} }

// Plus returns m displaced by n more bytes.
func (m Mem) Plus(n int32) Mem { m.Disp += n; return m }

// Label is a position in the code, possibly not yet known.
type Label int32

// Flags are the EVEX decorations of an instruction; zero for none.
type Flags uint16

// Flags besides the mask's number.
const (
	Z    Flags = 1 << 3 // zero the masked elements instead of keeping them
	Bc   Flags = 1 << 4 // repeat one element of memory
	EVEX Flags = 1 << 5 // EVEX even where VEX would do
)

// Mask applies opmask k, keeping the other elements.
func Mask(k K) Flags { return Flags(k) }

// MaskZ applies opmask k, zeroing the other elements.
func MaskZ(k K) Flags { return Flags(k) | Z }
