package pytree

import (
	"reflect"
	"strconv"
	"unsafe"

	"jitc/ir/call"
)

// visitor is told the parts of a value in the order of Flatten.
type visitor struct {
	leaf     func(path string, leaf Leaf, at unsafe.Pointer)
	constant func(path string, k call.Kind)
}

// Describe names the parts of the value at v, in the order in which Flatten appends
// them, with Go expressions over name: Tensors "x.Layers[2].W"; Consts
// "x.Layers[2].Rate", "len(x.Layers)", "x.Bias != nil", and "keys(x.Out)[0]" for a
// map's first key. A value that does not flatten has no parts. It allocates and
// moves v to the heap.
func (p *Plan) Describe(v unsafe.Pointer, name string) *call.Schema {
	s := new(call.Schema)
	p.walk(v, name, &visitor{
		leaf: func(path string, leaf Leaf, _ unsafe.Pointer) {
			if leaf == Tensor {
				s.Tensors = append(s.Tensors, path)
			}
		},
		constant: func(path string, k call.Kind) { s.Consts = append(s.Consts, call.Place{Path: path, Kind: k}) },
	})
	return s
}

// Leaves calls f with the address of each leaf of the value at v, for leaves of kind
// Tensor and Frozen that of the pointer. Leaves in maps are copies: read only. A
// value that does not flatten has none. Paths start at "". It moves v to the heap.
func (p *Plan) Leaves(v unsafe.Pointer, f func(path string, leaf Leaf, at unsafe.Pointer)) {
	p.walk(v, "", &visitor{leaf: f, constant: func(string, call.Kind) {}})
}

func (p *Plan) walk(v unsafe.Pointer, name string, vis *visitor) {
	s := p.sink()
	defer p.release(s)
	if _, err := p.numTensors(v, s); err != nil {
		return
	}
	p.root.walk(v, name, s, vis)
}

func (n *node) walk(p unsafe.Pointer, path string, s *Sink, vis *visitor) {
	for i := range n.steps {
		st := &n.steps[i]
		q, name := unsafe.Add(p, st.off), path+st.names[0]
		switch st.op {
		case opTensor, opFrozen:
			st.walkPointers(q, path, vis)
		case opPointer:
			vis.constant(name+" != nil", call.Len)
			if target := *(*unsafe.Pointer)(q); target != nil {
				st.elem.walk(target, deref(name, st.elem.typ), s, vis)
			}
		case opSlice:
			h := (*sliceHeader)(q)
			vis.constant("len("+name+")", call.Len)
			st.walkElems(h.data, h.len, path, s, vis)
		case opArray:
			st.walkElems(q, st.n, path, s, vis)
		case opMap:
			st.walkMap(*(*unsafe.Pointer)(q), path, s, vis)
		default:
			vis.constant(name, kinds[st.op])
			if st.op == opSize {
				vis.leaf(name, Size, q)
			} else if st.op == opReal {
				vis.leaf(name, Real, q)
			}
		}
	}
}

func (st *step) walkPointers(q unsafe.Pointer, path string, vis *visitor) {
	leaf := Tensor
	if st.op == opFrozen {
		leaf = Frozen
	}
	for i, name := range st.names {
		vis.leaf(path+name, leaf, unsafe.Add(q, uintptr(i)*ptrSize))
	}
}

func (st *step) walkElems(data unsafe.Pointer, n int, path string, s *Sink, vis *visitor) {
	if len(st.elem.steps) == 0 {
		return
	}
	for i := range n {
		st.elem.walk(unsafe.Add(data, uintptr(i)*st.elem.size), path+st.index(i), s, vis)
	}
}

func (st *step) walkMap(ptr unsafe.Pointer, path string, s *Sink, vis *visitor) {
	name := path + st.names[0]
	vis.constant("len("+name+")", call.Len)
	if ptr == nil {
		return
	}
	m := s.open(st, ptr)
	defer m.close()
	for i := range m.keys {
		vis.constant("keys("+name+")["+strconv.Itoa(i)+"]", call.Key)
		st.elem.walk(m.at(i), path+m.index(i), s, vis)
	}
}

// deref is the Go expression for what a pointer refers to, as the head of a longer
// one: fields need no star.
func deref(path string, t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Array:
		return path
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return "(*" + path + ")"
	}
	return "*" + path
}
