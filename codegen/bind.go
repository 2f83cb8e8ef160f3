package codegen

import (
	"errors"
	"fmt"
	"math/bits"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// ErrOutOfBounds marks an access that Bind cannot prove to stay in its buffer.
// Kernels come from Lower, so it is a defect of the compiler, not of the input.
var ErrOutOfBounds = errors.New("BUG: codegen: access not provably in bounds")

// ErrIndexWidth marks sizes for which a 32-bit index or size of the kernel
// overflows: legalize again with Target.WideIndex.
var ErrIndexWidth = errors.New("codegen: 32-bit index too narrow for these sizes")

// ErrSize marks sizes the kernel cannot have: negative, or beyond int64.
var ErrSize = errors.New("codegen: invalid size")

// Bound is a kernel at concrete sizes: every expression evaluated, every access
// proven to stay in its buffer. It is immutable and safe for concurrent use.
type Bound struct {
	Kernel *Kernel
	Lens   []int64 // elements, per buffer
	Steps  []BoundStep
}

// BoundStep is one step of a Bound; exactly one field is set.
type BoundStep struct {
	Nest *BoundNest
	Gemm *BoundGemm
}

// BoundNest is a Nest at concrete sizes.
type BoundNest struct {
	Nest   *Nest
	Extent []int64 // per axis
	Accs   []BoundAccess
	Sizes  []int64 // per instruction: the value of a Size, else 0
	Empty  bool    // no outer points: nothing runs
}

// BoundAccess is an Access at concrete sizes; Dyn[i] belongs to the value
// Access.Dyn[i].Val.
type BoundAccess struct {
	Buf     int
	Offset  int64
	Strides []int64 // per axis
	Dyn     []BoundDyn
	Masks   []BoundMask
}

// BoundDyn is a Dyn at concrete sizes.
type BoundDyn struct{ Limit, Stride int64 }

// BoundMask is a Mask at concrete sizes.
type BoundMask struct {
	Offset        int64
	Coef          []int64 // per axis
	Limit, Stride int64
}

// BoundGemm is a Gemm at concrete sizes.
type BoundGemm struct {
	Gemm     *Gemm
	Batch    []int64
	M, N, K  int64
	A, B     BoundOperand
	Epilogue *BoundNest
}

// BoundOperand is an Operand at concrete sizes.
type BoundOperand struct {
	Buf      int
	Offset   int64
	Batch    []int64
	Row, Col int64
}

// Bind evaluates a verified kernel for the values of its symbols and proves by
// interval arithmetic that every address of a live point lies in its buffer.
// An error wraps ErrOutOfBounds, ErrIndexWidth, ErrSize or an evaluation error
// of package dim.
func Bind(k *Kernel, sizes map[string]int64) (*Bound, error) {
	b := &binder{env: sizes, k: k, out: &Bound{Kernel: k}}
	for i := range k.Bufs {
		n := b.eval(k.Bufs[i].Len)
		if n < 0 {
			b.fail(fmt.Errorf("%w: buffer %s has length %d", ErrSize, k.Bufs[i].Name, n))
		}
		b.out.Lens = append(b.out.Lens, n)
	}
	for _, s := range k.Steps {
		switch {
		case s.Nest != nil:
			b.out.Steps = append(b.out.Steps, BoundStep{Nest: b.nest(s.Nest, -1)})
		case s.Gemm != nil:
			b.out.Steps = append(b.out.Steps, BoundStep{Gemm: b.gemm(s.Gemm)})
		}
		if b.err != nil {
			break
		}
	}
	if b.err != nil {
		return nil, fmt.Errorf("bind %s: %w", k.Name, b.err)
	}
	return b.out, nil
}

// binder carries the first error through the evaluation.
type binder struct {
	env map[string]int64
	k   *Kernel
	out *Bound
	err error
}

func (b *binder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *binder) eval(e dim.Expr) int64 {
	if c, ok := e.Const(); ok {
		return c
	}
	v, err := e.Eval(b.env)
	if err != nil {
		b.fail(err)
	}
	return v
}

func (b *binder) evals(es []dim.Expr) []int64 {
	out := make([]int64, len(es))
	for i, e := range es {
		out[i] = b.eval(e)
	}
	return out
}

func (b *binder) extents(axes []Axis) []int64 {
	out := make([]int64, len(axes))
	for i, a := range axes {
		if out[i] = b.eval(a.Extent); out[i] < 0 {
			b.fail(fmt.Errorf("%w: axis %s has extent %d", ErrSize, a.Name, out[i]))
		}
	}
	return out
}

// nest binds a nest; tile is the buffer of the product tile in an epilogue.
func (b *binder) nest(n *Nest, tile int) *BoundNest {
	bn := &BoundNest{Nest: n, Extent: b.extents(n.Axes), Sizes: make([]int64, len(n.Insts))}
	for _, a := range n.Outer {
		bn.Empty = bn.Empty || bn.Extent[a] == 0
	}
	for i := range n.Accs {
		bn.Accs = append(bn.Accs, b.access(&n.Accs[i]))
		if b.k.Legal && !b.k.WideIndex {
			b.narrowMasks(bn, i)
		}
	}
	for i := range n.Insts {
		b.inst(bn, i)
	}
	if b.err == nil && !bn.Empty {
		b.proveNest(bn, tile)
	}
	return bn
}

func (b *binder) access(a *Access) BoundAccess {
	out := BoundAccess{Buf: a.Buf, Offset: b.eval(a.Offset), Strides: b.evals(a.Strides)}
	for _, d := range a.Dyn {
		out.Dyn = append(out.Dyn, BoundDyn{b.eval(d.Limit), b.eval(d.Stride)})
	}
	for _, m := range a.Masks {
		out.Masks = append(out.Masks, BoundMask{b.eval(m.Offset), b.evals(m.Coef), b.eval(m.Limit), b.eval(m.Stride)})
	}
	return out
}

// narrowMasks checks that the masks of an access fit the I32 in which Legalize
// computes them. Sums that wrap on the way do no harm.
func (b *binder) narrowMasks(bn *BoundNest, acc int) {
	for _, m := range bn.Accs[acc].Masks {
		v := interval{lo: m.Offset, hi: m.Offset}
		for a, c := range m.Coef {
			v = v.plus(c, interval{lo: 0, hi: max(bn.Extent[a]-1, 0)})
		}
		if v.over || v.lo < -1<<31 || v.hi > 1<<31-1 || m.Limit < -1<<31 || m.Limit > 1<<31-1 {
			b.fail(fmt.Errorf("%w: mask of %s", ErrIndexWidth, accessText(b.k, bn.Nest, &bn.Nest.Accs[acc])))
		}
	}
}

// inst evaluates a Size and checks that 32-bit positions and sizes fit.
func (b *binder) inst(bn *BoundNest, i int) {
	in := &bn.Nest.Insts[i]
	switch in.Op {
	case Size:
		bn.Sizes[i] = b.eval(in.Size)
		if v := bn.Sizes[i]; in.Type == tensor.I32 && int64(int32(v)) != v {
			b.fail(fmt.Errorf("%w: size %s = %d", ErrIndexWidth, in.Size, v))
		}
	case Index:
		if e := bn.Extent[in.Axis]; in.Type == tensor.I32 && e > 1<<31 {
			b.fail(fmt.Errorf("%w: axis %s has extent %d", ErrIndexWidth, bn.Nest.Axes[in.Axis].Name, e))
		}
	}
}

func (b *binder) gemm(g *Gemm) *BoundGemm {
	bg := &BoundGemm{Gemm: g, Batch: b.extents(g.Batch)}
	e := b.extents([]Axis{{"m", g.M}, {"n", g.N}, {"k", g.K}})
	bg.M, bg.N, bg.K = e[0], e[1], e[2]
	bg.A, bg.B = b.operand(g.A), b.operand(g.B)
	if b.err == nil {
		b.proveOperand(bg, &bg.A, bg.M, bg.K)
		b.proveOperand(bg, &bg.B, bg.K, bg.N)
	}
	if b.err == nil {
		bg.Epilogue = b.nest(g.Epilogue, g.Tile)
	}
	return bg
}

func (b *binder) operand(o Operand) BoundOperand {
	return BoundOperand{o.Buf, b.eval(o.Offset), b.evals(o.Batch), b.eval(o.Row), b.eval(o.Col)}
}

// interval is the set lo..hi; sums and products that leave int64 are flagged in
// over, which makes every proof fail.
type interval struct {
	lo, hi int64
	over   bool
}

func (v interval) empty() bool { return v.lo > v.hi }

// plus is v + c*w.
func (v interval) plus(c int64, w interval) interval {
	p, q := mulOver(c, w.lo, &v.over), mulOver(c, w.hi, &v.over)
	v.lo = addOver(v.lo, min(p, q), &v.over)
	v.hi = addOver(v.hi, max(p, q), &v.over)
	v.over = v.over || w.over
	return v
}

func (v interval) within(n int64) bool { return !v.over && v.lo >= 0 && v.hi < n }

func addOver(a, b int64, over *bool) int64 {
	s := a + b
	if (a^s)&(b^s) < 0 {
		*over = true
	}
	return s
}

func mulOver(a, b int64, over *bool) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	// The unsigned product's high word, corrected to the signed one.
	if a < 0 {
		hi -= uint64(b)
	}
	if b < 0 {
		hi -= uint64(a)
	}
	if int64(hi) != int64(lo)>>63 {
		*over = true
	}
	return int64(lo)
}
