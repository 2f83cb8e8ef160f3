package tensor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The values come from an independent implementation of the rule in Python.
func TestGenerateGoldenValues(t *testing.T) {
	for _, c := range []struct {
		seed    uint64
		i       int
		word    uint64
		uniform float64
		normal  float64
		scaled  float64 // normal with Mean 0.5, Std 0.02
		integer float64 // ints in [-5, 10)
	}{
		{0, 0, 0xa706dd2f4d197e6f, 0x1.4e0dba5e9a32fp-1, 0x1.d119p+0, 0x1.129a99999999ap-1, 4},
		{0, 1, 0xb382a305f4414f5e, 0x1.6705460be8829p-1, 0x1.cec8p-3, 0x1.02505c28f5c29p-1, 5},
		{1, 0, 0x5e41ab087439611e, 0x1.7906ac21d0e58p-2, 0x1.737p-3, 0x1.01db70a3d70a4p-1, 0},
		{42, 0, 0x57e1faba65107204, 0x1.5f87eae99441cp-2, 0x1.ae7cp-1, 0x1.089c147ae147bp-1, 0},
		{42, 1, 0xf4abd143feb24055, 0x1.e957a287fd648p-1, -0x1.9208p+0, 0x1.dfd6666666666p-2, 9},
		{42, 123456789, 0xf546b4c8800eef6f, 0x1.ea8d6991001ddp-1, 0x1.b938p-3, 0x1.0234c28f5c28fp-1, 9},
		{math.MaxUint64, 7, 0xb94ec6a04d7b4627, 0x1.729d8d409af68p-1, -0x1.2be8p-2, 0x1.fa007ae147ae1p-2, 5},
	} {
		base := mix(c.seed + goldenGamma)
		one := make([]float64, 1)
		assert.Equal(t, c.word, mix(base+uint64(c.i+1)*goldenGamma))
		for _, k := range []struct {
			fill func(Rule, uint64, int, []float64)
			rule Rule
			want float64
		}{
			{fillUniform, Rule{Hi: 1}, c.uniform},
			{fillNormal, Rule{Std: 1}, c.normal},
			{fillNormal, Rule{Mean: 0.5, Std: 0.02}, c.scaled},
			{fillRandomInts, Rule{Lo: -5, Hi: 10}, c.integer},
		} {
			k.fill(k.rule, base, c.i, one)
			assert.Equal(t, k.want, one[0], "seed %d element %d %+v", c.seed, c.i, k.rule)
		}
	}
	x, err := Generate(Rule{Kind: "normal", Seed: 42, Std: 1}, F32, []int{2})
	require.NoError(t, err)
	assert.Equal(t, []float32{0x1.ae7cp-1, -0x1.9208p+0}, Data[float32](x))
}

// The split into blocks and over processors must not show.
func TestGenerateIsPositional(t *testing.T) {
	const n = 1<<20 + 4097
	for _, rule := range []Rule{
		{Kind: "uniform", Seed: 3, Lo: -1, Hi: 1},
		{Kind: "normal", Seed: 3, Mean: 1, Std: 2},
		{Kind: "ints", Seed: 3, Lo: 0, Hi: 50257},
		{Kind: "arange", Lo: 7, Step: 2},
	} {
		long, err := Generate(rule, I32, []int{n})
		require.NoError(t, err)
		got := Data[int32](long)
		var fill func(Rule, uint64, int, []float64)
		for _, g := range generators {
			if g.kind == rule.Kind {
				fill = g.fill
			}
		}
		want := make([]float64, n)
		fill(rule, mix(rule.Seed+goldenGamma), 0, want)
		for i, v := range Ints(FromFloats(I32, []int{n}, want)) {
			require.Equal(t, int32(v), got[i], "%s element %d", rule.Kind, i)
		}
		short, err := Generate(rule, I32, []int{3, 5})
		require.NoError(t, err)
		assert.Equal(t, got[:15], Data[int32](short))
	}
}

func TestGenerateSimpleKinds(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		want []float64
	}{
		{Rule{Kind: "zeros"}, []float64{0, 0, 0, 0}},
		{Rule{Kind: "ones"}, []float64{1, 1, 1, 1}},
		{Rule{Kind: "arange"}, []float64{0, 1, 2, 3}},
		{Rule{Kind: "arange", Lo: 5, Step: -0.5}, []float64{5, 4.5, 4, 3.5}},
	} {
		for _, dt := range []DType{F64, F32, F16, BF16} {
			x, err := Generate(c.rule, dt, []int{2, 2})
			require.NoError(t, err)
			assert.Equal(t, c.want, Floats(x))
		}
	}
}

func TestGenerateDistributions(t *testing.T) {
	const n = 200_000
	moments := func(r Rule) (mean, variance, lo, hi float64) {
		x, err := Generate(r, F64, []int{n})
		require.NoError(t, err)
		lo, hi = math.Inf(1), math.Inf(-1)
		for _, v := range Floats(x) {
			mean += v / n
			lo, hi = min(lo, v), max(hi, v)
		}
		for _, v := range Floats(x) {
			variance += (v - mean) * (v - mean) / n
		}
		return mean, variance, lo, hi
	}
	mean, variance, lo, hi := moments(Rule{Kind: "normal", Seed: 5, Std: 1})
	assert.InDelta(t, 0, mean, 0.01)
	assert.InDelta(t, 1, variance, 0.02)
	assert.Less(t, lo, -3.5)
	assert.Greater(t, hi, 3.5)
	mean, variance, lo, hi = moments(Rule{Kind: "uniform", Seed: 5, Lo: -2, Hi: 4})
	assert.InDelta(t, 1, mean, 0.02)
	assert.InDelta(t, 3, variance, 0.03)
	assert.GreaterOrEqual(t, lo, -2.0)
	assert.Less(t, hi, 4.0)
	mean, _, lo, hi = moments(Rule{Kind: "ints", Seed: 5, Lo: -3, Hi: 4})
	assert.InDelta(t, 0, mean, 0.02)
	assert.Equal(t, []float64{-3, 3}, []float64{lo, hi}, "both ends occur, Hi does not")
}

func TestGenerateErrors(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		dt   DType
		want string
	}{
		{Rule{Kind: "gauss"}, F32, `got "gauss"`},
		{Rule{Kind: "normal"}, F32, "Std > 0"},
		{Rule{Kind: "uniform"}, F32, "Lo < Hi"},
		{Rule{Kind: "uniform", Lo: -math.MaxFloat64, Hi: math.MaxFloat64}, F32, "finite"},
		{Rule{Kind: "uniform", Hi: math.NaN()}, F32, "finite"},
		{Rule{Kind: "ints", Hi: 1.5}, F32, "whole"},
		{Rule{Kind: "ones"}, Invalid, "not an element type"},
	} {
		_, err := Generate(c.rule, c.dt, []int{2})
		require.ErrorContains(t, err, c.want)
	}
	_, err := Generate(Rule{Kind: "ones"}, F32, []int{-2})
	require.Error(t, err)
}

func BenchmarkGenerateNormal(b *testing.B) {
	const n = 1 << 24
	b.SetBytes(n * 4)
	for b.Loop() {
		if _, err := Generate(Rule{Kind: "normal", Seed: 1, Std: 0.02}, F32, []int{n}); err != nil {
			b.Fatal(err)
		}
	}
}
