package runtime

import (
	"fmt"
	"math/rand/v2"
	goruntime "runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// summing is a kernel that adds its operands, all but the last buffer.
func summing() *fake {
	return &fake{run: func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		out := bufs[len(bufs)-1]
		for i := range out {
			out[i] = 0
			for _, in := range bufs[:len(bufs)-1] {
				out[i] += in[i]
			}
		}
		return nil
	}}
}

// adderOf sums so many parameters of n bytes in one step and adds 1 to it in
// another.
func adderOf(t testing.TB, params, n int) *Recording {
	b := newBuilder(t)
	var xs []*ir.Value
	for range params {
		xs = append(xs, b.param(dim.Const(int64(n))))
	}
	sum := b.region(Step{Kernel: summing()}, []dim.Expr{dim.Const(int64(n))}, xs...)
	return record(t, b.link(b.one(addByte(1), sum)), nil)
}

func TestLayoutsOfARecording(t *testing.T) {
	b := newBuilder(t, "N")
	x := b.param(dim.Sym("N"))
	y := b.f.AddParam("", ir.T(tensor.F32, dim.Const(2), dim.Sym("N")), nil)
	r := record(t, b.link(y, b.one(addByte(1), x)), map[string]int64{"N": 5})
	u, f := tensor.LayoutOf(tensor.U8, []int{5}), tensor.LayoutOf(tensor.F32, []int{2, 5})
	assert.Equal(t, []*tensor.Layout{u, f}, r.argLayouts)
	assert.Equal(t, []*tensor.Layout{f, u}, r.ResultLayouts())
	assert.Same(t, u, r.argLayouts[0])
}

func TestARunStaysInMemory(t *testing.T) {
	r := adder(t, 4)
	results := r.Results()
	require.NoError(t, r.Run([]*tensor.Tensor{u8(1, 2, 3, 4)}, results, serial{}))
	assert.Equal(t, []uint8{4, 5, 6, 7}, tensor.Data[uint8](results[1]))
	spread, err := u8(1, 9, 2, 9, 3, 9, 4).View([]int{2}, 0, []int{4})
	require.NoError(t, err)
	require.NoError(t, r.Run([]*tensor.Tensor{spread}, results, serial{}))
	assert.Equal(t, []uint8{4, 5, 6, 7}, tensor.Data[uint8](results[1]))
	for want, args := range map[string][]*tensor.Tensor{
		"argument 0: expected u8[4], got u8[3]": {u8(1, 2, 3)},
		"argument 0: expected u8[4], got u8[5]": {u8(1, 2, 3, 4, 5)},
		"argument 0: expected u8[4], got nil":   {nil},
		"arguments: expected 1, got 2":          {spread, spread},
	} {
		assert.ErrorContains(t, r.Run(args, results, serial{}), want)
	}
	assert.ErrorContains(t, r.Run([]*tensor.Tensor{results[0]}, results, serial{}), "memory of its own")
}

// TestCallsOfAnyMixture draws leaves, frozen sets and extra tensors anew for each
// run, on the same few frames.
func TestCallsOfAnyMixture(t *testing.T) {
	const params, n = 9, 600 // too large for a frame's own memory
	r := adderOf(t, params, n)
	require.Greater(t, r.Arena, 0)
	rng := rand.New(rand.NewPCG(3, 1))
	var sets []*call.Frozen
	fresh := func(k int) []*tensor.Tensor {
		out := make([]*tensor.Tensor, k)
		for i := range out {
			out[i] = tensor.Fill(tensor.U8, []int{n}, float64(rng.IntN(20)))
		}
		return out
	}
	for i := range 12 {
		sets = append(sets, call.NewFrozen(fresh(i%4), nil))
	}
	for range 1500 {
		c, left := &call.Call{}, params
		for rng.IntN(3) > 0 {
			if s := sets[rng.IntN(len(sets))]; len(s.Tensors) <= left {
				c.Frozen = append(c.Frozen, s)
				left -= len(s.Tensors)
			}
		}
		c.Tensors = fresh(rng.IntN(left + 1))
		extra := fresh(left - len(c.Tensors))
		results := r.Results()
		var err error
		if rng.IntN(4) == 0 {
			var args []*tensor.Tensor
			for i := range c.NumTensors() {
				args = append(args, c.Tensor(i))
			}
			err = r.Run(append(args, extra...), results, serial{})
		} else {
			err = r.RunCall(c, extra, results, serial{})
		}
		require.NoError(t, err)
		want := 1
		for i := range c.NumTensors() {
			want += int(tensor.Data[uint8](c.Tensor(i))[0])
		}
		for _, x := range extra {
			want += int(tensor.Data[uint8](x)[0])
		}
		require.NoError(t, tensor.Check(results[0], tensor.Fill(tensor.U8, []int{n}, float64(want)), tensor.Exact))
	}
}

func TestFrozenSetsThatDoNotFit(t *testing.T) {
	r := adderOf(t, 3, 4)
	x, good := u8(1, 1, 1, 1), call.NewFrozen([]*tensor.Tensor{u8(2, 2, 2, 2), u8(3, 3, 3, 3)}, nil)
	results := r.Results()
	run := func(results []*tensor.Tensor, sets ...*call.Frozen) error {
		return r.RunCall(&call.Call{Tensors: []*tensor.Tensor{x}, Frozen: sets}, nil, results, serial{})
	}
	for want, bad := range map[string]*call.Frozen{
		"argument 2: expected u8[4], got u8[1]": call.NewFrozen([]*tensor.Tensor{x, u8(1)}, nil),
		"argument 2: expected u8[4], got i8[4]": call.NewFrozen([]*tensor.Tensor{x, tensor.Fill(tensor.I8, []int{4}, 1)}, nil),
		"arguments: expected 3, got 2":          call.NewFrozen([]*tensor.Tensor{x}, nil),
		"argument 1: expected u8[4], got nil":   call.NewFrozen([]*tensor.Tensor{nil, x}, nil),
	} {
		require.NoError(t, run(results, good))
		for range 2 { // a refused set is not remembered
			assert.ErrorContains(t, run(results, bad), want)
		}
		require.NoError(t, run(results, good))
		assert.Equal(t, []uint8{7, 7, 7, 7}, tensor.Data[uint8](results[0]))
	}
	for range 2 {
		assert.ErrorContains(t, run(good.Tensors[1:], good), "result 0: expected memory of its own, got that of argument 2")
		assert.NoError(t, run(results, good))
	}
}

func TestACallAllocatesNothing(t *testing.T) {
	for _, n := range []int{4, 5000} {
		r := adderOf(t, 20, n)
		zeros := func(k int) (ts []*tensor.Tensor) {
			for range k {
				ts = append(ts, tensor.New(tensor.U8, n))
			}
			return ts
		}
		c := &call.Call{Tensors: zeros(2), Frozen: []*call.Frozen{call.NewFrozen(zeros(10), nil), call.NewFrozen(zeros(7), nil)}}
		extra, results, other := zeros(1), r.Results(), r.Results()
		assertNoAllocs(t, func() {
			results, other = other, results
			c.Tensors[0], c.Tensors[1] = c.Tensors[1], c.Tensors[0]
			if err := r.RunCall(c, extra, results, serial{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOnlyFrozenTensorsStayReachable(t *testing.T) {
	r := adderOf(t, 3, 4)
	one := func() *tensor.Tensor { return tensor.Fill(tensor.U8, []int{4}, 1) }
	refs := map[string]weak.Pointer[byte]{}
	func() {
		keep := func(name string, x *tensor.Tensor) *tensor.Tensor {
			refs[name] = weak.Make(&x.Base()[0])
			return x
		}
		results := []*tensor.Tensor{keep("result", one())}
		c := &call.Call{Tensors: []*tensor.Tensor{keep("leaf", one())},
			Frozen: []*call.Frozen{call.NewFrozen([]*tensor.Tensor{keep("frozen", one())}, nil)}}
		require.NoError(t, r.RunCall(c, []*tensor.Tensor{keep("extra", one())}, results, serial{}))
	}()
	goruntime.GC()
	for _, name := range []string{"result", "leaf", "extra"} {
		assert.Nil(t, refs[name].Value(), name)
	}
	for range 3 {
		goruntime.GC()
	}
	assert.Nil(t, refs["frozen"].Value(), "idle frames are collected")
	goruntime.KeepAlive(r)
}

// chunkedKernel says into how many chunks its launches split their work, and
// notes what they run on.
type chunkedKernel struct {
	*fake
	chunks int
	ran    []int // workers of each run
}

type chunkedLaunch struct {
	executors.Launch
	k *chunkedKernel
}

func (k *chunkedKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.fake.Bind(sizes)
	return &chunkedLaunch{l, k}, err
}

func (l *chunkedLaunch) Chunks() int { return l.k.chunks }

func (l *chunkedLaunch) ScratchBytes(workers int) int { return 100 * workers }

func (l *chunkedLaunch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	l.k.ran = append(l.k.ran, w.Workers())
	return l.Launch.Run(bufs, scratch, w)
}

// team is seven workers that count Begin.
type team struct {
	awake
}

func (*team) Workers() int { return 7 }

func TestWorkersAreLeftAloneForOneChunk(t *testing.T) {
	for _, c := range []struct {
		chunks      []int
		ran         []int
		begun, room int
	}{
		{[]int{1, 1}, []int{1, 1}, 0, 128},
		{[]int{1, 9}, []int{1, 7}, 1, 704},
		{[]int{0, 0}, []int{1, 1}, 0, 128},
	} {
		b := newBuilder(t)
		first, second := &chunkedKernel{fake: addByte(1), chunks: c.chunks[0]}, &chunkedKernel{fake: addByte(1), chunks: c.chunks[1]}
		x := b.param(dim.Const(3))
		y := b.region(Step{Kernel: second}, x.Type.Shape, b.region(Step{Kernel: first}, x.Type.Shape, x))
		r, err := b.link(y).Record(nil, 7)
		require.NoError(t, err)
		w, results := &team{}, r.Results()
		require.NoError(t, r.Run([]*tensor.Tensor{u8(1, 2, 3)}, results, w))
		assert.Equal(t, []uint8{3, 4, 5}, tensor.Data[uint8](results[0]))
		assert.Equal(t, c.ran, append(first.ran, second.ran...))
		assert.Equal(t, []int{c.begun, c.begun, c.room}, []int{w.begun, w.ended, r.Scratch})
	}
}

func TestConcurrentCallsWithFrozenSets(t *testing.T) {
	r := adderOf(t, 3, 2000)
	fill := func(x int) *tensor.Tensor { return tensor.Fill(tensor.U8, []int{2000}, float64(x)) }
	sets := []*call.Frozen{call.NewFrozen([]*tensor.Tensor{fill(1), fill(2)}, nil), call.NewFrozen([]*tensor.Tensor{fill(5), fill(6)}, nil)}
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, results := &call.Call{Tensors: []*tensor.Tensor{fill(id)}}, r.Results()
			for i := range 60 {
				c.Frozen = sets[i/5%2:][:1]
				assert.NoError(t, r.RunCall(c, nil, results, serial{}))
				assert.NoError(t, tensor.Check(results[0], fill([]int{4, 12}[i/5%2]+id), tensor.Exact))
			}
		}()
	}
	wg.Wait()
	assert.Zero(t, r.p.memory.stats().Lent)
}

// BenchmarkFrozen is a run with 300 tensors in a frozen set, or as leaves, into new
// results each time.
func BenchmarkFrozen(b *testing.B) {
	r := adderOf(b, 301, 1)
	r.launches[0] = r.launches[1] // the second step's kernel: only the run's own time is asked for
	var ts []*tensor.Tensor
	for range 300 {
		ts = append(ts, u8(1))
	}
	c := &call.Call{Tensors: []*tensor.Tensor{u8(1)}, Frozen: []*call.Frozen{call.NewFrozen(ts, nil)}}
	outs := [][]*tensor.Tensor{r.Results(), r.Results()}
	all := append(append([]*tensor.Tensor{}, c.Tensors...), ts...)
	for name, f := range map[string]func(i int) error{
		"kept":   func(i int) error { return r.RunCall(c, nil, outs[i&1], serial{}) },
		"leaves": func(i int) error { return r.Run(all, outs[i&1], serial{}) },
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := f(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConcurrentRuns runs one recording, whose memory comes from the arenas,
// on that many goroutines per processor.
func BenchmarkConcurrentRuns(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			n := ownBytes + 1
			quick := &fake{run: func(map[string]int64, [][]byte, []byte) error { return nil }, scratch: n}
			nb := newBuilder(b)
			r := record(b, nb.link(nb.one(quick, nb.param(four()))), nil)
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				args, results := []*tensor.Tensor{tensor.New(tensor.U8, 4)}, r.Results()
				for pb.Next() {
					if err := r.Run(args, results, serial{}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
