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
	"jitc/ir/tensor"
)

// TestRandomControlOnDevices compares random programs whose ops, arguments and
// results lie anywhere.
func TestRandomControlOnDevices(t *testing.T) {
	devices := []*testdevice.Device{testdevice.New("test:0", 1), testdevice.New("test:1", 2), testdevice.New("test:2", 3)}
	for _, d := range devices {
		d.SetScratch(0, 0, 0, 0, testdevice.Scratch, 400, 30_000)
	}
	seen, seeds := map[string]int{}, uint64(300)
	if raceEnabled || testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		checkControlOnDevices(t, seed, devices, seen)
	}
	t.Log(seen)
	for _, what := range []string{"at home on the host", "at home on a device", "work on two devices", "in place", "two places", "donated"} {
		assert.Positive(t, seen[what], what)
	}
}

func checkControlOnDevices(t *testing.T, seed uint64, devices []*testdevice.Device, seen map[string]int) {
	rng := rand.New(rand.NewPCG(seed, 31))
	f := irgen.Func(rng, irgen.Options{Control: true, Static: seed%4 == 0, Values: 3 + rng.IntN(14), MaxElements: 300})
	salt, share := rng.Uint64(), 2+rng.Uint64N(5)
	first := func(v *ir.Value) bool { return (uint64(v.Op)*0x9E3779B97F4A7C15^salt)>>13%share != 0 }
	second := func(v *ir.Value) bool { return (uint64(v.Op)*0x9E3779B97F4A7C15^salt)>>23%2 == 0 }
	p := parted(t, f, someOf(devices[0], first), someOf(devices[1], second))
	about := fmt.Sprintf("seed %d\n%s", seed, p.F)
	p = p.Donate(rng.Perm(len(f.Params))[:rng.IntN(len(f.Params)+1)])
	sizes := irgen.Sizes(rng, f)
	r, err := p.Record(sizes, 1)
	require.NoError(t, err, about)
	note(r, seen)
	for range 3 {
		args := irgen.Args(rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err, about)
		for i := range args {
			args[i] = somewhere(t, rng, args[i], devices)
		}
		got, taken := make([]*tensor.Tensor, len(want)), map[*tensor.Tensor]bool{}
		for i := range want {
			got[i] = emptyAt(t, rng, want[i], devices)
			if d := r.Donated()[i]; d >= 0 && args[d].IsContiguous() && rng.IntN(2) == 0 {
				got[i] = args[d]
				taken[args[d]] = true
				seen["donated"]++
			}
		}
		c, extra := split(rng, args, taken)
		require.NoError(t, r.RunCall(c, extra, got, serial{}), about)
		require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "sizes %v, %s", sizes, about)
	}
}

// note counts what occurs in a recording, bodies included.
func note(r *Recording, seen map[string]int) {
	for _, c := range r.controls {
		if c == nil {
			continue
		}
		home := "at home on the host"
		if c.home != nil {
			home = "at home on a device"
		}
		seen[home]++
		if len(c.works) > 2 {
			seen["work on two devices"]++
		}
		if slices.ContainsFunc(c.inPlace, func(k int) bool { return k >= 0 }) {
			seen["in place"]++
		}
		if c.alternate {
			seen["two places"]++
		}
		if len(c.slices) > 0 {
			seen["slices moved"]++
		}
		for _, b := range c.bodies {
			note(b.rec, seen)
		}
	}
}

func FuzzControlOnDevices(f *testing.F) {
	devices := []*testdevice.Device{testdevice.New("test:0", 1), testdevice.New("test:1", 2), testdevice.New("test:2", 3)}
	f.Add(uint64(1))
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkControlOnDevices(t, seed, devices, map[string]int{}) })
}
