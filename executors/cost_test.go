package executors_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/ir"
)

// evalCost parses a region and evaluates its cost at N = 10.
func evalCost(t *testing.T, text string) (bytes, flops int64) {
	f, _, diags := ir.Parse("cost", text)
	require.NoError(t, diags.Err())
	b, n := executors.Cost(f)
	env := map[string]int64{"N": 10}
	bytes, err := b.Eval(env)
	require.NoError(t, err)
	flops, err = n.Eval(env)
	require.NoError(t, err)
	return bytes, flops
}

func TestCost(t *testing.T) {
	bytes, flops := evalCost(t, `func @f(%x: f32[N,8], %w: bf16[16,8]) -> f32[N,16] {
  %0: f32[16,8] = cast(%w)
  %1: f32[N,16] = dot_general(%x, %0) {lhs_contract=[1], rhs_contract=[1]}
  %2: f32[N,16] = exp(%1)
  return %2
}`)
	assert.Equal(t, int64(10*8*4+16*8*2+10*16*4), bytes)
	assert.Equal(t, int64(16*8+2*10*16*8+16*10*16), flops)
}

// A table of which rows are gathered is not read whole.
func TestCostOfSelections(t *testing.T) {
	bytes, _ := evalCost(t, `func @f(%t: f32[1000,8], %i: i64[4], %p: f32[100,8]) -> f32[4,8] {
  %0: f32[4,8] = gather(%t, %i) {axis=0}
  %1: f32[4,8] = slice(%p) {limits=[4, 8], starts=[0, 0]}
  %2: f32[4,8] = add(%0, %1)
  return %2
}`)
	assert.Equal(t, int64(4*8*4*3+4*8), bytes)
}
