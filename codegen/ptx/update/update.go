// Package update holds templates, in PTX, of ops whose result is their operand but
// for what an update writes:
//
//	dynamic_update_slice   a box of the operand is replaced, its corner read from memory;
//	                       what is read and written may lie at strides, as views do
//	scatter                elements at indices are combined with updates, in order
//
// The operand is copied first, which does nothing where the result's memory is the
// operand's; then what the update reaches is written, and nothing else.
//
//	err := update.Supported(p, 80)
//	err = update.Emit(module, p, 80)               // once: sizes are parameters
//	copies, err := update.BindMoves(p, 80, moves, multiprocessors)
//	plan, err := update.BindScatter(p, 80, sizes, multiprocessors)
//
// The updates of one element are applied in their order, without atomics, by one
// thread. A block owns rows and columns of the result; it looks through all indices,
// a round at a time, and lists those of its rows:
//
//	indices   7 2 9 2 0 3 ...       a block of rows 2 and 3
//	list      (1, row 2) (3, row 2) (5, row 3)
//	threads   row by row, one column each, go through the list
//
// Where the order does not matter, in sums and extrema of integers, or is given up
// (Problem.FastMath), updates are atomic reductions in memory.
//
// Invariants:
//
//   - Results are those of the op's evaluation, to the bit, but for the bits of NaN;
//     under FastMath, sums of floats depend on timing.
//   - Every address lies in its operand whatever the indices and starts are, which
//     are clamped; and in what the block owns.
//   - All threads of a block reach every barrier and ballot.
package update

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// Problem is what the code depends on.
type Problem struct {
	DType tensor.DType // of operand, updates and result
	Index tensor.DType // of the starts or the indices
	// Starts is how many starts a dynamic_update_slice has, Axes the most axes that a
	// Move has, 0 being as many.
	Starts, Axes int
	// Views adds the entries of moves without starts, of elements of any type.
	Views bool
	// Combine is that of a scatter: set, add, mul, min or max; empty: the problem is a
	// dynamic_update_slice.
	Combine string
	// FastMath lets sums of floats depend on timing.
	FastMath bool
}

// codes are the combinations that calculate.
var codes = map[string]codegen.Code{"add": codegen.Add, "mul": codegen.Mul, "min": codegen.Min, "max": codegen.Max}

// MaxAxes is the most axes of a move, and starts.
const MaxAxes = 32

// dims is how many axes a move has at most.
func (p Problem) dims() int { return max(p.Axes, p.Starts, 1) }

// Supported is nil if there are templates for the problem on an architecture (80 for
// sm_80), and says why not otherwise.
func Supported(p Problem, arch int) error {
	refuse := func(what string, got any, want string) error {
		return fmt.Errorf("update: %s: expected %s, got %v", what, want, got)
	}
	switch _, calculates := codes[p.Combine]; {
	case arch < 80:
		return refuse("architecture", fmt.Sprintf("sm_%d", arch), "sm_80 or newer")
	case p.DType.Size() == 0:
		return refuse("element type", p.DType, "one of a known size")
	case !p.Index.IsInt() && (p.Combine != "" || p.Starts > 0):
		return refuse("type of indices", p.Index, "integers")
	case p.Combine == "" && (min(p.Axes, p.Starts) < 0 || p.dims() > MaxAxes):
		return refuse("axes and starts", fmt.Sprintf("%d and %d", p.Axes, p.Starts), fmt.Sprintf("0 to %d", MaxAxes))
	case p.Combine != "" && p.Combine != "set" && !calculates:
		return refuse("combination", fmt.Sprintf("%q", p.Combine), "set, add, mul, min or max")
	}
	return nil
}

// The entries of a module; those that move whole units have their bytes behind them.
const (
	EntryCopy   = "update_copy"    // the operand to the result
	EntryBox    = "update_box"     // _1 to _16: moves to where starts say
	EntryBoth   = "update_both"    // copies the operand, and moves to where starts say
	EntryMove   = "update_move"    // _1 to _16: moves without starts
	EntrySet    = "scatter_set"    // _1 to _16
	EntryOrder  = "scatter_order"  // combines in order
	EntryAtomic = "scatter_atomic" // combines in any order
	EntryPairs  = "scatter_pairs"  // two elements of 16 bits at a time
)

// sized is an entry for units of so many bytes.
func sized(entry string, unit int) string { return fmt.Sprintf("%s_%d", entry, unit) }

// maxUnit is the widest that is moved at once, in bytes, and what operands have to be
// aligned to.
const maxUnit = 16

// Emit adds the entries of the problem to a module. The error is that of Supported.
func Emit(m *asm.Module, p Problem, arch int) error {
	if err := Supported(p, arch); err != nil {
		return err
	}
	m.Kernels = append(m.Kernels, emitCopy())
	for unit := 1; unit <= maxUnit; unit *= 2 {
		if p.Views {
			m.Kernels = append(m.Kernels, emitMove(p, EntryMove, unit, 0))
		}
		switch {
		case unit < p.DType.Size():
		case p.Combine == "set":
			m.Kernels = append(m.Kernels, emitSet(p, unit))
		case p.Combine == "":
			m.Kernels = append(m.Kernels, emitMove(p, EntryBox, unit, p.Starts))
		}
	}
	if p.Combine == "" {
		m.Kernels = append(m.Kernels, emitBoth(p))
	}
	if _, calculates := codes[p.Combine]; !calculates {
		return nil
	}
	m.Kernels = append(m.Kernels, emitOrder(p))
	if red := p.reduction(arch, 1); red != "" {
		m.Kernels = append(m.Kernels, emitAtomic(p, EntryAtomic, red, 1))
	}
	if red := p.reduction(arch, 2); red != "" {
		m.Kernels = append(m.Kernels, emitAtomic(p, EntryPairs, red, 2))
	}
	return nil
}

// reduction is the instruction that combines so many neighbouring elements in memory
// atomically, where the problem may be solved so; empty elsewhere.
func (p Problem) reduction(arch, elements int) string {
	t := p.DType
	switch {
	case elements == 2 && t.Size() == 2 && t.IsFloat() && p.FastMath && p.Combine == "add" && (t == tensor.F16 || arch >= 90):
		return "red.global.add.noftz." + t.String() + "x2"
	case elements == 2 || p.Combine == "mul":
		return ""
	case t.IsFloat():
		if !p.FastMath || p.Combine != "add" {
			return ""
		}
		switch {
		case t.Size() >= 4:
			return "red.global.add." + t.String()
		case t == tensor.F16, t == tensor.BF16 && arch >= 90:
			return "red.global.add.noftz." + t.String()
		}
		return ""
	case t.Size() < 4:
		return ""
	}
	sign := "s"
	if t.IsUnsigned() || p.Combine == "add" {
		sign = "u"
	}
	return fmt.Sprintf("red.global.%s.%s%d", p.Combine, sign, 8*t.Size())
}

// compute is the type in which elements are combined.
func (p Problem) compute() tensor.DType { return ptx.ComputeType(p.DType) }
