package native

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// Every f16 and bf16, the numbers between neighbours, and others.
func TestRoundedAsTensorsAre(t *testing.T) {
	for _, c := range []struct {
		round round
		widen func(uint16) float32
		want  func(float32) uint16
	}{{roundF16, tensor.F16ToF32, tensor.F32ToF16}, {roundBF16, tensor.BF16ToF32, tensor.F32ToBF16}} {
		var xs []float32
		for b := range 1 << 16 {
			x := c.widen(uint16(b))
			half := (x + c.widen(uint16(b+1))) / 2
			xs = append(xs, x, half, math.Nextafter32(half, 0), math.Nextafter32(half, 1e38))
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 100000 {
			xs = append(xs, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()))
		}
		dst := make([]uint16, len(xs))
		mem, _ := tensor.Of([]int{len(xs)}, xs...).Bytes()
		out, _ := tensor.Of([]int{len(dst)}, dst...).Bytes()
		c.round(out, words[float32](mem))
		for i, got := range words[uint16](out) {
			if want := c.want(xs[i]); xs[i] == xs[i] {
				require.Equal(t, want, got, "%g", xs[i])
			} else {
				require.True(t, c.widen(got) != c.widen(got), "%g", xs[i])
			}
		}
	}
}
