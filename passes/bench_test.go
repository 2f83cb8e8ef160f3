package passes

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/trace"
)

// BenchmarkPasses runs all passes on random functions: the time per op should
// not depend on their size.
func BenchmarkPasses(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		f := irgen.Func(rand.New(rand.NewPCG(5, 6)), irgen.Options{Values: n, MaxElements: 256})
		f.Results = nil
		for id, uses := range f.Uses() {
			if at := id - len(f.Params); uses == 0 && at >= 0 {
				f.Results = append(f.Results, f.Values[at])
			}
		}
		b.Run(fmt.Sprintf("ops=%d", n), func(b *testing.B) { benchmark(b, f) })
	}
}

// BenchmarkPrograms runs all passes on real programs.
func BenchmarkPrograms(b *testing.B) {
	for _, file := range programs(b) {
		f, err := trace.Read(file)
		require.NoError(b, err)
		b.Run(strings.TrimSuffix(filepath.Base(file), ".trace"), func(b *testing.B) { benchmark(b, f.Func) })
	}
}

func benchmark(b *testing.B, f *ir.Func) {
	var after *ir.Func
	var err error
	for b.Loop() {
		after, err = Run(f, Options{}, nil)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(f.Values)), "ops-before")
	b.ReportMetric(float64(len(after.Values)), "ops-after")
	_, _ = Run(f, Options{}, func(pass string, _, _ *ir.Func, d time.Duration) {
		b.ReportMetric(float64(d.Microseconds()), pass+"-us")
	})
}

func programs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/programs/*.trace")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}
