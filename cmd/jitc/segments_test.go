package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const segmentedTrace = `func @f(%x: f32[N] {init="normal", seed=1}) -> (f32[U], f32[V])
    where N >= 0, U >= 0, V >= 0 {
  %y: f32[N] = exp(%x)
  %m: bool[N] = gt(%x, 0.0)
  %p: f32[U] = masked_select(%y, %m) {count=[U]}
  %q: f32[U] = exp(%p)
  %l: bool[U] = lt(%q, 9.0)
  %v: f32[V] = masked_select(%q, %l) {count=[V]}
  %w: f32[V] = exp(%v)
  return %q, %w
}
`

// invokeJSON runs a command line on a trace and reads what it prints.
func invokeJSON(t *testing.T, src string, into any, args ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("f.trace", []byte(src), 0o644))
	out, errs, code := invoke("", append(args, "--json")...)
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, json.Unmarshal([]byte(out), into))
}

func TestCompileReportsEverySegment(t *testing.T) {
	var r compileReport
	invokeJSON(t, segmentedTrace, &r, "compile", "f.trace", "--executors", "native", "--dim", "N=8", "--dump", "fused")
	require.Len(t, r.Segments, 3)
	assert.Equal(t, []string{"U"}, r.Segments[0].Defines[0].Sizes)
	assert.Equal(t, "f.trace:8:3", r.Segments[1].Defines[0].At)
	assert.Empty(t, r.Segments[2].Defines)
	require.NotNil(t, r.Segments[0].Plan)
	assert.Equal(t, map[string]int64{"N": 8}, r.Segments[0].Plan.Sizes)
	assert.Equal(t, []string{"U"}, r.Segments[1].Needs)
	assert.Nil(t, r.Segments[1].Plan)
	assert.Nil(t, r.Plan, "there is none of the whole")
	seen := map[int]int{}
	for _, g := range r.Regions {
		seen[g.Segment]++
	}
	assert.Equal(t, map[int]int{1: 1, 2: 1, 3: 1}, seen)
	assert.Equal(t, 3, r.Kernels)
	require.Len(t, r.Dumps, 3)
	assert.Contains(t, r.Dumps[2].Text, "%w: f32[V]")
	assert.Equal(t, 3, r.Dumps[2].Segment)
}

func TestExplainReportsEverySegment(t *testing.T) {
	var o overview
	invokeJSON(t, segmentedTrace, &o, "explain", "f.trace", "--executors", "native")
	require.Len(t, o.Segments, 3)
	require.Len(t, o.Regions, 3)
	for i, members := range [][]string{{"%y", "%m"}, {"%q", "%l"}, {"%w"}} {
		assert.Equal(t, i+1, o.Regions[i].Segment)
		assert.ElementsMatch(t, members, o.Regions[i].Members)
	}
}

func TestBenchTimesSegmentsAsAWhole(t *testing.T) {
	var r benchReport
	invokeJSON(t, segmentedTrace, &r, "bench", "f.trace", "--executors", "native", "--dim", "N=8", "--repeat", "4")
	assert.Equal(t, 3, r.Regions)
	assert.Equal(t, 4, r.Runs)
	assert.Positive(t, r.Min)
	assert.Nil(t, r.Limits)
	require.Len(t, r.Segments, 3)
	for _, s := range r.Segments {
		assert.EqualValues(t, 5, s.Hits+s.Misses, "4 runs, and one before them")
		assert.EqualValues(t, 1, s.Misses)
	}
}

func TestAProgramOfOneSegmentHasNoHeadings(t *testing.T) {
	var r compileReport
	invokeJSON(t, "func @f(%x: f32[4]) -> f32[4] {\n  %y: f32[4] = exp(%x)\n  return %y\n}\n", &r, "compile", "f.trace")
	assert.Empty(t, r.Segments)
	assert.Zero(t, r.Regions[0].Segment)
	require.NotNil(t, r.Plan)
}

func TestBodiesHaveNames(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "r.body": "the body of %r", "a.b.cond": "the condition of %a.b",
		"r.body/c.else": "the else branch of %c, in the body of %r", "scan@3:5.body": "the body of scan@3:5",
	} {
		assert.Equal(t, want, bodyText(path))
	}
}
