package jitc_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"jitc"
	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/ir/tensor"
)

// fence is memory between two pages that nothing may touch:
//
//	| PROT_NONE | bytes ... at either end ... | PROT_NONE |
type fence struct{ inner []byte }

func newFence(t *testing.T, n int) *fence {
	page := unix.Getpagesize()
	inside := max((n+page-1)/page, 1) * page
	mem, err := unix.Mmap(-1, 0, inside+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
	require.NoError(t, unix.Mprotect(mem[:page], unix.PROT_NONE))
	require.NoError(t, unix.Mprotect(mem[page+inside:], unix.PROT_NONE))
	return &fence{mem[page : page+inside]}
}

// touchOutside writes the byte behind the memory.
func (f *fence) touchOutside() {
	*(*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(f.inner)), len(f.inner))) = 1
}

// tensor lays t's elements out against the end of the memory, or its start.
func (f *fence) tensor(t *tensor.Tensor, atEnd bool) (*tensor.Tensor, error) {
	data, _ := t.Contiguous().Bytes()
	at := 0
	if atEnd {
		at = len(f.inner) - len(data)
	}
	place := f.inner[at : at+len(data)]
	copy(place, data)
	return tensor.FromBytes(t.DType(), t.Shape(), place)
}

// A run touches nothing beside its arguments and results: the pages before and
// behind them cannot be read or written.
func TestRunsStayInsideOfBuffers(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	from, to := seeds(t, 200)
	engines := wayEngines(t)
	fences := make([]*fence, 64)
	for i := range fences {
		fences[i] = newFence(t, 1<<16)
	}
	require.Panics(t, func() { fences[0].touchOutside() })
	for seed := from; seed < to; seed++ {
		rng, f := irgen.Seeded(seed)
		if len(f.Params)+len(f.Results) > len(fences) {
			continue // not in any of the usual seeds
		}
		sizes := irgen.SizesAt(rng, f, 1)
		args := irgen.Args(rng, f, sizes)
		want, err := spread.New(rng, f, args, sizes)
		require.NoError(t, err, "seed %d", seed)
		for i, e := range engines {
			if ways[i].o.Threads == 2 {
				continue // a fault on another goroutine could not be caught
			}
			for _, atEnd := range []bool{true, false} {
				inside := func(k int, x *tensor.Tensor) *tensor.Tensor {
					y, err := fences[k].tensor(x, atEnd)
					require.NoError(t, err)
					return y
				}
				in, out := make([]*tensor.Tensor, len(args)), want.Results()
				for k, a := range args {
					in[k] = inside(k, a)
				}
				for k, r := range out {
					out[k] = inside(len(args)+k, tensor.New(r.DType(), r.Shape()...))
				}
				err := callInto(e.Function(f), out, in)
				require.NoError(t, err, "seed %d, %s, at the end %v, sizes %v\n%s", seed, ways[i].name, atEnd, sizes, f)
				var sum spread.Tally
				require.NoError(t, want.Check(&sum, out), "seed %d, %s", seed, ways[i].name)
			}
		}
	}
}

// callInto turns a fault into an error.
func callInto(fn *jitc.Function, results, args []*tensor.Tensor) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("fault: %v\n%s", r, debug.Stack())
		}
	}()
	return fn.CallInto(context.Background(), results, args)
}
