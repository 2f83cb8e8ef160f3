package trace

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Tensor is a tensor on the host or a device or, while a function is being traced,
// the promise of one. Its methods are the ops. Outside a trace they compute at once,
// by the reference evaluation: right, slow, and meant for tests and preparation.
// In a trace they add values to the program.
//
// A mistake outside a trace gives a tensor whose Err says why; ops on it give its
// like. In a trace a mistake ends the trace with the error.
//
// The header is immutable. A tensor outside a trace is safe for concurrent use; a
// traced one belongs to the goroutine that traces.
type Tensor struct {
	typ ir.Type
	err error

	// One of these holds the elements.
	v      *ir.Value         // a value of scope
	num    any               // float64, int64 or bool: every element
	recipe func(*scope) term // made anew in every trace
	host   *tensor.Tensor    // or, once forced, what num and recipe give
	once   sync.Once         // guards that
	weak   bool              // its element type gives way to that of the other operand
	rec    *recorder         // the trace it belongs to, nil outside one
	in     *scope            // where v stands
	lost   unsafe.Pointer    // *Error: why a device did not give the elements, if it did not
}

// FromHost wraps a tensor, which it shares; it may lie on a device.
func FromHost(t *tensor.Tensor) *Tensor {
	if t == nil {
		return failed(&Error{Op: "FromHost", What: "no tensor"})
	}
	return &Tensor{typ: ir.TConst(t.DType(), t.Shape()...), host: t}
}

// failed is a tensor that stands for an error.
func failed(err error) *Tensor { return &Tensor{err: err} }

// Host is the tensor on the host: its own memory, or of one on a device a copy, made
// anew each time. It is nil while the tensor is traced and where Err is not, as it is
// from when a device does not give its elements.
func (t *Tensor) Host() *tensor.Tensor {
	h := t.Storage()
	if h == nil || h.Device() == nil {
		return h
	}
	h, err := h.ToHost()
	if err != nil {
		atomic.CompareAndSwapPointer(&t.lost, nil, unsafe.Pointer(&Error{Op: "Host", What: err.Error(), Err: err}))
		return nil
	}
	return h
}

// Storage is the tensor's memory where it lies; nil while it is traced and where Err
// is not.
func (t *Tensor) Storage() *tensor.Tensor {
	if t == nil || t.err != nil || t.rec != nil {
		return nil
	}
	if t.num == nil && t.recipe == nil { // as most are: host never changes
		return t.host
	}
	t.once.Do(func() {
		if t.host != nil {
			return
		}
		out, err := evaluate(func(s *scope) []term { return []term{s.termOf(t)} })
		if err != nil {
			panic("BUG: trace: a constant does not evaluate: " + err.Error()) // its size was checked
		}
		t.host = out[0].host
	})
	return t.host
}

// Err says why an op outside a trace failed, nil if it did not.
func (t *Tensor) Err() error {
	switch {
	case t == nil:
		return errNil
	case t.err != nil:
		return t.err
	}
	if lost := (*Error)(atomic.LoadPointer(&t.lost)); lost != nil {
		return lost
	}
	return nil
}

// hostName is the name of the host among devices.
const hostName = "cpu"

// Device names where the elements lie: "cpu" for the host; empty while the tensor is
// traced and where Err is not nil.
func (t *Tensor) Device() string {
	if t.Err() != nil || t.rec != nil {
		return ""
	}
	if t.num == nil && t.recipe == nil && t.host != nil && t.host.Device() != nil {
		return t.host.Device().Name()
	}
	return hostName
}

var errNil = &Error{What: "a nil *Tensor"}

// Traced reports whether the tensor is the promise of one.
func (t *Tensor) Traced() bool { return t != nil && t.rec != nil }

// DType is the element type; Invalid where Err is not nil.
func (t *Tensor) DType() tensor.DType {
	if t.Err() != nil {
		return tensor.Invalid
	}
	return t.typ.DType
}

// Type is the element type and the sizes, some of them symbolic in a trace; the
// zero Type where Err is not nil.
func (t *Tensor) Type() ir.Type {
	if t.Err() != nil {
		return ir.Type{}
	}
	return t.typ
}

// Rank is the number of axes.
func (t *Tensor) Rank() int { return len(t.Type().Shape) }

// Size is the size of an axis; negative ones count from the end.
func (t *Tensor) Size(axis int) Size {
	shape := t.Type().Shape
	a, ok := wrapAxis(axis, len(shape))
	if !ok {
		t.rec.abort(axisError("Size", axis, len(shape)))
		return Size{}
	}
	return Size{e: shape[a], rec: t.rec}
}

// Sizes are the sizes of all axes.
func (t *Tensor) Sizes() []Size {
	shape := t.Type().Shape
	sizes := make([]Size, len(shape))
	for i, e := range shape {
		sizes[i] = Size{e: e, rec: t.rec}
	}
	return sizes
}

// Shape is the sizes as integers. In a trace this specialises the symbolic ones:
// the program then holds for the sizes at hand only. Prefer Size and Sizes.
func (t *Tensor) Shape() []int {
	shape := make([]int, t.Rank())
	for i, s := range t.Sizes() {
		shape[i] = s.specialise("Shape")
	}
	return shape
}

// NumElements is the number of elements.
func (t *Tensor) NumElements() Size { return Size{e: t.Type().Elements(), rec: t.rec} }

// String prints a tensor outside a trace with its elements, a traced one with its
// type and the line it comes from.
func (t *Tensor) String() string {
	switch {
	case t.Err() != nil:
		return "error: " + t.Err().Error()
	case t.rec == nil:
		return t.Storage().String()
	case t.v == nil:
		return fmt.Sprintf("%s of %v", t.typ, t.num)
	case t.v.Pos.IsKnown():
		return fmt.Sprintf("%s (%s of %s)", t.typ, t.v.Op, lineOf(t.v.Pos))
	}
	return fmt.Sprintf("%s (%s %s)", t.typ, t.v.Op, t.v.Name)
}

// Bool is the value of a bool tensor of one element. In a trace it ends the trace
// with an error: use Cond, While or Select.
func (t *Tensor) Bool() (bool, error) {
	h, err := t.data("Bool")
	if err != nil {
		return false, err
	}
	if h.DType() != tensor.Bool || h.NumElements() != 1 {
		return false, &Error{Op: "Bool", What: "not one bool", Expected: "bool[]", Got: t.typ.String()}
	}
	return tensor.Ints(h)[0] != 0, nil
}

// Value is the value of a tensor of one element as a float64. In a trace it ends
// the trace with an error: for a size that data decides, use Item.
func (t *Tensor) Value() (float64, error) {
	h, err := t.data("Value")
	if err != nil {
		return 0, err
	}
	if h.NumElements() != 1 {
		return 0, &Error{Op: "Value", What: "not one element", Expected: "a tensor of one element", Got: t.typ.String()}
	}
	return tensor.Floats(h)[0], nil
}

// Data is the elements in row-major order, shared with the tensor where it is
// contiguous. T must be the element type's Go type, uint16 for f16 and bf16, uint8
// for f8. In a trace it ends the trace with an error.
func Data[T tensor.Element](t *Tensor) ([]T, error) {
	h, err := t.data("Data")
	if err != nil {
		return nil, err
	}
	xs, ok := tensor.TryData[T](h.Contiguous())
	if !ok {
		return nil, &Error{Op: "Data", What: "wrong element type", Expected: tensor.DTypeOf[T]().String(), Got: t.typ.String(),
			Hint: "convert it with To"}
	}
	return xs, nil
}

// data is the host tensor, or why there is none.
func (t *Tensor) data(op string) (*tensor.Tensor, error) {
	if t.Err() != nil {
		return nil, t.Err()
	}
	if t.rec != nil {
		err := t.asData(op)
		t.rec.abort(err)
		return nil, err
	}
	h := t.Host()
	if h == nil {
		return nil, t.Err()
	}
	return h, nil
}

// wrapAxis makes an axis that counts from the end count from the start.
func wrapAxis(axis, rank int) (int, bool) {
	if axis < 0 {
		axis += rank
	}
	return axis, axis >= 0 && axis < rank
}

func axisError(op string, axis, rank int) *Error {
	if rank == 0 {
		return &Error{Op: op, What: "a scalar has no axes", Got: fmt.Sprintf("axis %d", axis)}
	}
	return &Error{Op: op, What: "axis out of range", Expected: fmt.Sprintf("%d to %d", -rank, rank-1), Got: fmt.Sprint(axis)}
}

// constShape is a shape of constants as integers; ok is false if one is not.
func constShape(shape []dim.Expr) (sizes []int, ok bool) {
	sizes = make([]int, len(shape))
	for i, e := range shape {
		n, isConst := e.Const()
		if !isConst {
			return nil, false
		}
		sizes[i] = int(n)
	}
	return sizes, true
}
