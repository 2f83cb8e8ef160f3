// Package cublaslt is the part of NVIDIA's cuBLASLt that the executor cublas uses, as a
// Go interface: Find finds the library of the machine, package fake is one without a
// GPU.
//
//	found, err := cublaslt.Find(12040)
//	lt, err := found.Open()
//	h, err := lt.NewHandle()                      // for the current context
//	x, ways, err := lt.Prepare(h, &cublaslt.Problem{...})
//	err = lt.Multiply(h, x, &ways[0], cublaslt.Operands{...}, stream)
//
// Matrices are in column-major order, as the library has them, so that a product of
// row-major matrices, D = L R, is asked for as the one of their transposes, with the
// operands exchanged:
//
//	memory of a row-major R[k][n]  =  a column-major one of n rows and k columns
//	D' (n x m)  =  R' (n x k)  L' (k x m)
//
// Handles are opaque numbers. NewHandle, CloseHandle, Prepare and Multiply need the
// device's context current on the calling thread; Multiply only queues, so that it may
// be captured. It allocates no memory. Safe for concurrent use.
package cublaslt

import (
	"sync"

	"jitc/executors/cuda/driver"
)

// Handle is the library's state for one device.
type Handle uintptr

// API is cuBLASLt. Every error of its methods is an *Error.
type API interface {
	Version() int // 120805 for 12.8.5
	NewHandle() (Handle, error)
	CloseHandle(Handle) error
	// Prepare describes a problem to the library, and asks for ways of computing it,
	// those that it takes to be the fastest first. There may be none. The product must
	// be discarded when it is not used any more.
	Prepare(h Handle, p *Problem) (*Product, []Algorithm, error)
	Discard(*Product)
	// Multiply queues D = op(A) op(B) + bias on a stream.
	Multiply(h Handle, x *Product, a *Algorithm, o Operands, s driver.Stream) error
}

// Problem is D = op(A) op(B) + bias, and what ways of computing it are allowed.
type Problem struct {
	Compute        ComputeType
	Scale          DataType // of the factor of the product, which is 1
	TransA, TransB bool
	A, B, D        Matrix
	// Bias is the alignment in bytes of a vector of D's type, an element for each row of
	// D, which is added to every column before D is rounded; 0: there is none. From 16
	// on: the library picks kernels that fault where it is less, and cannot be told.
	Bias int

	Workspace  int       // bytes, at most
	Reductions Reduction // the ways of adding up parts of sums, beside none
	Choices    int       // algorithms that are asked for, at most
}

// Matrix is a column-major matrix in memory, or Batch of them: element (i, j) of
// matrix b is at b*Stride + j*LD + i.
type Matrix struct {
	Type       DataType
	Rows, Cols int // of the matrix in memory
	LD         int // elements, at least Rows
	Batch      int // matrices; 0 and 1 are one
	Stride     int // elements
	Alignment  int // bytes: its address is a multiple of it
}

// Product is a problem as the library knows it.
type Product struct {
	Problem Problem // read only
	desc    uintptr
	layouts [3]uintptr // A, B, D
	scale   []byte     // the factors 1 and 0 in Problem.Scale

	mu   sync.Mutex // the bias is an attribute of desc
	bias uint64     // its address
}

// Algorithm is a way of computing a product. The words are the library's.
type Algorithm struct {
	Words     [8]uint64
	Workspace int     // bytes that it needs, at a multiple of 256
	Waves     float32 // how often it fills the device, by its estimate
}

// Operands are the addresses of one run.
type Operands struct{ A, B, D, Bias, Workspace driver.Ptr }

// DataType is a number of the library's for an element type.
type DataType int32

// Element types (cudaDataType).
const (
	F32  DataType = 0
	F64  DataType = 1
	F16  DataType = 2
	BF16 DataType = 14
)

// ComputeType is a number of the library's for how products are computed.
type ComputeType int32

// Compute types (cublasComputeType_t).
const (
	ComputeF32  ComputeType = 68 // every operand in its own precision, sums in f32
	ComputeF64  ComputeType = 70
	ComputeTF32 ComputeType = 77 // f32 operands rounded to TF32
)

// Reduction is a set of ways in which parts of a sum that blocks have computed are
// added up.
type Reduction uint32

// Ways of adding up (cublasLtReductionScheme_t). In place is in the type of the result,
// and so rounds more than once, as OutputType does.
const (
	InPlace    Reduction = 1
	InCompute  Reduction = 2 // parts in the compute type, in the workspace, added up in one order
	OutputType Reduction = 4
)
