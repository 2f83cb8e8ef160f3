package pytree

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"unsafe"

	"jitc/ir/call"
)

// mapView reads one map in the order of its keys. The keys stay from call to call:
// while the map has as many and all of them are known, no key has been exchanged.
type mapView struct {
	step  *step
	ptr   unsafe.Pointer // the map
	value reflect.Value  // the map, read through ptr
	iter  *reflect.MapIter
	key   reflect.Value   // where the iterator puts a key
	keys  []reflect.Value // sorted
	texts []string        // of the keys
	elems reflect.Value   // a slice, filled by open: the elements by key
}

func (st *step) newView() *mapView {
	m := &mapView{step: st, iter: new(reflect.MapIter), key: reflect.New(st.typ.Key()).Elem()}
	m.value = reflect.NewAt(st.typ, unsafe.Pointer(&m.ptr)).Elem()
	return m
}

// view is the view of the next map, not nil, that a call meets: that of its last
// call, if there it was a map of the same step.
func (s *Sink) view(st *step, ptr unsafe.Pointer) *mapView {
	if s.opened == len(s.maps) {
		s.maps = append(s.maps, nil)
	}
	if m := s.maps[s.opened]; m == nil || m.step != st {
		s.maps[s.opened] = st.newView()
	}
	m := s.maps[s.opened]
	s.opened++
	m.ptr = ptr
	return m
}

// open fills elems, and keys if they are others than before.
func (s *Sink) open(st *step, ptr unsafe.Pointer) *mapView {
	m := s.view(st, ptr)
	if !m.load() {
		m.sort()
		m.load()
	}
	return m
}

// close lets go of the map.
func (m *mapView) close() {
	if m.elems.IsValid() {
		m.elems.Clear()
	}
	m.ptr = nil
}

// load is false if a key is not known.
func (m *mapView) load() bool {
	if m.value.Len() != len(m.keys) || !m.elems.IsValid() {
		return false
	}
	m.iter.Reset(m.value)
	defer m.iter.Reset(reflect.Value{})
	for m.iter.Next() {
		m.key.SetIterKey(m.iter)
		i, ok := slices.BinarySearchFunc(m.keys, m.key, compareKeys)
		if !ok {
			return false
		}
		m.elems.Index(i).SetIterValue(m.iter)
	}
	return true
}

// sort learns the map's keys.
func (m *mapView) sort() {
	m.keys = m.value.MapKeys()
	slices.SortFunc(m.keys, compareKeys)
	m.texts = make([]string, len(m.keys))
	for i, k := range m.keys {
		m.texts[i] = keyText(k)
	}
	m.elems = reflect.MakeSlice(reflect.SliceOf(m.step.typ.Elem()), len(m.keys), len(m.keys))
}

// at is the address of element i.
func (m *mapView) at(i int) unsafe.Pointer {
	return unsafe.Add(m.elems.UnsafePointer(), uintptr(i)*m.step.elem.size)
}

// index names element i in messages.
func (m *mapView) index(i int) string {
	if m.key.Kind() == reflect.String {
		return m.step.names[0] + "[" + strconv.Quote(m.texts[i]) + "]"
	}
	return m.step.names[0] + "[" + m.texts[i] + "]"
}

func compareKeys(a, b reflect.Value) int {
	switch {
	case a.Kind() == reflect.String:
		return cmp.Compare(a.String(), b.String())
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	}
	return cmp.Compare(a.Uint(), b.Uint())
}

func keyText(k reflect.Value) string {
	switch {
	case k.Kind() == reflect.String:
		return k.String()
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10)
	}
	return strconv.FormatUint(k.Uint(), 10)
}

func (st *step) flattenMap(ptr unsafe.Pointer, s *Sink, depth int) bool {
	if ptr == nil {
		s.Consts = append(s.Consts, call.IntConst(0))
		return true
	}
	if st.elem.bulk == 1 && st.elem.typ.Kind() == reflect.Pointer {
		return st.flattenLeafMap(ptr, s)
	}
	m := s.open(st, ptr)
	defer m.close()
	s.Consts = append(s.Consts, call.IntConst(int64(len(m.keys))))
	if !s.room(len(m.keys), depth) {
		return s.fail(st.names[0], st.elem, ptr)
	}
	for i := range m.keys {
		s.Consts = append(s.Consts, call.Const{Text: m.texts[i]})
		if !st.elem.flatten(m.at(i), s, depth) {
			return s.fail(m.index(i), st.elem, ptr)
		}
	}
	return true
}

// flattenLeafMap is flattenMap for maps from names to tensors, the usual form of a
// model's parameters: it looks the known keys up and skips the copy of the elements.
func (st *step) flattenLeafMap(ptr unsafe.Pointer, s *Sink) bool {
	m := s.view(st, ptr)
	defer m.close()
	tensors, consts := len(s.Tensors), len(s.Consts)
	for !s.lookUp(m) {
		s.Tensors, s.Consts = s.Tensors[:tensors], s.Consts[:consts]
		m.sort()
	}
	return true
}

// lookUp is false if a key is not known.
func (s *Sink) lookUp(m *mapView) bool {
	if m.value.Len() != len(m.keys) {
		return false
	}
	s.Consts = append(s.Consts, call.IntConst(int64(len(m.keys))))
	for i, k := range m.keys {
		v := m.value.MapIndex(k)
		if !v.IsValid() {
			return false
		}
		s.Consts = append(s.Consts, call.Const{Text: m.texts[i]})
		s.Tensors = append(s.Tensors, v.UnsafePointer())
	}
	return true
}
