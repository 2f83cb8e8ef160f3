package pytree

import (
	"reflect"
	"strconv"

	"jitc/ir/call"
)

// maxInline is the longest array that is written out as steps.
const maxInline = 16

// builder makes the nodes of a type and of those it refers to.
type builder struct {
	leaves Leaves
	nodes  map[reflect.Type]*node // also those being built: recursive types meet them
}

// place is where a type stands in the node being built.
type place struct {
	typ  reflect.Type
	off  uintptr
	name string // from the node
	path string // from the plan's root, for errors
}

func (pl place) at(t reflect.Type, off uintptr, suffix string) place {
	return place{t, pl.off + off, pl.name + suffix, pl.path + suffix}
}

// node is the node of a type, made if need be. It may still be without its steps:
// those of a type are never copied from its node, which would miss them.
func (b *builder) node(t reflect.Type, path string) (*node, *Error) {
	if n, ok := b.nodes[t]; ok {
		return n, nil
	}
	n := &node{typ: t, size: t.Size(), spans: appendSpans(nil, t, 0)}
	b.nodes[t] = n
	if err := b.add(n, place{typ: t, path: path}); err != nil {
		return nil, err
	}
	if len(n.steps) == 1 && n.steps[0].op == opTensor && uintptr(n.steps[0].n)*ptrSize == n.size {
		n.bulk = n.steps[0].n
	}
	return n, nil
}

// add appends the steps of what stands at a place.
func (b *builder) add(n *node, pl place) *Error {
	t := pl.typ
	if leaf, ok := b.leaves.of(t); ok {
		return n.addLeaf(leaf, pl)
	}
	if leaf, ok := b.leaves.of(reflect.PointerTo(t)); ok && leaf != Refused {
		return &Error{Path: pl.path, Type: t, Why: t.String() + " is passed by value", Hint: "use *" + t.String()}
	}
	if t.Size() == 0 {
		return nil
	}
	if p := t.PkgPath(); p == "sync" || p == "sync/atomic" || p == "internal/sync" {
		return &Error{Path: pl.path, Type: t, Why: t.String() + " is for synchronisation and must not be copied",
			Hint: "keep the arguments plain data"}
	}
	if o, ok := scalarOp(t); ok {
		n.push(step{op: o}, pl)
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return b.addStruct(n, pl)
	case reflect.Array:
		return b.addArray(n, pl)
	case reflect.Pointer:
		return b.addElem(n, opPointer, pl, "")
	case reflect.Slice:
		return b.addElem(n, opSlice, pl, "[i]")
	case reflect.Map:
		return b.addMap(n, pl)
	}
	return refuse(t, pl.path)
}

func (b *builder) addStruct(n *node, pl place) *Error {
	for i := range pl.typ.NumField() {
		f := pl.typ.Field(i)
		if f.Name == "_" {
			continue
		}
		if err := b.add(n, pl.at(f.Type, f.Offset, "."+f.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addArray(n *node, pl place) *Error {
	t := pl.typ.Elem()
	if pl.typ.Len() > maxInline {
		return b.addElem(n, opArray, pl, "[i]")
	}
	for i := range pl.typ.Len() {
		if err := b.add(n, pl.at(t, uintptr(i)*t.Size(), "["+strconv.Itoa(i)+"]")); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addMap(n *node, pl place) *Error {
	o, ok := scalarOp(pl.typ.Key())
	if k := kinds[o]; !ok || k != call.String && k != call.Int && k != call.Uint {
		return &Error{Path: pl.path, Type: pl.typ, Why: pl.typ.String() + " has keys that are neither strings nor integers",
			Hint: "use a map with string keys, or a slice of pairs"}
	}
	return b.addElem(n, opMap, pl, "[k]")
}

// addElem appends the step of what refers to values of another node.
func (b *builder) addElem(n *node, o op, pl place, suffix string) *Error {
	elem, err := b.node(pl.typ.Elem(), pl.path+suffix)
	if err != nil {
		return err
	}
	st := step{op: o, typ: pl.typ, elem: elem}
	if o == opArray {
		st.n = pl.typ.Len()
	}
	n.push(st, pl)
	return nil
}

// leafOps are the steps of leaves, and what a leaf is read from.
var leafOps = map[Leaf]struct {
	op   op
	word reflect.Kind
}{
	Tensor: {opTensor, reflect.Pointer},
	Frozen: {opFrozen, reflect.Pointer},
	Size:   {opSize, reflect.Int64},
	Real:   {opReal, reflect.Float64},
}

func (n *node) addLeaf(leaf Leaf, pl place) *Error {
	row, ok := leafOps[leaf]
	if !ok {
		return &Error{Path: pl.path, Type: pl.typ, Why: pl.typ.String() + " cannot be part of an argument",
			Hint: "pass tensors and plain Go values"}
	}
	word, found := findWord(pl.typ, row.word)
	if !found {
		panic("BUG: pytree: a leaf of type " + pl.typ.String() + " has nowhere to be read from")
	}
	if row.word == reflect.Pointer {
		n.push(step{op: row.op, n: 1}, pl)
		return nil
	}
	// The node is for copying a whole leaf, it has no steps.
	elem := &node{typ: pl.typ, size: pl.typ.Size(), spans: appendSpans(nil, pl.typ, 0)}
	n.push(step{op: row.op, word: word, typ: pl.typ, elem: elem}, pl)
	return nil
}

// findWord is the offset of the first field of a kind, depth first.
func findWord(t reflect.Type, k reflect.Kind) (uintptr, bool) {
	if t.Kind() == k {
		return 0, true
	}
	if t.Kind() != reflect.Struct || k == reflect.Pointer {
		return 0, false
	}
	for i := range t.NumField() {
		if off, ok := findWord(t.Field(i).Type, k); ok {
			return t.Field(i).Offset + off, true
		}
	}
	return 0, false
}

// push appends a step, or lengthens a run of pointers by one.
func (n *node) push(st step, pl place) {
	if k := len(n.steps) - 1; k >= 0 && st.op <= opFrozen && n.steps[k].op == st.op {
		if last := &n.steps[k]; last.off+uintptr(last.n)*ptrSize == pl.off {
			last.n++
			last.names = append(last.names, pl.name)
			return
		}
	}
	st.off, st.names = pl.off, []string{pl.name}
	n.steps = append(n.steps, st)
}
