package ir

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// EvalShape evaluates sizes to plain integers; an error names what is unbound or
// too large. Sizes in attributes, such as a padding, may be negative; allocating
// a tensor of a negative size is an error there.
func EvalShape(shape []dim.Expr, sizes map[string]int64) ([]int, error) {
	out := make([]int, len(shape))
	for i, e := range shape {
		n, err := e.Eval(sizes)
		if err != nil {
			return nil, fmt.Errorf("size %s: %w", e, err)
		}
		if n < math.MinInt32 || n > math.MaxInt {
			return nil, fmt.Errorf("size %s = %d is out of range", e, n)
		}
		out[i] = int(n)
	}
	return out, nil
}

// BindError says why arguments do not fit the parameters.
type BindError struct {
	Param    *Value // nil if the function as a whole is at fault
	What     string
	Expected string
	Got      string
	Hint     string
	Err      error // of package dim: what a size or a fact has against it; may be nil
}

// Unwrap is the error of package dim.
func (e *BindError) Unwrap() error { return e.Err }

// Error prints the mismatch on one line.
func (e *BindError) Error() string {
	s := e.What
	switch {
	case e.Param != nil && e.Param.Name != "":
		s = "argument %" + e.Param.Name + ": " + s
	case e.Param != nil:
		s = fmt.Sprintf("argument %d: %s", e.Param.ID, s)
	}
	return mistake(s, e.Expected, e.Got, e.Hint)
}

// BindSizes finds the symbols' values from the arguments' shapes and checks
// element types, ranks, sizes and the function's facts. Symbols that no
// parameter's shape mentions take their value from preset, which may be nil.
func BindSizes(f *Func, args []*tensor.Tensor, preset map[string]int64) (map[string]int64, error) {
	if len(args) != len(f.Params) {
		return nil, &BindError{What: "wrong number of arguments to @" + f.Name,
			Expected: fmt.Sprint(len(f.Params)), Got: fmt.Sprint(len(args))}
	}
	sizes := make(map[string]int64)
	for k, v := range preset {
		sizes[k] = v
	}
	if err := presetDefined(f, preset); err != nil {
		return nil, err
	}
	for i, p := range f.Params {
		if args[i] == nil {
			return nil, &BindError{Param: p, What: "no tensor given", Expected: p.Type.String()}
		}
		if args[i].DType() != p.Type.DType {
			return nil, &BindError{Param: p, What: "wrong element type",
				Expected: p.Type.String(), Got: TConst(args[i].DType(), args[i].Shape()...).String()}
		}
		if args[i].Rank() != p.Type.Rank() {
			return nil, &BindError{Param: p, What: "wrong rank",
				Expected: p.Type.String(), Got: TConst(args[i].DType(), args[i].Shape()...).String()}
		}
	}
	if err := bindShapes(f, args, sizes); err != nil {
		return nil, err
	}
	if err := CheckFacts(f, sizes); err != nil {
		return nil, err
	}
	return sizes, nil
}

// CheckFacts checks the function's declared facts for the symbols' values. A
// broken one is a BindError at a parameter that has the symbol. A symbol without a
// value is a BindError that wraps a [*dim.UnboundError], unless the function
// defines it, or has no use for it: facts about such are not checked.
func CheckFacts(f *Func, sizes map[string]int64) error {
	err := f.Facts.Check(sizes)
	if err == nil {
		return nil
	}
	var violation *dim.Violation
	var unbound *dim.UnboundError
	if errors.As(err, &unbound) {
		facts, missing := lateFacts(f, sizes)
		if missing != "" {
			err = &dim.UnboundError{Sym: missing}
		} else if err = facts.Check(sizes); err == nil {
			return nil
		}
	}
	be := &BindError{What: "a size violates a declared fact", Got: err.Error(), Err: err}
	switch {
	case errors.As(err, &violation):
		be.Expected, be.Got = violation.Fact, fmt.Sprintf("%s = %d", violation.Sym, violation.Got)
		be.Param = paramWith(f, violation.Sym)
	case errors.As(err, &unbound):
		be.What, be.Got, be.Hint = "no value for the size "+unbound.Sym, "", "no parameter's shape gives it: name a value"
	}
	return be
}

// paramWith is the first parameter whose shape mentions the symbol, nil if none does.
func paramWith(f *Func, sym string) *Value {
	for _, p := range f.Params {
		for _, e := range p.Type.Shape {
			if slices.Contains(e.Syms(), sym) {
				return p
			}
		}
	}
	return nil
}

// bindShapes iterates because a size such as 2*B binds B only where nothing
// else in it is unknown.
func bindShapes(f *Func, args []*tensor.Tensor, sizes map[string]int64) error {
	for {
		progress, open := false, (*Value)(nil)
		for i, p := range f.Params {
			before := len(sizes)
			bound, err := BindShape(p, args[i].DType(), args[i].Shape(), sizes)
			if err != nil {
				return err
			}
			progress = progress || len(sizes) > before
			if !bound {
				open = p
			}
		}
		if open == nil {
			return nil
		}
		if !progress {
			return &BindError{Param: open, What: "a symbol's value does not follow from the shapes",
				Got: open.Type.String(), Hint: "name the symbol alone in some parameter's shape, or give its value"}
		}
	}
}

// BindShape matches the parameter's shape with that of a tensor of its rank, and
// adds to sizes the symbols' values that follow. bound is false where a size
// mentions symbols that still have none. A size that does not fit is a BindError.
func BindShape(p *Value, dt tensor.DType, shape []int, sizes map[string]int64) (bound bool, err error) {
	bound = true
	for axis, e := range p.Type.Shape {
		ok, err := dim.Bind(e, int64(shape[axis]), sizes)
		if err != nil {
			return false, sizeError(p, axis, TConst(dt, shape...), err)
		}
		bound = bound && ok
	}
	return bound, nil
}

// sizeError adds to the parameter's type what its symbols allow: "f32[B,3] where
// B is 8".
func sizeError(p *Value, axis int, got Type, err error) error {
	expected := p.Type.String()
	var se *dim.SizeError
	if !errors.As(err, &se) {
		return &BindError{Param: p, What: fmt.Sprintf("wrong size on axis %d: %v", axis, err), Expected: expected, Got: got.String(), Err: err}
	}
	if _, constant := se.Expr.Const(); !constant {
		if allowed, same := strings.CutPrefix(se.Want, se.Expr.String()); same {
			expected += allowed // f32[2*B] for an integer B >= 0
		} else {
			expected += fmt.Sprintf(" where %s is %s", se.Expr, se.Want)
		}
	}
	return &BindError{Param: p, What: fmt.Sprintf("wrong size on axis %d", axis), Expected: expected, Got: got.String(), Err: err}
}

// Eval evaluates f on arguments: the oracle that every executor is compared
// with. preset gives the values of symbols that no parameter's shape mentions.
func Eval(f *Func, args []*tensor.Tensor, preset map[string]int64) ([]*tensor.Tensor, error) {
	sizes, err := BindSizes(f, args, preset)
	if err != nil {
		return nil, err
	}
	env := make([][]*tensor.Tensor, f.NumIDs)
	for i, p := range f.Params {
		env[p.ID] = []*tensor.Tensor{args[i]}
	}
	last := lastUses(f)
	for at, v := range f.Values {
		in := make([]*tensor.Tensor, 0, len(v.Args))
		for _, a := range v.Args {
			if v.Op == OpGet {
				in = append(in, env[a.ID][v.Attrs.Int("index", 0)])
			} else {
				in = append(in, env[a.ID][0])
			}
		}
		if err := evalSizes(f, v, in, sizes); err != nil {
			return nil, err
		}
		out, err := EvalValue(v, in, sizes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", valueLabel(v), err)
		}
		env[v.ID] = out
		for _, a := range v.Args {
			if last[a.ID] == at {
				env[a.ID] = nil
			}
		}
	}
	results := make([]*tensor.Tensor, len(f.Results))
	for i, r := range f.Results {
		results[i] = env[r.ID][0]
	}
	return results, nil
}

func valueLabel(v *Value) string {
	if v.Pos.IsKnown() {
		return v.Pos.String()
	}
	return "value of " + v.Op.String()
}

// lastUses gives, by ID, the index in f.Values of the last use; results live on.
func lastUses(f *Func) []int {
	last := make([]int, f.NumIDs)
	for at, v := range f.Values {
		for _, a := range v.Args {
			last[a.ID] = at
		}
	}
	for _, r := range f.Results {
		last[r.ID] = len(f.Values)
	}
	return last
}

// EvalValue evaluates one value on its operands: through its row's Eval, its
// bodies, or its decomposition. Only what has bodies has more than one result.
func EvalValue(v *Value, args []*tensor.Tensor, sizes map[string]int64) ([]*tensor.Tensor, error) {
	row := v.Row()
	switch {
	case row.EvalBodies != nil:
		return row.EvalBodies(&Call{V: v, Args: args, Sizes: sizes})
	case v.Op == OpGet:
		return args, nil
	}
	sizes, err := withDefined(v, args, sizes)
	if err != nil {
		return nil, err
	}
	shape, err := EvalShape(v.Type.Shape, sizes)
	if err != nil {
		return nil, err
	}
	if _, err := tensor.Affordable(v.Type.DType, shape); err != nil {
		return nil, fmt.Errorf("%s: %w", v.Op, err)
	}
	if row.Eval == nil {
		f, err := DecomposeValue(staticValue(v, args, shape))
		if err != nil {
			return nil, err
		}
		return Eval(f, args, nil)
	}
	out, err := row.Eval(&Call{V: v, Args: args, DType: v.Type.DType, Shape: shape, Sizes: sizes})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Op, err)
	}
	return []*tensor.Tensor{out}, nil
}

// staticValue is v for these very sizes: its decomposition needs no facts about
// symbols. Composites have no attributes that hold sizes.
func staticValue(v *Value, args []*tensor.Tensor, shape []int) *Value {
	s := &Value{Op: v.Op, Type: TConst(v.Type.DType, shape...), Attrs: v.Attrs, Pos: v.Pos}
	for _, a := range args {
		s.Args = append(s.Args, &Value{Op: OpParam, Type: TConst(a.DType(), a.Shape()...)})
	}
	return s
}

// DecomposeValue returns a function of v's operands that computes v by its
// decomposition, one level down.
func DecomposeValue(v *Value) (*Func, error) {
	f := NewFunc(v.Op.String(), FactsOf(v))
	b := NewBuilder(f)
	b.Pos = v.Pos
	c := &Value{Op: v.Op, Type: v.Type, Attrs: v.Attrs, Pos: v.Pos}
	for _, a := range v.Args {
		c.Args = append(c.Args, f.AddParam("", a.Type, nil))
	}
	r := v.Row().Decompose(b, c)
	if b.Err() != nil {
		return nil, fmt.Errorf("decomposing %s: %w", v.Op, b.Err())
	}
	f.Results = []*Value{r}
	return f, nil
}

// FactsOf declares the symbols that v's types mention, with no further facts.
func FactsOf(v *Value) *dim.Facts {
	facts := dim.NewFacts()
	seen := map[string]bool{}
	declare := func(t Type) {
		for _, e := range t.Shape {
			for _, s := range e.Syms() {
				if !seen[s] {
					seen[s] = true
					_ = facts.Declare(s, 0, math.MaxInt64) // a fresh symbol cannot contradict itself
				}
			}
		}
	}
	declare(v.Type)
	for _, a := range v.Args {
		declare(a.Type)
	}
	return facts
}
