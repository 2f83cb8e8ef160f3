package cuda_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// splitText is a product whose k is split, and whose parts the last block of each tile
// adds.
const splitText = `func @split(%a: f32[2,2048], %b: f32[2048,160]) -> f32[2,160] {
  %0: f32[2,160] = dot_general(%a, %b) {lhs_contract=[1], rhs_contract=[0]}
  return %0
}`

// split is a launch of it with its operands: ones, so that each element is 2048.
type split struct {
	q    executors.Queue
	k    executors.Kernel
	l    executors.Launch
	a, b []byte
}

func newSplit(t *testing.T, e *cuda.Executor) *split {
	t.Helper()
	s := &split{q: queueOf(t, e), k: compile(t, e, splitText, executors.Options{})}
	s.l = bind(t, s.k, nil)
	s.a, s.b = constants(t, s.q, 2*2048), constants(t, s.q, 2048*160)
	return s
}

// constants is a vector of ones.
func constants(t *testing.T, q executors.Queue, n int) []byte {
	t.Helper()
	one := vector(t, q, 1, 1)
	mem, err := q.Alloc(4 * n)
	require.NoError(t, err)
	require.NoError(t, q.Copy(mem[:4], one))
	for done := 4; done < len(mem); done *= 2 {
		m := min(done, len(mem)-done)
		require.NoError(t, q.Copy(mem[done:done+m], mem[:m]))
	}
	return mem
}

// results is memory for a run: what it computes, and its scratch.
func (s *split) results(t *testing.T) (out, scratch []byte) {
	t.Helper()
	out, err := s.q.Alloc(4 * 320)
	require.NoError(t, err)
	scratch, err = s.q.Alloc(s.l.ScratchBytes(1))
	require.NoError(t, err)
	return out, scratch
}

func (s *split) require(t *testing.T, out []byte) {
	t.Helper()
	for i, x := range floats(t, s.q, out) {
		require.EqualValues(t, 2048, x, "element %d", i)
	}
}

var manySMs = fake.Config{Multiprocessors: 32, Races: true}

// A split product is one launch, whose counters serve every run.
func TestSplitProductIsOneLaunch(t *testing.T) {
	e, d := newExecutor(t, manySMs, cuda.Options{})
	s := newSplit(t, e)
	out, scratch := s.results(t)
	require.NotEmpty(t, scratch)
	for run := range 3 {
		require.NoError(t, s.l.Run([][]byte{s.a, s.b, out}, scratch, nil))
		s.require(t, out)
		require.Equal(t, run+1, d.Count("Launch"))
	}
}

// A launch that occurs in a batch again has other counters there: nothing orders the
// two. Runs of the batch and of the launch share its own.
func TestCountersOfBatches(t *testing.T) {
	e, d := newExecutor(t, manySMs, cuda.Options{})
	s := newSplit(t, e)
	b, err := s.q.Batch([]executors.Launch{s.l, s.l, s.l}, [][]int{nil, nil, nil})
	require.NoError(t, err)
	at := cuda.CountersOf(b)
	require.Len(t, at, 3)
	assert.NotContains(t, []driver.Ptr{at[1], at[2]}, at[0])
	assert.NotEqual(t, at[1], at[2])
	other, err := s.q.Batch([]executors.Launch{s.l}, nil)
	require.NoError(t, err)
	assert.Equal(t, at[:1], cuda.CountersOf(other))
	var outs, scratches [][]byte
	var args [][][]byte
	for range 3 {
		out, scratch := s.results(t)
		outs, scratches, args = append(outs, out), append(scratches, scratch), append(args, [][]byte{s.a, s.b, out})
	}
	for range 3 {
		require.NoError(t, b.Run(args, scratches))
		require.NoError(t, s.l.Run(args[0], scratches[0], nil))
		for _, out := range outs {
			s.require(t, out)
		}
	}
	require.NoError(t, b.Recorded())
	assert.Equal(t, 3, d.Count("AddKernelNode"))
}

// Counters are freed with the launch, and with the batch that has them.
func TestCountersAreFreed(t *testing.T) {
	e, d := newExecutor(t, manySMs, cuda.Options{NoReuse: true})
	s := newSplit(t, e)
	b, err := s.q.Batch([]executors.Launch{s.l, s.l}, nil)
	require.NoError(t, err)
	require.NoError(t, s.q.Sync())
	before := d.Live().Allocations
	runtime.KeepAlive(b)
	runtime.KeepAlive(s.l)
	b, s.l = nil, nil
	freed := func() bool {
		runtime.GC()
		return s.q.Sync() == nil && d.Live().Allocations == before-2
	}
	require.Eventually(t, freed, 10*time.Second, time.Millisecond)
}

// Without memory for counters there is no launch.
func TestNoMemoryForCounters(t *testing.T) {
	e, d := newExecutor(t, manySMs, cuda.Options{NoReuse: true})
	k := compile(t, e, splitText, executors.Options{})
	d.FailNext("AllocAsync", 1, driver.OutOfMemory)
	d.FailNext("AllocAsync", 2, driver.OutOfMemory)
	_, err := k.Bind(nil)
	var short *cuda.OutOfMemoryError
	require.ErrorAs(t, err, &short)
	require.ErrorContains(t, err, "counters of kernel @split")
	bind(t, k, nil)
}
