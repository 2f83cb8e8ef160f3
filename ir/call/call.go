// Package call describes one call of a function: what its arguments, whatever
// their nesting, flatten to. It is what guards look at and what signatures are
// made of.
//
//	mlp(params{w: f32[784,10], scale: 0.5}, []*Tensor{x})
//
//	Tensors  f32[784,10], f32[4,784]
//	Consts   0.5 (a float), 1 (the length of the slice)
//	Schema   0.w, 1[0]  and  0.scale, len(1)
//
// Structure is constants: the length of a slice, the keys of a map, a nil.
package call

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"jitc/ir/tensor"
)

// Kind is what a constant was in the arguments.
type Kind uint8

// The kinds of constants, and where their value is.
const (
	Bool   Kind = iota + 1 // Bits: 0 or 1
	Int                    // Bits: of an int64
	Uint                   // Bits
	Float                  // Bits: of a float64, so that NaNs are equal and -0 is not 0
	String                 // Text
	Len                    // Bits: the length of a slice or map; of a pointer 0 for nil and 1 for others
	Key                    // Text: a key of a map, in order
	Size                   // Bits: of an int64 that may become a symbolic size
	Real                   // Bits: of a float64 that may become an input
)

var kindNames = [...]string{Bool: "bool", Int: "int", Uint: "uint", Float: "float", String: "string",
	Len: "length", Key: "key", Size: "size", Real: "real"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Const is the value of a constant, comparable with ==. Its kind stands in the
// schema.
type Const struct {
	Bits uint64
	Text string
}

// IntConst is a constant of kind Int, Len or Size.
func IntConst(n int64) Const { return Const{Bits: uint64(n)} }

// FloatConst is a constant of kind Float or Real.
func FloatConst(f float64) Const { return Const{Bits: math.Float64bits(f)} }

// Format prints the value as its kind says.
func (c Const) Format(k Kind) string {
	switch k {
	case Bool:
		return strconv.FormatBool(c.Bits != 0)
	case Int, Len, Size:
		return strconv.FormatInt(int64(c.Bits), 10)
	case Uint:
		return strconv.FormatUint(c.Bits, 10)
	case Float, Real:
		return strconv.FormatFloat(math.Float64frombits(c.Bits), 'g', -1, 64)
	}
	return strconv.Quote(c.Text)
}

// Call is one call. Not safe for concurrent use while it is being filled.
type Call struct {
	Tensors []*tensor.Tensor // the leaves in order, those of frozen sets not among them
	Consts  []Const
	Frozen  []*Frozen

	// Layouts stand in for the tensors (frozen ones included) in a call that is
	// remembered; then Tensors and Frozen are nil.
	Layouts []*tensor.Layout
}

// Frozen is a set of tensors that never changes: equal IDs, equal tensors. One
// comparison takes the place of one per tensor. It holds the copies of its tensors
// on the devices that it was used on.
type Frozen struct {
	ID      uint64 // unique in the process; NewFrozen takes the next
	Tensors []*tensor.Tensor
	Consts  []Const         // its constants and structure
	Devices []tensor.Device // on which there are some of the tensors, each once

	mu     sync.Mutex
	copies map[copyKey]*tensor.Tensor
}

// copyKey is tensor i of a set in another place, which is compared with ==.
type copyKey struct {
	place any
	i     int
}

// Copy is tensor i in another place, a device or the host: the first call for the
// place makes it, and it stays with the set. Later changes of the tensor's elements
// do not reach it. An error is not kept. Safe for concurrent use.
func (f *Frozen) Copy(place any, i int, make func(*tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	key := copyKey{place, i}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.copies[key]; t != nil {
		return t, nil
	}
	t, err := make(f.Tensors[i])
	if err != nil {
		return nil, err
	}
	if f.copies == nil {
		f.copies = map[copyKey]*tensor.Tensor{}
	}
	f.copies[key] = t
	return t, nil
}

var frozenIDs atomic.Uint64

// NewFrozen makes a set with an ID of its own.
func NewFrozen(tensors []*tensor.Tensor, consts []Const) *Frozen {
	f := &Frozen{ID: frozenIDs.Add(1), Tensors: tensors, Consts: consts}
	for _, t := range tensors {
		if t == nil {
			continue // which a run refuses
		}
		if d := t.Device(); d != nil && !slices.Contains(f.Devices, d) {
			f.Devices = append(f.Devices, d)
		}
	}
	return f
}

// NumTensors counts the tensors, those of frozen sets included.
func (c *Call) NumTensors() int {
	if c.Layouts != nil {
		return len(c.Layouts)
	}
	n := len(c.Tensors)
	for _, f := range c.Frozen {
		n += len(f.Tensors)
	}
	return n
}

// Tensor is tensor i: first the leaves, then those of each frozen set. Nil in a
// remembered call.
func (c *Call) Tensor(i int) *tensor.Tensor {
	if i < len(c.Tensors) {
		return c.Tensors[i]
	}
	i -= len(c.Tensors)
	for _, f := range c.Frozen {
		if i < len(f.Tensors) {
			return f.Tensors[i]
		}
		i -= len(f.Tensors)
	}
	return nil
}

// Layout is the layout of tensor i, nil for a nil tensor.
func (c *Call) Layout(i int) *tensor.Layout {
	if c.Layouts != nil {
		return c.Layouts[i]
	}
	if t := c.Tensor(i); t != nil {
		return t.Layout()
	}
	return nil
}

// NumConsts counts the constants, those of frozen sets included.
func (c *Call) NumConsts() int {
	n := len(c.Consts)
	for _, f := range c.Frozen {
		n += len(f.Consts)
	}
	return n
}

// Const is constant i: first the call's own, then those of each frozen set. ok
// is false beyond the last.
func (c *Call) Const(i int) (v Const, ok bool) {
	if i < len(c.Consts) {
		return c.Consts[i], true
	}
	i -= len(c.Consts)
	for _, f := range c.Frozen {
		if i < len(f.Consts) {
			return f.Consts[i], true
		}
		i -= len(f.Consts)
	}
	return Const{}, false
}

// Remember is the call without its tensors' memory, to keep.
func (c *Call) Remember() *Call {
	m := &Call{Layouts: make([]*tensor.Layout, c.NumTensors()), Consts: make([]Const, 0, c.NumConsts())}
	for i := range m.Layouts {
		m.Layouts[i] = c.Layout(i)
	}
	m.Consts = append(m.Consts, c.Consts...)
	for _, f := range c.Frozen {
		m.Consts = append(m.Consts, f.Consts...)
	}
	return m
}

// Schema names the parts of calls, for messages: the paths are Go expressions
// with the arguments' names or numbers at their head.
type Schema struct {
	Tensors []string // "x", "0.Layers[2].W"
	Consts  []Place
}

// Place is where a constant stands.
type Place struct {
	Path string // "1.Scale", "len(0.Layers)"
	Kind Kind
}

// TensorPath is the path of tensor i, for messages.
func (s *Schema) TensorPath(i int) string {
	if s != nil && i < len(s.Tensors) {
		return s.Tensors[i]
	}
	return fmt.Sprintf("argument %d", i)
}

// Place is where constant i stands, for messages.
func (s *Schema) Place(i int) Place {
	if s != nil && i < len(s.Consts) {
		return s.Consts[i]
	}
	return Place{Path: fmt.Sprintf("constant %d", i), Kind: Int}
}

// epoch counts the changes of guarded globals, of which the process has one set.
var epoch atomic.Uint64

// Epoch tells how often a guarded global has changed: while it stays the same,
// so do they all.
func Epoch() uint64 { return epoch.Load() }

// NextEpoch announces that a guarded global has changed. Call it after the change.
func NextEpoch() { epoch.Add(1) }
