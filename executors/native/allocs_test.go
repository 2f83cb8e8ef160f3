//go:build !race

package native_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/pool"
	"jitc/ir"
	"jitc/ir/tensor"
)

// The race detector makes sync.Pool drop what it is given at random, so that
// this test means something only without it.
func TestSteadyRunsAllocateNothing(t *testing.T) {
	region, _, diags := ir.Parse("region", regions["softmax"])
	require.NoError(t, diags.Err())
	if !asm.Detect().AVX2 {
		t.Log("no emitter for this processor: the interpreter may allocate")
		return
	}
	k, err := native.New(asm.Detect()).Compile(context.Background(), region, executors.Options{})
	require.NoError(t, err)
	l, err := k.Bind(map[string]int64{"N": 64, "C": 256})
	require.NoError(t, err)
	workers := pool.New(2)
	defer workers.Close()
	x, y := tensor.New(tensor.F32, 64, 256), tensor.New(tensor.F32, 64, 256)
	in, _ := x.Bytes()
	out, _ := y.Bytes()
	bufs := [][]byte{in, out}
	scratch, _ := tensor.New(tensor.U8, l.ScratchBytes(2)+1).Bytes()
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = l.Run(bufs, scratch, workers) }))
}

func TestSteadyUpdatesAllocateNothing(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		u := scatterOf(t, dt, tensor.I64, "add", []int{300, 70}, []int{900}, 0, 0)
		l, bufs := u.launched(t)
		workers := pool.New(2)
		defer workers.Close()
		scratch := scratchOf(l, 2)
		require.Zero(t, testing.AllocsPerRun(20, func() { _ = l.Run(bufs, scratch, workers) }), dt.String())
	}
}

func TestSteadyCumulativesAllocateNothing(t *testing.T) {
	workers := pool.New(2)
	defer workers.Close()
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for axis := range 2 {
			l := bound(t, cumulativeOf(t, ir.TConst(dt, 300, 400), axis, "add", false))
			in, _ := tensor.New(dt, 300, 400).Bytes()
			out, _ := tensor.New(dt, 300, 400).Bytes()
			bufs := [][]byte{in, out}
			require.Zero(t, testing.AllocsPerRun(20, func() { _ = l.Run(bufs, nil, workers) }), "%s, axis %d", dt, axis)
		}
	}
}
