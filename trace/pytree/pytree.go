// Package pytree maps nested Go values to flat lists of leaves and back: the
// arguments of a function to what a call is keyed and run by, and result tensors
// into the nesting the function returns.
//
//	type layer struct{ W, B *Tensor; Rate float64 }
//	type model struct{ Layers []layer; Out map[string]*Tensor }
//
//	Tensors  Layers[0].W, Layers[0].B, Layers[1].W, Layers[1].B, Out["w"]
//	Consts   2 (the length), Layers[0].Rate, Layers[1].Rate, 1 (a key), "w"
//
// A Plan is made once per Go type. Flattening by it follows offsets and allocates
// nothing. Which types are leaves is the caller's say: the package knows no tensor.
//
// Invariants: the order of the leaves is that of the declaration, map keys sorted;
// it depends on the value's structure only, and Flatten, Describe, Leaves, Rebuild
// and Assign share it. Values of a type with equal constants have the same
// structure. A nil slice is an empty one; a nil pointer is not a pointer to a zero
// value. Unexported fields take part, blank ones do not.
//
// The use of package unsafe rests on three rules: an address is the start of a live
// typed value plus an offset that reflect gave for that type; words that hold
// pointers are read and written as unsafe.Pointer, so that the collector sees them;
// no address is kept beyond the call it was passed to.
package pytree

import (
	"reflect"
	"sync"
	"unsafe"

	"jitc/ir/call"
)

// Leaf is what becomes of a leaf of a Go type.
type Leaf uint8

// The kinds of leaves. Types that a Leaves table maps to Refused, or whose
// pointers it maps to a pointer leaf, cannot be part of an argument.
const (
	Refused Leaf = iota
	Tensor       // a pointer, to Sink.Tensors; nil stays nil
	Frozen       // a pointer, to Sink.Frozen; nil stays nil
	Size         // a number type or a struct; its first int64 is a constant of kind call.Size
	Real         // a number type or a struct; its first float64 is a constant of kind call.Real
)

// Leaves says which Go types are leaves.
type Leaves map[reflect.Type]Leaf

// FrozenSet marks pointer types that are leaves of kind Frozen, whatever a Leaves
// table says: generic types, of which a table cannot list every instance.
type FrozenSet interface{ FrozenSet() }

var frozenSet = reflect.TypeFor[FrozenSet]()

// of finds a type's leaf.
func (l Leaves) of(t reflect.Type) (leaf Leaf, ok bool) {
	if leaf, ok = l[t]; ok || t.Kind() != reflect.Pointer || !t.Implements(frozenSet) {
		return leaf, ok
	}
	return Frozen, !promoted(t.Elem())
}

// promoted is whether a struct's FrozenSet is that of an embedded field: then the
// field is the leaf, and the struct an ordinary one.
func promoted(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && (f.Type.Implements(frozenSet) || reflect.PointerTo(f.Type).Implements(frozenSet)) {
			return true
		}
	}
	return false
}

// Plan is how values of one Go type flatten. Immutable; safe for concurrent use.
type Plan struct {
	typ  reflect.Type
	root *node

	// Without slices, maps and pointers to structs each value has the same leaves.
	fixed   bool
	tensors int // how many leaves of kind Tensor, if fixed

	sinks sync.Pool // of *Sink
}

// For plans the values of a type. A type that cannot be an argument is an *Error
// with the path to it.
func For(t reflect.Type, leaves Leaves) (*Plan, error) {
	b := builder{leaves: leaves, nodes: map[reflect.Type]*node{}}
	root, err := b.node(t, "")
	if err != nil {
		err.Value = t.String()
		return nil, err
	}
	p := &Plan{typ: t, root: root}
	p.tensors, p.fixed = root.count()
	p.sinks.New = func() any { return new(Sink) }
	return p, nil
}

// Type is the type of the plan's values.
func (p *Plan) Type() reflect.Type { return p.typ }

// Sink takes the leaves of one call's arguments. Use it again for the next call:
// besides its memory it keeps the sorted keys of the maps it has met. Not safe for
// concurrent use.
type Sink struct {
	Tensors []unsafe.Pointer // the values of the leaves of kind Tensor
	Consts  []call.Const
	Frozen  []unsafe.Pointer // the values of the leaves of kind Frozen

	maps   []*mapView // of the maps in the order they were met
	opened int        // how many of them this call has met
	frames []frame    // where flattening failed, innermost first
}

// Reset empties the sink and lets go of what the leaves referred to.
func (s *Sink) Reset() {
	clear(s.Tensors)
	clear(s.Consts)
	clear(s.Frozen)
	s.Tensors, s.Consts, s.Frozen = s.Tensors[:0], s.Consts[:0], s.Frozen[:0]
	s.opened = 0
}
