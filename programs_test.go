package jitc_test

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/internal/expect"
	"jitc/ir/tensor"
	"jitc/trace"
)

// run is one program at one size, with the file of what PyTorch computes for it.
type programRun struct {
	name  string // trace file without extension
	sizes map[string]int64
	file  string
}

// programRuns finds every expected file: <program>[.<size>=<n>].npz.
func programRuns(t testing.TB) []programRun {
	files, err := filepath.Glob("testdata/programs/*.npz")
	require.NoError(t, err)
	var runs []programRun
	for _, file := range files {
		base := strings.TrimSuffix(filepath.Base(file), ".npz")
		name, size, sized := strings.Cut(base, ".")
		r := programRun{name: name, file: file}
		if sized {
			sym, n, _ := strings.Cut(size, "=")
			v, err := strconv.ParseInt(n, 10, 64)
			require.NoError(t, err)
			r.sizes = map[string]int64{sym: v}
		}
		runs = append(runs, r)
	}
	require.Len(t, runs, 8)
	return runs
}

// load reads a program and makes its arguments.
func load(t testing.TB, name string, sizes map[string]int64) (*trace.File, []*tensor.Tensor) {
	f, err := trace.Read(filepath.Join("testdata/programs", name+".trace"))
	require.NoError(t, err)
	args, _, err := f.Arguments(trace.Sources{Sizes: sizes})
	require.NoError(t, err)
	return f, args
}

func engine(t testing.TB, o jitc.Options) *jitc.Engine {
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// PyTorch's results are computed in float64 and rounded once. The programs
// compute in f32 and end within 6e-6 of them; the rest is room for other orders
// of summation.
var programTolerance = tensor.Tolerance{Abs: 2e-5, Rel: 2e-5}

// Every program gives PyTorch's results fused, unfused, on one thread, and by
// the reference executor, which computes each op by its own definition. PyTorch's
// are sections of large results; among each other the ways agree on the whole.
func TestProgramsMatchPyTorch(t *testing.T) {
	ways := []struct {
		name string
		o    jitc.Options
		slow bool
	}{
		{"fused", jitc.Options{Verify: true}, false},
		{"one-thread", jitc.Options{Threads: 1}, false},
		{"unfused", jitc.Options{NoFuse: true}, false},
		{"reference", jitc.Options{Executors: []string{"reference"}}, true},
	}
	for _, r := range programRuns(t) {
		t.Run(strings.TrimSuffix(filepath.Base(r.file), ".npz"), func(t *testing.T) {
			f, args := load(t, r.name, r.sizes)
			want, err := tensor.OpenFile(r.file)
			require.NoError(t, err)
			defer want.Close()
			var fused []*tensor.Tensor
			for _, way := range ways {
				if way.slow && testing.Short() {
					continue // the reference takes seconds
				}
				results, err := engine(t, way.o).Function(f.Func).Call(context.Background(), args...)
				require.NoError(t, err, way.name)
				out, err := expect.Compare(want, expect.Names(f.Func), results, programTolerance)
				require.NoError(t, err, way.name)
				for _, o := range out {
					require.Nil(t, o.Mismatch, "%s: %s", way.name, o.Key)
				}
				if fused == nil {
					fused = results
				}
				for i := range results {
					require.Nil(t, tensor.Compare(results[i], fused[i], programTolerance), "%s, result %d", way.name, i)
				}
			}
		})
	}
}

// Results are bit for bit the same on any number of threads.
func TestThreadsDoNotShow(t *testing.T) {
	for _, name := range []string{"resnet18", "gpt2"} {
		f, args := load(t, name, nil)
		var first []*tensor.Tensor
		for _, n := range []int{1, 2, 5} {
			results, err := engine(t, jitc.Options{Threads: n}).Function(f.Func).Call(context.Background(), args...)
			require.NoError(t, err)
			if first == nil {
				first = results
			}
			require.Nil(t, tensor.Compare(results[0], first[0], tensor.Exact), "%s on %d threads", name, n)
		}
	}
}

// Many goroutines call one function at several sizes at once: one compilation,
// one entry for each size, and every result is right.
func TestConcurrentCalls(t *testing.T) {
	e := engine(t, jitc.Options{})
	f, err := trace.Read("testdata/programs/lstm.trace")
	require.NoError(t, err)
	fn := e.Function(f.Func)
	sizes := []int64{1, 2, 5, 16}
	var args, want [][]*tensor.Tensor
	for _, b := range sizes {
		a, _, err := f.Arguments(trace.Sources{Sizes: map[string]int64{"B": b}})
		require.NoError(t, err)
		w, err := engine(t, jitc.Options{Threads: 1}).Function(f.Func).Call(context.Background(), a...)
		require.NoError(t, err)
		args, want = append(args, a), append(want, w)
	}
	const goroutines, calls = 16, 20
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for c := range calls {
				i := (g + c) % len(sizes)
				got, err := fn.Call(context.Background(), args[i]...)
				if !assert.NoError(t, err) {
					return
				}
				for k := range got {
					assert.Nil(t, tensor.Compare(got[k], want[i][k], tensor.Exact))
				}
			}
		})
	}
	wg.Wait()
	s := fn.Stats()
	require.Len(t, s.Entries, 1)
	require.Equal(t, len(sizes), s.Recordings)
	require.Equal(t, int64(goroutines*calls), s.Hits.Total()+s.Misses)
	require.Equal(t, int64(1), s.Misses)
}

// One symbolic program serves every size: it compiles once.
func TestSymbolicProgramCompilesOnce(t *testing.T) {
	e := engine(t, jitc.Options{})
	f, err := trace.Read("testdata/programs/mlp.trace")
	require.NoError(t, err)
	fn := e.Function(f.Func)
	var kernels int64
	for _, b := range []int64{1, 2, 3, 7, 64, 100} {
		args, _, err := f.Arguments(trace.Sources{Sizes: map[string]int64{"B": b}})
		require.NoError(t, err)
		results, err := fn.Call(context.Background(), args...)
		require.NoError(t, err)
		want, err := engine(t, jitc.Options{Executors: []string{"reference"}}).Function(f.Func).Call(context.Background(), args...)
		require.NoError(t, err)
		require.Nil(t, tensor.Compare(results[0], want[0], tensor.Tolerance{Abs: 1e-5, Rel: 1e-5}))
		if kernels == 0 {
			kernels = e.KernelStats().Misses
		}
		require.Equal(t, kernels, e.KernelStats().Misses, "a new size compiled a kernel")
	}
	require.Len(t, fn.Stats().Entries, 1)
	require.Equal(t, 6, fn.Stats().Recordings)
}
