package pytree

import (
	"reflect"
	"unsafe"

	"jitc/ir/call"
)

// op is what one step of a plan does with the memory it stands at.
type op uint8

const (
	opTensor op = iota // n pointers side by side, to Sink.Tensors
	opFrozen           // n pointers side by side, to Sink.Frozen
	opPointer
	opSlice
	opArray // an array too long to be written out as steps
	opMap
	opSize // the others load a constant
	opReal
	opBool
	opInt8
	opInt16
	opInt32
	opInt64
	opUint8
	opUint16
	opUint32
	opUint64
	opFloat32
	opFloat64
	opString
)

// kinds are the constants that steps load.
var kinds = [...]call.Kind{
	opSize: call.Size, opReal: call.Real, opBool: call.Bool,
	opInt8: call.Int, opInt16: call.Int, opInt32: call.Int, opInt64: call.Int,
	opUint8: call.Uint, opUint16: call.Uint, opUint32: call.Uint, opUint64: call.Uint,
	opFloat32: call.Float, opFloat64: call.Float, opString: call.String,
}

// scalars are the steps of Go's basic kinds; int, uint and uintptr are added by size.
var scalars = map[reflect.Kind]op{
	reflect.Bool: opBool, reflect.String: opString,
	reflect.Int8: opInt8, reflect.Int16: opInt16, reflect.Int32: opInt32, reflect.Int64: opInt64,
	reflect.Uint8: opUint8, reflect.Uint16: opUint16, reflect.Uint32: opUint32, reflect.Uint64: opUint64,
	reflect.Float32: opFloat32, reflect.Float64: opFloat64,
}

// scalarOp is the step of a basic kind.
func scalarOp(t reflect.Type) (op, bool) {
	o, ok := scalars[t.Kind()]
	switch t.Kind() {
	case reflect.Int:
		return opInt32 + op(t.Size()/8), true // 4 or 8 bytes
	case reflect.Uint, reflect.Uintptr:
		return opUint32 + op(t.Size()/8), true
	}
	return o, ok
}

// step is one instruction of a node.
type step struct {
	op    op
	off   uintptr  // in bytes from the start of the node's value
	n     int      // pointers of opTensor and opFrozen, elements of opArray
	names []string // what follows the node's path, ".W"; one for each of n pointers, else one
	typ   reflect.Type
	elem  *node   // of what a pointer, slice, array or map has
	word  uintptr // of opSize and opReal: where in the value the number stands
}

// node is how the values of a Go type flatten: structs and short arrays within it
// are written out, so that most types are a few steps.
type node struct {
	typ   reflect.Type
	size  uintptr
	steps []step
	bulk  int    // pointers per value, if a value is leaves of kind Tensor and nothing else
	spans []span // the value's memory
}

// count is the number of Tensor leaves, if it is the same for each value.
func (n *node) count() (tensors int, fixed bool) {
	for i := range n.steps {
		switch st := &n.steps[i]; st.op {
		case opTensor:
			tensors += st.n
		case opArray:
			c, ok := st.elem.count()
			if !ok {
				return 0, false
			}
			tensors += st.n * c
		case opPointer, opSlice, opMap:
			return 0, false
		}
	}
	return tensors, true
}

// load reads the constant at q. A switch and not a table of functions: a dynamic
// call would move every argument of every call to the heap.
func (st *step) load(q unsafe.Pointer) call.Const {
	switch st.op {
	case opSize:
		return call.IntConst(*(*int64)(unsafe.Add(q, st.word)))
	case opReal:
		return call.FloatConst(*(*float64)(unsafe.Add(q, st.word)))
	case opBool:
		if *(*bool)(q) {
			return call.Const{Bits: 1}
		}
		return call.Const{}
	case opString:
		return call.Const{Text: *(*string)(q)}
	case opFloat32:
		return call.FloatConst(float64(*(*float32)(q)))
	case opFloat64:
		return call.FloatConst(*(*float64)(q))
	}
	return call.Const{Bits: st.loadInt(q)}
}

// loadInt widens an integer to 64 bits.
func (st *step) loadInt(q unsafe.Pointer) uint64 {
	switch st.op {
	case opInt8:
		return uint64(int64(*(*int8)(q)))
	case opInt16:
		return uint64(int64(*(*int16)(q)))
	case opInt32:
		return uint64(int64(*(*int32)(q)))
	case opInt64, opUint64:
		return *(*uint64)(q)
	case opUint8:
		return uint64(*(*uint8)(q))
	case opUint16:
		return uint64(*(*uint16)(q))
	case opUint32:
		return uint64(*(*uint32)(q))
	}
	panic("BUG: pytree: a step that loads nothing")
}

// sliceHeader is the memory of a slice, with the pointer as one.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}
