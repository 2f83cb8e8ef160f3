package cuda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir"
)

const cumulativeText = `func @sums(%x: f32[B,S,3]) -> f32[B,S,3] where B in [0, 9], S in [0, 4096] {
  %0: f32[B,S,3] = cumulative(%x) {axis=1, combine="add"}
  return %0
}
`

// Every sample and type, on devices whose multiprocessors leave lines whole and on
// one that cuts them.
func TestConformanceOfCumulative(t *testing.T) {
	for _, multiprocessors := range []int{1, 132} {
		e, _ := newExecutor(t, fake.Config{Major: 9, Multiprocessors: multiprocessors, Races: true, Perturb: 1}, cuda.Options{NoReuse: true})
		conformance.Run(t, e, conformance.Options{
			Ops:       []ir.Op{ir.OpCumulative},
			MustClaim: func(v *ir.Value) bool { return v.Op == ir.OpCumulative },
		})
	}
}

// It is a region of its own, whatever surrounds it.
func TestCumulativeClaims(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	none := cuda.New(fake.New(fake.Config{Devices: -1}), 0, cuda.Options{})
	v := parse(t, cumulativeText).Values[0]
	require.Equal(t, fusion.Alone, e.Claim(v).Level)
	require.Equal(t, "there is no device", none.Claim(v).Why)
	k := compile(t, e, cumulativeText, executors.Options{})
	require.Equal(t, "cumulative", k.Info().Kind)
	text, ok := k.Dump("ptx")
	require.True(t, ok)
	require.Contains(t, text, ".visible .entry cumulative_columns(")
	_, ok = k.Dump("loops")
	require.False(t, ok)
}

// One kernel runs at all sizes, whole and in parts: of ones, the sums are places.
func TestCumulativeSizes(t *testing.T) {
	for _, inner := range []int{1, 3} {
		for _, reverse := range []bool{false, true} {
			text := strings.ReplaceAll(cumulativeText, "S,3]", fmt.Sprintf("S,%d]", inner))
			text = strings.ReplaceAll(text, `"add"`, fmt.Sprintf(`"add", reverse=%v`, reverse))
			e, d := newExecutor(t, fake.Config{Multiprocessors: 132, Races: true}, cuda.Options{})
			q, k := queueOf(t, e), compile(t, e, text, executors.Options{})
			for _, c := range []struct{ b, s, launches int }{{2, 7, 1}, {1, 4096, 2}, {9, 40, 1}, {0, 4, 0}, {3, 0, 0}} {
				want, ones := make([]float32, c.b*c.s*inner), slices.Repeat([]float32{1}, c.b*c.s*inner)
				for i := range want {
					if want[i] = float32(i/inner%c.s + 1); reverse {
						want[i] = float32(c.s+1) - want[i]
					}
				}
				l := bind(t, k, map[string]int64{"B": int64(c.b), "S": int64(c.s)})
				in, out := elementsOn(t, q, ones), elementsOn(t, q, make([]float32, len(ones)))
				scratch := elementsOn(t, q, make([]byte, l.ScratchBytes(1)))
				before := d.Count("Launch")
				require.NoError(t, l.Run([][]byte{in, out}, scratch, nil))
				require.NoError(t, q.Sync())
				require.Equal(t, c.launches, d.Count("Launch")-before, c)
				require.Equal(t, want, floats(t, q, out), c)
			}
		}
	}
}
