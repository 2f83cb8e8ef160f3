package guard

import (
	"fmt"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Kind is what a guard looks at.
type Kind uint8

// The kinds of guards, and the fields that they use.
const (
	Count    Kind = iota + 1 // Want tensors (Arg 0) or constants (Arg 1) in the call, frozen ones included
	Present                  // tensor Arg is not nil
	DType                    // tensor Arg has element type DType
	Rank                     // tensor Arg has Want axes
	Size                     // axis Axis of tensor Arg has size Want
	Const                    // constant number Arg is Value
	Cond                     // Cond holds of the sizes and constants in From
	Var                      // the variable Var has value Value now
	Disjoint                 // tensors Arg and Axis share no memory
	numKinds
)

// Guard is one condition on a call. The zero value of a field that the kind does
// not use is ignored. Guards are immutable once they are in a Set.
type Guard struct {
	Kind  Kind
	Arg   int // a tensor; of Const a constant; of Count 0 for tensors, 1 for constants
	Axis  int // of Size; of Disjoint the other tensor
	DType tensor.DType
	Want  int64
	Value call.Const
	Cond  dim.Constraint
	From  []Source // where the symbols of Cond have their values
	Var   Variable

	Pos    ir.Pos // what made the guard necessary, if known
	Reason string // the same in words: "declared", "compared with 1"; may be empty

	check *condition // of Cond, compiled; nil outside a Set
}

// Variable is a guarded variable outside the arguments. Variables are compared
// with ==, so implementations are pointers. A Variable that also has a method
// Kind() call.Kind has its values printed as such.
type Variable interface {
	Name() string
	Load() call.Const // the value now; safe for concurrent use
}

// row is what there is to know of a kind.
type row struct {
	name    string
	cost    int  // of observing, relative to the others
	live    bool // depends on what a remembered call lacks
	observe func(g *Guard, c *call.Call) (v call.Const, ok bool)
	want    func(g *Guard) call.Const
	text    func(g *Guard, s *call.Schema) string
	got     func(g *Guard, c *call.Call, s *call.Schema) string
}

// rows is filled in init: some texts ask whether the guard holds.
var rows [numKinds]row

func init() {
	rows = [numKinds]row{
		Count:    {"count", 1, false, observeCount, wantNumber, textCount, gotCount},
		Present:  {"present", 1, false, observePresent, wantTrue, textPresent, gotPresent},
		DType:    {"dtype", 1, false, observeDType, wantDType, textDType, gotDType},
		Rank:     {"rank", 1, false, observeRank, wantNumber, textRank, gotRank},
		Size:     {"size", 1, false, observeSize, wantNumber, textSize, gotSize},
		Const:    {"const", 1, false, observeConst, wantValue, textConst, gotConst},
		Cond:     {"cond", 3, false, observeCond, wantTrue, textCond, gotCond},
		Var:      {"var", 2, true, observeVar, wantValue, textVar, gotVar},
		Disjoint: {"disjoint", 4, true, observeDisjoint, wantTrue, textDisjoint, gotDisjoint},
	}
}

func (k Kind) row() *row {
	if k == 0 || k >= numKinds {
		panic(fmt.Sprintf("BUG: guard: kind %d", k))
	}
	return &rows[k]
}

// String names the kind.
func (k Kind) String() string {
	if k == 0 || k >= numKinds {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return rows[k].name
}

// Live reports whether guards of the kind depend on more than signatures: the
// value of a variable now, the memory of the tensors. What was observed at one
// call says nothing of the next.
func (k Kind) Live() bool { return k.row().live }

// Holds reports whether the call satisfies the guard. Of a remembered call,
// whose memory is gone, Disjoint holds, and Var looks at the variable's value now.
func (g *Guard) Holds(c *call.Call) bool {
	if g.Kind == Size { // what steady calls look at most
		l := layout(c, g.Arg)
		return l != nil && uint(g.Axis) < uint(len(l.Shape)) && int64(l.Shape[g.Axis]) == g.Want
	}
	r := g.Kind.row()
	v, ok := r.observe(g, c)
	return ok && v == r.want(g)
}

// layout is the layout of tensor i, nil if there is none.
func layout(c *call.Call, i int) *tensor.Layout {
	if uint(i) < uint(len(c.Tensors)) {
		if t := c.Tensors[i]; t != nil {
			return t.Layout()
		}
		return nil
	}
	if i < 0 || c.Layouts != nil && i >= len(c.Layouts) {
		return nil
	}
	return c.Layout(i)
}

// size is the size of an axis of tensor i.
func size(c *call.Call, i, axis int) (int64, bool) {
	l := layout(c, i)
	if l == nil || uint(axis) >= uint(len(l.Shape)) {
		return 0, false
	}
	return int64(l.Shape[axis]), true
}

func constant(c *call.Call, i int) (call.Const, bool) {
	if i < 0 {
		return call.Const{}, false
	}
	return c.Const(i)
}

// number and truth are how observations are compared.
func number(n int64) call.Const { return call.Const{Bits: uint64(n)} }

func truth(b bool) call.Const {
	if b {
		return call.Const{Bits: 1}
	}
	return call.Const{}
}

func wantNumber(g *Guard) call.Const { return number(g.Want) }
func wantDType(g *Guard) call.Const  { return number(int64(g.DType)) }
func wantValue(g *Guard) call.Const  { return g.Value }
func wantTrue(*Guard) call.Const     { return truth(true) }

func observeCount(g *Guard, c *call.Call) (call.Const, bool) {
	if g.Arg == 0 {
		return number(int64(c.NumTensors())), true
	}
	return number(int64(c.NumConsts())), true
}

func observePresent(g *Guard, c *call.Call) (call.Const, bool) {
	return truth(layout(c, g.Arg) != nil), true
}

func observeDType(g *Guard, c *call.Call) (call.Const, bool) {
	l := layout(c, g.Arg)
	if l == nil {
		return call.Const{}, false
	}
	return number(int64(l.DType)), true
}

func observeRank(g *Guard, c *call.Call) (call.Const, bool) {
	l := layout(c, g.Arg)
	if l == nil {
		return call.Const{}, false
	}
	return number(int64(len(l.Shape))), true
}

func observeSize(g *Guard, c *call.Call) (call.Const, bool) {
	n, ok := size(c, g.Arg, g.Axis)
	return number(n), ok
}

func observeConst(g *Guard, c *call.Call) (call.Const, bool) { return constant(c, g.Arg) }

func observeVar(g *Guard, _ *call.Call) (call.Const, bool) { return g.Var.Load(), true }

func observeCond(g *Guard, c *call.Call) (call.Const, bool) {
	return truth(g.condition().holds(c)), true
}
