// Package ptx translates loop nests into PTX, the virtual machine code of NVIDIA's
// GPUs (sm_80 and up), and plans their launches at concrete sizes.
//
//	codegen.Lower -> codegen.Legalize(Target) -> Compile -> Module
//	Module.Bind(sizes) -> Plan: entries, grids, packed parameters
//
// One module serves all sizes: extents, strides and offsets are parameters, and a
// step of the kernel is one entry or a few, of which Bind picks by size; each is a
// text of its own, so that only what is picked need be assembled. Steps run in
// order, each sees all writes of those before.
//
//	points   nests without inner axes: a thread per run of 128 bits
//	tiles    the same where reads and writes follow different orders: squares are
//	         turned in shared memory
//	groups   nests with inner axes: a group of threads per outer point, from one
//	         lane to 512; or lanes as outer points, where those are neighbours in
//	         memory, and warps that share the inner loop
//	           _held     rows stay in registers from phase to phase
//	           _staged   longer ones in shared memory
//	           _scratch  row buffers too long for that
//	           _parts, _sum  too few outer points for the device
//	           ..._single    rows that are not aligned: several points at a time
//	matmul   products, by the templates of package gemm, the epilogue in registers
//
// An example, y[i] = 2*x[i] in f32, from the entry's prologue on:
//
//	mad.lo.u32 %r3, %ctaid.x, 128, %tid.x       item, a run of four
//	mul.lo.u32 %r5, %r3, step                   its first point
//	mad.wide.s32 %d3, %r5, 4, x
//	ld.global.v4.b32 {%f1, %f2, %f3, %f4}, [%d3]
//	mul.rn.f32 ...                              then points one by one, for the end
//
// Invariants:
//
//   - for sizes for which codegen.Bind has succeeded, every address that an entry
//     makes of its parameters lies in its buffer;
//   - an access is as wide as alignment at concrete sizes allows: Bind tells the
//     entry by a parameter, or picks the entry for single elements;
//   - all threads of a block reach every barrier and shuffle;
//   - the order of a reduction depends on sizes and on the device, never on timing;
//   - where the last block of several ends what they share, it is told by counters,
//     which a launch leaves as it finds them, zero.
//
// Floats: no contraction, and no flushing of subnormals where one could matter; minima and maxima propagate
// NaN. Options.FastMath gives the last of these up, and accuracy.
package ptx

import "jitc/codegen/ptx/tensormap"

// Device is what code and plans depend on.
type Device struct {
	Arch            int // compute capability, 80 for sm_80
	Multiprocessors int
	SharedBytes     int // of shared memory that a block may have at most
}

// Plan is a module at concrete sizes. Immutable.
type Plan struct {
	Launches []Launch // in order; a launch of an empty grid is left out
	Scratch  int      // bytes of temporaries
	// Zeros are bytes of counters, at a multiple of 256, that are zero before a run of
	// the plan and that a run leaves zero. Runs that share them must come one behind
	// the other; a run that does not come to its end leaves counts that no other may
	// use.
	Zeros int
}

// Launch is one launch of an entry.
type Launch struct {
	Entry       string // and the Text of that name
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	Params      []byte // the packed parameter block, complete but for Pointers
	Pointers    []Pointer
	Maps        []Map
}

// Pointer is an address in a parameter block: the 8 bytes at At become the address
// of caller buffer Buf (inputs in order, then outputs), of the scratch where Buf is
// Scratch, or of the counters where Buf is Zeros, plus Offset bytes.
type Pointer struct {
	At     int
	Buf    int
	Offset int64
}

// Map is a tensor map in a parameter block: the tensormap.Bytes bytes at At, a
// multiple of tensormap.Align, become that of a tensor which begins Offset bytes into
// caller buffer Buf, or into the scratch, as of Pointer. Its address is a multiple
// of 16.
type Map struct {
	At     int
	Buf    int
	Offset int64
	Tensor tensormap.Map
}

// The Buf of pointers into the plan's temporaries, and to its counters.
const (
	Scratch = -1
	Zeros   = -2
)
