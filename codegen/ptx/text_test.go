package ptx

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
)

// Each entry is a text by itself, and the whole is what one module of all would be.
func TestTexts(t *testing.T) {
	m := &asm.Module{Version: "7.8", Target: "sm_80"}
	for _, name := range []string{"plain", "dynamic", "last"} {
		k := asm.NewKernel(name, 32)
		k.Dynamic = name == "dynamic"
		k.Param(asm.B32, "p0")
		k.Emit("ret")
		m.Kernels = append(m.Kernels, k)
	}
	texts := Texts(m)
	assert.Equal(t, m.String(), Whole(texts))
	require.Len(t, texts, 3)
	for i, x := range texts {
		code, err := sim.Parse(x.PTX)
		require.NoError(t, err, x.PTX)
		assert.Equal(t, []string{x.Entry}, code.Entries())
		assert.Equal(t, i == 1, strings.Contains(x.PTX, asm.DynamicShared))
	}
	assert.Equal(t, texts[:1], Texts(&asm.Module{Version: "7.8", Target: "sm_80", Kernels: m.Kernels[:1]}))
}

// A launch's entry is that of a text.
func TestLaunchesHaveTexts(t *testing.T) {
	m := compiled(t, lowered(t, `func @product(%x: f32[N,C], %w: f32[48,C]) -> f32[N,48] {
  %0: f32[N,48] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`), a100, Options{})
	entries := map[string]bool{}
	for _, x := range m.Texts {
		entries[x.Entry] = true
	}
	used := map[string]bool{}
	for _, n := range []int64{1, 7, 100, 4096} {
		b, err := codegen.Bind(m.Kernel, map[string]int64{"N": n, "C": 512})
		require.NoError(t, err)
		plan, err := m.Bind(b)
		require.NoError(t, err)
		for _, l := range plan.Launches {
			assert.True(t, entries[l.Entry], l.Entry)
			used[l.Entry] = true
		}
	}
	assert.Greater(t, len(entries), 3)
	assert.Greater(t, len(used), 1)
}

// An entry for accesses that are not aligned is there only where sizes can make
// them so: a lone entry can be assembled before there are sizes.
func TestEntriesOfPoints(t *testing.T) {
	bias := `func @bias(%x: f32[N,C], %b: f32[C]) -> f32[N,C] {
  %0: f32[N,C] = broadcast(%b) {axes=[1]}
  %1: f32[N,C] = add(%x, %0)
  return %1
}`
	for src, want := range map[string]int{
		bias: 2, strings.ReplaceAll(bias, "C]", "768]"): 1, strings.ReplaceAll(bias, "C]", "767]"): 1,
		"func @add(%x: f32[N,C], %y: f32[N,C]) -> f32[N,C] {\n  %0: f32[N,C] = add(%x, %y)\n  return %0\n}": 1,
	} {
		assert.Len(t, compiled(t, lowered(t, src), a100, Options{}).Texts, want, src)
	}
}
