package fusion

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPartition partitions random functions, whose operands come from
// anywhere (window=0) or from the last values, as in a network.
func BenchmarkPartition(b *testing.B) {
	for _, window := range []int{0, 50} {
		for _, n := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("window=%d/ops=%d", window, n), func(b *testing.B) {
				f := randomFunc(b, rand.New(rand.NewPCG(1, 1)), n, window, true)
				b.ReportAllocs()
				for b.Loop() {
					_, err := Partition(f, native, Options{})
					require.NoError(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(f.Values)), "ns/irop")
			})
		}
	}
}

// BenchmarkKeyOf computes the key of a layer normalisation.
func BenchmarkKeyOf(b *testing.B) {
	r := partition(b, primitive(b, parse(b, layerNorm), nil), native, Options{})
	body := r.F.Values[0].Body
	b.ReportAllocs()
	for b.Loop() {
		KeyOf(body, "target")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(body.Values)), "ns/irop")
}

const layerNorm = `func @f(%x: f32[B,S,64], %g: f32[64], %h: f32[64]) -> f32[B,S,64]
    where B in [1, 64], S % 8 == 0 {
  %y = layer_norm(%x, %g, %h)
  return %y
}
`
