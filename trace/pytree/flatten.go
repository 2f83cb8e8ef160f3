package pytree

import (
	"strconv"
	"unsafe"

	"jitc/ir/call"
)

const (
	maxDepth  = 1000    // pointers, slices and maps within each other
	maxLeaves = 1 << 22 // of a call: values that share their parts may have exponentially many
)

// Flatten appends the leaves of the value at v, of the plan's type, to the sink. It
// allocates nothing once the sink has grown, and v does not escape. A value that is
// cyclic, or too deep or large, is an *Error; the sink is then to be reset.
func (p *Plan) Flatten(v unsafe.Pointer, s *Sink) error {
	if p.root.flatten(v, s, maxDepth) {
		return nil
	}
	return s.fault(p.typ)
}

// flatten is false where the value is too deep; the sink then has the frames.
//
// Every call below is static, so that the compiler sees that p stays within.
func (n *node) flatten(p unsafe.Pointer, s *Sink, depth int) bool {
	for i := range n.steps {
		st := &n.steps[i]
		q := unsafe.Add(p, st.off)
		ok := true
		switch st.op {
		case opTensor:
			s.Tensors = append(s.Tensors, unsafe.Slice((*unsafe.Pointer)(q), st.n)...)
		case opFrozen:
			s.Frozen = append(s.Frozen, unsafe.Slice((*unsafe.Pointer)(q), st.n)...)
		case opPointer:
			ok = st.flattenPointer(*(*unsafe.Pointer)(q), s, depth-1)
		case opSlice:
			ok = st.flattenSlice((*sliceHeader)(q), s, depth-1)
		case opArray:
			ok = st.flattenElems(q, st.n, s, depth)
		case opMap:
			ok = st.flattenMap(*(*unsafe.Pointer)(q), s, depth-1)
		default:
			s.Consts = append(s.Consts, st.load(q))
		}
		if !ok {
			return false
		}
	}
	return true
}

// room is whether a value with n parts may follow at a depth.
func (s *Sink) room(n, depth int) bool {
	return depth > 0 && n <= maxLeaves-len(s.Consts)-len(s.Tensors)
}

func (s *Sink) fail(name string, elem *node, target unsafe.Pointer) bool {
	s.frames = append(s.frames, frame{name, elem, target})
	return false
}

func (st *step) flattenPointer(target unsafe.Pointer, s *Sink, depth int) bool {
	if target == nil {
		s.Consts = append(s.Consts, call.IntConst(0))
		return true
	}
	s.Consts = append(s.Consts, call.IntConst(1))
	if !s.room(1, depth) || !st.elem.flatten(target, s, depth) {
		return s.fail(st.names[0], st.elem, target)
	}
	return true
}

func (st *step) flattenSlice(h *sliceHeader, s *Sink, depth int) bool {
	s.Consts = append(s.Consts, call.IntConst(int64(h.len)))
	if !st.flattenElems(h.data, h.len, s, depth) {
		s.frames[len(s.frames)-1].target = h.data // an array's is within v and must not be kept
		return false
	}
	return true
}

// flattenElems flattens n values side by side.
func (st *step) flattenElems(data unsafe.Pointer, n int, s *Sink, depth int) bool {
	elem := st.elem
	if n == 0 || len(elem.steps) == 0 {
		return true
	}
	if !s.room(n, depth) {
		return s.fail(st.index(0), elem, nil)
	}
	if elem.bulk > 0 {
		s.Tensors = append(s.Tensors, unsafe.Slice((*unsafe.Pointer)(data), n*elem.bulk)...)
		return true
	}
	for i := range n {
		if !elem.flatten(unsafe.Add(data, uintptr(i)*elem.size), s, depth) {
			return s.fail(st.index(i), elem, nil)
		}
	}
	return true
}

// index names element i of a slice or array.
func (st *step) index(i int) string { return st.names[0] + "[" + strconv.Itoa(i) + "]" }
