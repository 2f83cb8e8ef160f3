package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/ir/tensor"
)

// smallTrace has a product, a reduction and a size.
const smallTrace = `func @small(%x: f32[B,8] {init="normal", seed=1}, %w: f32[8,5] {init="normal", seed=2}) -> (f32[B,5], f32[B])
    where B in [1, 64] {
  %h: f32[B,5] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[0]}
  %p: f32[B,5] = softmax(%h) {axis=1}
  %m: f32[B] = reduce_max(%p) {axes=[1]}
  return %p, %m
}
`

// writeTrace writes a trace into a folder of the test's own.
func writeTrace(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "in.trace")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// decode runs a command line with --json and decodes its one document.
func decode(t *testing.T, wantCode int, args ...string) map[string]any {
	t.Helper()
	out, errs, code := invoke("", append(args, "--json")...)
	require.Equal(t, wantCode, code, "%s%s", out, errs)
	dec := json.NewDecoder(strings.NewReader(out))
	var doc map[string]any
	require.NoError(t, dec.Decode(&doc), out)
	assert.False(t, dec.More(), "more than one document")
	return doc
}

func TestJSONDecodes(t *testing.T) {
	in := writeTrace(t, smallTrace)
	for _, c := range []struct {
		args []string
		keys []string
	}{
		{[]string{"run", in, "--dim", "B=3", "--stats"}, []string{"function", "sizes", "compile", "results", "stats"}},
		{[]string{"compile", in, "--dim", "B=3"}, []string{"stages", "passes", "regions", "plan"}},
		{[]string{"compile", in, "--dump", "fused,asm,loops"}, []string{"stages", "dumps"}},
		{[]string{"explain", in}, []string{"regions", "reasons"}},
		{[]string{"explain", in, "p"}, []string{"became", "regions", "decisions"}},
		{[]string{"guards", in, "--dim", "B=3"}, []string{"guards", "symbols", "sizes", "holds", "choices", "devices", "not_assumed"}},
		{[]string{"sizes", in}, []string{"symbols", "facts", "classes", "complete"}},
		{[]string{"run", in, "--dim", "B=3..5", "--stats"}, []string{"turns", "stats"}},
		{[]string{"check", in}, []string{"files"}},
		{[]string{"fmt", in}, []string{"files"}},
		{[]string{"bench", in, "--dim", "B=3", "--repeat", "2", "--no-limits"}, []string{"min", "median", "kernels"}},
		{[]string{"ops"}, []string{"ops"}},
		{[]string{"executors"}, []string{"platform", "executors"}},
		{[]string{"version"}, []string{"version", "go"}},
	} {
		doc := decode(t, exitOK, c.args...)
		for _, k := range c.keys {
			assert.Contains(t, doc, k, "%v", c.args)
		}
	}
}

func TestJSONErrors(t *testing.T) {
	in := writeTrace(t, smallTrace)
	for _, c := range []struct {
		kind string
		args []string
	}{
		{"usage", []string{"run"}},
		{"usage", []string{"nosuch"}},
		{"usage", []string{"run", in, "--dim", "B"}},
		{"usage", []string{"run", in, "--executors", "nosuch"}},
		{"input", []string{"run", in}},
		{"input", []string{"run", in, "--dim", "B=65"}},
		{"input", []string{"run", in + "x"}},
	} {
		e := decode(t, exitInput, c.args...)["error"].(map[string]any)
		assert.Equal(t, c.kind, e["kind"], "%v", c.args)
		assert.NotEmpty(t, e["message"], "%v", c.args)
		assert.EqualValues(t, exitInput, e["exit"])
	}
}

func TestUnknownExecutorNamesTheKnown(t *testing.T) {
	_, errs, code := invoke("", "run", writeTrace(t, smallTrace), "--dim", "B=1", "--executors", "nosuch")
	assert.Equal(t, exitInput, code)
	for _, x := range executors.All() {
		assert.Contains(t, errs, x.Name())
	}
}

// Every executor computes what the reference computes, through all of the
// command line: results written by one are what the other expects.
func TestExecutorsAgree(t *testing.T) {
	in := writeTrace(t, smallTrace)
	want := filepath.Join(t.TempDir(), "want.npz")
	_, errs, code := invoke("", "run", in, "--dim", "B=7", "--executors", "reference", "--out", want)
	require.Equal(t, exitOK, code, errs)
	for _, extra := range [][]string{nil, {"--no-fuse"}, {"--verify"}, {"--threads", "1"}, {"--fast-math"}, {"--repeat", "3"}} {
		doc := decode(t, exitOK, append([]string{"run", in, "--dim", "B=7", "--expect", want, "--rtol", "1e-5"}, extra...)...)
		expect := doc["expect"].(map[string]any)
		assert.Equal(t, true, expect["ok"], "%v", extra)
		assert.Len(t, expect["comparisons"], 2)
	}
}

func TestExpectSections(t *testing.T) {
	in := writeTrace(t, `func @f(%x: f32[4,6] {init="arange"}) -> f32[4,6] {
  %y: f32[4,6] = neg(%x)
  return %y
}
`)
	row := tensor.FromFloats(tensor.F32, []int{6}, []float64{-18, -19, -20, -21, -22, -23})
	for _, c := range []struct {
		key  string
		want *tensor.Tensor
		code int
		says string
	}{
		{"y[3,:]", row, exitOK, "ok"},
		{"y[-1]", row, exitOK, "ok"},
		{"0[3]", row, exitOK, "ok"},
		{"y[:,1:6:2]", tensor.FromFloats(tensor.F64, []int{4, 3}, []float64{-1, -3, -5, -7, -9, -11, -13, -15, -17, -19, -21, -23}), exitOK, "ok"},
		{"y[1:3,4]", tensor.FromFloats(tensor.F32, []int{2}, []float64{-10, -16}), exitOK, "ok"},
		{"y[1:1]", tensor.New(tensor.F32, 0, 6), exitOK, "ok"},
		{"y[9:]", tensor.New(tensor.F32, 0, 6), exitOK, "ok"},
		{"y[2:,1::2]", tensor.FromFloats(tensor.F32, []int{2, 3}, []float64{-13, -15, -17, -19, -1, -23}), exitDiffers, "first at [3,3]: got -21, want -1"},
		{"y[:,0:2]", row, exitDiffers, "got f32[4 2], want f32[6]"},
		{"y[4]", row, exitInput, "index 4 is outside the axis of size 4"},
		{"y[0,0,0]", row, exitInput, "has 3 axes, the result has 2"},
		{"y[::0]", row, exitInput, "step of 1 or more"},
		{"y[a]", row, exitInput, "expected an index or start:stop:step"},
		{"y[1:2:3:4]", row, exitInput, "expected an index or start:stop:step"},
		{"z[0]", row, exitInput, "is no result of the trace, which has y"},
	} {
		file := filepath.Join(t.TempDir(), "want.npz")
		require.NoError(t, tensor.WriteFile(file, map[string]*tensor.Tensor{c.key: c.want}))
		out, errs, code := invoke("", "run", in, "--expect", file, "--executors", "reference")
		assert.Equal(t, c.code, code, c.key)
		assert.Contains(t, strings.Join(strings.Fields(out+errs), " "), c.says, c.key)
	}
}

func TestTruncatedArchive(t *testing.T) {
	in := writeTrace(t, smallTrace)
	file := filepath.Join(t.TempDir(), "want.npz")
	_, errs, code := invoke("", "run", in, "--dim", "B=2", "--out", file)
	require.Equal(t, exitOK, code, errs)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		require.NoError(t, os.WriteFile(file, whole[:n], 0o644))
		for _, flag := range []string{"--expect", "--inputs", "--weights"} {
			_, errs, code := invoke("", "run", in, "--dim", "B=2", flag, file)
			assert.Equal(t, exitInput, code, "%s, %d bytes", flag, n)
			assert.Contains(t, errs, "want.npz", "%s, %d bytes", flag, n)
		}
	}
}

// A failed run leaves no file, and an existing one as it was.
func TestOutIsAllOrNothing(t *testing.T) {
	in := writeTrace(t, smallTrace)
	dir := t.TempDir()
	_, errs, code := invoke("", "run", in, "--dim", "B=2", "--out", filepath.Join(dir, "x.npy"))
	assert.Equal(t, exitInput, code, errs) // a .npy file holds one tensor
	_, errs, code = invoke("", "run", in, "--dim", "B=2", "--out", filepath.Join(dir, "nosuch", "x.npz"))
	assert.Equal(t, exitInput, code, errs)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestBenchReportsLimits(t *testing.T) {
	p, err := newProbe(t.Context(), place{"cpu", []string{"native"}}, 1, 1<<16)
	require.NoError(t, err)
	defer p.close()
	require.NoError(t, p.sample())
	require.NoError(t, p.sample())
	l := p.limits
	if l.Note != "" {
		assert.Zero(t, l.Triad)
		return
	}
	assert.Greater(t, l.Triad, 1e6)
	assert.Contains(t, l.text(), "GB/s")
	d, by := (&limits{Triad: 1e9, FMA: 1e9}).bound(2e9, 1e9)
	assert.Equal(t, "mem 2s", fmt.Sprint(by, " ", d))
	d, by = (&limits{Triad: 1e9, FMA: 1e9}).bound(1e9, 3e9)
	assert.Equal(t, "fma 3s", fmt.Sprint(by, " ", d))
	d, _ = (&limits{}).bound(1e9, 1e9)
	assert.Zero(t, d)
}

// Shares of a benchmark sum to one, and every region is in some kernel.
func TestBenchAccountsForEveryRegion(t *testing.T) {
	doc := decode(t, exitOK, "bench", writeTrace(t, smallTrace), "--dim", "B=4", "--repeat", "3", "--no-limits", "--no-fuse")
	share, regions := 0.0, 0
	for _, k := range doc["kernels"].([]any) {
		share += k.(map[string]any)["share"].(float64)
		regions += len(k.(map[string]any)["regions"].([]any))
	}
	assert.InDelta(t, 1, share, 1e-6)
	assert.EqualValues(t, doc["regions"], regions)
	assert.Greater(t, regions, 3)
	assert.NotContains(t, doc, "limits")
}

// What --out writes can be read again as the trace it is.
func TestDumpsParse(t *testing.T) {
	dir := t.TempDir()
	_, errs, code := invoke("", "compile", writeTrace(t, smallTrace), "--dim", "B=4", "--out", dir, "--dump", "all")
	require.Equal(t, exitOK, code, errs)
	traces, err := filepath.Glob(filepath.Join(dir, "*.trace"))
	require.NoError(t, err)
	require.Greater(t, len(traces), 5)
	for _, f := range traces {
		out, errs, code := invoke("", "fmt", "-l", f)
		assert.Equal(t, exitOK, code, "%s%s%s", f, out, errs)
	}
	for _, f := range []string{"loops.txt", "asm.txt", "plan.txt"} {
		assert.FileExists(t, filepath.Join(dir, f))
	}
}

// The programs of the repository give what PyTorch computed for them.
func TestProgramsMatchExpected(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "programs")
	for _, c := range []struct{ program, dim string }{
		{"mlp", "B=3"}, {"mlp", "B=8"}, {"lstm", "B=1"}, {"lstm", "B=4"}, {"resnet18", ""},
	} {
		want := c.program + ".npz"
		args := []string{"run", filepath.Join(dir, c.program+".trace")}
		if c.dim != "" {
			want = c.program + "." + c.dim + ".npz"
			args = append(args, "--dim", c.dim)
		}
		doc := decode(t, exitOK, append(args, "--expect", filepath.Join(dir, want))...)
		assert.NotContains(t, doc["expect"], "unchecked", "%s %s", c.program, c.dim)
	}
}
