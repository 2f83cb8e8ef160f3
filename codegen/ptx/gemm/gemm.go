// Package gemm emits matrix products as PTX: C[b,m,n] = sum over k of
// A[b,m,k]*B[b,k,n], each element handed to an epilogue while it is on the chip.
//
//	Candidates(problem, arch)     configurations worth their code, for all sizes
//	Emit(k, config, problem, e)   one entry per configuration
//	EmitSum(k, problem, group, e) the entry that ends split products which do not end themselves
//	Best(configs, problem, sizes, sms)   at concrete sizes: which one, and its launches
//
// There are five templates, all of which walk k in tiles of Config.BK:
//
//	Tensor      a block per BM x BN tile of C; tiles of A and B in swizzled shared
//	            memory, filled by asynchronous copies Stages-1 ahead; warps multiply
//	            their part by mma.sync
//	WarpGroup   the same by wgmma of sm_90a; only where Problem.Wgmma asks for it
//	Bulk        the same, the tiles filled by bulk copies of one thread (TMA), in
//	            persistent blocks, which go on to the next tile of C by themselves;
//	            warp groups have half of a tile each, or take tiles in turn (ping-pong)
//	FMA         the same in exact arithmetic: a thread owns 4 x 4 or 8 x 8 elements
//	Skinny      few rows: operands straight from memory, k split over the warps
//
// and one end: the accumulators go through shared memory, so that every thread has
// neighbours along n and the epilogue is emitted once. With the launch's splits > 1
// a block computes only a part of k and stores its sums; the last block of a tile adds
// those, or a second entry where that is faster, or the template is Bulk.
//
// Invariants: sizes and strides are parameters, any sizes are right for any
// configuration whose operands Best finds fit for it; no address outside of the
// operands is read; the order of additions depends on the launch only, never on
// timing; k = 0 gives zeros.
//
// y = relu(x W), x: bf16[t,1024], W: bf16[1024,4096], for all t:
//
//	p := gemm.Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32,
//		AContract: gemm.KMajor, BContract: gemm.MNMajor}
//	cs := gemm.Candidates(p, 80)
//	for i, c := range cs {
//		k := asm.NewKernel(names[i], c.Threads())
//		at[i] = gemm.Emit(k, c, p, func(k *asm.Kernel, el gemm.Element) { ... })
//	}
//	ch, err := gemm.Best(cs, p, gemm.Sizes{M: t, N: 4096, K: 1024,
//		A: gemm.Operand{MN: 1024, K: 1, Align: 256}, B: gemm.Operand{MN: 1, K: 4096, Align: 256}}, 108)
//	// launch names[ch.Config] as ch.Main says, then, if ch.Sum is not nil, the sum
//
// Blocks may have more than 48 KiB of dynamic shared memory: the driver must be told
// of Config.Shared.
package gemm

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// Major says along which axis an operand lies contiguously in memory.
type Major uint8

// The layouts of an operand: contiguous along k, along its other axis (m for A,
// n for B), or neither.
const (
	KMajor Major = iota
	MNMajor
	Strided
)

// String is the layout's name.
func (m Major) String() string { return [...]string{"k", "mn", "strided"}[m] }

// Problem is what code depends on.
type Problem struct {
	A, B                 tensor.DType // in memory: F16, BF16, F32, F64, I32
	Acc                  tensor.DType // F32 (operands of up to 32 bits), F64 (of F64), I32 (of I32)
	AContract, BContract Major
	Batch                int  // number of batch axes
	TF32                 bool // f32 operands may be rounded to tf32, 10 mantissa bits
	// Wgmma says that the target is sm_90a, language version 8.0 or later, and allows
	// the WarpGroup and Bulk templates. They are assembled, and interpreted by package
	// sim; they have never been timed.
	Wgmma bool
	// Ending is about how many instructions the epilogue takes per element. Code does
	// not depend on it, but Best does.
	Ending int
}

// Supported reports whether the templates take the problem.
func (p Problem) Supported() bool {
	switch p.Acc {
	case tensor.F32:
		return floatOperand(p.A) && floatOperand(p.B)
	case tensor.F64, tensor.I32:
		return p.A == p.Acc && p.B == p.Acc
	}
	return false
}

func floatOperand(d tensor.DType) bool {
	return d == tensor.F32 || d == tensor.F16 || d == tensor.BF16
}

// swapped is the transposed problem, C^T = B^T A^T.
func (p Problem) swapped() Problem {
	p.A, p.B, p.AContract, p.BContract = p.B, p.A, p.BContract, p.AContract
	return p
}

// Kind is a template.
type Kind uint8

// The templates; see the package comment.
const (
	Tensor Kind = iota
	FMA
	Skinny
	WarpGroup
	Bulk
)

// String is the template's name.
func (k Kind) String() string { return [...]string{"tensor", "fma", "skinny", "wgmma", "tma"}[k] }

// Config is a template with its sizes. Use those of Candidates; Group alone may be
// changed.
type Config struct {
	Kind       Kind
	BM, BN, BK int // tile of a block, in elements
	WM, WN     int // warps along m and n that multiply; Skinny: WN is 1 and WM splits k
	Stages     int // of tiles in shared memory
	// Scalar says that tiles are loaded element by element: slower, for operands
	// that are not 16-byte aligned or not contiguous.
	Scalar bool
	// Swap says that the transposed product is computed, C^T = B^T A^T, for few
	// columns. Epilogues do not see it, but their groups have one element.
	Swap bool
	// PingPong says that the warp groups of Bulk take tiles in turn, each a whole one, so
	// that one ends a tile while the other multiplies; if not, each has half of the rows.
	PingPong bool
	// Group is the number of neighbours along n that an epilogue gets: 4, 2 or 1, or
	// 8 of Bulk.
	// Smaller ones make shorter code of long epilogues, and narrower stores.
	Group int
}

// String is the configuration in short, "tensor 128x256x64, 3 stages".
func (c Config) String() string {
	s := fmt.Sprintf("%s %dx%dx%d, %d stages", c.Kind, c.BM, c.BN, c.BK, c.Stages)
	if c.Scalar {
		s += ", by element"
	}
	if c.Swap {
		s += ", transposed"
	}
	if c.PingPong {
		s += ", ping-pong"
	}
	return s
}

// Threads is the number of threads of a block.
func (c Config) Threads() int {
	if c.Kind == Bulk {
		return c.consumers() + groupThreads
	}
	return c.consumers()
}

// consumers is the number of threads that multiply, and end tiles.
func (c Config) consumers() int { return 32 * c.WM * c.WN }

// group is the number of neighbours along the second axis of the computed product.
func (c Config) group() int {
	if c.Swap {
		return 1
	}
	return c.Group
}

// Element is a group of neighbours along n of the product.
type Element struct {
	Batch []asm.Reg // B32, index along each batch axis
	M, N  asm.Reg   // B32, row, and column of the first neighbour: a multiple of the group's size
	// Acc are the sums (F32, F64, or B32 for I32), 1, 2, 4 or 8 of them.
	Acc []asm.Reg
	// Live says of each whether it is an element of C. Where Live[i] is false so is
	// every later one; Live[0] may be false.
	Live []asm.Reg
}

// Epilogue emits what happens to a group. It is called once per entry, in the body
// of a loop over groups; threads may be there in any number. It may declare
// parameters, and must leave the registers of the element as they are.
type Epilogue func(k *asm.Kernel, at Element)
