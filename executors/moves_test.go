package executors_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
)

func regionOf(t *testing.T, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("region", text)
	require.NoError(t, diags.Err(), text)
	return f
}

// A slice of a row goes straight to where the starts say; the cache is copied whole,
// or is the result.
func TestMovesOfACacheUpdate(t *testing.T) {
	region := regionOf(t, `func @f(%x: f32[1,12,C,64], %q: f32[1,2304], %z: i64[], %i: i64[]) -> f32[1,12,C,64] where C in [1, 512] {
  %0 = slice(%q) {starts=[0,768], limits=[1,1536]}
  %1 = reshape(%0) {shape=[1,12,1,64]}
  %2 = dynamic_update_slice(%x, %1, %z, %z, %i, %z)
  return %2
}`)
	require.Equal(t, region.Values[2], executors.UpdateOf(region))
	m, err := executors.MovesOf(region, map[string]int64{"C": 100})
	require.NoError(t, err)
	at := func(buf, limit, step int) executors.Start {
		return executors.Start{Place: executors.Place{Buf: buf}, Limit: limit, Step: step}
	}
	assert.Equal(t, &executors.Moves{InPlace: 0, List: []executors.Move{
		{To: executors.Place{Buf: 4}, Sizes: []int{76800}, FromStrides: []int{1}, ToStrides: []int{1}, Whole: true, Size: 4},
		{From: executors.Place{Buf: 1, Offset: 768}, To: executors.Place{Buf: 4}, Sizes: []int{12, 64}, FromStrides: []int{64, 1}, ToStrides: []int{6400, 1},
			Starts: []executors.Start{at(2, 0, 76800), at(2, 0, 6400), at(3, 99, 64), at(2, 0, 1)}, Size: 4},
	}}, m)
	_, err = executors.MovesOf(region, map[string]int64{"C": 0})
	require.ErrorContains(t, err, "expected an update that fits, got size 1 into 0 on axis 2")
	_, err = executors.MovesOf(region, nil)
	require.Error(t, err)
}

// Rows of a slice are scattered where they are; what has no strides is moved first, and
// a result that is not in order afterwards.
func TestMovesOfAScatter(t *testing.T) {
	region := regionOf(t, `func @f(%x: bf16[50,24], %q: bf16[7,72], %i: i32[9]) -> bf16[50,24] {
  %0 = slice(%q) {starts=[0,24], limits=[7,48]}
  %1 = slice(%i) {starts=[2], limits=[9]}
  %2 = scatter(%x, %1, %0) {axis=0, combine="set"}
  return %2
}`)
	m, err := executors.MovesOf(region, nil)
	require.NoError(t, err)
	assert.Zero(t, m.InPlace)
	assert.Len(t, m.List, 1)
	assert.Equal(t, &executors.Scatter{Lead: 1, Outer: 1, Size: 50, Picks: 7, Row: 24, Result: executors.Place{Buf: 3},
		Indices: executors.Place{Buf: 2, Offset: 2}, Updates: executors.Place{Buf: 1, Offset: 24}, PickStride: 72}, m.Scatter)

	m, err = executors.MovesOf(regionOf(t, `func @f(%x: f32[50,4], %q: f32[4,7], %i: u8[14]) -> f32[4,50] {
  %0 = transpose(%q) {perm=[1,0]}
  %1 = slice(%i) {starts=[0], limits=[14], strides=[2]}
  %2 = scatter(%x, %1, %0) {axis=0, combine="add"}
  %3 = transpose(%2) {perm=[1,0]}
  return %3
}`), nil)
	require.NoError(t, err)
	assert.Equal(t, -1, m.InPlace)
	assert.Len(t, m.List, 3) // of the operand, the indices and the updates
	assert.Len(t, m.After, 1)
	assert.Equal(t, 832+64+128, m.Scratch) // of 800, 7 and 112 bytes
	assert.Equal(t, executors.Place{Buf: executors.InScratch, Offset: 832}, m.Scatter.Indices)
	assert.Equal(t, executors.Place{Buf: executors.InScratch, Offset: (832 + 64) / 4}, m.Scatter.Updates)
	assert.Equal(t, 4, m.Scatter.PickStride)
}

func TestUpdateOfOtherRegions(t *testing.T) {
	for _, text := range []string{
		"func @f(%x: f32[4]) -> f32[4] {\n  %0: f32[4] = neg(%x)\n  return %0\n}",
		"func @f(%x: f32[4]) -> f32[2,2] {\n  %0: f32[2,2] = reshape(%x)\n  return %0\n}",
		"func @f(%x: f32[4], %i: i64[]) -> (f32[4], f32[4]) {\n  %0: f32[4] = dynamic_update_slice(%x, %x, %i)\n  return %0, %0\n}",
		"func @f(%x: f32[4], %i: i64[]) -> f32[4] {\n  %0: f32[4] = dynamic_update_slice(%x, %x, %i)\n  %1: f32[4] = dynamic_update_slice(%0, %x, %i)\n  return %1\n}",
	} {
		assert.Nil(t, executors.UpdateOf(regionOf(t, text)), text)
	}
}

func TestClaimUpdates(t *testing.T) {
	f := regionOf(t, "func @f(%x: f32[4], %i: i64[3], %u: f32[3]) -> f32[4] {\n  %0: f32[4] = scatter(%x, %i, %u) {axis=0, combine=\"set\"}\n  %1: f32[4] = neg(%0)\n  return %1\n}")
	assert.Equal(t, fusion.Strided, executors.ClaimUpdates(f.Values[0]).Level)
	assert.Equal(t, fusion.Fusible, executors.ClaimUpdates(f.Values[1]).Level)
	claim := executors.ClaimLoops(f.Values[0])
	assert.Equal(t, fusion.Refused, claim.Level)
	assert.Contains(t, claim.Why, "no loop nest")
}
