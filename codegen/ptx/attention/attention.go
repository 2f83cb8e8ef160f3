// Package attention holds templates of scaled dot-product attention in PTX:
//
//	o[i] = sum over j of p[i,j] v[j] / sum over j of p[i,j],  p[i,j] = exp(scale q[i].k[j] + mask[i,j])
//
// for every leading index, in one pass over the keys with a running maximum and
// sum (Milakov and Gimelshein, "Online normalizer calculation for softmax"; Dao,
// "FlashAttention-2"): scores are never stored.
//
//	err := attention.Supported(p, 80)          // else the op decomposes
//	err = attention.Emit(module, p, 80)        // once: sizes and strides are parameters
//	plan, err := attention.Bind(p, 80, sizes, multiprocessors)
//
// A block takes a tile of queries and walks over tiles of keys, which are copied
// asynchronously while the tile before is computed:
//
//	           keys ->                    tile   a block's queries x keys in one step
//	queries   | 0 | 1 | 2 | 3 |           split  a range of tiles; where there are fewer
//	   |      |   split 0 | 1 |                  blocks than the device has room for, the
//	   v                                         keys are divided among blocks, and the
//	                                             last of them, or a second launch,
//	                                             combines their results
//
// The backward pass, EmitBackward and BindBackward, computes probabilities again.
//
// Elements of 16 bits are multiplied by tensor cores, their products added in f32,
// probabilities being rounded to 16 bits; those of f32 are multiplied exactly.
//
// Invariants:
//
//   - The order of additions is a function of the plan: results are reproducible.
//   - No keys: the result is 0. A query that attends to nothing: NaN. As the op's
//     decomposition has it.
//   - A key that a query does not attend to counts as absent: where its value is
//     infinite or NaN, it may or may not reach the result (the decomposition's
//     0 * Inf), since whole tiles of such keys are not read.
//   - Sums of the values, weighted by at most 2**8, must not overflow f32.
//   - Bind refuses strides that are not aligned as the problem says. That the
//     operands begin aligned, and that their strides stay inside, is the caller's.
package attention

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// MaskKind says what is done with the scores before the softmax.
type MaskKind uint8

// The kinds of masks.
const (
	NoMask   MaskKind = iota
	BoolMask          // bool: where false, the key is not attended to
	AddMask           // of the data's type, added to the scaled score
)

// Problem is what the code depends on.
type Problem struct {
	DType    tensor.DType // of q, k, v, o, and of an added mask: F16, BF16, F32
	HeadDim  int          // columns of q and k
	ValueDim int          // columns of v and o
	Causal   bool         // query i attends to keys j <= i
	Mask     MaskKind
	// Align is the number of bytes, 16, 8 or 4, at multiples of which rows of q, k,
	// v and o begin; 0 is 16. Less means slower copies.
	Align int
	// Stats has the forward pass write log(sum over j of p[i,j]), in f32, which
	// the backward pass reads.
	Stats bool
}

// MaxDim is the largest head dimension.
const MaxDim = 256

// align is p.Align with its default.
func (p Problem) align() int {
	if p.Align == 0 {
		return 16
	}
	return p.Align
}

// narrow reports whether elements have 16 bits, and go through tensor cores.
func (p Problem) narrow() bool { return p.DType != tensor.F32 }

// check is Supported without the architecture.
func (p Problem) check() error {
	refuse := func(what string, got any, want string) error {
		return fmt.Errorf("attention: %s: expected %s, got %v", what, want, got)
	}
	switch p.DType {
	case tensor.F16, tensor.BF16, tensor.F32:
	default:
		return refuse("element type", p.DType, "f16, bf16 or f32")
	}
	switch p.align() {
	case 4, 8, 16:
	default:
		return refuse("alignment", p.Align, "4, 8 or 16 bytes")
	}
	if p.Mask > AddMask {
		return refuse("mask", p.Mask, "none, bool or added")
	}
	for _, d := range []int{p.HeadDim, p.ValueDim} {
		if d < 1 || d > MaxDim {
			return refuse("head dimension", d, fmt.Sprintf("1 to %d", MaxDim))
		}
		if p.narrow() && d%2 != 0 {
			return refuse("head dimension", d, "an even number: elements of 16 bits are copied in pairs")
		}
	}
	return nil
}

// Supported is nil if there are templates for the problem on an architecture (80 for
// sm_80), and says why not otherwise.
func Supported(p Problem, arch int) error {
	if arch < 80 {
		return fmt.Errorf("attention: expected sm_80 or newer, got sm_%d: there is no asynchronous copy", arch)
	}
	if err := p.check(); err != nil {
		return err
	}
	_, err := p.tiles(arch)
	return err
}

// The entries of a module.
const (
	EntryWide    = "attention"         // tiles of many queries
	EntryFew     = "attention_few"     // tiles of few queries, for decoding
	EntryCombine = "attention_combine" // adds up what splits have left
)

// Emit adds the entries of the forward pass to a module, for sm_80 and newer. The
// error is that of Supported.
func Emit(m *asm.Module, p Problem, arch int) error {
	if err := Supported(p, arch); err != nil {
		return err
	}
	ts, err := p.tiles(arch)
	if err != nil {
		return err
	}
	emit := emitExact
	if p.narrow() {
		emit = emitTensor
	}
	m.Kernels = append(m.Kernels, emit(EntryWide, p, ts.wide), emit(EntryFew, p, ts.few), emitCombine(p))
	return nil
}
