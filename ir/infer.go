package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// The checks that type rules share. Each returns a complete *OpError, so that a
// rule is a list of checks and the type that follows from them.

// maxAttrInt bounds integers in attributes (strides, windows, dilations), so that
// products of two of them stay within int64.
const maxAttrInt = math.MaxInt32

// argError is a violation at operand arg, or of the op as a whole where arg is -1.
func argError(v *Value, arg int, what, expected, got, hint string) *OpError {
	return &OpError{Op: v.Op, Arg: arg, What: what, Expected: expected, Got: got, Hint: hint}
}

// attrError is a violation in an attribute.
func attrError(v *Value, attr, what, expected, got, hint string) *OpError {
	return &OpError{Op: v.Op, Arg: -1, Attr: attr, What: what, Expected: expected, Got: got, Hint: hint}
}

// argTypes prints the operands' types: "f32[B,64] x f32[64,10]".
func argTypes(v *Value) string {
	parts := make([]string, len(v.Args))
	for i, a := range v.Args {
		parts[i] = a.Type.String()
	}
	return strings.Join(parts, " x ")
}

var ordinals = [...]string{"first", "second", "third", "fourth", "fifth"}

// ordinal names an operand: "the second operand".
func ordinal(arg int) string {
	if arg < len(ordinals) {
		return "the " + ordinals[arg] + " operand"
	}
	return fmt.Sprintf("operand %d", arg)
}

// String lists the set: "f16, bf16, f32".
func (s DTypeSet) String() string {
	names := make([]string, 0, 16)
	for _, d := range s.List() {
		names = append(names, d.String())
	}
	return strings.Join(names, ", ")
}

// wantDType checks that operand arg has an element type of the set.
func wantDType(v *Value, arg int, set DTypeSet) error {
	t := v.Args[arg].Type
	if set.Has(t.DType) {
		return nil
	}
	hint := "cast it, for example to i64"
	switch {
	case set == Bools:
		hint = "compare it with ne"
	case set.Has(tensor.F32):
		hint = "cast it, for example to f32"
	}
	return argError(v, arg, "wrong element type of "+ordinal(arg), "one of "+set.String(), t.String(), hint)
}

// wantRank checks that operand arg has exactly this many axes.
func wantRank(v *Value, arg, rank int) error {
	if t := v.Args[arg].Type; t.Rank() != rank {
		return argError(v, arg, "wrong rank of "+ordinal(arg), "rank "+strconv.Itoa(rank), t.String(), "")
	}
	return nil
}

// wantMinRank checks that operand arg has at least this many axes.
func wantMinRank(v *Value, arg, rank int) error {
	if t := v.Args[arg].Type; t.Rank() < rank {
		return argError(v, arg, "rank of "+ordinal(arg)+" is too low", "rank "+strconv.Itoa(rank)+" or more", t.String(), "")
	}
	return nil
}

// sameTypes checks that the operands from index first on have one type, and
// returns it.
func sameTypes(v *Value, facts *dim.Facts, first int) (Type, error) {
	want := v.Args[first].Type
	for i := first + 1; i < len(v.Args); i++ {
		got := v.Args[i].Type
		if got.DType != want.DType {
			return Type{}, argError(v, i, "operands differ in element type", want.DType.String(),
				argTypes(v), fmt.Sprintf("cast %s to %s", ordinal(i), want.DType))
		}
		if err := sameShape(v, facts, i, want.Shape); err != nil {
			return Type{}, err
		}
	}
	return want, nil
}

// sameShape checks that operand arg has the shape want.
func sameShape(v *Value, facts *dim.Facts, arg int, want []dim.Expr) error {
	got := v.Args[arg].Type.Shape
	if ShapeEqual(facts, want, got) {
		return nil
	}
	return argError(v, arg, "operands differ in shape", ShapeString(want), argTypes(v), shapeHint(facts, want, got))
}

// shapeHint says how to make two shapes agree: by a fact if only symbols stand in
// the way, else by broadcasting the one that is smaller.
func shapeHint(facts *dim.Facts, want, got []dim.Expr) string {
	if len(want) == len(got) {
		for i := range want {
			if SizeEqual(facts, want[i], got[i]) {
				continue
			}
			if hint := equalHint(facts, want[i], got[i]); hint != "" {
				return hint
			}
			break
		}
	}
	if broadcastable(facts, want, got) {
		return "broadcast it to " + ShapeString(got) + " first"
	}
	return "broadcast it to " + ShapeString(want) + " first"
}

// broadcastable reports whether from's axes are trailing axes of to, or 1.
func broadcastable(facts *dim.Facts, from, to []dim.Expr) bool {
	if len(from) > len(to) {
		return false
	}
	one := dim.Const(1)
	for i, e := range from {
		if !e.Equal(one) && !SizeEqual(facts, e, to[len(to)-len(from)+i]) {
			return false
		}
	}
	return true
}

// equalHint says what would make two sizes equal; empty where nothing could,
// because they are constants or provably differ.
func equalHint(facts *dim.Facts, a, b dim.Expr) string {
	lo, hi := sizeRange(facts, a.Sub(b))
	if lo > 0 || hi < 0 || a.Invalid() || b.Invalid() {
		return ""
	}
	if isOne(a) || isOne(b) {
		return "broadcast the axis of size 1 first"
	}
	if _, is := a.IsSym(); !is {
		a, b = b, a
	}
	if _, is := a.IsSym(); !is {
		return fmt.Sprintf("relate the symbols of %s and %s in the where clause", a, b)
	}
	return fmt.Sprintf("declare %q in the where clause", a.String()+" == "+b.String())
}

func isOne(e dim.Expr) bool {
	n, ok := e.Const()
	return ok && n == 1
}

// boundHint says what would make e >= 0 provable; empty where nothing could.
func boundHint(facts *dim.Facts, e dim.Expr) string {
	if _, hi := sizeRange(facts, e); hi < 0 || e.Invalid() {
		return ""
	}
	for _, sym := range e.Syms() {
		s := dim.Sym(sym)
		if c, ok := e.Sub(s).Const(); ok && c > math.MinInt64 {
			return fmt.Sprintf("declare \"%s >= %d\" in the where clause", sym, -c)
		}
		if c, ok := e.Add(s).Const(); ok {
			return fmt.Sprintf("declare \"%s <= %d\" in the where clause", sym, c)
		}
	}
	return "bound its symbols in the where clause"
}

// wantEqual checks that two sizes are provably equal. names says where they come
// from, "lhs[1] == rhs[0]"; what is the violation, "inner dimensions differ".
func wantEqual(v *Value, facts *dim.Facts, arg int, what, names string, a, b dim.Expr) error {
	if SizeEqual(facts, a, b) {
		return nil
	}
	return argError(v, arg, what, names, argTypes(v), equalHint(facts, a, b))
}

// sizeRange bounds e by what is known of its symbols; of nil facts, only that
// they are sizes.
func sizeRange(facts *dim.Facts, e dim.Expr) (lo, hi int64) {
	if n, ok := e.Const(); ok {
		return n, n
	}
	if facts == nil {
		facts = dim.NewFacts()
	}
	return facts.Range(e)
}

// wantNonNegative checks that a size in an attribute is provably not negative.
func wantNonNegative(v *Value, facts *dim.Facts, attr string, e dim.Expr) error {
	if lo, _ := sizeRange(facts, e); lo >= 0 && !e.Invalid() {
		return nil
	}
	return attrError(v, attr, attr+" must not be negative", "sizes known to be >= 0", e.String(), boundHint(facts, e))
}

// wantAtMost checks that a <= b provably; what and names as in wantEqual.
func wantAtMost(v *Value, facts *dim.Facts, attr, what, names string, a, b dim.Expr) error {
	gap := b.Sub(a)
	if lo, _ := sizeRange(facts, gap); lo >= 0 && !gap.Invalid() {
		return nil
	}
	return attrError(v, attr, what, names, fmt.Sprintf("%s and %s", a, b), boundHint(facts, gap))
}

// axisAttr returns an axis attribute, checked against the rank; def stands for an
// absent one.
func axisAttr(v *Value, name string, rank int, def int64) (int, error) {
	axis := v.Attrs.Int(name, def)
	return int(axis), checkAxis(v, name, axis, rank)
}

func checkAxis(v *Value, name string, axis int64, rank int) error {
	if axis >= 0 && axis < int64(rank) {
		return nil
	}
	hint := ""
	if axis < 0 && axis >= -int64(rank) {
		hint = fmt.Sprintf("axes count from 0: use %d", axis+int64(rank))
	}
	if rank == 0 {
		return attrError(v, name, "a scalar has no axes", "no axis", fmt.Sprint(axis), hint)
	}
	return attrError(v, name, "axis out of range", fmt.Sprintf("0 to %d", rank-1), fmt.Sprint(axis), hint)
}

// axesAttr returns a list-of-axes attribute: each in range, none twice.
func axesAttr(v *Value, name string, rank int) ([]int64, error) {
	axes := v.Attrs.Ints(name)
	seen := make([]bool, rank)
	for _, a := range axes {
		if err := checkAxis(v, name, a, rank); err != nil {
			return nil, err
		}
		if seen[a] {
			return nil, attrError(v, name, "axis given twice", "distinct axes", AttrString(axes), "")
		}
		seen[a] = true
	}
	return axes, nil
}

// intsAttr returns a list of n integers, each at least low; n times def where the
// attribute is absent.
func intsAttr(v *Value, name string, n int, def, low int64) ([]int64, error) {
	if !v.Attrs.Has(name) {
		xs := make([]int64, n)
		for i := range xs {
			xs[i] = def
		}
		return xs, nil
	}
	xs := v.Attrs.Ints(name)
	if len(xs) != n {
		return nil, attrError(v, name, "wrong number of "+name, strconv.Itoa(n), AttrString(xs), "one per axis")
	}
	for _, x := range xs {
		if x < low || x > maxAttrInt {
			return nil, attrError(v, name, name+" out of range", fmt.Sprintf("%d to %d", low, maxAttrInt), AttrString(xs), "")
		}
	}
	return xs, nil
}

// intAttr returns an integer attribute that is at least low; def where it is absent.
func intAttr(v *Value, name string, def, low int64) (int64, error) {
	x := v.Attrs.Int(name, def)
	if x < low || x > maxAttrInt {
		return 0, attrError(v, name, name+" out of range", fmt.Sprintf("%d to %d", low, maxAttrInt), fmt.Sprint(x), "")
	}
	return x, nil
}

// dimsAttr returns a list of n sizes.
func dimsAttr(v *Value, name string, n int) ([]dim.Expr, error) {
	es := v.Attrs.Dims(name)
	if len(es) != n {
		return nil, attrError(v, name, "wrong number of "+name, strconv.Itoa(n), AttrString(es), "one per axis")
	}
	return es, nil
}

// shapeAttr returns a shape attribute whose sizes may be negative for no known reason.
func shapeAttr(v *Value, name string, facts *dim.Facts) ([]dim.Expr, error) {
	es := v.Attrs.Dims(name)
	for _, e := range es {
		if _, hi := sizeRange(facts, e); hi < 0 || e.Invalid() {
			return nil, attrError(v, name, "invalid size in "+name, "sizes >= 0", ShapeString(es), "")
		}
	}
	return es, nil
}

// windowSize is the number of windows along an axis:
// (in + low + high - dilation*(window-1) - 1) floordiv stride + 1.
func windowSize(in dim.Expr, window, stride, low, high, dilation int64) dim.Expr {
	span := dilation*(window-1) + 1
	return in.Add(dim.Const(low + high - span)).FloorDiv(dim.Const(stride)).Add(dim.Const(1))
}

// wantWindows checks that a number of windows is not known to be negative, that
// is, that the window fits the padded axis.
func wantWindows(v *Value, facts *dim.Facts, arg, axis int, windows dim.Expr) error {
	if _, hi := sizeRange(facts, windows); hi >= 0 && !windows.Invalid() {
		return nil
	}
	return argError(v, arg, fmt.Sprintf("the window does not fit axis %d of %s", axis, ordinal(arg)),
		"a padded size of at least the dilated window", v.Args[arg].Type.String(), "pad the axis or shrink the window")
}
