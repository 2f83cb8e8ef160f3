package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/ir/dim"
)

// wideTrace has a product whose strategy depends on B, and a result that is
// larger than any cache for large B.
const wideTrace = `func @wide(%x: f32[B,64] {init="ones"}, %w: f32[32,64] {init="ones"}) -> (f32[B,32], f32[B,4096])
    where B in [1, 1000000] {
  %h: f32[B,32] = linear(%x, %w)
  %m: f32[B] = reduce_sum(%h) {axes=[1]}
  %y: f32[B,4096] = broadcast(%m) {axes=[0]}
  return %h, %y
}
`

// On a processor with an emitter, what the native executor does depends on sizes,
// and guards and sizes agree on how.
func TestSizesTellWhatNativeChooses(t *testing.T) {
	if !asm.Detect().AVX2 {
		t.Log("no emitter for this processor: nothing is chosen by size")
	}
	in := writeTrace(t, wideTrace)
	doc := decode(t, exitOK, "sizes", in)
	assert.Equal(t, true, doc["complete"])
	classes := doc["classes"].([]any)
	require.Greater(t, len(classes), 2)
	text := ""
	for _, c := range classes {
		class := c.(map[string]any)
		at := class["smallest"].(map[string]any)["B"].(float64)
		for _, w := range class["where"].([]any) {
			cond, err := dim.ParseConstraint(w.(string))
			require.NoError(t, err)
			holds, err := cond.Holds(map[string]int64{"B": int64(at)})
			require.NoError(t, err)
			assert.True(t, holds, "%s at B=%v", cond, at)
		}
		for _, x := range class["choices"].([]any) {
			text += x.(map[string]any)["what"].(string) + "\n"
		}
	}
	assert.Contains(t, text, "matrix product, few rows")
	assert.Contains(t, text, "matrix product, blocked")
	assert.Contains(t, text, "split among workers")
	if asm.Detect().AVX512 {
		assert.Contains(t, text, "stores past the caches")
	}

	out, errs, code := invoke("", "guards", in, "--dim", "B=1")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "matrix product, few rows")
	assert.Contains(t, out, "(native, line 3): B <= ")
	out, _, code = invoke("", "guards", in, "--dim", "B=0")
	assert.Equal(t, exitDiffers, code)
	assert.Contains(t, out, "%x.size(0) >= 1")
}

func TestWhereClause(t *testing.T) {
	for _, c := range []struct {
		src, cond string
		line, col int
	}{
		{"func @f(%x: f32[B]) -> f32[B] where B >= 2 {\n}", "B >= 2", 1, 37},
		{"func @f(%where: f32[B]) # where B\n  -> f32[B] where B in [1, 4], C % 2 == 0 {\n}", "C % 2 == 0", 2, 32},
		{"func @f(%x: f32[B])\nwhere\n B <= 4,\n B <= C {\n}", "B <= C", 4, 2},
		{"func @f(%x: f32[B])\nwhere B <= 4 {\n}", "D >= 4", 2, 1},
		{"func @f(%x: f32[4]) -> f32[4] {\n  %y: f32[4] = where(%a, %b, %c)\n}", "B >= 1", 0, 0},
	} {
		cond, err := dim.ParseConstraint(c.cond)
		require.NoError(t, err)
		line, col := whereClause(c.src).find(cond)
		assert.Equal(t, []int{c.line, c.col}, []int{line, col}, c.src)
	}
}

func TestTurns(t *testing.T) {
	turns, err := (&engineFlags{dims: []string{"B=1..3", "8", " C=2", "4"}}).turns()
	require.NoError(t, err)
	require.Len(t, turns, 8)
	assert.Equal(t, map[string]int64{"B": 1, "C": 2}, turns[0])
	assert.Equal(t, map[string]int64{"B": 1, "C": 4}, turns[1])
	assert.Equal(t, map[string]int64{"B": 8, "C": 4}, turns[7])
	for _, dims := range [][]string{{"B=1..5000"}, {"B=1..4096", "C=1..2"}, {"B=1", "x"}, {"B=.."}, {"B=1.."}, {"=1"}, {"1"}, {"B=-1..2"}} {
		_, err := (&engineFlags{dims: dims}).turns()
		assert.Error(t, err, dims)
	}
	turns, err = (&engineFlags{}).turns()
	require.NoError(t, err)
	assert.Equal(t, []map[string]int64{{}}, turns)
}

// With --stats=prometheus the page of metrics is all that is printed.
func TestStatsForPrometheus(t *testing.T) {
	in := writeTrace(t, smallTrace)
	out, errs, code := invoke("", "run", in, "--dim", "B=2,3", "--repeat", "4", "--stats=prometheus")
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, "# HELP jitc_"), out)
	assert.Contains(t, out, `jitc_calls_total{function="small",route="last"} 6`)
	assert.Contains(t, out, `jitc_misses_total{function="small"} 1`)
}

// A size that no argument decides makes a function for each of its values.
func TestTurnsOfAGivenSize(t *testing.T) {
	in := writeTrace(t, `func @split(%x: f32[A*B] {init="ones"}) -> f32[A,B] {
  %y: f32[A,B] = reshape(%x)
  return %y
}
`)
	doc := decode(t, exitOK, "run", in, "--dim", "A=1..3,B=2", "--executors", "reference")
	require.Len(t, doc["turns"], 3)
	last := doc["turns"].([]any)[2].(map[string]any)
	assert.Equal(t, map[string]any{"A": 3.0, "B": 2.0}, last["sizes"])
}
