// Package refeval holds the typed loops of the reference evaluation: what each
// primitive op does to elements, in plain Go and as directly as it can be said.
// It knows nothing of the IR: package ir checks shapes, lays out the operands of
// contractions and rounds their results.
//
// Floats of every width are computed in float64 and rounded once to the element
// type. For +, -, *, / and the square root that is the correctly rounded result
// also for f32 (53 >= 2*24+2 bits: Figueroa, "When is double rounding
// innocuous?", 1995). Integers are computed in int64 and wrap to their width;
// only u64, which int64 does not hold, needs functions of its own where the sign
// matters.
//
// Invariants: no operand is modified; a tensor that is returned is row-major, in
// storage of its own; results do not depend on the number of processors.
// Everything is safe for concurrent use.
//
//	sum := refeval.Binary{Float: refeval.Add[float64], Int: refeval.Add[int64]}
//	sum.Apply(x, y) // x+y, element by element
package refeval
