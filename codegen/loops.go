// Package codegen turns a region into loop nests: the target-neutral level
// between a region's body (ir.Func) and machine code.
//
// A Kernel is a list of steps run in order. A loop-nest step iterates over the
// points of its outer axes, in any order and in parallel; at each point its
// phases run in order. A phase either loops over the inner axes, evaluating a
// straight-line body per point and folding values into accumulators, or runs
// its body once. One axis is the vector axis: consecutive points are computed
// in the lanes of a vector.
//
//	softmax of rows, x: f32[N,C] -> y: f32[N,C]
//
//	nest outer(i: N) inner(j: C) vec(j)
//	  phase loop  { %0 = load x[i,j]             acc %1 = max %0 }
//	  phase loop  { %2 = load x[i,j]; %3 = sub %2, %1; %4 = exp %3
//	                store row[j], %4              acc %5 = sum %4 }
//	  phase once  { %6 = 1.0; %7 = div %6, %5 }
//	  phase loop  { %8 = load row[j]; %9 = mul %8, %7; store y[i,j], %9 }
//
// Invariants (Verify checks them): a value is defined before it is used; a
// value defined in a looping phase is used in that phase only, an accumulator
// and a value of a non-looping phase in every later phase too; every access
// names an existing buffer and gives one stride per axis; the vector axis is
// the last outer or the last inner axis.
package codegen

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// BufKind says who provides a buffer's memory.
type BufKind uint8

const (
	Input  BufKind = iota // the caller's, read only
	Output                // the caller's, written
	Temp                  // one block for the whole kernel, shared by all workers
	Row                   // one block per worker, its contents live for one outer point
	Tile                  // the result tile of a contraction, read by its epilogue
)

// Buffer is a flat run of elements that accesses address.
type Buffer struct {
	Name  string
	Kind  BufKind
	DType tensor.DType // element type in memory
	Len   dim.Expr     // elements
}

// Axis is one dimension of an iteration space: 0 <= i < Extent.
type Axis struct {
	Name   string
	Extent dim.Expr
}

// Val names a value of a nest by its index in Nest.Insts; None is no value.
type Val int32

// None marks an unused operand.
const None Val = -1

// Nest is one loop nest.
type Nest struct {
	Axes   []Axis
	Outer  []int // axes of the parallel loops, outermost first
	Inner  []int // axes of the looping phases, outermost first
	Vec    int   // the vector axis: the last of Outer or of Inner; -1 if the nest is scalar
	Phases []Phase
	Insts  []Inst // values in order; phases own consecutive runs of it
	Accs   []Access
}

// Phase is a run of instructions, Insts[From:To].
type Phase struct {
	Loop     bool // over the inner axes; otherwise once per outer point
	From, To int
	Reduce   []Reduction // only if Loop
}

// Reduction folds a value of a looping phase over the inner axes. Its result
// is the value Result, an instruction of code Acc that stands directly before
// the next phase's run (owned by no phase).
//
// Lanes and unrolled copies are folded in an order that depends on the sizes
// and the target only, never on the number of threads.
type Reduction struct {
	Op     Code // Add, Mul, Max, Min, And, Or
	Value  Val
	Result Val
}

// Inst is one instruction; its value has element type Type.
//
// Compute types are F32, F64, I32, I64, U32, U64 and Bool. Narrower elements
// are widened by Load (f16, bf16, f8 to F32; i8, i16, u8, u16 to I32) and
// narrowed by Store (floats round to nearest even, integers wrap); buffers
// keep the narrow type.
type Inst struct {
	Op      Code
	Type    tensor.DType
	A, B, C Val
	Imm     uint64       // Const: the bits of the value, in Type
	Acc     int          // Load, Store: index in Nest.Accs
	Axis    int          // Index: the axis
	Size    dim.Expr     // Size: a run-time constant
	Round   tensor.DType // RoundTo: the narrow type
	Pred    Val          // Load, Store: a Bool; lanes where it is false are not touched (a load gives 0)
}

// Access addresses one element of a buffer per point of the iteration space:
//
//	Offset + sum over axes a of Strides[a]*i_a + sum over dyn of clamp(dyn)*stride
//
// all in elements. Where Masks is not empty, the element exists only at points
// where every mask holds; a masked load gives zero elsewhere and touches
// nothing, a masked store stores nothing.
//
// Bind proves for concrete sizes that every address of a live point lies in
// the buffer, from these fields alone: masks and clamps are generated from the
// same data that the proof reads.
type Access struct {
	Buf     int
	Offset  dim.Expr
	Strides []dim.Expr
	Dyn     []Dyn
	Masks   []Mask
}

// Dyn is a data-dependent index: the integer value Val (I32 or I64), clamped
// to [0, Limit), times Stride elements.
type Dyn struct {
	Val    Val
	Limit  dim.Expr
	Stride dim.Expr
}

// Mask restricts an access to points with 0 <= Offset + sum Coef[a]*i_a < Limit.
// Stride is what one step of that index contributes to the address, in elements
// (so the proof can replace the index's range by [0, Limit)).
type Mask struct {
	Offset dim.Expr
	Coef   []dim.Expr
	Limit  dim.Expr
	Stride dim.Expr
}

// Kernel is the loop-level form of one region.
type Kernel struct {
	Name  string
	Bufs  []Buffer // inputs in parameter order, then outputs in result order, then Temp and Row
	Steps []Step   // run in order; all of a step's writes are visible to the next
	Facts *dim.Facts
	// Legal says that Legalize has run: masks are part of the predicates and
	// data-dependent indices are clamped by instructions, so that backends ignore
	// Access.Masks and Dyn.Limit. Bind's proof still reads both.
	Legal bool
	// WideIndex says that a legal kernel computes its masks in I64, not I32.
	WideIndex bool
}

// Step is one step of a kernel: exactly one of its fields is set.
type Step struct {
	Nest *Nest
	Gemm *Gemm
}

// Gemm is a batched matrix product, C[b,m,n] = sum over k of A[b,m,k]*B[b,k,n],
// computed tile by tile, each tile handed to an epilogue while it is in cache.
type Gemm struct {
	Batch   []Axis // batch axes, outermost first; may be empty
	M, N, K dim.Expr
	A, B    Operand
	DType   tensor.DType // accumulation type: F32 or F64 (I32 for integer operands)
	// Epilogue reads the product from Bufs[Tile] and writes the outputs. Its
	// outer axes are the batch axes, then m, then n, and it has no inner axes.
	Epilogue *Nest
	Tile     int // buffer of kind Tile, addressed with strides (..., M-stride, 1) by the epilogue
}

// Operand is a matrix operand of a Gemm, addressed as
// Offset + sum over batch axes of Batch[i]*b_i + Row*r + Col*c, in elements,
// where (r, c) is (m, k) for A and (k, n) for B.
type Operand struct {
	Buf      int
	Offset   dim.Expr
	Batch    []dim.Expr
	Row, Col dim.Expr
}
