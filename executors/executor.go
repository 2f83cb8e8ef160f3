// Package executors defines the plug-in interface between fused regions and the
// code that computes them, and the registry of executors.
//
// An executor claims values (fusion.Claimer), compiles a region to a Kernel, and
// runs it. Executors register themselves when imported, as database/sql drivers
// do, and are chosen as an ordered list; the first that claims a value gets it.
//
//	import _ "jitc/executors/native"
//
//	list, err := executors.Select("native", "reference")
//
// An executor out of tree implements Executor and passes the suite of package
// conformance.
package executors

import (
	"context"

	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
)

// Device names where an executor's buffers live: "cpu", "cuda:0".
type Device string

// CPU is the host's memory.
const CPU Device = "cpu"

// Executor compiles and runs regions. All methods are safe for concurrent use.
type Executor interface {
	fusion.Claimer
	Device() Device
	// Available returns nil if the executor can run on this machine, else why not.
	Available() error
	// Compile turns a region into a kernel. The region is in the primitive
	// dialect; each of its values is one that the executor claimed. The kernel
	// depends on the region and the options only, never on value names.
	Compile(ctx context.Context, region *ir.Func, o Options) (Kernel, error)
}

// Options are what kernels may differ by besides their region.
type Options struct {
	FastMath bool // allow rewrites and approximations that change results beyond rounding
	Dumps    bool // keep the dumps that Kernel.Dump returns
}

// Kernel is a compiled region, good for every size its symbols may take. Safe
// for concurrent use.
type Kernel interface {
	// Bind resolves everything that depends on sizes. Running what it returns
	// allocates nothing. An error means that the sizes cannot be run.
	Bind(sizes map[string]int64) (Launch, error)
	Info() Info
	// Dump returns the text of a stage ("loops", "asm"), if Options.Dumps asked
	// for it and the executor has it.
	Dump(stage string) (string, bool)
}

// Launch is a kernel bound to concrete sizes. It may run concurrently with
// itself as long as each run has its own buffers and scratch.
type Launch interface {
	// ScratchBytes is the scratch memory that a Run on so many workers needs;
	// it is given 64-byte aligned, with undefined contents.
	ScratchBytes(workers int) int
	// Run computes the region. bufs are the parameters' and then the results'
	// elements, contiguous in row-major order, aligned to their element; results do not
	// overlap anything, but as InPlacer allows. Chunks of the work are given to w.
	Run(bufs [][]byte, scratch []byte, w Workers) error
}

// Workers runs chunks of a kernel in parallel. Results never depend on how many
// workers there are.
type Workers interface {
	// Workers is the number of workers; a chunk's worker index is below it.
	Workers() int
	// Run calls f(chunk, worker) once for each chunk in [0, chunks), and returns
	// when all have returned. Two calls with one worker index never overlap.
	Run(chunks int, f func(chunk, worker int))
}

// Info describes a kernel for reports.
type Info struct {
	Executor string
	Kind     string   // "loops", "gemm", "reference"
	Detail   string   // one line: vector width, unrolling, why it is interpreted
	Code     int      // bytes of machine code
	Bytes    dim.Expr // memory traffic at least needed: operands and results once
	Flops    dim.Expr // arithmetic, a fused multiply-add counted as two
}

// UnsupportedError says that an executor cannot compile a region after all,
// though it claimed each value of it. The region then goes to the reference.
type UnsupportedError struct {
	Executor string
	Reason   string
}

// Error gives the reason.
func (e *UnsupportedError) Error() string { return e.Executor + " cannot compile it: " + e.Reason }
