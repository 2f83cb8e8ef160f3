package runtime

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/pool"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
)

// oneChunk is a kernel whose launches say that they are one chunk.
type oneChunk struct{ executors.Kernel }

func (k oneChunk) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.Kernel.Bind(sizes)
	return oneChunkLaunch{l}, err
}

type oneChunkLaunch struct{ executors.Launch }

func (oneChunkLaunch) Chunks() int { return 1 }

// smallAdd is a recording of a sum of two f32[2,2] in machine code.
func smallAdd(b testing.TB, workers int, wrap func(executors.Kernel) executors.Kernel) *Recording {
	nb := newBuilder(b)
	typ := ir.T(tensor.F32, ir.Dims(2, 2)...)
	x, y := nb.f.AddParam("x", typ, nil), nb.f.AddParam("y", typ, nil)
	body := ir.NewFunc("", nb.f.Facts)
	bb := ir.NewBuilder(body)
	p, q := body.AddParam("", typ, nil), body.AddParam("", typ, nil)
	body.Results = []*ir.Value{bb.Emit(ir.OpAdd, []*ir.Value{p, q})}
	require.NoError(b, bb.Err())
	k, err := native.New(asm.Detect()).Compile(context.Background(), body, executors.Options{})
	require.NoError(b, err)
	v := nb.b.EmitRegion(body, []*ir.Value{x, y})
	nb.steps[v.ID] = Step{Kernel: wrap(k)}
	r, err := nb.link(v).Record(nil, workers)
	require.NoError(b, err)
	return r
}

// BenchmarkSmallAdd adds two f32[2,2], the kernel alone and with all that a run
// does about it.
func BenchmarkSmallAdd(b *testing.B) {
	x, y := tensor.New(tensor.F32, 2, 2), tensor.New(tensor.F32, 2, 2)
	args := []*tensor.Tensor{x, y}
	workers := pool.New(2)
	defer workers.Close()
	split := smallAdd(b, 2, func(k executors.Kernel) executors.Kernel { return k })
	one := smallAdd(b, 2, func(k executors.Kernel) executors.Kernel { return oneChunk{k} })
	results := one.Results()
	measure := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	scratch := make([]byte, one.launches[0].ScratchBytes(1)+64)
	bufs := [][]byte{make([]byte, 16), make([]byte, 16), make([]byte, 16)}
	c := &call.Call{Tensors: args[:1], Frozen: []*call.Frozen{call.NewFrozen(args[1:], nil)}}
	measure("kernel", func() error { return one.launches[0].Run(bufs, scratch, alone{}) })
	measure("frozen", func() error { return one.RunCall(c, nil, results, workers) })
	measure("run", func() error { return one.Run(args, results, workers) })
	measure("awake", func() error { return split.Run(args, results, workers) })
}
