package conformance

import (
	"errors"
	"fmt"
	"slices"

	"jitc/fusion"
	"jitc/ir"
)

// updateRegions are updates that read, and are stored, through views: for executors
// that take them at any strides. Results that could lie in an
// operand's memory are among them, and others.
var updateRegions = []string{
	// a slice of a row, in place
	`func @f(%x: f32[1,3,C,8], %q: f32[1,72], %i: i64[], %z: i64[]) -> f32[1,3,C,8] where C in [1, 500] {
  %0 = slice(%q) {starts=[0,24], limits=[1,48]}
  %1 = reshape(%0) {shape=[1,3,1,8]}
  %2 = dynamic_update_slice(%x, %1, %z, %z, %i, %z)
  return %2
}`,
	// rows split into heads, backwards
	`func @f(%x: i16[3,C,8], %q: i16[5,24], %i: i32[], %z: i32[]) -> i16[3,C,8] where C in [5, 500] {
  %0 = reshape(%q) {shape=[5,3,8]}
  %1 = transpose(%0) {perm=[1,0,2]}
  %2 = reverse(%1) {axes=[1]}
  %3 = dynamic_update_slice(%x, %2, %z, %i, %z)
  return %3
}`,
	// a reshaped operand, starts from a vector, a reshaped result
	`func @f(%x: f64[C,30], %u: f64[2,15], %s: i64[4]) -> f64[C,30] where C in [1, 500] {
  %0 = slice(%s) {starts=[1], limits=[2]}
  %1 = slice(%s) {starts=[3], limits=[4]}
  %2 = reshape(%0) {shape=[]}
  %3 = reshape(%1) {shape=[]}
  %4 = reshape(%x) {shape=[2*C,15]}
  %5 = dynamic_update_slice(%4, %u, %2, %3)
  %6 = reshape(%5) {shape=[C,30]}
  return %6
}`,
	// a repeated operand, stored transposed
	`func @f(%x: u8[7], %u: u8[2,5], %i: i64[], %j: i64[]) -> u8[7,C] where C in [2, 500] {
  %0 = broadcast(%x) {shape=[C,7], axes=[1]}
  %1 = dynamic_update_slice(%0, %u, %i, %j)
  %2 = transpose(%1) {perm=[1,0]}
  return %2
}`,
	// views that have no strides, of the update and of the result
	`func @f(%x: bf16[12,C], %u: bf16[3,4], %i: i64[], %z: i64[]) -> bf16[2*C,6] where C in [2, 500] {
  %0 = transpose(%u) {perm=[1,0]}
  %1 = reshape(%0) {shape=[6,2]}
  %2 = dynamic_update_slice(%x, %1, %i, %z)
  %3 = transpose(%2) {perm=[1,0]}
  %4 = reshape(%3) {shape=[2*C,6]}
  return %4
}`,
	// rows of a slice, at indices from the middle of others
	`func @f(%x: bf16[C,24], %q: bf16[7,72], %i: i32[17]) -> bf16[C,24] where C in [1, 500] {
  %0 = slice(%q) {starts=[0,24], limits=[7,48]}
  %1 = slice(%i) {starts=[3], limits=[10]}
  %2 = scatter(%x, %1, %0) {axis=0, combine="set"}
  return %2
}`,
	// heads that share their indices
	`func @f(%x: f32[3,C,8], %q: f32[7,72], %i: i64[7]) -> f32[3,C,8] where C in [1, 500] {
  %0 = slice(%q) {starts=[0,8], limits=[7,32]}
  %1 = reshape(%0) {shape=[7,3,8]}
  %2 = transpose(%1) {perm=[1,0,2]}
  %3 = scatter(%x, %i, %2) {axis=1, combine="add"}
  return %3
}`,
	// integers in any order, backwards, of odd places
	`func @f(%x: i32[5,C,3], %q: i32[5,30,7], %i: u8[5,30]) -> i32[5,C,3] where C in [1, 500] {
  %0 = reverse(%q) {axes=[1]}
  %1 = slice(%0) {starts=[0,0,1], limits=[5,30,4]}
  %2 = scatter(%x, %i, %1) {axis=1, batch_dims=1, combine="add"}
  return %2
}`,
	// operands and a result that are moved: columns, every other index, a transposition
	`func @f(%x: u8[C,4], %q: u8[4,9], %i: i64[18]) -> u8[4,C] where C in [1, 500] {
  %0 = transpose(%q) {perm=[1,0]}
  %1 = slice(%i) {starts=[0], limits=[18], strides=[2]}
  %2 = scatter(%x, %1, %0) {axis=0, combine="max"}
  %3 = transpose(%2) {perm=[1,0]}
  return %3
}`,
	// one update for several indices
	`func @f(%x: f16[2*C], %u: f16[6], %i: i16[30]) -> f16[C,2] where C in [1, 500] {
  %0 = broadcast(%u) {shape=[6,5], axes=[0]}
  %1 = reshape(%0) {shape=[30]}
  %2 = scatter(%x, %i, %1) {axis=0, combine="mul"}
  %3 = reshape(%2) {shape=[C,2]}
  return %3
}`,
	// a part of itself
	`func @f(%x: f16[C,9], %i: i64[], %z: i64[]) -> f16[C,9] where C in [5, 500] {
  %0 = slice(%x) {starts=[3,0], limits=[5,9]}
  %1 = dynamic_update_slice(%x, %0, %i, %z)
  return %1
}`,
}

// checkUpdates runs updates through views, of sizes at which starts are clamped and at
// which they are not.
func (s *suite) checkUpdates() error {
	for _, text := range updateRegions {
		region, _, diags := ir.Parse("region", text)
		if err := diags.Err(); err != nil {
			return fmt.Errorf("BUG: conformance: %w\n%s", err, text)
		}
		at := slices.IndexFunc(region.Values, func(v *ir.Value) bool { return !v.Is(ir.View) })
		if v := region.Values[at]; s.e.Claim(v).Level != fusion.Strided {
			continue // fusible, as other ops are, or alone
		}
		c := testCase{name: "an update through views", op: region.Values[at].Op, region: region, fill: fill{lo: 0, hi: 40}}
		k, err := s.compile(c)
		if err != nil || k == nil {
			return errors.Join(err, fmt.Errorf("a region of an update and views is not compiled:\n%s", text))
		}
		for i, n := range []int64{131, 64, 5} {
			if err := s.runAt(c, k, map[string]int64{"C": n}, uint64(i)); err != nil {
				return fmt.Errorf("at C = %d: %w\n%s", n, err, text)
			}
		}
	}
	return nil
}
