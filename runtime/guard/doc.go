// Package guard holds the conditions under which compiled code may be used for a
// call, and finds the code whose conditions hold.
//
//	func @mlp(%x: f32[B,784], %w: f32[784,10]) -> f32[B,10] where B in [1, 64]
//
// is guarded by (see FromFunc)
//
//	x: f32          rank(x) == 2    x.size(1) == 784    x.size(0) >= 1    x.size(0) <= 64
//	w: f32          rank(w) == 2    w.size(0) == 784    w.size(1) == 10
//
// A Guard is one condition on a call, a Set the guards of one entry, a Tree the
// decision among all entries of a function, and a Differ the smallest part of it
// that still tells apart the calls admitted so far.
//
// Invariants:
//   - A guard has a value on every call: one that lacks the tensor, the axis or
//     the constant that a guard looks at does not satisfy it. Nothing panics on
//     calls with other numbers of tensors or constants.
//   - Tree.Select answers what trying the sets one by one, in order of
//     specialisation, would answer.
//   - Everything is immutable once made and safe for concurrent use, but for the
//     counters of failures and the order that they lead to, which are atomic.
//     Looking at a call allocates nothing.
package guard
