package runtime

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
)

// somewhere is a copy of x on a device or on the host, there strided now and then.
func somewhere(t *testing.T, rng *rand.Rand, x *tensor.Tensor, devices []*testdevice.Device) *tensor.Tensor {
	switch i := rng.IntN(len(devices) + 2); {
	case i < len(devices):
		y, err := ToQueue(x, devices[i])
		require.NoError(t, err)
		return y
	case i == len(devices):
		return strided(t, x)
	}
	return x.Clone()
}

// emptyAt is a tensor of x's type on a device or on the host, of other elements.
func emptyAt(t *testing.T, rng *rand.Rand, x *tensor.Tensor, devices []*testdevice.Device) *tensor.Tensor {
	if i := rng.IntN(len(devices) + 1); i < len(devices) {
		y, err := deviceOf(devices[i]).tensor(x.DType(), x.Shape())
		require.NoError(t, err)
		return y
	}
	return tensor.New(x.DType(), x.Shape()...)
}

// checkPlacedAgainstEval runs a random function whose steps and tensors lie
// anywhere.
func checkPlacedAgainstEval(t *testing.T, seed uint64, devices []*testdevice.Device) *Program {
	rng := rand.New(rand.NewPCG(seed, 17))
	f := irgen.Func(rng, irgen.Options{Static: seed%4 == 0, Values: 4 + rng.IntN(40)})
	steps := devices[:1+rng.IntN(2)]
	r := cut(t, rng, f, steps...)
	about := fmt.Sprintf("seed %d\n%s", seed, r.f)
	p, err := Link(r.f, r.steps)
	require.NoError(t, err, about)
	p.memory = &arenas{}
	p = p.Donate(rng.Perm(len(f.Params))[:rng.IntN(len(f.Params)+1)])
	for range 2 {
		sizes := irgen.Sizes(rng, f)
		rec, err := p.Record(sizes, 1)
		require.NoError(t, err, about)
		for range 3 {
			args := irgen.Args(rng, f, sizes)
			want, err := ir.Eval(f, args, sizes)
			require.NoError(t, err, about)
			for i := range args {
				args[i] = somewhere(t, rng, args[i], devices)
			}
			got := make([]*tensor.Tensor, len(want))
			taken := map[*tensor.Tensor]bool{}
			for i := range want {
				got[i] = emptyAt(t, rng, want[i], devices)
				if d := rec.Donated()[i]; d >= 0 && args[d].IsContiguous() && rng.IntN(2) == 0 && !taken[args[d]] {
					got[i] = args[d]
					taken[args[d]] = true
				}
			}
			c, extra := split(rng, args, taken)
			require.NoError(t, rec.RunCall(c, extra, got, serial{}), about)
			require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "sizes %v, %s", sizes, about)
		}
	}
	return p
}

// split gives arguments as leaves, sets and extra tensors. Those that results take
// are leaves.
func split(rng *rand.Rand, args []*tensor.Tensor, taken map[*tensor.Tensor]bool) (*call.Call, []*tensor.Tensor) {
	lo, hi := rng.IntN(len(args)+1), len(args)
	for lo < len(args) && slices.ContainsFunc(args[lo:], func(x *tensor.Tensor) bool { return taken[x] }) {
		lo++
	}
	c := &call.Call{Tensors: args[:lo]}
	for at := lo; at < hi && rng.IntN(3) > 0; {
		n := 1 + rng.IntN(hi-at)
		c.Frozen = append(c.Frozen, call.NewFrozen(args[at:at+n], nil))
		at += n
		lo = at
	}
	return c, args[lo:]
}

func TestProgramsOnDevicesComputeWhatEvalDoes(t *testing.T) {
	devices := []*testdevice.Device{testdevice.New("test:0", 1), testdevice.New("test:1", 2), testdevice.New("test:2", 3)}
	for _, d := range devices {
		d.SetScratch(0, 0, 0, 0, testdevice.Scratch, 400, 500, 300_000)
	}
	seen, seeds := map[string]int{}, uint64(250)
	if raceEnabled {
		seeds = 150
	}
	for seed := range seeds {
		p := checkPlacedAgainstEval(t, seed, devices)
		if p.placed == nil {
			seen["host only"]++
			continue
		}
		seen[fmt.Sprintf("%d devices", len(p.Devices()))]++
		if slices.ContainsFunc(p.placed.groups, func(g group) bool { return g.side > 0 && g.hi-g.lo > 2 }) {
			seen["batches"]++
		}
	}
	t.Log(seen, devices[0].Counts())
	assert.Len(t, seen, 4, "every case occurs")
}

func FuzzPlacedRecordings(f *testing.F) {
	devices := []*testdevice.Device{testdevice.New("test:0", 1), testdevice.New("test:1", 2), testdevice.New("test:2", 3)}
	f.Add(uint64(1))
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkPlacedAgainstEval(t, seed, devices) })
}

// TestOrderSaysWhatConflicts compares with all pairs of the steps of a batch: those
// that use the same memory, one of them to write, are in order, and nothing else
// is but through them.
func TestOrderSaysWhatConflicts(t *testing.T) {
	d := testdevice.New("test:0", 5)
	d.SetScratch(0, 0, 0, 0, testdevice.Scratch, 400, 500, 300_000)
	checked := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 23))
		f := irgen.Func(rng, irgen.Options{Values: 30})
		r := cut(t, rng, f, d)
		p, err := Link(r.f, r.steps)
		require.NoError(t, err)
		rec := record(t, p, irgen.Sizes(rng, f))
		if rec.devices == nil {
			continue
		}
		for i, g := range p.placed.groups {
			if g.side == 0 {
				continue
			}
			reach := closure(rec.devices.after[i])
			want := make([][]int, g.hi-g.lo)
			for b := range want {
				for a := range b {
					if conflict(rec, g.lo+a, g.lo+b) {
						want[b] = append(want[b], a)
					}
				}
			}
			require.Equal(t, closure(want), reach, "seed %d", seed)
			checked += g.hi - g.lo
		}
	}
	assert.Greater(t, checked, 100)
}

// closure is all that each step waits for.
func closure(after [][]int) []map[int]bool {
	out := make([]map[int]bool, len(after))
	for i, js := range after {
		out[i] = map[int]bool{}
		for _, j := range js {
			out[i][j] = true
			for k := range out[j] {
				out[i][k] = true
			}
		}
	}
	return out
}

// conflict reports whether two steps of a device must not run at the same time.
func conflict(r *Recording, a, b int) bool {
	uses := func(i int) (reads, writes []span) {
		at := func(n int) span {
			switch s := r.p.slots[n]; {
			case s.kind != slotTemp: // memory of its own
				return span{uintptr(n+1) << 40, uintptr(n+1)<<40 + uintptr(r.bytes[n]), 0}
			default:
				return span{uintptr(r.offsets[n]), uintptr(r.offsets[n] + r.bytes[n]), 0}
			}
		}
		for _, n := range r.p.steps[i].in {
			reads = append(reads, at(n))
		}
		for _, n := range r.p.steps[i].out {
			writes = append(writes, at(n))
		}
		s := r.devices.scratch[i]
		return reads, append(writes, span{uintptr(s.offset), uintptr(s.offset + s.bytes), 0})
	}
	overlap := func(x, y []span) bool {
		return slices.ContainsFunc(x, func(p span) bool {
			return slices.ContainsFunc(y, func(q span) bool { return p.lo < q.hi && q.lo < p.hi })
		})
	}
	ra, wa := uses(a)
	rb, wb := uses(b)
	return overlap(wa, wb) || overlap(wa, rb) || overlap(ra, wb)
}
