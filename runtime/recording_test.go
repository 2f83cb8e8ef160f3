package runtime

import (
	"errors"
	"math/rand/v2"
	goruntime "runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// adder is a recording of x+1, x+1+2 over n bytes.
func adder(t testing.TB, n int) *Recording {
	b := newBuilder(t)
	x := b.param(dim.Const(int64(n)))
	y := b.one(addByte(1), x)
	return record(t, b.link(y, b.one(addByte(1), b.one(addByte(1), y))), nil)
}

func TestASteadyRunAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		r := adder(t, n)
		args, results := []*tensor.Tensor{tensor.Fill(tensor.U8, []int{n}, 1)}, r.Results()
		assertNoAllocs(t, func() {
			if err := r.Run(args, results, serial{}); err != nil {
				t.Fatal(err)
			}
		})
		assert.NoError(t, tensor.Check(results[1], tensor.Fill(tensor.U8, []int{n}, 4), tensor.Exact))
		other := r.Results()
		assertNoAllocs(t, func() { // never the tensors of the last run
			results, other = other, results
			if err := r.Run(args, results, serial{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestStridedArgumentsAreCopied(t *testing.T) {
	r := adder(t, 3)
	x, err := u8(0, 9, 1, 9, 2, 9).View([]int{2}, 0, []int{3})
	require.NoError(t, err)
	assert.Equal(t, []uint8{3, 4, 5}, tensor.Data[uint8](mustRun(t, r, x)[1]))
	part, err := u8(9, 9, 1, 2, 3, 9).View([]int{1}, 2, []int{3})
	require.NoError(t, err)
	assert.Equal(t, []uint8{4, 5, 6}, tensor.Data[uint8](mustRun(t, r, part)[1]), "a view at an offset")
}

func TestTensorsThatDoNotFit(t *testing.T) {
	r := adder(t, 4)
	ok, good := u8(1, 2, 3, 4), r.Results()
	strided, err := tensor.Strided(tensor.U8, []int{4}, []int{2})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		args, results []*tensor.Tensor
		want          string
	}{
		"no arguments":    {nil, good, "arguments: expected 1, got 0"},
		"too few results": {[]*tensor.Tensor{ok}, good[:1], "results: expected 2, got 1"},
		"nil argument":    {[]*tensor.Tensor{nil}, good, "argument 0: expected u8[4], got nil"},
		"nil result":      {[]*tensor.Tensor{ok}, []*tensor.Tensor{good[0], nil}, "result 1: expected u8[4], got nil"},
		"element type":    {[]*tensor.Tensor{tensor.Fill(tensor.I8, []int{4}, 1)}, good, "got i8[4]"},
		"size":            {[]*tensor.Tensor{u8(1)}, good, "got u8[1]"},
		"rank":            {[]*tensor.Tensor{tensor.Fill(tensor.U8, []int{2, 2}, 1)}, good, "got u8[2 2]"},
		"result's type":   {[]*tensor.Tensor{ok}, []*tensor.Tensor{good[0], tensor.Fill(tensor.F32, []int{1}, 0)}, "result 1: expected u8[4], got f32[1]"},
		"strided result":  {[]*tensor.Tensor{ok}, []*tensor.Tensor{strided, good[1]}, "strides [2]"},
	} {
		err := r.Run(c.args, c.results, serial{})
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorAs(t, err, new(*BufferError), name)
	}
	assert.ErrorContains(t, r.Run([]*tensor.Tensor{ok}, good, nil), "no workers")
	assert.ErrorContains(t, r.Run([]*tensor.Tensor{ok}, good, many{}), "at most 1 workers, run on 7")
	assert.Zero(t, r.p.memory.stats().Blocks, "nothing ran")
}

type many struct{ serial }

func (many) Workers() int { return 7 }

func TestResultsThatShareMemory(t *testing.T) {
	b := newBuilder(t)
	four := dim.Const(4)
	x, y := b.param(four), b.param(four)
	constant := u8(1, 2, 3, 4)
	c := b.constant(constant)
	r := record(t, b.link(b.one(addByte(1), x), b.one(addByte(1), y), c), nil)
	pool := tensor.Fill(tensor.U8, []int{64}, 0)
	at := func(offset int) *tensor.Tensor {
		v, err := pool.View([]int{1}, offset, []int{4})
		require.NoError(t, err)
		return v
	}
	run := func(args, results []*tensor.Tensor) error { return r.Run(args, results, serial{}) }
	apart := []*tensor.Tensor{at(8), at(12), at(16)}
	assert.NoError(t, run([]*tensor.Tensor{at(0), at(4)}, apart), "neighbours")
	assert.NoError(t, run([]*tensor.Tensor{at(0), at(2)}, apart), "arguments may share")
	for _, c := range []struct {
		args, results []*tensor.Tensor
		want          string
	}{
		{[]*tensor.Tensor{at(0), at(8)}, apart, "result 0: expected memory of its own, got that of argument 1"},
		{[]*tensor.Tensor{at(5), at(30)}, apart, "result 0: expected memory of its own, got that of argument 0"},
		{[]*tensor.Tensor{at(19), at(30)}, apart, "result 2: expected memory of its own, got that of argument 0"},
		{[]*tensor.Tensor{at(0), at(4)}, []*tensor.Tensor{at(40), at(38), at(16)}, "result 1: expected memory of its own, got that of result 0"},
		{[]*tensor.Tensor{at(0), at(4)}, []*tensor.Tensor{at(40), at(40), at(16)}, "result"},
	} {
		for range 2 { // a refusal is not remembered as apart
			err := run(c.args, c.results)
			assert.ErrorContains(t, err, c.want)
			assert.ErrorAs(t, err, new(*BufferError))
		}
		assert.NoError(t, run([]*tensor.Tensor{at(0), at(4)}, apart))
	}
	assert.NoError(t, run([]*tensor.Tensor{at(0), at(4)}, []*tensor.Tensor{constant, at(8), at(12)}))
	assert.Equal(t, []uint8{1, 1, 1, 1}, tensor.Data[uint8](constant))
	assert.NoError(t, run([]*tensor.Tensor{at(0), at(4)}, apart))
	assert.Equal(t, []uint8{1, 2, 3, 4}, tensor.Data[uint8](apart[2]), "the program's constants are its own")
}

// TestSharingAgreesWithEveryPair draws tensors in a small pool of memory.
func TestSharingAgreesWithEveryPair(t *testing.T) {
	b := newBuilder(t)
	sizes := []int{4, 0, 1, 7}
	var results []*ir.Value
	for _, n := range sizes {
		results = append(results, b.one(addByte(1), b.param(dim.Const(int64(n)))))
	}
	r := record(t, b.link(results...), nil)
	pool := tensor.Fill(tensor.U8, []int{150}, 0)
	rng := rand.New(rand.NewPCG(4, 2))
	refused := 0
	for range 2000 {
		var ts []*tensor.Tensor
		var lo []int
		for i := range 2 * len(sizes) {
			at := rng.IntN(150 - 7)
			v, err := pool.View([]int{1}, at, []int{sizes[i%len(sizes)]})
			require.NoError(t, err)
			ts, lo = append(ts, v), append(lo, at)
		}
		want := false
		for i := len(sizes); i < len(ts); i++ {
			for k := range i {
				n, m := ts[i].NumElements(), ts[k].NumElements()
				want = want || n > 0 && m > 0 && lo[i] < lo[k]+m && lo[k] < lo[i]+n
			}
		}
		err := r.Run(ts[:len(sizes)], ts[len(sizes):], serial{})
		require.Equal(t, want, err != nil, "%v: %v", lo, err)
		if want {
			refused++
		}
	}
	assert.Greater(t, refused, 200)
	assert.Less(t, refused, 1800)
}

func TestAFailingLaunchGivesItsMemoryBack(t *testing.T) {
	failure := errors.New("out of luck")
	for name, run := range map[string]func(map[string]int64, [][]byte, []byte) error{
		"error": func(map[string]int64, [][]byte, []byte) error { return failure },
		"panic": func(map[string]int64, [][]byte, []byte) error { panic(failure) },
	} {
		b := newBuilder(t)
		k := &fake{run: run, scratch: 1000}
		r := record(t, b.link(b.one(k, b.one(addByte(1), b.param(dim.Const(100))))), nil)
		x := tensor.Fill(tensor.U8, []int{100}, 1)
		for range 20 {
			func() {
				defer func() {
					if name == "panic" {
						assert.Equal(t, failure, recover())
					}
				}()
				err := r.Run([]*tensor.Tensor{x}, r.Results(), serial{})
				assert.ErrorIs(t, err, failure)
				assert.ErrorContains(t, err, "@f: region at")
			}()
		}
		s := r.p.memory.stats()
		assert.Zero(t, s.Lent, name)
		assert.EqualValues(t, 1, s.Blocks, name)
	}
}

func TestConcurrentRunsHaveTheirOwnMemory(t *testing.T) {
	r := adder(t, 3000)
	var wg sync.WaitGroup
	for id := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			args, results := []*tensor.Tensor{tensor.Fill(tensor.U8, []int{3000}, float64(id))}, r.Results()
			want := tensor.Fill(tensor.U8, []int{3000}, float64(id+3))
			for range 30 {
				assert.NoError(t, r.Run(args, results, serial{}))
				assert.NoError(t, tensor.Check(results[1], want, tensor.Exact))
			}
		}()
	}
	wg.Wait()
	assert.Zero(t, r.p.memory.stats().Lent)
}

func TestARunKeepsNoTensorAlive(t *testing.T) {
	r := adder(t, 100_000)
	var refs []weak.Pointer[tensor.Tensor]
	var data []weak.Pointer[byte]
	func() {
		x := tensor.Fill(tensor.U8, []int{100_000}, 1)
		out := mustRun(t, r, x)
		for _, y := range append(out, x) {
			refs = append(refs, weak.Make(y))
			data = append(data, weak.Make(&y.Base()[0]))
		}
	}()
	goruntime.GC()
	for i := range refs {
		assert.Nil(t, refs[i].Value(), "tensor %d", i)
		assert.Nil(t, data[i].Value(), "elements %d", i)
	}
	goruntime.KeepAlive(r)
}

func TestProfileTimesEveryStep(t *testing.T) {
	r := adder(t, 10)
	var steps []int
	took := func(step int, d time.Duration) {
		steps = append(steps, step)
		assert.GreaterOrEqual(t, d, time.Duration(0))
	}
	require.NoError(t, r.Profile([]*tensor.Tensor{tensor.Fill(tensor.U8, []int{10}, 1)}, r.Results(), serial{}, took))
	assert.Equal(t, []int{0, 1, 2}, steps)
}

// awake counts Begin and End.
type awake struct {
	serial
	begun, ended int
}

func (a *awake) Begin() { a.begun++ }
func (a *awake) End()   { a.ended++ }

func TestWorkersStayAwakeDuringARun(t *testing.T) {
	r, w := adder(t, 10), &awake{}
	require.NoError(t, r.Run([]*tensor.Tensor{tensor.Fill(tensor.U8, []int{10}, 1)}, r.Results(), w))
	assert.Equal(t, []int{1, 1}, []int{w.begun, w.ended})
}

// BenchmarkRun is what a run costs beside its kernels: three of them.
func BenchmarkRun(b *testing.B) {
	r := adder(b, 1)
	args, results := []*tensor.Tensor{u8(1)}, r.Results()
	for b.Loop() {
		if err := r.Run(args, results, serial{}); err != nil {
			b.Fatal(err)
		}
	}
}
