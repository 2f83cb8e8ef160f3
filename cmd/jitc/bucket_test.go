package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
)

func TestBucketsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"8,16,32": "8, 16, 32", " 16 , 8": "8, 16", "7": "7",
		"pow2": "powers of two from 1", "pow2:16": "powers of two from 16", "step:4": "multiples of 4",
	} {
		b, ok := bucketsOf(text)
		if assert.True(t, ok, text) {
			assert.Equal(t, want, b.String(), text)
		}
	}
	for _, text := range []string{"", "0", "-8", "8,", ",8", "8;9", "1e3", "pow2:", "pow2:0", "pow2:-1", "pow2:x", "pow3", "step", "step:",
		"step:0", "step:1.5", "9223372036854775808", "step:9223372036854775808"} {
		_, ok := bucketsOf(text)
		assert.False(t, ok, text)
	}
}

const paddedTrace = `func @f(%x: f32[B,4] {init="normal", seed=1}, %b: f32[T,4] {init="normal", seed=2}) -> (f32[B,4], f32[4])
    where B in [1, 40], T == 2*B {
  %s: f32[4] = reduce_sum(%b) {axes=[0]}
  %y: f32[B,4] = exp(%x)
  return %y, %s
}
`

// TestPaddedRunsAreThoseOfTheTrueSize compares results at every size, of sizes that
// follow from the padded one too.
func TestPaddedRunsAreThoseOfTheTrueSize(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("f.trace", []byte(paddedTrace), 0o644))
	for _, b := range []string{"1", "2", "7", "8", "9", "30"} {
		_, errs, code := invoke("", "run", "f.trace", "--dim", "B="+b, "--out", "plain.npz", "--executors", "reference")
		require.Equal(t, exitOK, code, errs)
		out, errs, code := invoke("", "run", "f.trace", "--dim", "B="+b, "--bucket", "B=pow2:8", "--expect", "plain.npz", "--rtol", "1e-5", "--repeat", "3", "--json")
		require.Equal(t, exitOK, code, out+errs)
		var r runReport
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.NotNil(t, r.Padding)
		require.NotNil(t, r.Padding.Buckets[0].Padded)
		assert.Equal(t, map[string]int64{"1": 8, "2": 8, "7": 8, "8": 8, "9": 16, "30": 32}[b], *r.Padding.Buckets[0].Padded)
		if assert.NotNil(t, r.Padding.Exact) {
			assert.False(t, *r.Padding.Exact, "a sum runs over the padded axis")
		}
	}
}

// TestBucketsShareRecordings counts what the cache keeps.
func TestBucketsShareRecordings(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("f.trace", []byte(paddedTrace), 0o644))
	recordings := func(args ...string) int {
		out, errs, code := invoke("", append([]string{"run", "f.trace", "--dim", "B=1..32", "--stats", "--json"}, args...)...)
		require.Equal(t, exitOK, code, errs)
		var r runReport
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Len(t, r.Turns, 32)
		return r.Stats.Function.Recordings
	}
	assert.Equal(t, 32, recordings())
	assert.Equal(t, 3, recordings("--bucket", "B=8,16,32"))
}

const productTrace = `func @f(%x: f32[B,64] {init="normal", seed=1}, %w: f32[64,64] {init="normal", seed=2}) -> f32[B,64] where B in [1, 64] {
  %y: f32[B,64] = linear(%x, %w)
  return %y
}
`

// TestPaddedBitsAreThoseOfTheSameCode runs a product whose code changes with the
// number of rows: where the report says exact, no bit differs.
func TestPaddedBitsAreThoseOfTheSameCode(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("f.trace", []byte(productTrace), 0o644))
	_, errs, code := invoke("", "run", "f.trace", "--dim", "B=5", "--out", "plain.npz")
	require.Equal(t, exitOK, code, errs)
	exact := map[string]bool{}
	for _, bucket := range []string{"5", "6", "8", "16", "64"} {
		out, _, code := invoke("", "run", "f.trace", "--dim", "B=5", "--bucket", "B="+bucket, "--expect", "plain.npz", "--atol", "0", "--rtol", "0", "--json")
		var r runReport
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.NotNil(t, r.Padding.Exact)
		if exact[bucket] = *r.Padding.Exact; exact[bucket] {
			assert.Equal(t, exitOK, code, out)
		}
	}
	assert.True(t, exact["5"], "nothing is padded")
	if asm.Detect().AVX512 {
		assert.True(t, exact["8"])
		assert.False(t, exact["64"], "more rows are a blocked product")
	}
	var r compileReport
	invokeJSON(t, productTrace, &r, "compile", "f.trace", "--bucket", "B=8")
	assert.Nil(t, r.Padding.Exact, "it depends on sizes that are not known")
}
