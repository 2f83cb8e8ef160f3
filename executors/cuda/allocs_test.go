//go:build !race

package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
)

// The race detector makes sync.Pool drop what it is given at random, so that
// this test means something only without it.
func TestSteadyRunsAllocateNothing(t *testing.T) {
	d := &quiet{Driver: fake.New(fake.Config{})}
	e := cuda.New(d, 0, cuda.Options{})
	q := queueOf(t, e)
	l := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 100})
	b, err := q.Batch([]executors.Launch{l, l, l, l}, nil)
	require.NoError(t, err)
	x, y, z := vector(t, q, 100, 1), vector(t, q, 100, 1), vector(t, q, 100, 1)
	one := [][]byte{x, y, z}
	args, moved := [][][]byte{one, one, one, one}, [][][]byte{one, {x, y, y}, one, one}
	scratch := make([][]byte, 4)
	require.NoError(t, b.Run(args, scratch))
	require.NoError(t, q.Sync())
	mem, err := q.Alloc(1000)
	require.NoError(t, err)
	q.Free(mem)
	d.on = true
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = l.Run(one, nil, nil) }), "a launch")
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = b.Run(args, scratch) }), "a batch")
	require.Zero(t, testing.AllocsPerRun(50, func() { _, _ = b.Run(moved, scratch), b.Run(args, scratch) }), "a batch that is patched")
	require.Zero(t, testing.AllocsPerRun(50, func() {
		mem, _ := q.Alloc(1000)
		q.Free(mem)
	}), "memory")
	require.NoError(t, b.Recorded())
	d.on = false
}

// Tensor maps cost nothing where addresses stay.
func TestSteadyRunsWithTensorMapsAllocateNothing(t *testing.T) {
	d := &quiet{Driver: fake.New(hopper)}
	e := cuda.New(d, 0, cuda.Options{Wgmma: true})
	m := newMapped(t, e)
	y := m.alloc(t, 4*256*256)
	b, err := m.q.Batch([]executors.Launch{m.l, m.l}, nil)
	require.NoError(t, err)
	one := [][]byte{m.mem[0], m.mem[1], y}
	args, scratch := [][][]byte{one, one}, make([][]byte, 2)
	require.NoError(t, b.Run(args, scratch))
	require.NoError(t, m.q.Sync())
	d.on = true
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = m.l.Run(one, nil, nil) }), "a launch")
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = b.Run(args, scratch) }), "a batch")
	d.on = false
	require.Less(t, d.Count("EncodeTensorMap"), 20)
}
