package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
)

// What the host does for a launch, and for a batch of 32, beside what the driver
// does.
func BenchmarkQueueing(b *testing.B) {
	d := &quiet{Driver: fake.New(fake.Config{})}
	e := cuda.New(d, 0, cuda.Options{})
	q, err := e.Queue()
	require.NoError(b, err)
	k, err := e.Compile(b.Context(), parse(b, addText), executors.Options{})
	require.NoError(b, err)
	l, err := k.Bind(map[string]int64{"N": 100})
	require.NoError(b, err)
	mem, err := q.Alloc(400)
	require.NoError(b, err)
	require.NoError(b, q.Upload(mem, make([]byte, 400)))
	bufs := [][]byte{mem, mem, mem}
	var launches []executors.Launch
	var args [][][]byte
	for range 32 {
		launches, args = append(launches, l), append(args, bufs)
	}
	batch, err := q.Batch(launches, nil)
	require.NoError(b, err)
	require.NoError(b, batch.Run(args, make([][]byte, 32)))
	require.NoError(b, q.Sync())
	d.on = true
	b.Run("launch", func(b *testing.B) {
		for b.Loop() {
			_ = l.Run(bufs, nil, nil)
		}
	})
	b.Run("batch", func(b *testing.B) {
		scratch := make([][]byte, 32)
		for b.Loop() {
			_ = batch.Run(args, scratch)
		}
	})
}
