package ir

import (
	"fmt"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Builder appends values to a function, inferring and checking their types. The
// first error sticks: later calls return nil values and do nothing, so that a
// chain of calls needs one check of Err at its end. Not safe for concurrent use.
type Builder struct {
	F   *Func
	Pos Pos // given to every value that is built
	err error
}

// NewBuilder returns a builder that appends to f.
func NewBuilder(f *Func) *Builder { return &Builder{F: f} }

// Err is the first error.
func (b *Builder) Err() error { return b.err }

// Fail records an error, unless there is one already.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Emit appends op(args){attrs}. After an error it returns nil.
func (b *Builder) Emit(op Op, args []*Value, attrs ...Attr) *Value {
	return b.EmitAttrs(op, args, NewAttrs(attrs...))
}

// EmitAttrs is Emit with a finished attribute list.
func (b *Builder) EmitAttrs(op Op, args []*Value, attrs Attrs) *Value {
	return b.add(&Value{Op: op, Args: args, Attrs: attrs, Pos: b.Pos})
}

// EmitRegion appends a fused region: body applied to args. Its type is the
// body's result type, a tuple if there are several.
func (b *Builder) EmitRegion(body *Func, args []*Value) *Value {
	return b.EmitControl(OpFused, args, []*Func{body})
}

// EmitControl appends op(args){attrs} of an op that has bodies, such as cond. The
// bodies have b.F's facts, and their types are held against the operands'. After
// an error it returns nil.
func (b *Builder) EmitControl(op Op, args []*Value, bodies []*Func, attrs ...Attr) *Value {
	return b.add(&Value{Op: op, Args: args, Attrs: NewAttrs(attrs...), Bodies: bodies, Pos: b.Pos})
}

// Clone appends a copy of v with other operands; the type is inferred anew.
func (b *Builder) Clone(v *Value, args []*Value) *Value {
	return b.add(&Value{Op: v.Op, Args: args, Attrs: v.Attrs, Bodies: v.Bodies, Name: v.Name, Pos: v.Pos})
}

// add infers the type of v and appends it.
func (b *Builder) add(v *Value) *Value {
	if b.err != nil {
		return nil
	}
	t, err := InferType(v, b.F.Facts)
	if err != nil {
		if v.Pos.IsKnown() {
			err = fmt.Errorf("%s: %w", v.Pos, err)
		}
		b.err = err
		return nil
	}
	v.Type = t
	return b.append(v)
}

func (b *Builder) append(v *Value) *Value {
	v.ID = b.F.NumIDs
	b.F.NumIDs++
	b.F.Values = append(b.F.Values, v)
	return v
}

// InferType checks v's operands and attributes against its op's row and returns
// the type that the type rule gives.
func InferType(v *Value, facts *dim.Facts) (Type, error) {
	row := v.Row()
	n := len(v.Args)
	if n < row.MinArgs || row.MaxArgs >= 0 && n > row.MaxArgs {
		return Type{}, &OpError{Op: v.Op, Arg: -1, What: "wrong number of operands",
			Expected: arityString(row), Got: fmt.Sprint(n)}
	}
	for i, a := range v.Args {
		if a == nil {
			panic("BUG: ir: nil operand of " + row.Name)
		}
		if a.Type.IsTuple() && v.Op != OpGet {
			return Type{}, &OpError{Op: v.Op, Arg: i, What: "operand is a tuple", Expected: "a tensor",
				Got: a.Type.String(), Hint: "take one result of it with get"}
		}
	}
	if err := checkAttrs(v, row); err != nil {
		return Type{}, err
	}
	if err := checkBodies(v, row); err != nil {
		return Type{}, err
	}
	return row.Infer(v, facts)
}

func arityString(row *OpRow) string {
	switch {
	case row.MaxArgs < 0:
		return fmt.Sprintf("at least %d", row.MinArgs)
	case row.MinArgs == row.MaxArgs:
		return fmt.Sprint(row.MinArgs)
	}
	return fmt.Sprintf("%d to %d", row.MinArgs, row.MaxArgs)
}

func checkAttrs(v *Value, row *OpRow) error {
	for _, a := range v.Attrs {
		spec := row.Attr(a.Name)
		if spec == nil {
			return &OpError{Op: v.Op, Arg: -1, Attr: a.Name, What: "unknown attribute " + a.Name,
				Expected: attrNames(row)}
		}
		if err := spec.check(v.Op, a.Value); err != nil {
			return err
		}
	}
	for i := range row.Attrs {
		if spec := &row.Attrs[i]; spec.Required && !v.Attrs.Has(spec.Name) {
			return &OpError{Op: v.Op, Arg: -1, Attr: spec.Name, What: "missing attribute " + spec.Name,
				Expected: spec.Kind.String(), Hint: spec.Doc}
		}
	}
	return nil
}

func attrNames(row *OpRow) string {
	if len(row.Attrs) == 0 {
		return "no attributes"
	}
	s := "one of "
	for i, a := range row.Attrs {
		if i > 0 {
			s += ", "
		}
		s += a.Name
	}
	return s
}

var kindNames = [...]string{KindInt: "an integer", KindFloat: "a float", KindBool: "true or false",
	KindString: "a string", KindInts: "a list of integers", KindDims: "a list of sizes",
	KindDType: "an element type", KindTensor: "a tensor literal", KindNumber: "a number"}

// String describes the kind: "a list of integers".
func (k AttrKind) String() string { return kindNames[k] }

func (s *AttrSpec) check(op Op, value any) error {
	ok := false
	switch value.(type) {
	case int64:
		ok = s.Kind == KindInt || s.Kind == KindNumber
	case float64:
		ok = s.Kind == KindFloat || s.Kind == KindNumber
	case bool:
		ok = s.Kind == KindBool || s.Kind == KindNumber
	case string:
		ok = s.Kind == KindString
	case []int64:
		ok = s.Kind == KindInts
	case []dim.Expr:
		ok = s.Kind == KindDims
	case tensor.DType:
		ok = s.Kind == KindDType
	case *tensor.Tensor:
		ok = s.Kind == KindTensor
	}
	if !ok {
		return &OpError{Op: op, Arg: -1, Attr: s.Name, What: "attribute " + s.Name + " has the wrong kind",
			Expected: s.Kind.String(), Got: fmt.Sprintf("%v", value)}
	}
	if str, is := value.(string); is && s.Enum != nil {
		for _, e := range s.Enum {
			if e == str {
				return nil
			}
		}
		return &OpError{Op: op, Arg: -1, Attr: s.Name, What: "attribute " + s.Name + " has an unknown value",
			Expected: s.oneOf(), Got: fmt.Sprintf("%q", str)}
	}
	return nil
}
