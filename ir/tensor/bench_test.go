package tensor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCodec is the path under every reference operation: decode to float64
// and encode from it.
func BenchmarkCodec(b *testing.B) {
	const n = 1 << 16
	for _, dt := range []DType{F32, F16, BF16, F8E4M3, I8} {
		x, err := Generate(Rule{Kind: "uniform", Lo: -1, Hi: 100}, dt, []int{n})
		require.NoError(b, err)
		values := Floats(x)
		b.Run("decode/"+dt.String(), func(b *testing.B) {
			b.SetBytes(int64(n * dt.Size()))
			for b.Loop() {
				codecs[dt].floats(values, x.Base())
			}
		})
		b.Run("encode/"+dt.String(), func(b *testing.B) {
			b.SetBytes(int64(n * dt.Size()))
			for b.Loop() {
				codecs[dt].putFloats(x.Base(), values)
			}
		})
	}
}

func BenchmarkContiguousOfTransposed(b *testing.B) {
	x, err := New(F32, 1024, 1024).Permute()
	require.NoError(b, err)
	b.SetBytes(int64(x.NumBytes()))
	for b.Loop() {
		x.Contiguous()
	}
}
