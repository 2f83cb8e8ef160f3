package native

import (
	"unsafe"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// moves are those of an update: runs of memory go from one place to another, at
// distances of their own in each. A stage is a move; those of a scatter come between.
type moves struct {
	executors.Moves
	at      tensor.DType // of the starts
	before  []step
	scatter updater // or nil
	after   []step
}

// step is a move in bytes: of its axes, the last is a run where elements are
// neighbours in both places.
type step struct {
	*executors.Move
	sizes, from, to []int
	runs, run       int // how many, and the bytes of each
}

func newMoves(k *updateKernel, all *executors.Moves) (*moves, error) {
	m := &moves{Moves: *all, before: newSteps(all.List), after: newSteps(all.After)}
	if k.v.Op != ir.OpScatter && len(k.v.Args) > 2 {
		m.at = k.v.Args[2].Type.DType
	}
	if all.Scatter == nil {
		return m, nil
	}
	var err error
	m.scatter, err = newScatter(k.v, all)
	return m, err
}

func newSteps(list []executors.Move) (steps []step) {
	for i := range list {
		steps = append(steps, newStep(&list[i], list[i].Size))
	}
	return steps
}

func newStep(v *executors.Move, size int) step {
	s := step{Move: v, runs: 1, run: size}
	axes := len(v.Sizes)
	if v.FromStrides[axes-1] == 1 && v.ToStrides[axes-1] == 1 {
		axes--
		s.run *= v.Sizes[axes]
	}
	for i := range axes {
		s.runs *= v.Sizes[i]
		s.sizes = append(s.sizes, v.Sizes[i])
		s.from, s.to = append(s.from, v.FromStrides[i]*size), append(s.to, v.ToStrides[i]*size)
	}
	return s
}

func (m *moves) scratchBytes() int {
	if m.scatter != nil {
		return m.Scratch + m.scatter.scratchBytes()
	}
	return m.Scratch
}

func (m *moves) stages() int {
	if m.scatter != nil {
		return len(m.before) + m.scatter.stages() + len(m.after)
	}
	return len(m.before)
}

// stage is a move, or nil and that stage of the scatter.
func (m *moves) stage(i int) (*step, int) {
	if i < len(m.before) {
		return &m.before[i], 0
	}
	if i -= len(m.before); i < m.scatter.stages() {
		return nil, i
	}
	return &m.after[i-m.scatter.stages()], 0
}

// most chunks are those of the largest move, or of the scatter.
func (m *moves) most() (n int) {
	if m.scatter != nil {
		n = m.scatter.most()
	}
	for _, steps := range [][]step{m.before, m.after} {
		for i := range steps {
			n = max(n, steps[i].chunks())
		}
	}
	return n
}

// chunks are of runs; a long run alone is copied by one worker.
func (s *step) chunks() int { return min(divUp(s.runs*s.run, copyBytes), s.runs) }

func (m *moves) chunks(u *updateRun, stage int) int {
	switch s, i := m.stage(stage); {
	case s == nil:
		return m.scatter.chunks(u, i)
	case s.Whole:
		return copyChunks(u.buffer(s.To.Buf), u.buffer(s.From.Buf))
	default:
		return s.chunks()
	}
}

// start is how far the starts shift a move, in bytes. They are clamped, so that it
// stays inside.
func (m *moves) start(u *updateRun, s *step) int {
	at := 0
	for _, x := range s.Starts {
		at += clamped(m.at, u.at(x.Place, m.at.Size()), x.Limit) * x.Step
	}
	return at * s.Size
}

// maxAxes is how many axes a place keeps without memory of its own.
const maxAxes = 16

// chunk moves a range of runs.
func (m *moves) chunk(u *updateRun, stage, chunk, worker int) {
	s, i := m.stage(stage)
	switch {
	case s == nil:
		m.scatter.chunk(u, i, chunk, worker)
		return
	case s.Whole:
		copyChunk(u.buffer(s.To.Buf), u.buffer(s.From.Buf), chunk)
		return
	}
	var few [maxAxes]int
	index := few[:]
	if len(s.sizes) > maxAxes {
		index = make([]int, len(s.sizes))
	}
	lo, hi := share(s.runs, chunk, s.chunks())
	to, from := s.To.Offset*s.Size+m.start(u, s), s.From.Offset*s.Size
	s.walk(runs{u.buffer(s.To.Buf), u.buffer(s.From.Buf), to, from}, index[:len(s.sizes)], lo, hi)
}

// runs are a place in two buffers, in bytes: strides may lead back from there.
type runs struct {
	dst, src []byte
	to, from int
}

// walk moves runs lo to hi, along the last axis at once.
func (s *step) walk(r runs, index []int, lo, hi int) {
	last := len(index) - 1
	for i, rest := last, lo; i >= 0; i-- {
		index[i] = rest % s.sizes[i]
		rest /= s.sizes[i]
		r.to, r.from = r.to+index[i]*s.to[i], r.from+index[i]*s.from[i]
	}
	if last < 0 {
		copy(r.dst[r.to:][:s.run], r.src[r.from:])
		return
	}
	for lo < hi {
		n := min(hi-lo, s.sizes[last]-index[last])
		r.put(s.to[last], s.from[last], s.run, n)
		lo += n
		for i := last; i >= 0; i-- {
			by := 1
			if i == last {
				by = n
			}
			r.to, r.from = r.to+by*s.to[i], r.from+by*s.from[i]
			if index[i] += by; index[i] < s.sizes[i] {
				break
			}
			r.to, r.from = r.to-index[i]*s.to[i], r.from-index[i]*s.from[i]
			index[i] = 0
		}
	}
}

// put moves n runs of so many bytes, at distances.
func (r runs) put(to, from, run, n int) {
	switch {
	case fits[uint8](r, to, from, run):
		putWords[uint8](r, to, from, n)
	case fits[uint16](r, to, from, run):
		putWords[uint16](r, to, from, n)
	case fits[uint32](r, to, from, run):
		putWords[uint32](r, to, from, n)
	case fits[uint64](r, to, from, run):
		putWords[uint64](r, to, from, n)
	default:
		for i := range n {
			copy(r.dst[r.to+i*to:][:run], r.src[r.from+i*from:])
		}
	}
}

// fits reports whether runs are one word each, and words lie where they may.
func fits[W word](r runs, to, from, run int) bool {
	size := int(unsafe.Sizeof(*new(W)))
	return run == size && (to|from|r.to|r.from)%size == 0 && aligned[W](r.dst) && aligned[W](r.src)
}

// putWords is put of runs that are one word.
func putWords[W word](r runs, to, from, n int) {
	dst, src := words[W](r.dst), words[W](r.src)
	size := int(unsafe.Sizeof(*new(W)))
	i, j := r.to/size, r.from/size
	for range n {
		dst[i] = src[j]
		i, j = i+to/size, j+from/size
	}
}
