// Package x64 lowers loop nests to x86-64 machine code, for AVX-512 (F, BW, DQ,
// VL) or for AVX2 with FMA, F16C and BMI2.
//
// One piece of code serves all sizes: what depends on a size (counts, strides,
// increments, addresses) is read from an argument block, laid out by layout and
// written by Fill and Place. The code depends on the nest's structure, on element
// types, and on whether a stride along the vector axis is 0, 1 or something else.
//
//	y[i] = x[i] + r[i], f32              rsi, r8, r9: x, r, y   rax: i   rcx: bound
//
//	  %0 = load x[i]                     vmovups zmm0, [rsi+rax*4]
//	  %1 = load r[i]
//	  %2 = add %0, %1                    vaddps  zmm0, zmm0, [r8+rax*4]
//	  store y[i], %2                     vmovups [r9+rax*4], zmm0
//
// From a nest to code:
//
//	plan      lanes, which values vary, pointers, segments between loop boundaries
//	layout    the argument block
//	allocate  how many copies of a body to interleave, what to pin to registers
//	kernel    loops around bodies; inst picks each instruction's row of the table
//
// Invariants:
//
//   - code is a leaf: it never moves RSP, spills to the argument block, and may
//     overwrite every register but RSP and RBP;
//   - no byte is read or written but those of live lanes: lanes of points in the
//     box, where the predicate holds;
//   - a value sits in one register, all lanes of a uniform value are equal, and an
//     opmask has no bit set beyond the lanes;
//   - the order of a reduction depends on sizes and on the number of lanes only.
//
// Min and Max propagate NaN and order -0 below +0 unless Options.FastMath. On
// AVX2, Scale2 may round a subnormal result twice. RcpE is the processor's
// estimate, so it differs between processors.
package x64
