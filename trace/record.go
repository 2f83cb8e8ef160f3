package trace

import (
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Input is a tensor that a traced function takes.
type Input struct {
	Path  string // "0.Layers[2].W": names the parameter, and it in messages
	DType tensor.DType
	Sizes []dim.Expr // constants, or expressions of symbols
	Hint  []int      // the sizes at hand; read where Spec.Hints is nil
}

// ScalarSpec is an Int or a Float that a traced function takes.
type ScalarSpec struct {
	Path  string
	Kind  call.Kind // call.Size for an Int, call.Real for a Float
	Value call.Const
	Sym   string // of an Int that is a symbol: its name; else it is a constant
	Input bool   // of a Float that is a parameter f64[]; else it is a constant
}

// Spec says what a function is traced for.
type Spec struct {
	Name    string
	Inputs  []Input
	Scalars []ScalarSpec
	// Facts are what is known of the symbols; Record leaves them alone. Nil: nothing.
	Facts *dim.Facts
	// Hints are the symbols' values at hand, by which comparisons are decided that
	// facts leave open. A symbol without one may not be decided on. Nil: they are
	// taken from the inputs' hints and the scalars' values.
	Hints map[string]int64
	// Strict are symbols that must not be specialised: the text of what demands it,
	// "dynamic x[0]".
	Strict map[string]string
}

// ParamKind says what a parameter of a recorded function stands for.
type ParamKind uint8

// The kinds of parameters, in the order in which they stand.
const (
	ParamInput    ParamKind = iota // of Spec.Inputs
	ParamScalar                    // of Spec.Scalars: a Float that is an input
	ParamCaptured                  // of Recorded.Captured
)

// Param is what a parameter stands for: number Index of its kind.
type Param struct {
	Kind  ParamKind
	Index int
}

// Condition is a decision that the trace made by the sizes at hand, and that the
// program depends on.
type Condition struct {
	Constraint dim.Constraint
	Pos        ir.Pos // the user's line that needed it
	Why        string // "add: sizes of the operands are equal"
}

// Specialised is a Float that is an input but whose value the trace asked for.
type Specialised struct {
	Scalar int // index into Spec.Scalars
	Path   string
	Pos    ir.Pos
	Why    string
}

// Recorded is a traced function.
type Recorded struct {
	F          *ir.Func // of dialect ir.Surface; its facts hold the conditions
	Params     []Param  // one for each parameter of F
	Conditions []Condition
	Captured   []*Tensor // tensors from outside that the function used, each once
	Vars       []VarUse
	// Specialised are promoted Floats whose value the trace asked for, each use.
	Specialised []Specialised
	// Used says which of Spec.Scalars the trace looked at: the others need no guard.
	Used []bool
}

// Record traces fn once: its parameters are tensors of the given types, its
// results become the function's. fn gets the Ints and Floats as spec.Scalars lists
// them. The first mistake of the program, an error that fn returns, and a panic in
// it are the error: an *Error, fn's own, a *PanicError.
func Record(spec Spec, fn func(in []*Tensor, scalars []any) ([]*Tensor, error)) (*Recorded, error) {
	r, err := newRecorder(&spec)
	if err != nil {
		return nil, err
	}
	in, scalars, err := r.arguments()
	if err != nil {
		return nil, err
	}
	var out []*Tensor
	err = r.run(func() error {
		results, err := fn(in, scalars)
		if err != nil {
			return err
		}
		out = results
		return r.finish(out)
	})
	if err != nil {
		return nil, err
	}
	return r.recorded(), nil
}

// run calls fn as the trace of this goroutine and recovers what ends it.
func (r *recorder) run(fn func() error) (err error) {
	leave := r.enter()
	defer leave()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *abort:
			err = p.err
		default:
			if s, ok := p.(string); ok && strings.HasPrefix(s, "BUG: ") {
				panic(p)
			}
			err = &PanicError{Pos: caller(), Value: p, Stack: debug.Stack()}
		}
		if first := r.failure(); first != nil { // one that the function swallowed, or another goroutine's
			err = first
		}
	}()
	return fn()
}

// arguments are the function's parameters as the traced function takes them.
func (r *recorder) arguments() (in []*Tensor, scalars []any, err error) {
	for i, x := range r.spec.Inputs {
		t := ir.T(x.DType, x.Sizes...)
		if !ir.Anything.Has(x.DType) {
			return nil, nil, fmt.Errorf("trace: input %s: %s is not an element type", x.Path, x.DType)
		}
		in = append(in, r.param(label(x.Path), t, Param{ParamInput, i}, false))
	}
	for i, s := range r.spec.Scalars {
		switch s.Kind {
		case call.Size:
			scalars = append(scalars, Int{n: int64(s.Value.Bits), src: &source{r, i}})
		case call.Real:
			if s.Input {
				r.reals[i] = r.param(label(s.Path), ir.T(tensor.F64), Param{ParamScalar, i}, true)
			}
			scalars = append(scalars, Float{f: math.Float64frombits(s.Value.Bits), src: &source{r, i}})
		default:
			return nil, nil, fmt.Errorf("trace: scalar %s is a %s, neither a size nor a real", s.Path, s.Kind)
		}
	}
	return in, scalars, nil
}

// param adds a parameter to the traced function.
func (r *recorder) param(name string, t ir.Type, p Param, weak bool) *Tensor {
	v := r.root.f.AddParam(r.freshName(name), t, nil)
	r.params = append(r.params, p)
	return &Tensor{typ: t, v: v, rec: r, in: r.root, weak: weak}
}

// freshName is a name that no parameter has; empty stays empty.
func (r *recorder) freshName(name string) string {
	if name == "" {
		return ""
	}
	for base, n := name, 2; r.names[name]; n++ {
		name = fmt.Sprintf("%s.%d", base, n)
	}
	r.names[name] = true
	return name
}

// label makes a name of the text form from a path: "arg0.Layers.2.W" from
// "0.Layers[2].W".
func label(path string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			return c
		case c == '[' || c == '.' || c == '/':
			return '.'
		}
		return -1
	}, path)
	if name != "" && (name[0] == '.' || '0' <= name[0] && name[0] <= '9') {
		name = "arg" + name
	}
	return name
}

// finish makes the traced function's results those of the ir.Func.
func (r *recorder) finish(out []*Tensor) error {
	if len(out) == 0 {
		return &Error{What: "the function gives no tensor", Expected: "at least one result"}
	}
	r.begin("return", ir.Pos{})
	for i, t := range out {
		if t == nil {
			return &Error{What: fmt.Sprintf("result %d is nil", i), Expected: "a tensor"}
		}
		if err := r.check(t); err != nil {
			return err
		}
		r.root.f.Results = append(r.root.f.Results, r.root.value(r.root.termOf(t)))
	}
	return nil
}

// recorded is the outcome of a trace that ended well.
func (r *recorder) recorded() *Recorded {
	if err := ir.Verify(r.root.f, ir.Surface); err != nil {
		panic("BUG: trace: the recorded function does not verify: " + err.Error())
	}
	return &Recorded{F: r.root.f, Params: r.params, Conditions: r.conditions, Captured: r.captured,
		Vars: r.vars, Specialised: r.special, Used: r.used}
}
