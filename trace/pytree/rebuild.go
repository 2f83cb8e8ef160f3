package pytree

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Parts take the place of a value's leaves, in the order of Flatten. Scalars and
// Frozen may be shorter than the value has leaves, and nil within: those stay.
type Parts struct {
	Tensors []unsafe.Pointer
	Scalars []unsafe.Pointer // addresses of values of the types of leaves of kind Size and Real
	Frozen  []unsafe.Pointer // of the leaves' own types
}

// Rebuild makes the value at dst a deep copy of the one at template, with its
// leaves of kind Tensor replaced by tensors, in the order of Flatten. It shares
// with the template what leaves refer to, and nothing else that can change; a part
// the template refers to twice is there twice. Another number of tensors than the
// template has is an error that leaves dst alone. Neither address escapes.
func (p *Plan) Rebuild(dst, template unsafe.Pointer, tensors []unsafe.Pointer) error {
	return p.RebuildParts(dst, template, Parts{Tensors: tensors})
}

// RebuildScalars is Rebuild that also replaces the leaves of kind Size and Real.
func (p *Plan) RebuildScalars(dst, template unsafe.Pointer, tensors, scalars []unsafe.Pointer) error {
	return p.RebuildParts(dst, template, Parts{Tensors: tensors, Scalars: scalars})
}

// RebuildParts is Rebuild that replaces leaves of every kind.
func (p *Plan) RebuildParts(dst, template unsafe.Pointer, with Parts) error {
	s := p.sink()
	defer p.release(s)
	n, err := p.numTensors(template, s)
	if err != nil {
		return err
	}
	if n != len(with.Tensors) {
		return fmt.Errorf("pytree: %d tensors for a %s that has %d", len(with.Tensors), p.typ, n)
	}
	p.root.copy(dst, template)
	p.root.replace(dst, &replacement{Parts: with, fresh: true, sink: s})
	return nil
}

// Assign replaces the leaves of kind Tensor of the value at dst, in the order of
// Flatten and in place. It allocates nothing; dst does not escape. False, and
// nothing written, if dst has another number of them. Whether dst is otherwise what
// is wanted, its constants tell: flatten it.
func (p *Plan) Assign(dst unsafe.Pointer, tensors []unsafe.Pointer) bool {
	s := p.sink()
	defer p.release(s)
	if n, err := p.numTensors(dst, s); err != nil || n != len(tensors) {
		return false
	}
	p.root.replace(dst, &replacement{Parts: Parts{Tensors: tensors}, sink: s})
	return true
}

// sink lends a sink, nil for a plan that needs none: one without maps to view.
func (p *Plan) sink() *Sink {
	if p.fixed {
		return nil
	}
	return p.sinks.Get().(*Sink)
}

func (p *Plan) release(s *Sink) {
	if s != nil {
		s.Reset()
		p.sinks.Put(s)
	}
}

// numTensors counts the Tensor leaves of a value.
func (p *Plan) numTensors(v unsafe.Pointer, s *Sink) (int, error) {
	if p.fixed {
		return p.tensors, nil
	}
	err := p.Flatten(v, s)
	n := len(s.Tensors)
	s.Reset()
	return n, err
}

// replacement is what is left to put in the place of a value's leaves.
type replacement struct {
	Parts
	fresh bool // copy what the value refers to before writing there
	sink  *Sink
}

func (n *node) replace(p unsafe.Pointer, r *replacement) {
	for i := range n.steps {
		st := &n.steps[i]
		q := unsafe.Add(p, st.off)
		switch st.op {
		case opTensor:
			copy(unsafe.Slice((*unsafe.Pointer)(q), st.n), r.Tensors)
			r.Tensors = r.Tensors[st.n:]
		case opFrozen:
			st.replaceFrozen(unsafe.Slice((*unsafe.Pointer)(q), st.n), r)
		case opSize, opReal:
			st.replaceScalar(q, r)
		case opPointer:
			st.replaceTarget((*unsafe.Pointer)(q), r)
		case opSlice:
			h := (*sliceHeader)(q)
			if r.fresh && h.data != nil {
				*h = st.fresh(h)
			}
			st.replaceElems(h.data, h.len, r)
		case opArray:
			st.replaceElems(q, st.n, r)
		case opMap:
			st.replaceMap((*unsafe.Pointer)(q), r)
		}
	}
}

func (st *step) replaceFrozen(leaves []unsafe.Pointer, r *replacement) {
	for i := range leaves {
		if len(r.Frozen) == 0 {
			return
		}
		if r.Frozen[0] != nil {
			leaves[i] = r.Frozen[0]
		}
		r.Frozen = r.Frozen[1:]
	}
}

func (st *step) replaceScalar(q unsafe.Pointer, r *replacement) {
	if len(r.Scalars) == 0 {
		return
	}
	if v := r.Scalars[0]; v != nil {
		st.elem.copy(q, v)
	}
	r.Scalars = r.Scalars[1:]
}

func (st *step) replaceTarget(target *unsafe.Pointer, r *replacement) {
	if *target == nil {
		return
	}
	if r.fresh {
		to := reflect.New(st.elem.typ).UnsafePointer()
		st.elem.copy(to, *target)
		*target = to
	}
	st.elem.replace(*target, r)
}

// fresh is a slice with a copy of the elements.
func (st *step) fresh(h *sliceHeader) sliceHeader {
	to := reflect.MakeSlice(st.typ, h.len, h.len).UnsafePointer()
	for i := range h.len {
		off := uintptr(i) * st.elem.size
		st.elem.copy(unsafe.Add(to, off), unsafe.Add(h.data, off))
	}
	return sliceHeader{to, h.len, h.len}
}

func (st *step) replaceElems(data unsafe.Pointer, n int, r *replacement) {
	if len(st.elem.steps) == 0 {
		return
	}
	for i := range n {
		st.elem.replace(unsafe.Add(data, uintptr(i)*st.elem.size), r)
	}
}

// replaceMap works on the view's copy of the elements and puts them back, into a
// new map if the template is to stay as it is.
func (st *step) replaceMap(ptr *unsafe.Pointer, r *replacement) {
	if *ptr == nil {
		return
	}
	m := r.sink.open(st, *ptr)
	defer m.close()
	if r.fresh {
		*ptr = reflect.MakeMapWithSize(st.typ, len(m.keys)).UnsafePointer()
	}
	m.ptr = *ptr
	for i, k := range m.keys {
		st.elem.replace(m.at(i), r)
		m.value.SetMapIndex(k, m.elems.Index(i))
	}
}
