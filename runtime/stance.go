package runtime

import (
	"context"
	"fmt"
	"strings"
)

// Mode says what a call may do beside running an entry that its guards admit.
type Mode uint8

const (
	// ModeDefault traces and compiles what no entry admits.
	ModeDefault Mode = iota
	// ModeReference evaluates the trace by the ops' own definitions, uncompiled.
	ModeReference
	// ModeNoRecompile evaluates by reference what no entry admits, once there is one.
	ModeNoRecompile
	// ModeFailOnRecompile makes it an error, a *RecompileError.
	ModeFailOnRecompile
	// ModeEagerThenCompile evaluates by reference the first call that an entry is
	// made for, and compiles at the second that it admits.
	ModeEagerThenCompile
	// ModeDifferentiating runs only the guards that tell the live entries apart,
	// for all signatures admitted so far. A signature never seen may then run an
	// entry that it does not fit; what its tensors' types show is still found, and
	// is a miss.
	ModeDifferentiating
)

var modeNames = [...]string{"default", "reference", "no-recompile", "fail-on-recompile", "eager-then-compile", "differentiating"}

// String is the mode's name: "no-recompile".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode(%d)", m)
}

// ParseMode finds a mode by name.
func ParseMode(s string) (Mode, error) {
	for i, n := range modeNames {
		if n == s {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("unknown stance %q: expected one of %s", s, strings.Join(modeNames[:], ", "))
}

// OnMiss says what a differentiating call does that no admitted signature equals
// in the guards that were run.
type OnMiss uint8

const (
	MissCompile  OnMiss = iota // run all guards, and compile if they admit nothing
	MissFallBack               // run all guards, and evaluate by reference if they admit nothing
	MissError                  // a *RecompileError
)

// Stance is a mode with its policies. The zero Stance is the default.
type Stance struct {
	Mode   Mode
	OnMiss OnMiss // of ModeDifferentiating
	// Sample makes every so many differentiating calls check all guards; 0: none.
	// A violation is counted and logged, and the call is a miss.
	Sample int
}

type stanceKey struct{}

// WithStance returns a context whose calls take the stance, whatever that of the
// function.
func WithStance(ctx context.Context, s Stance) context.Context {
	return context.WithValue(ctx, stanceKey{}, &s)
}

// stanceOf is the context's stance, nil if it has none.
func stanceOf(ctx context.Context) *Stance {
	s, _ := ctx.Value(stanceKey{}).(*Stance)
	return s
}
