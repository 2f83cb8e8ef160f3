package trace

import (
	"math"
	"sync/atomic"

	"jitc/ir"
	"jitc/ir/call"
)

// Var is a global setting that compiled functions may read: programs are guarded
// by the value that their trace saw, so that another value selects or makes
// another program. Safe for concurrent use.
//
// The zero Var has no name, and the zero value of its type.
//
//	var precise = trace.NewVar("precise", false)
//	if precise.Get() { ... } // in a traced function
type Var[T bool | int | int64 | float64 | string] struct {
	name string
	now  atomic.Pointer[T]
}

// Variable is a Var of any type.
type Variable interface {
	Name() string
	Kind() call.Kind
	Load() call.Const // its value now
}

// VarUse is a global setting that a trace read.
type VarUse struct {
	Var   Variable
	Value call.Const // what the trace saw
	Pos   ir.Pos     // where it read it first
}

// NewVar makes a global setting with a value; name is for messages.
func NewVar[T bool | int | int64 | float64 | string](name string, value T) *Var[T] {
	v := &Var[T]{name: name}
	v.now.Store(&value)
	return v
}

// Name is the name for messages.
func (v *Var[T]) Name() string { return v.name }

// Set changes the value for all goroutines. In a trace it is an error: compiled
// programs would not repeat it.
func (v *Var[T]) Set(value T) {
	if r := current(); r != nil {
		r.begin("Var.Set", caller())
		r.abort(&Error{Op: "Var.Set", What: "the setting " + v.name + " is changed in a traced function, which happens only when it is traced",
			Hint: "set it before the call"})
		return
	}
	v.now.Store(&value)
	call.NextEpoch() // after the change: who sees the new epoch sees the value
}

// Get is the value. In a trace it becomes part of what the program is guarded by.
func (v *Var[T]) Get() T {
	value := v.value()
	if r := current(); r != nil {
		return r.readVar(v, value, constOf(value)).(T)
	}
	return value
}

// value is what was set last.
func (v *Var[T]) value() (value T) {
	if now := v.now.Load(); now != nil {
		value = *now
	}
	return value
}

// Kind is what the value is, for printing it.
func (v *Var[T]) Kind() call.Kind {
	var zero T
	switch any(zero).(type) {
	case bool:
		return call.Bool
	case float64:
		return call.Float
	case string:
		return call.String
	}
	return call.Int
}

// Load is the value as a constant.
func (v *Var[T]) Load() call.Const { return constOf(v.value()) }

func constOf[T bool | int | int64 | float64 | string](value T) call.Const {
	switch x := any(value).(type) {
	case bool:
		if x {
			return call.Const{Bits: 1}
		}
		return call.Const{}
	case float64:
		return call.Const{Bits: math.Float64bits(x)}
	case string:
		return call.Const{Text: x}
	case int:
		return call.Const{Bits: uint64(x)}
	case int64:
		return call.Const{Bits: uint64(x)}
	}
	panic("BUG: trace: a Var of another type")
}
