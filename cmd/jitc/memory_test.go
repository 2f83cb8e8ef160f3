package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// What does not fit is refused before it is allocated, wherever the memory would
// go, with the program's own words for it.
func TestTooLargeForTheMachine(t *testing.T) {
	small := filepath.Join(t.TempDir(), "x.npy")
	require.NoError(t, tensor.WriteFile(small, map[string]*tensor.Tensor{"x": tensor.New(tensor.F32, 3000)}))
	const facts = "where B in [1, 4000000000000] {\n"
	for _, c := range []struct {
		name, text string
		args       []string
		says       string
	}{
		{"parameter", "func @f(%x: f32[B] {init=\"ones\"}) -> f32[] " + facts + "  %y: f32[] = reduce_sum(%x) {axes=[0]}\n  return %y\n}\n",
			[]string{"--dim", "B=2000000000"}, "7.45 GiB for %x: f32[B] at B=2000000000"},
		{"after an input", "func @f(%x: f32[B], %w: f32[B*B*B] {init=\"ones\"}) -> f32[B] " + facts + "  %y: f32[B] = neg(%x)\n  return %y\n}\n",
			[]string{"--input", "x=" + small}, "101 GiB for %w: f32[B*B*B] at B=3000"},
		{"results", "func @f(%x: f32[B] {init=\"ones\"}) -> f32[B,B] " + facts + "  %y: f32[B,B] = broadcast(%x) {axes=[0]}\n  %z: f32[B,B] = exp(%y)\n  return %z\n}\n",
			[]string{"--dim", "B=50000"}, "9.31 GiB for the results"},
		{"constant", "func @f() -> f32[100000,100000] {\n  %y: f32[100000,100000] = iota() {axis=0, dtype=f32, shape=[100000,100000]}\n  return %y\n}\n",
			nil, "the sizes are fixed in the trace"},
		{"intermediate", "func @f(%x: f32[B,2] {init=\"ones\"}) -> f32[2] " + facts +
			"  %y: f32[B,B] = linear(%x, %x)\n  %z: f32[B,2] = dot_general(%y, %x) {lhs_contract=[1], rhs_contract=[0]}\n  %s: f32[2] = reduce_sum(%z) {axes=[0]}\n  return %s\n}\n",
			[]string{"--dim", "B=50000"}, "9.31 GiB for one tensor"},
		{"uncountable", "func @f(%x: f32[B] {init=\"ones\"}) -> f32[B,B] " + facts + "  %y: f32[B,B] = broadcast(%x) {axes=[0]}\n  %z: f32[B,B] = exp(%y)\n  return %z\n}\n",
			[]string{"--dim", "B=500000000"}, "at most 64.0 TiB got f32[B,B] at B=500000000"},
	} {
		in := writeTrace(t, c.text)
		for _, command := range [][]string{{"run", in}, {"bench", in, "--no-limits"}, {"run", in, "--executors", "reference"}} {
			out, errs, code := invoke("", append(command, c.args...)...)
			assert.Equal(t, exitInput, code, "%s: %s", c.name, errs)
			assert.Empty(t, out, c.name)
			assert.Contains(t, strings.Join(strings.Fields(errs), " "), c.says, c.name)
		}
	}
}

// A size outside its range is the trace's to refuse, however large.
func TestRangeComesBeforeMemory(t *testing.T) {
	for _, command := range []string{"run", "bench", "compile"} {
		_, errs, code := invoke("", command, writeTrace(t, smallTrace), "--dim", "B=4000000000000")
		assert.Equal(t, exitInput, code)
		assert.Contains(t, errs, "expected  B in [1, 64]\n  got       --dim B=4000000000000\n")
	}
}

// Programs that just fit run; the limit is the machine's, not the program's.
func TestWhatFitsRuns(t *testing.T) {
	in := writeTrace(t, smallTrace)
	for _, c := range []struct {
		memory int64
		code   int
	}{{1 << 20, exitOK}, {3000, exitInput}, {0, exitInput}} {
		var out, errs bytes.Buffer
		a := newApp(nil, &out, &errs)
		a.memory = func() int64 { return c.memory }
		assert.Equal(t, c.code, a.execute(t.Context(), []string{"run", in, "--dim", "B=64"}), "%d: %s", c.memory, errs.String())
	}
}

func TestAvailableMemory(t *testing.T) {
	for _, c := range []struct {
		text, key string
		want      int64
	}{
		{"MemTotal:  100 kB\nMemAvailable:   42 kB\n", "MemAvailable:", 42},
		{"MemTotal:  100 kB\n", "MemAvailable:", 0},
		{"4096\n", "", 4096}, {"max\n", "", 0}, {"", "", 0}, {"\n7\n", "", 7},
	} {
		assert.Equal(t, c.want, memoryIn(strings.NewReader(c.text), c.key), fmt.Sprintf("%q", c.text))
	}
	n := availableMemory()
	assert.Greater(t, n, int64(1<<20))
	assert.LessOrEqual(t, n, int64(assumedMemory))
}
