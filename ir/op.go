package ir

import (
	"fmt"
	"strconv"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Op identifies an operation; its facets stand in its row, Op.Row().
type Op uint16

// Traits say what passes, fusion and executors may assume of an op.
type Traits uint32

const (
	// Pointwise: element i of the result depends on element i of the operands only.
	Pointwise Traits = 1 << iota
	// View: every element of the result is an element of the first operand, at
	// an index known from sizes alone (reshape, transpose, slice, broadcast).
	View
	// Indexed: elements are moved to or from places that data or bounds decide
	// (gather, pad, concat, dynamic_slice).
	Indexed
	// Source: there are no operands (constant, iota).
	Source
	// Reduce: axes are folded.
	Reduce
	// Contract: products of two operands are summed (dot_general, convolution).
	Contract
	// Commutative: the first two operands may be exchanged.
	Commutative
	// Random: two applications with equal operands differ; never merged.
	Random
	// Effect: must run, once, in order; never merged or dropped.
	Effect
	// Structural: param, fused, get and control flow: what no executor computes.
	Structural
	// Approximate: the result may differ between executors by a few ulp
	// (elementary functions).
	Approximate
	// Control: bodies run as data decides (cond, while, scan). Structural too.
	Control
	// Dynamic: the size of the result depends on elements of the operands, so
	// that the value defines a symbol. No executor takes it: the runtime computes
	// it between compiled segments.
	Dynamic
)

// AttrSpec declares one attribute of an op.
type AttrSpec struct {
	Name     string
	Kind     AttrKind
	Doc      string
	Required bool
	Default  any      // printed in docs; what the type rule and evaluation assume when absent
	Enum     []string // allowed values of a string attribute; nil: any
	// FromType: the text form leaves the attribute out, because it says no more
	// than the printed result type does (its shape or its element type).
	FromType bool
}

// oneOf lists the allowed values, for messages: one of "set", "add".
func (s *AttrSpec) oneOf() string {
	quoted := make([]string, len(s.Enum))
	for i, e := range s.Enum {
		quoted[i] = strconv.Quote(e)
	}
	return "one of " + strings.Join(quoted, ", ")
}

// OpRow is one row of the op table: everything that defines the op.
type OpRow struct {
	Name    string
	Doc     string // one or two sentences; formula where there is one
	MinArgs int
	MaxArgs int // -1: any number
	Attrs   []AttrSpec
	Bodies  int // functions that an application has, see Value.Bodies
	Traits  Traits
	// DTypes restricts the first operand's element type in the docs and the
	// conformance suite; the type rule enforces it.
	DTypes DTypeSet
	// Infer is the type rule. v has its op, operands and attributes set;
	// attributes are of the declared kinds and required ones are present.
	// A violation is an *OpError.
	Infer func(v *Value, facts *dim.Facts) (Type, error)
	// Eval computes the result in plain Go: the definition of the op. Nil only
	// for structural ops; composites may leave it nil and are then evaluated
	// through their decomposition.
	Eval func(c *Call) (*tensor.Tensor, error)
	// EvalBodies computes the results of an op that has bodies, in place of Eval;
	// of the call, V, Args and Sizes are set.
	EvalBodies func(c *Call) ([]*tensor.Tensor, error)
	// Defines names the attribute with the symbol whose value an op of trait Dynamic
	// finds, and Measure finds it: before Eval, which the result's shape is then
	// known to. Neither is set for other ops.
	Defines string
	Measure func(v *Value, args []*tensor.Tensor) (int64, error)
	// Decompose builds the value from simpler ops; nil for a primitive.
	Decompose func(b *Builder, v *Value) *Value
	// Samples are small applications that cover the op's cases; the
	// conformance suite runs each on every executor.
	Samples func() []Sample
}

// Call is one application of an op to tensors.
type Call struct {
	V     *Value
	Args  []*tensor.Tensor
	DType tensor.DType // of the result
	Shape []int        // of the result
	Sizes map[string]int64
}

// Dims evaluates a list-of-sizes attribute.
func (c *Call) Dims(name string) ([]int, error) { return EvalShape(c.V.Attrs.Dims(name), c.Sizes) }

// Sample is one application of an op for tests and docs.
type Sample struct {
	Args   []Type
	Attrs  Attrs
	Bodies []*Func
	// Lo and Hi bound the generated operand elements where the domain matters
	// (log, indices); both zero: the generator's default range.
	Lo, Hi float64
}

// DTypeSet is a set of element types.
type DTypeSet uint32

// Has reports whether the set holds dt.
func (s DTypeSet) Has(dt tensor.DType) bool { return s>>dt&1 != 0 }

// List returns the members in order.
func (s DTypeSet) List() []tensor.DType {
	var out []tensor.DType
	for _, d := range tensor.DTypes() {
		if s.Has(d) {
			out = append(out, d)
		}
	}
	return out
}

func dtypeSet(in func(tensor.DType) bool) (s DTypeSet) {
	for _, d := range tensor.DTypes() {
		if in(d) {
			s |= 1 << d
		}
	}
	return s
}

// The element-type sets that op rows name.
var (
	Floats   = dtypeSet(tensor.DType.IsFloat)
	Ints     = dtypeSet(tensor.DType.IsInt)
	Bools    = dtypeSet(func(d tensor.DType) bool { return d == tensor.Bool })
	Numbers  = Floats | Ints
	Anything = Numbers | Bools
)

var table [numOps]OpRow

// Row returns the op's row.
func (op Op) Row() *OpRow {
	if op >= numOps {
		panic(fmt.Sprintf("BUG: ir: op %d of %d", op, numOps))
	}
	return &table[op]
}

// String is the op's name in the text form.
func (op Op) String() string { return op.Row().Name }

// Composite reports whether the op decomposes into simpler ones.
func (op Op) Composite() bool { return op.Row().Decompose != nil }

// OpByName finds an op by its name in the text form.
func OpByName(name string) (Op, bool) {
	op, ok := byName[name]
	return op, ok
}

// Ops lists every op in table order.
func Ops() []Op {
	ops := make([]Op, 0, numOps)
	for op := Op(0); op < numOps; op++ {
		ops = append(ops, op)
	}
	return ops
}

var byName map[string]Op

// rows are the families' rows, by op. Each family file contributes one function
// so that rows may refer to functions that refer to the table.
func init() {
	families := []func() map[Op]OpRow{
		structuralRows, controlRows, elementwiseRows, sourceRows, shapeRows, indexRows, dynamicRows,
		reduceRows, contractRows, compositeRows,
	}
	byName = make(map[string]Op, numOps)
	for _, rows := range families {
		for op, row := range rows() {
			if table[op].Name != "" {
				panic("BUG: ir: op has two rows: " + row.Name)
			}
			table[op] = row
			byName[row.Name] = op
		}
	}
	for op := range table {
		if table[op].Name == "" {
			panic(fmt.Sprintf("BUG: ir: op %d has no row", op))
		}
	}
}

// Attr finds the declaration of an attribute, nil if there is none.
func (r *OpRow) Attr(name string) *AttrSpec {
	for i := range r.Attrs {
		if r.Attrs[i].Name == name {
			return &r.Attrs[i]
		}
	}
	return nil
}

// OpError is a violation of an op's type rule.
type OpError struct {
	Op       Op
	Arg      int    // index of the operand at fault, -1 for the whole op
	Attr     string // name of the attribute at fault, if it is one
	What     string // what is wrong: "inner dimensions differ"
	Expected string
	Got      string
	Hint     string
}

// Error prints the violation on one line.
func (e *OpError) Error() string {
	return mistake(e.Op.String()+": "+e.What, e.Expected, e.Got, e.Hint)
}

// mistake prints a mistake on one line; what is empty is left out.
func mistake(what, expected, got, hint string) string {
	if expected != "" {
		what += ": expected " + expected
	}
	if got != "" {
		what += ", got " + got
	}
	if hint != "" {
		what += " (" + hint + ")"
	}
	return what
}
