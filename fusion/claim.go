package fusion

import "jitc/ir"

// Level says how far an executor takes a value.
type Level uint8

const (
	// Refused: the executor cannot compute the value.
	Refused Level = iota
	// Alone: it can, as a region that holds nothing else.
	Alone
	// Strided: it can, as a region that holds nothing else but views: those through
	// which the value reads its operands, and the reshapes and transpositions under
	// which its result is stored. The executor takes any strides.
	Strided
	// Fusible: it can, and a region may hold the value beside others.
	Fusible
)

var levelNames = [...]string{"refused", "alone", "strided", "fusible"}

// String is the level's name in reports.
func (l Level) String() string { return levelNames[l] }

// Claim is an executor's answer about one value.
type Claim struct {
	Level Level
	Why   string // for a refusal always; else optional
	// Obvious says of a refusal that the executor takes nothing of the kind, so that
	// reports do not mention it.
	Obvious bool
}

// Claimer is the part of an executor that fusion needs. Claim must depend on
// the value's op, attributes and types only, and be safe for concurrent use.
type Claimer interface {
	Name() string
	Claim(v *ir.Value) Claim
}
