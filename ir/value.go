// Package ir is the one intermediate representation of the compiler, from the
// trace to the kernels: functions of values in SSA form over tensors whose
// sizes may be symbolic.
//
//	func @mlp(%x: f32[B,784], %w: f32[784,10] {init="normal", seed=1}) -> f32[B,10]
//	    where B in [1, 64] {
//	  %0: f32[B,10] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[0]}
//	  %1: f32[B,10] = softmax(%0) {axis=1}
//	  return %1
//	}
//
// A Value is an op applied to values and attributes. Every facet of an op (its
// type rule, its evaluation, its decomposition) stands in its row of the op
// table; see OpRow. A fused region is a value of op Fused whose body is a Func,
// and so are the branches of a cond and the bodies of loops: every stage shares
// one printer, parser, verifier and evaluator.
//
// Invariants (Verify checks them): values are listed in an order in which every
// operand precedes its use; types are what the type rule gives; passes never
// modify a function that they were given. A Func under construction is not safe
// for concurrent use; a finished one is.
package ir

import (
	"jitc/ir/diag"
	"jitc/ir/dim"
)

// Pos is a position in a source file. The zero Pos is unknown.
type Pos = diag.Pos

// Value is the result of applying an op to values. Parameters are values of op
// Param.
type Value struct {
	ID    int // index into side tables; unique in its Func, below Func.NumIDs
	Op    Op
	Type  Type
	Args  []*Value
	Attrs Attrs
	// Bodies are the functions that the op applies: a region's body, the branches
	// of a cond; as many as the row says. They have no free variables.
	Bodies []*Func
	Name   string // label from the source, unique in its Func; may be empty
	Pos    Pos
}

// Row is the op's row in the op table.
func (v *Value) Row() *OpRow { return v.Op.Row() }

// Is reports whether the value's op has all the traits of t.
func (v *Value) Is(t Traits) bool { return v.Row().Traits&t == t }

// Func is a function: a trace, a stage of its compilation, or the body of a value.
type Func struct {
	Name    string
	Params  []*Value
	Values  []*Value // without the parameters; operands precede uses
	Results []*Value
	Facts   *dim.Facts // what is known of the symbols; shared by the bodies of values
	NumIDs  int        // all IDs are below this
}

// NewFunc returns a function without values. Facts may be nil for none.
func NewFunc(name string, facts *dim.Facts) *Func {
	if facts == nil {
		facts = dim.NewFacts()
	}
	return &Func{Name: name, Facts: facts}
}

// newValue takes the next ID.
func (f *Func) newValue(op Op) *Value {
	v := &Value{ID: f.NumIDs, Op: op}
	f.NumIDs++
	return v
}

// AddParam appends a parameter.
func (f *Func) AddParam(name string, t Type, attrs Attrs) *Value {
	v := f.newValue(OpParam)
	v.Name, v.Type, v.Attrs = name, t, attrs
	f.Params = append(f.Params, v)
	return v
}

// ResultTypes are the types of the results, in order.
func (f *Func) ResultTypes() []Type {
	ts := make([]Type, len(f.Results))
	for i, r := range f.Results {
		ts[i] = r.Type
	}
	return ts
}

// Uses counts, by ID, how often each value is an operand or a result.
func (f *Func) Uses() []int {
	n := make([]int, f.NumIDs)
	for _, v := range f.Values {
		for _, a := range v.Args {
			n[a.ID]++
		}
	}
	for _, r := range f.Results {
		n[r.ID]++
	}
	return n
}

// Users lists, by ID, the values that have the value as an operand, in order,
// each once.
func (f *Func) Users() [][]*Value {
	users := make([][]*Value, f.NumIDs)
	for _, v := range f.Values {
		for _, a := range v.Args {
			if u := users[a.ID]; len(u) == 0 || u[len(u)-1] != v {
				users[a.ID] = append(u, v)
			}
		}
	}
	return users
}
