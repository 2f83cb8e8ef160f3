package native

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/ir"
)

// variantRegions choose by size in every way that there is.
var variantRegions = map[string]string{
	"pointwise": `func @f(%x: f32[B,N]) -> f32[B,N] {
  %0: f32[B,N] = neg(%x)
  return %0
}`,
	"softmax": `func @f(%x: f32[B,N]) -> f32[B,N] {
  %m: f32[B] = reduce_max(%x) {axes=[1]}
  %mb: f32[B,N] = broadcast(%m) {axes=[0]}
  %d: f32[B,N] = sub(%x, %mb)
  %e: f32[B,N] = exp(%d)
  return %e
}`,
	"linear": `func @f(%x: f32[B,64], %w: f32[N,64]) -> f32[B,N] {
  %0: f32[B,N] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`,
	"matmul": `func @f(%x: f32[B,K], %w: f32[K,N]) -> f32[B,N] {
  %0: f32[B,N] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[0]}
  return %0
}`,
	"half": `func @f(%x: f32[B,K], %w: bf16[N,K]) -> f32[B,N] {
  %v: f32[N,K] = cast(%w)
  %0: f32[B,N] = dot_general(%x, %v) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`,
}

// emitters are the executors with machine code that this processor can run. Their
// last-level cache is small, so that streaming begins early.
func emitters() map[string]*Executor {
	out := map[string]*Executor{}
	add := func(name string, f asm.Features) {
		if x := New(f); x.emits {
			x.lastLevel = 1 << 12
			out[name] = x
		}
	}
	f := asm.Detect()
	if f.AVX512 {
		add("avx512", f)
		f.AVX512, f.AVX512BF16 = false, false
	}
	add("avx2", f)
	return out
}

func variantKernel(t *testing.T, x *Executor, text string) executors.Kernel {
	t.Helper()
	region, _, diags := ir.Parse("region", text)
	require.NoError(t, diags.Err())
	k, err := x.Compile(context.Background(), region, executors.Options{})
	require.NoError(t, err)
	return k
}

// chosen tells what a launch really chose.
func chosen(l *launch) string {
	s := ""
	for i := range l.steps {
		step := &l.steps[i]
		switch {
		case step.nest.Empty:
			s += "empty"
		case step.product != nil:
			kind, transposed := step.product.Kind()
			s += fmt.Sprint(kind, transposed)
		case step.leaf != l.k.steps[i].leaf:
			s += "streaming"
		default:
			s += "plain"
		}
		s += " "
	}
	return s
}

// Sizes that satisfy what a launch assumes get a launch that chose the same.
func TestAssumptionsHoldTheChoice(t *testing.T) {
	for name, x := range emitters() {
		for region, text := range variantRegions {
			t.Run(name+"/"+region, func(t *testing.T) {
				k := variantKernel(t, x, text)
				r := rand.New(rand.NewPCG(1, 2))
				var launches []*launch
				var sizes []map[string]int64
				for range 250 {
					at := map[string]int64{"B": someSize(r), "N": someSize(r), "K": someSize(r)}
					l, err := k.Bind(at)
					require.NoError(t, err)
					launches, sizes = append(launches, l.(*launch)), append(sizes, at)
				}
				checkClasses(t, launches, sizes)
			})
		}
	}
}

// someSize prefers sizes at which something changes.
func someSize(r *rand.Rand) int64 {
	edges := []int64{0, 1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 32, 63, 64, 100, 511, 4096}
	if r.IntN(3) == 0 {
		return r.Int64N(600)
	}
	return edges[r.IntN(len(edges))]
}

func checkClasses(t *testing.T, launches []*launch, sizes []map[string]int64) {
	together, kinds := 0, map[string]bool{}
	for i, l := range launches {
		assumed := l.Assumes()
		kinds[chosen(l)] = true
		for j, other := range launches {
			if i == j || !holdAt(t, assumed, sizes[j]) {
				continue
			}
			together++
			require.Equal(t, chosen(l), chosen(other), "%v assumes %v, which hold at %v", sizes[i], assumed, sizes[j])
		}
		require.True(t, holdAt(t, assumed, sizes[i]), "%v assumes %v", sizes[i], assumed)
		if n := len(assumed); n > 0 && assumed[n-1].What == "in one piece, on the caller's goroutine" {
			require.LessOrEqual(t, l.Chunks(), 1)
		}
	}
	assert.Greater(t, together, len(launches), "classes of one member each")
	assert.Greater(t, len(kinds), 1, "one choice for all sizes")
}

func holdAt(t *testing.T, as []executors.Assumption, sizes map[string]int64) bool {
	t.Helper()
	for _, a := range as {
		for _, c := range a.Conds {
			holds, err := c.Holds(sizes)
			require.NoError(t, err)
			if !holds {
				return false
			}
		}
	}
	return true
}

// What is assumed reads as one would say it.
func TestAssumptionTexts(t *testing.T) {
	for name, x := range emitters() {
		k := variantKernel(t, x, variantRegions["linear"])
		l, err := k.Bind(map[string]int64{"B": 64, "N": 128})
		require.NoError(t, err)
		var got []string
		for _, a := range l.(executors.Assumer).Assumes() {
			got = append(got, fmt.Sprintf("%s %v", a.What, a.Conds))
		}
		rows := map[string]int{"avx512": 9, "avx2": 5}[name]
		assert.Contains(t, got, fmt.Sprintf("matrix product, blocked [B >= 1 N >= 1 N >= 2 B >= %d]", rows), "%s: %v", name, got)
	}
	for _, x := range emitters() {
		l := variantKernel(t, x, variantRegions["pointwise"])
		few, err := l.Bind(map[string]int64{"B": 0, "N": 3})
		require.NoError(t, err)
		assert.Equal(t, "nothing to compute", few.(executors.Assumer).Assumes()[0].What)
	}
}

// A kernel that has no machine code chooses nothing by size.
func TestInterpretedKernelsAssumeNothing(t *testing.T) {
	k := variantKernel(t, New(asm.Features{}), variantRegions["pointwise"])
	l, err := k.Bind(map[string]int64{"B": 2, "N": 3})
	require.NoError(t, err)
	assert.Empty(t, l.(executors.Assumer).Assumes())
}

// The kinds of products have names.
func TestKindNames(t *testing.T) {
	for k := gemm.Blocked; k <= gemm.Zeros; k++ {
		assert.NotEmpty(t, k.String())
		assert.NotEmpty(t, kindTexts[k])
	}
}
