// Package gemm computes batched matrix products with machine code it emits:
// register-blocked micro-kernels, packers that reorder operands for them, and
// the driver that walks the blocks.
//
//	C[b,m,n] = sum over k of A[b,m,k] * B[b,k,n]
//
// An operand is addressed with run-time strides of any size and sign, zero
// included, so transposed, sliced and broadcast operands need no copy. The
// result is produced tile by tile; each finished tile is either stored or
// handed to an epilogue while it is still in cache.
//
//	ks, _ := gemm.NewKernels(target, tensor.F32, install)
//	plan, _ := ks.NewPlan(gemm.Problem{
//		M: 128, N: 2304, K: 768,
//		A: gemm.Operand{DType: tensor.F32, Row: 768, Col: 1},
//		B: gemm.Operand{DType: tensor.BF16, Row: 2304, Col: 1},
//		C: gemm.Result{Row: 2304},
//	})
//	scratch := make([]byte, plan.ScratchBytes(pool.Workers()))
//	err := plan.Run(pool, a, b, c, scratch, nil)
//
// Three strategies share this interface, chosen by size:
//
//	blocked  panels of A and B, packed or in place, through the micro-kernel
//	stream   few rows, B contiguous along n: rows of B are read once, in order
//	dot      few rows, B contiguous along k: dot products over rows of B
//
// Invariants: no byte outside the live elements of an operand is read, and none
// outside the result is written; the order of the additions that form an
// element depends on the plan only, never on the workers; machine code is
// entered for at most about 250 us at a time.
package gemm

import (
	"fmt"
	"unsafe"

	"jitc/ir/tensor"
)

// ISA is an instruction set level the package emits code for.
type ISA uint8

// The instruction set levels.
const (
	AVX2   ISA = iota + 1 // AVX2, FMA and F16C
	AVX512                // AVX-512 F, DQ, BW and VL
)

// Target describes the processor that kernels are emitted for.
type Target struct {
	ISA ISA
	L1  int // bytes of level-1 data cache per core; 0 means 32 KiB
	L2  int // bytes of level-2 cache per core; 0 means 512 KiB

	// Cores is how many workers runs usually have, for the number of chunks; 0
	// means 2. It does not change results.
	Cores int
}

// Caller is installed machine code: Call enters it with args in the first
// argument register (RDI). The code changes any register except RSP and RBP.
type Caller interface {
	Call(args unsafe.Pointer)
}

// Install makes machine code executable. It must be safe for concurrent use.
type Install func(code []byte) (Caller, error)

// Runner executes chunks 0 <= chunk < chunks, each once, on workers numbered
// from 0 to Workers()-1, no two chunks of one worker at the same time, and
// returns when all are done.
type Runner interface {
	Run(chunks int, f func(chunk, worker int))
	Workers() int
}

// Operand is a matrix operand: element (r, c) of batch b lies at
// Offset + sum of Batch[i]*b[i] + Row*r + Col*c, in elements; (r, c) is (m, k)
// for A and (k, n) for B. Batch has one stride per batch axis.
type Operand struct {
	DType    tensor.DType
	Offset   int64
	Batch    []int64
	Row, Col int64
}

// Result is the result matrix, of the kernels' element type, contiguous along
// n: element (m, n) of batch b lies at Offset + sum of Batch[i]*b[i] + Row*m + n.
type Result struct {
	Offset int64
	Batch  []int64
	Row    int64
}

// Problem is a batched product at concrete sizes.
type Problem struct {
	Batch   []int64 // extents of the batch axes, outermost first
	M, N, K int64
	A, B    Operand
	C       Result // ignored by runs with an epilogue
	// PackedB says that runs get B as packed by Plan.PackB, for weights that are
	// used again and again. All batches then share one B: its batch strides are 0.
	PackedB bool
}

// Epilogue consumes rows [m0, m1) and columns [n0, n1) of the product of one
// batch: element (m, n) lies ((m-m0)*ld + n-n0) elements after tile. Calls are
// concurrent, one per worker at a time, and cover each element exactly once.
// Neither batch nor tile may be kept after the call.
type Epilogue func(worker int, batch []int64, m0, m1, n0, n1 int64, tile unsafe.Pointer, ld int64)

// check reports the first mistake in p for kernels that compute in dt.
func (p *Problem) check(dt tensor.DType) error {
	for _, e := range append([]int64{p.M, p.N, p.K}, p.Batch...) {
		if e < 0 {
			return fmt.Errorf("gemm: sizes must not be negative: expected >= 0, got %d (M=%d N=%d K=%d batch %v)", e, p.M, p.N, p.K, p.Batch)
		}
	}
	strides := []struct {
		name  string
		batch []int64
	}{{"A", p.A.Batch}, {"B", p.B.Batch}, {"C", p.C.Batch}}
	for _, s := range strides {
		if len(s.batch) != len(p.Batch) {
			return fmt.Errorf("gemm: %s: expected one batch stride per batch axis, %d, got %d", s.name, len(p.Batch), len(s.batch))
		}
	}
	for _, o := range []struct {
		name string
		dt   tensor.DType
	}{{"A", p.A.DType}, {"B", p.B.DType}} {
		if !readable(o.dt, dt) {
			return fmt.Errorf("gemm: operand %s: expected an element type that packs to %s, got %s; hint: convert the operand first", o.name, dt, o.dt)
		}
	}
	for _, s := range p.B.Batch {
		if p.PackedB && s != 0 {
			return fmt.Errorf("gemm: packed B: expected batch strides 0, got %v; hint: pack one B for all batches", p.B.Batch)
		}
	}
	return nil
}

// readable reports whether operands of type src can be read by kernels that compute in dt.
func readable(src, dt tensor.DType) bool {
	return src == dt || dt == tensor.F32 && (src == tensor.F16 || src == tensor.BF16)
}

// normal is p with strides along axes of one element, which mean nothing, set to
// 1, as the fast ways like them.
func (p Problem) normal() Problem {
	if p.M == 1 {
		p.A.Row = 1
	}
	if p.N == 1 {
		p.B.Col = 1
	}
	if p.K == 1 {
		p.A.Col, p.B.Row = 1, 1
	}
	return p
}

// batches is the number of batches.
func (p *Problem) batches() int64 {
	n := int64(1)
	for _, e := range p.Batch {
		n *= e
	}
	return n
}

// swapped is the transposed problem, C^T = B^T A^T.
func (p *Problem) swapped() Problem {
	q := *p
	q.M, q.N = p.N, p.M
	q.A, q.B = p.B, p.A
	q.A.Row, q.A.Col = p.B.Col, p.B.Row
	q.B.Row, q.B.Col = p.A.Col, p.A.Row
	return q
}
