// Package passes brings a trace into canonical form: functions of primitive ops
// in which equal computations have one spelling.
//
//	func @f(%x: f32[B,4]) -> f32[B,4] {          func @f(%x: f32[B,4]) -> f32[B,4] {
//	  %t: f32[4,B] = transpose(%x) {perm=[1, 0]}   %r: f32[B,4] = neg(%x)
//	  %n: f32[4,B] = neg(%t)                       return %r
//	  %r: f32[B,4] = transpose(%n) {perm=[1, 0]}  }
//	  return %r
//	}
//
// Passes is the order in which Run applies them, and Constraints say why. A pass
// that changes nothing returns the function it was given; otherwise a new one,
// which shares no values with it, though it may share bodies of control flow. Every
// pass works on bodies as it does on the function around them.
//
// Invariants, which the tests hold every pass to:
//   - The input is left alone.
//   - Results keep their types, as far as the facts can tell them apart.
//   - Results keep their bits for all arguments, NaN payloads aside. Exempt are
//     decompose, since a composite is defined by its decomposition and an executor
//     may be more exact, and every rule of Options.FastMath.
//   - A value that stands for a named one has its name, and its position.
//   - Every walk is linear in the number of values.
package passes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jitc/ir"
)

// Options choose what the passes may do. The zero Options keep every bit.
type Options struct {
	// FastMath allows rules that treat floats as real numbers: x*0 is 0, sums of
	// constants are reassociated, x/c is x*(1/c).
	FastMath bool
	// Verify checks the function after every pass.
	Verify bool
	// KeepComposite says which composites stay, because an executor takes them
	// whole; nil: none. It must depend on the value's op, attributes and types only.
	KeepComposite func(v *ir.Value) bool
	// Upto names the last pass to run; empty: all of them.
	Upto string
}

// Pass is one transformation of functions.
type Pass struct {
	Name string
	Doc  string // one sentence
	// Run returns the transformed function, f itself if there is nothing to do.
	Run func(f *ir.Func, o Options) (*ir.Func, error)
}

// Passes are the passes in the order that Run applies them.
var Passes = []Pass{
	{"decompose", "Composite ops become primitive ones, but for those that an executor takes whole.", everywhere(decompose)},
	{"canonicalise", "Data movement is composed, cancelled and moved to where it is cheap; operands and attributes get one order.", everywhere(canonicalise)},
	{"fold", "Ops on constants become constants.", everywhere(fold)},
	{"simplify", "Algebra removes ops without changing a bit of the results.", everywhere(simplify)},
	{"cse", "Equal computations become one.", everywhere(cse)},
	{"prune", "Results, carries and operands of control flow that nothing needs are dropped.", everywhere(prune)},
	{"settle", "The rules of the passes before, together, until none applies.", settle},
	{"dce", "Values that nothing uses are dropped.", everywhere(dce)},
}

// Constraint says that one pass must come before another.
type Constraint struct {
	Before, After string
	Why           string
}

// Constraints are what the order of Passes must satisfy.
var Constraints = []Constraint{
	{"decompose", "canonicalise", "decompositions are full of broadcasts that compose with their surroundings"},
	{"decompose", "fold", "what a decomposition makes of attributes (scales, counts) is constant"},
	{"decompose", "cse", "CSE sees primitives only, so that parts of different composites merge"},
	{"canonicalise", "fold", "broadcasts of constants are constants only once canonical"},
	{"canonicalise", "simplify", "algebra looks for constants in the second operand"},
	{"fold", "simplify", "algebra looks for constants, which folding makes"},
	{"simplify", "cse", "values that algebra makes equal then merge"},
	{"cse", "prune", "equal operands of a body become one parameter"},
	{"prune", "settle", "rules take apart what one value uses: what nothing needs would count"},
	{"cse", "settle", "settle is dear per walk; what is left for it should be little"},
	{"settle", "dce", "rewriting leaves behind what it made unused"},
}

// Observer is told of every pass: its name, the functions before and after it
// (the same one if nothing changed), and how long it took.
type Observer func(pass string, before, after *ir.Func, d time.Duration)

// Names lists the passes in order.
func Names() []string {
	names := make([]string, len(Passes))
	for i, p := range Passes {
		names[i] = p.Name
	}
	return names
}

func unknownPass(name string) error {
	return fmt.Errorf("there is no pass %q: expected one of %s", name, strings.Join(Names(), ", "))
}

// Run applies the passes in order. f must pass ir.Verify in the Surface dialect;
// the result does so in the Primitive one, unless KeepComposite kept something.
// obs may be nil. f is left alone. Run is safe for concurrent use, on one f too.
func Run(f *ir.Func, o Options, obs Observer) (*ir.Func, error) {
	if o.Upto != "" && !slices.Contains(Names(), o.Upto) {
		return nil, unknownPass(o.Upto)
	}
	for _, p := range Passes {
		start := time.Now()
		g, err := p.Run(f, o)
		d := time.Since(start)
		if err == nil && o.Verify {
			err = ir.Verify(g, dialect(o))
		}
		if err != nil {
			return nil, fmt.Errorf("pass %s of @%s: %w", p.Name, f.Name, err)
		}
		if obs != nil {
			obs(p.Name, f, g, d)
		}
		if f = g; p.Name == o.Upto {
			break
		}
	}
	return f, nil
}

// dialect is what every pass's result belongs to, since decompose is first.
func dialect(o Options) ir.Dialect {
	if o.KeepComposite != nil {
		return ir.Surface
	}
	return ir.Primitive
}
