package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"jitc/executors"
	"jitc/executors/reference"
	"jitc/internal/testdevice"
	"jitc/ir"
)

// aliasing makes kernels of the host whose results may lie where operands of their
// type do, at some sizes, and which refuse to run where anything else overlaps.
type aliasing struct {
	reference.Executor
	salt  uint64
	spare *placeCounts
}

// placeCounts count the results of kernels.
type placeCounts struct {
	mu              sync.Mutex
	inPlace, copied int
}

func (c *placeCounts) add(inPlace bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if inPlace {
		c.inPlace++
	} else {
		c.copied++
	}
}

func (x aliasing) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	k, err := x.Executor.Compile(ctx, region, o)
	return aliasingKernel{k, region, x.salt, x.spare}, err
}

type aliasingKernel struct {
	executors.Kernel
	region *ir.Func
	salt   uint64
	spare  *placeCounts
}

func (k aliasingKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.Kernel.Bind(sizes)
	return &aliasingLaunch{Launch: l, places: k.places(sizes), results: len(k.region.Results), spare: k.spare}, err
}

// places chooses an operand for each result, another one at other sizes.
func (k aliasingKernel) places(sizes map[string]int64) []int {
	rng := rand.New(rand.NewPCG(k.salt, uint64(len(k.region.Values))+7*uint64(sizes["S"])))
	places, taken := make([]int, len(k.region.Results)), map[int]bool{}
	for i, res := range k.region.Results {
		places[i] = -1
		for _, p := range rng.Perm(len(k.region.Params)) {
			if !taken[p] && k.region.Params[p].Type.Equal(res.Type) && rng.IntN(4) > 0 {
				places[i], taken[p] = p, true
				break
			}
		}
	}
	return places
}

type aliasingLaunch struct {
	executors.Launch
	places  []int
	results int
	spare   *placeCounts
}

func (l *aliasingLaunch) InPlace(result int) int { return l.places[result] }

func (l *aliasingLaunch) NumResults() int { return l.results }

func (l *aliasingLaunch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	_, err := l.aliases(bufs)
	if err != nil {
		return err
	}
	apart, n := slices.Clone(bufs), len(bufs)-l.results
	for i := n; i < len(bufs); i++ {
		apart[i] = make([]byte, len(bufs[i])+8)[:len(bufs[i])]
	}
	if err := l.Launch.Run(apart, scratch, w); err != nil {
		return err
	}
	for i := n; i < len(bufs); i++ {
		copy(bufs[i], apart[i])
	}
	return nil
}

// aliases lists the results that lie where operands do. What overlaps otherwise is an
// error.
func (l *aliasingLaunch) aliases(bufs [][]byte) (shared []int, err error) {
	n := len(bufs) - l.results
	for i := n; i < len(bufs); i++ {
		a := spanOf(bufs[i], 0)
		for j := range bufs[:i] {
			b := spanOf(bufs[j], 0)
			switch {
			case a.lo >= b.hi || b.lo >= a.hi:
			case j == l.places[i-n] && a == b:
				shared = append(shared, i)
			default:
				return nil, fmt.Errorf("buffer %d at %x lies where buffer %d is, of %d with %d results", i, a, j, len(bufs), l.results)
			}
		}
	}
	for k, p := range l.places {
		if p >= 0 && l.spare != nil && len(bufs[n+k]) > 0 {
			l.spare.add(slices.Contains(shared, n+k))
		}
	}
	return shared, nil
}

// aliasingQueue is a device that runs kernels of aliasing.
type aliasingQueue struct {
	*spied
	rng *rand.Rand
	mu  sync.Mutex
}

// aliasingOn is an executor of such kernels for what takes says.
func aliasingOn(q *aliasingQueue, of aliasing, takes func(v *ir.Value) bool) executors.Executor {
	return &aliasingDevice{some{Executor: testdevice.Executor{Queued: q.spied, Takes: takes}, name: q.Name(), queue: q}, of}
}

type aliasingDevice struct {
	some
	of aliasing
}

func (x *aliasingDevice) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	k, err := reference.Executor{}.Compile(ctx, region, o)
	if err != nil {
		return nil, err
	}
	on := x.queue.(*aliasingQueue)
	k = on.Kernel(testdevice.Counted(k, len(region.Results)))
	return aliasingKernel{k, region, x.of.salt, x.of.spare}, nil
}

// Batch is the device's own for as long as nothing is in place: that it cannot do.
func (q *aliasingQueue) Batch(launches []executors.Launch, after [][]int) (executors.Batch, error) {
	b := &aliasingBatch{q: q, after: after}
	inner := make([]executors.Launch, len(launches))
	for i, l := range launches {
		b.launches = append(b.launches, l.(*aliasingLaunch))
		inner[i] = b.launches[i].Launch
	}
	var err error
	b.Batch, err = q.spied.Batch(inner, after)
	return b, err
}

type aliasingBatch struct {
	executors.Batch
	q        *aliasingQueue
	launches []*aliasingLaunch
	after    [][]int
}

func (b *aliasingBatch) Run(args [][][]byte, scratch [][]byte) error {
	shared, any := make([][]int, len(args)), false
	for i, l := range b.launches {
		var err error
		if shared[i], err = l.aliases(args[i]); err != nil {
			return fmt.Errorf("launch %d of %d: %w", i, len(args), err)
		}
		any = any || len(shared[i]) > 0
	}
	if !any {
		return b.Batch.Run(args, scratch)
	}
	for _, i := range b.order() {
		if err := b.one(i, args[i], scratch[i], shared[i]); err != nil {
			return err
		}
	}
	return nil
}

// order is one in which the launches may run.
func (b *aliasingBatch) order() (out []int) {
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	done := make([]bool, len(b.launches))
	for len(out) < len(done) {
		i := b.q.rng.IntN(len(done))
		if b.after == nil {
			i = len(out)
		}
		if !done[i] && (b.after == nil || !slices.ContainsFunc(b.after[i], func(j int) bool { return !done[j] })) {
			done[i] = true
			out = append(out, i)
		}
	}
	return out
}

// one runs a launch that writes shared buffers apart, and then brings them there.
func (b *aliasingBatch) one(i int, args [][]byte, scratch []byte, shared []int) error {
	bufs := slices.Clone(args)
	for _, k := range shared {
		mem, err := b.q.Alloc(len(args[k]))
		if err != nil {
			return err
		}
		defer b.q.Free(mem)
		bufs[k] = mem
	}
	if err := b.launches[i].Launch.Run(bufs, scratch, serial{}); err != nil {
		return err
	}
	for _, k := range shared {
		if err := b.q.Copy(args[k], bufs[k]); err != nil {
			return err
		}
	}
	return nil
}
