package ptx

import (
	"fmt"
	"math"

	"jitc/codegen"
)

// Addresses of buffers are multiples of this, unless BindAligned is told otherwise;
// parts of the scratch memory always are.
const alignment = 256

// binding is a module at concrete sizes, in the making.
type binding struct {
	m       *Module
	bound   *codegen.Bound
	align   int64   // of the caller's buffers, in bytes
	at      []int64 // of each temporary in the scratch memory
	scratch int64   // bytes of temporaries and of what steps asked for
	zeros   int64   // bytes of counters
}

// frame is what the parameters of an entry are computed from.
type frame struct {
	*binding
	nest *codegen.BoundNest
	gemm *codegen.BoundGemm
	// Choices of the schedule.
	step  int64 // points per thread along the loop of lanes
	group shape
}

// Bind plans the launches for concrete sizes. The caller's buffers start at
// multiples of 256 bytes. An error wraps codegen.ErrIndexWidth where the sizes need
// a kernel of WideIndex, or is *Unsupported.
func (m *Module) Bind(b *codegen.Bound) (*Plan, error) { return m.BindAligned(b, alignment) }

// BindAligned is Bind for buffers that start at multiples of align bytes, a power
// of two and no less than the size of their elements.
func (m *Module) BindAligned(b *codegen.Bound, align int) (*Plan, error) {
	if b.Kernel != m.Kernel {
		return nil, fmt.Errorf("ptx: sizes of kernel %s bound to the code of %s; expected the kernel that was compiled", b.Kernel.Name, m.Kernel.Name)
	}
	s := &binding{m: m, bound: b, align: int64(align), at: make([]int64, len(b.Lens))}
	for i, buf := range b.Kernel.Bufs {
		if buf.Kind == codegen.Temp {
			s.at[i] = s.take(b.Lens[i] * int64(buf.DType.Size()))
		}
	}
	p := &Plan{}
	for i, st := range m.steps {
		ls, err := st.bind(s, i)
		if err != nil {
			return nil, fmt.Errorf("bind %s, step %d: %w", m.Kernel.Name, i, err)
		}
		p.Launches = append(p.Launches, ls...)
	}
	p.Scratch, p.Zeros = int(s.scratch), int(s.zeros)
	return p, nil
}

// take reserves scratch memory.
func (b *binding) take(bytes int64) int64 {
	at := b.scratch
	b.scratch += (bytes + alignment - 1) &^ (alignment - 1)
	return at
}

// count reserves counters.
func (b *binding) count(bytes int64) int64 {
	at := b.zeros
	b.zeros += bytes
	return at
}

// buffer is the address of a buffer of the caller or a temporary.
func (b *binding) buffer(i int) Pointer {
	if b.bound.Kernel.Bufs[i].Kind == codegen.Temp {
		return Pointer{Buf: Scratch, Offset: b.at[i]}
	}
	return Pointer{Buf: i}
}

// setStep points the frame at a step of the kernel.
func (f *frame) setStep(step int) {
	s := &f.bound.Steps[step]
	if f.nest, f.gemm = s.Nest, s.Gemm; f.gemm != nil {
		f.nest = f.gemm.Epilogue
	}
}

// maxGrid is the greatest number of blocks along x.
const maxGrid = math.MaxInt32

// grid sets a one-dimensional grid.
func (f *frame) grid(l *Launch, e *entry, blocks int64) error {
	if blocks > maxGrid || !e.wide && blocks*int64(l.Block[0]) > math.MaxInt32 {
		return fmt.Errorf("ptx: %d blocks: %w", blocks, codegen.ErrIndexWidth)
	}
	l.Grid = [3]uint32{uint32(blocks), 1, 1}
	return nil
}

// aligned reports whether the runs of some accesses along a loop all start at a
// multiple of their size, for all positions of all loops.
func (f *frame) aligned(accs []int, ls []loop, along *loop, lanes int64) bool {
	for _, acc := range accs {
		if !f.alignedRun(acc, ls, along, lanes) {
			return false
		}
	}
	return true
}

func (f *frame) alignedRun(acc int, ls []loop, along *loop, lanes int64) bool {
	a := &f.nest.Accs[acc]
	buf := &f.bound.Kernel.Bufs[a.Buf]
	if buf.Kind == codegen.Tile {
		return true
	}
	ok := a.Offset%lanes == 0
	if buf.Kind < codegen.Temp {
		ok = ok && f.align%(lanes*int64(buf.DType.Size())) == 0
	}
	for i := range ls {
		if ls[i].last() != along.last() && ls[i].length(f.nest) > 1 {
			ok = ok && a.Strides[ls[i].last()]%lanes == 0
		}
	}
	for _, d := range a.Dyn {
		ok = ok && d.Stride%lanes == 0
	}
	return ok
}
