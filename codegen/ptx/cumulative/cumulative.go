// Package cumulative holds templates, in PTX, of reductions that keep what they have
// at every element (ir.OpCumulative), over [outer, axis, inner], contiguous:
//
//	y[o, i, c] = combine(y[o, i-1, c], x[o, i, c])
//
//	err := cumulative.Supported(p, 80)
//	err = cumulative.Emit(module, p, 80)               // once: sizes are parameters
//	plan, err := cumulative.Bind(p, 80, sizes, multiprocessors)
//
// Long lines of neighbours (inner = 1) have a block each, which walks them in tiles
// of 1024; elements pass through shared memory, so that the block's accesses are to
// neighbours and a thread has four in order:
//
//	memory    threads 0 1 2 ... 255 0 1 2 ...      as loaded and stored
//	thread    0 0 0 0 1 1 1 1 2 2 2 2 ...          as combined: in the thread,
//	          then over its warp by shuffles, over warps, and on to the next tile
//
// Other lines have a thread each, neighbours in memory side by side. Where there are
// too few lines for the device they are cut into parts, in two launches: what all of
// each part but a line's last combines to goes to scratch memory; then every part
// combines those before it, in order, and starts with that.
//
//	line     | part 0     | part 1     | part 2     |
//	totals     t0           t1
//	starts     none         t0           t0+t1
//
// An example, cumulative(%x: f32[2,5000]) {axis=1, combine="add"} on a device of 132
// multiprocessors: parts of 3072 and 1928, so cumulative_row_totals on two blocks,
// then cumulative_rows on four.
//
// Invariants:
//
//   - Results depend on sizes and on the device's multiprocessors, never on timing.
//     Those of integers, minima and maxima are the evaluation's to the bit, but for
//     the bits of NaN and for which zero is least; sums and products of floats
//     are combined in another order.
//   - Narrow types are combined in ptx.ComputeType, and every result is rounded once.
//   - All threads of a block reach every barrier and shuffle.
package cumulative

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// Problem is what the code depends on.
type Problem struct {
	DType   tensor.DType // of operand and result
	Combine string       // add, mul, min or max
}

// codes are the combinations.
var codes = map[string]codegen.Code{"add": codegen.Add, "mul": codegen.Mul, "min": codegen.Min, "max": codegen.Max}

// Supported is nil if there are templates for the problem on an architecture (80 for
// sm_80), and says why not otherwise.
func Supported(p Problem, arch int) error {
	refuse := func(what string, got any, want string) error {
		return fmt.Errorf("cumulative: %s: expected %s, got %v", what, want, got)
	}
	switch _, known := codes[p.Combine]; {
	case arch < 80:
		return refuse("architecture", fmt.Sprintf("sm_%d", arch), "sm_80 or newer")
	case !p.DType.IsInt() && !p.DType.IsFloat():
		return refuse("element type", p.DType, "a number")
	case !known:
		return refuse("combination", fmt.Sprintf("%q", p.Combine), "add, mul, min or max")
	}
	return nil
}

// The entries of a module.
const (
	EntryRows         = "cumulative_rows"          // a block per part of a line of neighbours
	EntryRowTotals    = "cumulative_row_totals"    // what such parts combine to
	EntryColumns      = "cumulative_columns"       // a thread per part of a line
	EntryColumnTotals = "cumulative_column_totals" // what such parts combine to
)

// Emit adds the entries of the problem to a module. The error is that of Supported.
func Emit(m *asm.Module, p Problem, arch int) error {
	if err := Supported(p, arch); err != nil {
		return err
	}
	m.Kernels = append(m.Kernels, emitRows(p), emitRowTotals(p), emitColumns(p), emitColumnTotals(p))
	return nil
}

// compute is the type in which elements are combined.
func (p Problem) compute() tensor.DType { return ptx.ComputeType(p.DType) }

// neutral are the bits of what combines with any element to that element: for sums
// of floats, -0, since 0 + -0 is 0.
func (p Problem) neutral() uint64 {
	switch t := p.compute(); {
	case p.Combine == "add" && t == tensor.F32:
		return 1 << 31
	case p.Combine == "add" && t == tensor.F64:
		return 1 << 63
	default:
		return codegen.Neutral(codes[p.Combine], t)
	}
}
