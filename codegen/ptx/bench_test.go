package ptx

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"jitc/codegen"
)

// BenchmarkCompile is the time from a legal kernel to PTX, and BenchmarkBind that
// from sizes to launches.
func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"bias_gelu", "layer_norm", "softmax", "linear_relu"} {
		b.Run(name, func(b *testing.B) {
			k := legalRegion(b, name)
			for b.Loop() {
				_, err := Compile(k, a100, Options{})
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	k := legalRegion(b, "layer_norm")
	m, err := Compile(k, a100, Options{})
	require.NoError(b, err)
	bound, err := codegen.Bind(k, map[string]int64{"B": 8, "T": 1024})
	require.NoError(b, err)
	for b.Loop() {
		_, err := m.Bind(bound)
		require.NoError(b, err)
	}
}

func legalRegion(b *testing.B, name string) *codegen.Kernel {
	src, err := os.ReadFile(filepath.Join("../../testdata/loops", name+".txtar"))
	require.NoError(b, err)
	k, err := codegen.Legalize(lowered(b, string(txtar.Parse(src).Files[0].Data)), Target(false, false))
	require.NoError(b, err)
	return k
}
