package pytree

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unsafe"

	"jitc/ir/call"
)

// maxRestored bounds the memory of a value that Unflatten makes, in bytes.
const maxRestored = 1 << 28

// Nils tells of each slice and map of the value at v, in the order of Flatten,
// whether it is nil: what the constants leave out. It moves v to the heap.
func (p *Plan) Nils(v unsafe.Pointer) ([]bool, error) {
	s := p.sink()
	defer p.release(s)
	if _, err := p.numTensors(v, s); err != nil {
		return nil, err
	}
	return p.root.nils(nil, v, s), nil
}

func (n *node) nils(to []bool, p unsafe.Pointer, s *Sink) []bool {
	for i := range n.steps {
		st := &n.steps[i]
		q := unsafe.Add(p, st.off)
		switch st.op {
		case opPointer:
			if target := *(*unsafe.Pointer)(q); target != nil {
				to = st.elem.nils(to, target, s)
			}
		case opSlice:
			h := (*sliceHeader)(q)
			to = st.nilsOfElems(append(to, h.data == nil), h.data, h.len, s)
		case opArray:
			to = st.nilsOfElems(to, q, st.n, s)
		case opMap:
			to = st.nilsOfMap(to, *(*unsafe.Pointer)(q), s)
		}
	}
	return to
}

func (st *step) nilsOfElems(to []bool, data unsafe.Pointer, n int, s *Sink) []bool {
	if st.elem.plain() {
		return to
	}
	for i := range n {
		to = st.elem.nils(to, unsafe.Add(data, uintptr(i)*st.elem.size), s)
	}
	return to
}

func (st *step) nilsOfMap(to []bool, ptr unsafe.Pointer, s *Sink) []bool {
	to = append(to, ptr == nil)
	if ptr == nil || st.elem.plain() {
		return to
	}
	m := s.open(st, ptr)
	defer m.close()
	for i := range m.keys {
		to = st.elem.nils(to, m.at(i), s)
	}
	return to
}

// plain reports whether nothing in the node's values can be nil but leaves.
func (n *node) plain() bool {
	for i := range n.steps {
		if op := n.steps[i].op; op == opPointer || op == opSlice || op == opArray || op == opMap {
			return false
		}
	}
	return true
}

// Unflatten makes the value that flattens to the constants and to so many tensors,
// all of them nil: with those of Nils, one that differs from the value that was
// flattened in its tensors only, and in what is not data: the capacity of slices,
// and parts that it referred to twice, which are there twice. Constants that no
// value of the type has are an error.
func (p *Plan) Unflatten(consts []call.Const, nils []bool, tensors int) (unsafe.Pointer, error) {
	u := &unflatter{consts: consts, nils: nils, tensors: tensors, room: maxRestored}
	v := p.New()
	if err := u.node(p.root, v, maxDepth); err != nil {
		return nil, fmt.Errorf("pytree: the constants of a %s: %w", p.typ, err)
	}
	if len(u.consts) > 0 || len(u.nils) > 0 || u.tensors > 0 {
		return nil, fmt.Errorf("pytree: %d constants, %d nils and %d tensors more than a %s has", len(u.consts), len(u.nils), u.tensors, p.typ)
	}
	return v, nil
}

// unflatter is what is left to be read.
type unflatter struct {
	consts  []call.Const
	nils    []bool
	tensors int
	room    uintptr // bytes that may still be allocated
}

func (u *unflatter) next() (call.Const, error) {
	if len(u.consts) == 0 {
		return call.Const{}, fmt.Errorf("there are too few")
	}
	c := u.consts[0]
	u.consts = u.consts[1:]
	return c, nil
}

// length reads the length of a slice or map, and whether it is nil; each element
// takes so many bytes.
func (u *unflatter) length(size uintptr) (n int, null bool, err error) {
	c, err := u.next()
	if err != nil {
		return 0, false, err
	}
	if len(u.nils) == 0 {
		return 0, false, fmt.Errorf("there are too few nils")
	}
	null, u.nils = u.nils[0], u.nils[1:]
	if c.Text != "" || c.Bits > maxLeaves || null && c.Bits > 0 {
		return 0, false, fmt.Errorf("%d is not the length of a slice or map here", int64(c.Bits))
	}
	return int(c.Bits), null, u.take(uintptr(c.Bits) * size)
}

func (u *unflatter) take(bytes uintptr) error {
	if bytes > u.room {
		return fmt.Errorf("the value takes more than %d bytes", maxRestored)
	}
	u.room -= bytes
	return nil
}

func (u *unflatter) node(n *node, p unsafe.Pointer, depth int) error {
	if depth == 0 {
		return fmt.Errorf("the value is nested more than %d deep", maxDepth)
	}
	for i := range n.steps {
		st := &n.steps[i]
		if err := u.step(st, unsafe.Add(p, st.off), depth); err != nil {
			return err
		}
	}
	return nil
}

func (u *unflatter) step(st *step, q unsafe.Pointer, depth int) error {
	switch st.op {
	case opTensor:
		if u.tensors -= st.n; u.tensors < 0 {
			return fmt.Errorf("there are too few tensors")
		}
		return nil
	case opFrozen:
		return fmt.Errorf("%s is frozen", st.names[0])
	case opPointer:
		return u.pointer(st, (*unsafe.Pointer)(q), depth-1)
	case opSlice:
		return u.slice(st, (*sliceHeader)(q), depth-1)
	case opArray:
		return u.elems(st, q, st.n, depth)
	case opMap:
		return u.mapping(st, (*unsafe.Pointer)(q), depth-1)
	}
	c, err := u.next()
	if err != nil {
		return err
	}
	st.store(q, c)
	if st.load(q) != c {
		return fmt.Errorf("%s cannot be %s", st.names[0], c.Format(kinds[st.op]))
	}
	return nil
}

func (u *unflatter) pointer(st *step, to *unsafe.Pointer, depth int) error {
	c, err := u.next()
	if err != nil || c == call.IntConst(0) {
		return err
	}
	if c != call.IntConst(1) {
		return fmt.Errorf("%d is neither nil nor a pointer", int64(c.Bits))
	}
	if err := u.take(st.elem.size); err != nil {
		return err
	}
	*to = reflect.New(st.elem.typ).UnsafePointer()
	return u.node(st.elem, *to, depth)
}

func (u *unflatter) slice(st *step, to *sliceHeader, depth int) error {
	n, null, err := u.length(st.elem.size)
	if err != nil || null {
		return err
	}
	*to = sliceHeader{reflect.MakeSlice(st.typ, n, n).UnsafePointer(), n, n}
	return u.elems(st, to.data, n, depth)
}

func (u *unflatter) elems(st *step, data unsafe.Pointer, n, depth int) error {
	if len(st.elem.steps) == 0 {
		return nil
	}
	for i := range n {
		if err := u.node(st.elem, unsafe.Add(data, uintptr(i)*st.elem.size), depth); err != nil {
			return err
		}
	}
	return nil
}

func (u *unflatter) mapping(st *step, to *unsafe.Pointer, depth int) error {
	n, null, err := u.length(st.elem.size + st.typ.Key().Size())
	if err != nil || null {
		return err
	}
	if n > len(u.consts) { // each key is one
		return fmt.Errorf("there are too few")
	}
	m := reflect.MakeMapWithSize(st.typ, n)
	*to = m.UnsafePointer()
	for range n {
		key, err := u.key(st.typ.Key())
		if err != nil {
			return err
		}
		elem := reflect.New(st.elem.typ)
		if err := u.node(st.elem, elem.UnsafePointer(), depth); err != nil {
			return err
		}
		m.SetMapIndex(key, elem.Elem())
	}
	if m.Len() != n {
		return fmt.Errorf("a key of %s is there twice", st.names[0])
	}
	return nil
}

// key reads a map's key of that type.
func (u *unflatter) key(t reflect.Type) (reflect.Value, error) {
	k := reflect.New(t).Elem()
	c, err := u.next()
	if err != nil {
		return k, err
	}
	switch {
	case t.Kind() == reflect.String:
		k.SetString(c.Text)
		return k, nil
	case k.CanInt():
		i, perr := strconv.ParseInt(c.Text, 10, t.Bits())
		k.SetInt(i)
		err = perr
	default:
		i, perr := strconv.ParseUint(c.Text, 10, t.Bits())
		k.SetUint(i)
		err = perr
	}
	return k, err
}

// store writes the constant at q: the inverse of load, for constants that it gave.
func (st *step) store(q unsafe.Pointer, c call.Const) {
	switch st.op {
	case opSize:
		*(*int64)(unsafe.Add(q, st.word)) = int64(c.Bits)
	case opReal:
		*(*float64)(unsafe.Add(q, st.word)) = math.Float64frombits(c.Bits)
	case opBool:
		*(*bool)(q) = c.Bits == 1
	case opString:
		*(*string)(q) = c.Text
	case opInt8, opUint8:
		*(*uint8)(q) = uint8(c.Bits)
	case opInt16, opUint16:
		*(*uint16)(q) = uint16(c.Bits)
	case opInt32, opUint32:
		*(*uint32)(q) = uint32(c.Bits)
	case opInt64, opUint64, opFloat64:
		*(*uint64)(q) = c.Bits
	case opFloat32:
		*(*float32)(q) = float32(math.Float64frombits(c.Bits))
	default:
		panic("BUG: pytree: a step that stores nothing")
	}
}
