package jitc_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/internal/workload"
	"jitc/ir/tensor"
)

// GPT-2 small that decodes the program's text token by token gives PyTorch's logits,
// those of the whole text read at once.
func TestDecodingGPT2MatchesPyTorch(t *testing.T) {
	n := 40 // of 128, which the GPU's test does
	if testing.Short() {
		n = 8
	}
	decodeText(t, engine(t, jitc.Options{}), "cpu", n)
}

// decodeText decodes the first tokens of the text on a device, in place, and compares
// the logits of each step; then it reads the whole text at once.
func decodeText(t *testing.T, e *jitc.Engine, device string, n int) {
	ctx, rows := context.Background(), 128
	w, err := workload.Small.Random(jitc.F32)
	require.NoError(t, err)
	w, err = w.On(e, device)
	require.NoError(t, err)
	frozen, err := jitc.Freeze(w)
	require.NoError(t, err)
	text, err := workload.Small.Text(1, rows)
	require.NoError(t, err)
	state, err := workload.Small.Empty(jitc.F32, 1, rows).On(e, device)
	require.NoError(t, err)
	there := func(x *T) *T {
		y, err := e.ToDevice(x, device)
		require.NoError(t, err)
		return y
	}

	same := expectedLogits(t)
	step := jitc.Func2(e, workload.StepFixed, workload.Donated()...)
	for i := range n {
		state.Token = there(text.Index(1, i))
		out, err := step.Call(ctx, frozen, state)
		require.NoError(t, err)
		require.Equal(t, device, out.Logits.Device())
		state = out.State
		same(i, out.Logits)
	}
	require.Len(t, step.Traced().Entries(), 1)
	begun, err := jitc.Func2(e, workload.Prefill).Call(ctx, frozen, there(text))
	require.NoError(t, err)
	same(rows-1, begun.Logits)
}

// expectedLogits compares logits, [1, vocabulary], with what PyTorch computes at a
// place of the program's text: all of them at its ends, some elsewhere.
func expectedLogits(t *testing.T) func(at int, logits *T) {
	file, err := tensor.LoadFile("testdata/programs/gpt2.npz")
	require.NoError(t, err)
	return func(at int, logits *T) {
		t.Helper()
		got := jitc.FromHost(logits.Host()).Index(0, 0)
		if whole, ok := file[fmt.Sprintf("logits[%d,:]", at)]; ok {
			require.Nil(t, tensor.Compare(got.Host(), whole, programTolerance), "at %d", at)
		}
		part := jitc.FromHost(file["logits[:,0:50257:257]"]).Index(0, at)
		require.Nil(t, tensor.Compare(got.SliceStep(0, 0, 50257, 257).Host(), part.Host(), programTolerance), "at %d", at)
	}
}

// BenchmarkDecodeGPT2 decodes with GPT-2 small, batch 1, f32, at a context of so many
// tokens: with a cache that grows by a row per step, with two of fixed size in turns,
// and with one that is written in place. GB/s is the rate at which the weights pass,
// of-memory its share of the best of reading (a sum) and copying as many bytes,
// alternating with the steps.
func BenchmarkDecodeGPT2(b *testing.B) {
	w, err := workload.Small.Random(jitc.F32)
	require.NoError(b, err)
	frozen, err := jitc.Freeze(w)
	require.NoError(b, err)
	for _, rows := range []int{128, 1024} {
		b.Run(fmt.Sprintf("context=%d", rows), func(b *testing.B) {
			steps := decodeSteps(b, frozen, rows)
			read, copied := memoryRates(b, w.Bytes())
			ways, limits := map[string]*times{}, [2]times{}
			for name, step := range steps {
				ways[name] = &times{}
				step() // compiled, recorded
				step()
			}
			for b.Loop() {
				for name, step := range steps {
					ways[name].run(step)
				}
				limits[0].run(read)
				limits[1].run(copied)
			}
			limit := max(float64(w.Bytes())/limits[0].min(), 2*float64(w.Bytes())/limits[1].min())
			for name, d := range ways {
				b.ReportMetric(d.min()*1e3, "ms-min-"+name)
				b.ReportMetric(d.median()*1e3, "ms-"+name)
			}
			d := ways["in-place"]
			b.ReportMetric(1/d.median(), "tokens/s")
			b.ReportMetric(float64(w.Bytes())/d.min()/1e9, "GB/s-best")
			b.ReportMetric(limit/1e9, "memory-GB/s")
			b.ReportMetric(float64(w.Bytes())/d.min()/limit, "of-memory")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// decodeSteps are ways to decode the last of so many tokens, again and again.
func decodeSteps(b *testing.B, w *jitc.Frozen[workload.Weights], rows int) map[string]func() {
	ctx, e := context.Background(), engine(b, jitc.Options{})
	grows, turns := jitc.Func2(e, workload.StepGrown), jitc.Func2(e, workload.StepFixed)
	inPlace := jitc.Func2(e, workload.StepFixed, workload.Donated()...)
	last := jitc.Full(jitc.I64, rows-1)
	grown := func(n int) workload.Grown {
		s := workload.Small.Empty(jitc.F32, 1, n)
		return workload.Grown{Token: s.Token, Cache: s.Cache}
	}
	_, err := grows.Call(ctx, w, grown(2)) // so that the length is a symbol
	require.NoError(b, err)
	short, fixed, kept := grown(rows-1), workload.Small.Empty(jitc.F32, 1, rows), workload.Small.Empty(jitc.F32, 1, rows)
	fixed.Position = last
	var outs [2]workload.Step[workload.Fixed]
	turn := 0
	return map[string]func(){
		"growing": func() {
			_, err := grows.Call(ctx, w, short)
			require.NoError(b, err)
		},
		"in-turns": func() {
			turn++
			require.NoError(b, turns.CallInto(ctx, &outs[turn&1], w, fixed))
		},
		"in-place": func() {
			kept.Position = last
			out, err := inPlace.Call(ctx, w, kept)
			require.NoError(b, err)
			kept = out.State
		},
	}
}

// memoryRates are functions that read so many bytes, and that copy them, on all
// processors.
func memoryRates(b *testing.B, bytes int) (read, copied func()) {
	x := jitc.Ones(jitc.F32, bytes/4)
	sum := jitc.Func1(engine(b, jitc.Options{}), func(x *T) *T { return x.Sum() })
	src, ok := x.Storage().Bytes()
	require.True(b, ok)
	dst, n := make([]byte, len(src)), runtime.GOMAXPROCS(0)
	var out *T
	read = func() { require.NoError(b, sum.CallInto(context.Background(), &out, x)) }
	copied = func() {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { copy(dst[i*len(dst)/n:(i+1)*len(dst)/n], src[i*len(src)/n:]) })
		}
		all.Wait()
	}
	read()
	copied()
	return read, copied
}
