package runtime

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// positions is a function in which nothing but definers computes.
const positions = `func @f(%x: f32[N]) -> (i64[U,1], i64[V,2], f32[N], i64[U,1])
    where N >= 0, U in [0, 3], V >= 0 {
  %a: i64[U,1] = nonzero(%x) {count=[U]}
  %b: i64[V,2] = nonzero(%a) {count=[V]}
  return %a, %b, %x, %a
}
`

// crew is one worker.
type crew struct{}

func (crew) Workers() int { return 1 }
func (crew) Run(chunks int, f func(chunk, worker int)) {
	for c := range chunks {
		f(c, 0)
	}
}

// emptyProgram has no steps, and the facts about the symbols of keep.
func emptyProgram(t *testing.T, f *ir.Func, keep string) *Program {
	t.Helper()
	facts := ir.Restrict(f.Facts, func(sym string) bool { return strings.Contains(keep, sym) })
	p, err := Link(ir.NewFunc("nothing", facts), nil)
	require.NoError(t, err)
	return p
}

// positionsChain is the chain of positions, and its segments.
func positionsChain(t *testing.T) (*ir.Func, []ChainSegment) {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", positions)
	require.NoError(t, diags.Err())
	return f, []ChainSegment{
		{Program: emptyProgram(t, f, "N"), Definers: f.Values[:1]},
		{Program: emptyProgram(t, f, "NU"), Definers: f.Values[1:]},
		{Program: emptyProgram(t, f, "NUV")},
	}
}

func TestChainOfDefinersAlone(t *testing.T) {
	f, segments := positionsChain(t)
	c, err := NewChain(f, segments, 1)
	require.NoError(t, err)
	require.Len(t, c.Segments(), 3)
	for _, xs := range [][]float64{{0, 1, 0, 2}, {}, {0, 0}, {3, 2, 1}, {0, 1, 0, 2}} {
		x := tensor.FromFloats(tensor.F32, []int{len(xs)}, xs)
		want, err := ir.Eval(f, []*tensor.Tensor{x}, nil)
		require.NoError(t, err)
		got, err := c.Run([]*tensor.Tensor{x}, nil, crew{})
		require.NoError(t, err)
		if m := tensor.CompareAll(got, want, tensor.Exact); m != nil {
			require.Fail(t, m.Error())
		}
		assert.NotSame(t, got[0], got[3], "results share nothing")
		assert.NotSame(t, x, got[2])
		require.NoError(t, c.RunInto([]*tensor.Tensor{x}, got, nil, crew{}))
	}
	_, err = c.Run([]*tensor.Tensor{tensor.Fill(tensor.F32, []int{4}, 1)}, nil, crew{})
	require.EqualError(t, err, "in.trace:3:3: nonzero: the size U: expected U in [0, 3], got U = 4")
	_, err = c.Run([]*tensor.Tensor{tensor.New(tensor.F64, 4)}, nil, crew{})
	require.ErrorAs(t, err, new(*ir.BindError))
	_, err = c.Run([]*tensor.Tensor{tensor.New(tensor.F32, 4)}, nil, nil)
	require.ErrorContains(t, err, "no workers")
	for k, s := range c.Stats() {
		assert.Equal(t, 1, s.Recordings, "segment %d", k)
		assert.Positive(t, s.Evicted)
	}
}

func TestChainsThatDoNotLink(t *testing.T) {
	f, segments := positionsChain(t)
	for _, c := range []struct {
		want  string
		spoil func(s []ChainSegment) []ChainSegment
	}{
		{"at least one segment", func([]ChainSegment) []ChainSegment { return nil }},
		{"the last segment defines", func(s []ChainSegment) []ChainSegment { return s[:2] }},
		{"segment 0: it reads the value of nonzero at in.trace:3:3, which nothing before it computes",
			func(s []ChainSegment) []ChainSegment { s[0].Definers = f.Values[1:]; return s }},
		{"its results: it reads the value of nonzero at in.trace:4:3", func(s []ChainSegment) []ChainSegment { s[1].Definers = nil; return s }},
		{"expected 0 parameters and 0 results", func(s []ChainSegment) []ChainSegment { s[0].Params = f.Params; return s }},
	} {
		_, err := NewChain(f, c.spoil(append([]ChainSegment{}, segments...)), 1)
		require.ErrorContains(t, err, c.want)
	}
}
