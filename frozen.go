package jitc

import (
	"fmt"
	"reflect"
	"unsafe"

	"jitc/ir/call"
	"jitc/trace"
	"jitc/trace/pytree"
)

// Frozen is a value, usually the parameters of a model, whose tensors and
// constants never change. As an argument, a *Frozen[T] is compared by one number,
// however many tensors it has. Make it with Freeze; a change makes a new one.
type Frozen[T any] struct {
	frozenHeader
	value T
}

// frozenHeader is the part that does not depend on the type. It stands first, so
// that a pointer to a Frozen is one to its header.
type frozenHeader struct {
	set      *call.Frozen
	describe func(path string) *call.Schema
	// thaw makes a Frozen with other tensors, and returns a pointer to it.
	thaw func(tensors []unsafe.Pointer) (unsafe.Pointer, error)
}

// FrozenSet makes *Frozen a leaf among arguments.
func (*Frozen[T]) FrozenSet() {}

// Freeze makes a frozen value. It copies what v refers to, tensors' elements
// excepted: those may change, their types and addresses do not. A device that the
// value is used on has a copy of its own, made once, which later changes of the
// elements do not reach.
func Freeze[T any](v T) (*Frozen[T], error) {
	plan, err := pytree.For(reflect.TypeFor[T](), leaves)
	if err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	f := &Frozen[T]{}
	var sink pytree.Sink
	if err := plan.Flatten(unsafe.Pointer(&v), &sink); err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	if len(sink.Frozen) > 0 {
		return nil, fmt.Errorf("freeze: a frozen value within another")
	}
	if err := plan.Rebuild(unsafe.Pointer(&f.value), unsafe.Pointer(&v), sink.Tensors); err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	set := &activation{}
	for i, p := range sink.Tensors {
		t := (*trace.Tensor)(p)
		if t == nil || t.Storage() == nil {
			return nil, fmt.Errorf("freeze: %s: expected a concrete tensor", plan.Describe(unsafe.Pointer(&v), "value").TensorPath(i))
		}
		set.call.Tensors = append(set.call.Tensors, t.Storage())
	}
	f.set = call.NewFrozen(set.call.Tensors, sink.Consts)
	f.describe = func(path string) *call.Schema { return plan.Describe(unsafe.Pointer(&f.value), path) }
	f.thaw = func(tensors []unsafe.Pointer) (unsafe.Pointer, error) {
		thawed := &Frozen[T]{}
		return unsafe.Pointer(thawed), plan.Rebuild(unsafe.Pointer(&thawed.value), unsafe.Pointer(&f.value), tensors)
	}
	return f, nil
}

// Value is the value. It must not be changed.
func (f *Frozen[T]) Value() T { return f.value }
