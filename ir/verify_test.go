package ir

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// sound is a function with a region, for tests to break.
func sound(t *testing.T) *Func {
	f, _, diags := Parse("sound.trace", `func @f(%x: f32[B,4]) -> f32[B,4]
    where B in [1, 8] {
  %0: f32[B,4] = exp(%x)
  %1: f32[B,4] = softmax(%0) {axis=1}
  %2: f32[B,4] = fused(%1, %x) func(%a: f32[B,4], %b: f32[B,4]) -> f32[B,4] {
    %c: f32[B,4] = add(%a, %b)
    return %c
  }
  %3: f32[1,4] = slice(%2) {limits=[B, 4], starts=[B - 1, 0]}
  return %2
}
`)
	require.NoError(t, diags.Err())
	require.NoError(t, Verify(f, Fused))
	return f
}

func TestVerifyFindsEveryViolation(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(f *Func)
		want  string
	}{
		{"use above definition", func(f *Func) { f.Values[0], f.Values[1] = f.Values[1], f.Values[0] }, "operand 0 is not defined above"},
		{"operand of another function", func(f *Func) { f.Values[0].Args[0] = other().Params[0] }, "operand 0 is not defined above"},
		{"nil operand", func(f *Func) { f.Values[0].Args[0] = nil }, "operand 0 is not defined above"},
		{"nil value", func(f *Func) { f.Values[1] = nil }, "value 1 is nil"},
		{"nil parameter", func(f *Func) { f.Params[0] = nil }, "parameter 0 is nil"},
		{"nil result", func(f *Func) { f.Results[0] = nil }, "result 0 is not a value"},
		{"no results", func(f *Func) { f.Results = nil }, "no results"},
		{"result elsewhere", func(f *Func) { f.Results[0] = other().Results[0] }, "result 0 is not a value"},
		{"tuple result", func(f *Func) {
			f.Values[2].Bodies[0].Results = append(f.Values[2].Bodies[0].Results, f.Values[2].Bodies[0].Results[0])
			f.Values[2].Type = Type{Tuple: f.Values[2].Bodies[0].ResultTypes()}
			f.Values = f.Values[:3]
		}, "result 0 is a tuple"},
		{"ID twice", func(f *Func) { f.Values[1].ID = f.Values[0].ID }, "ID used twice"},
		{"ID beyond", func(f *Func) { f.Values[1].ID = f.NumIDs }, "ID outside"},
		{"negative ID", func(f *Func) { f.Values[1].ID = -1 }, "ID outside"},
		{"too few IDs", func(f *Func) { f.NumIDs = 2 }, "ID outside"},
		{"negative number of IDs", func(f *Func) { f.NumIDs = -1 }, "ID outside"},
		{"wrong shape", func(f *Func) { f.Values[0].Type = TConst(tensor.F32, 4) }, "the type rule gives f32[B,4]"},
		{"wrong element type", func(f *Func) { f.Values[0].Type.DType = tensor.F16 }, "the type rule gives f32[B,4]"},
		{"undeclared symbol", func(f *Func) { f.Params[0].Type = T(tensor.F32, dim.Sym("Q"), dim.Const(4)) }, "undeclared symbol Q"},
		{"undeclared symbol in an attribute", func(f *Func) {
			q := dim.Sym("Q")
			f.Values[3].Attrs = f.Values[3].Attrs.With("starts", []dim.Expr{q, dim.Const(0)})
		}, "an attribute has the undeclared symbol Q"},
		{"unknown attribute", func(f *Func) { f.Values[0].Attrs = NewAttrs(Attr{"axis", int64(1)}) }, "unknown attribute axis"},
		{"missing attribute", func(f *Func) { f.Values[1].Attrs = nil }, "missing attribute axis"},
		{"attribute of a wrong kind", func(f *Func) { f.Values[1].Attrs = NewAttrs(Attr{"axis", "1"}) }, "wrong kind"},
		{"attributes out of order", func(f *Func) {
			as := f.Values[3].Attrs
			f.Values[3].Attrs = Attrs{as[1], as[0]}
		}, "out of order"},
		{"attribute twice", func(f *Func) { f.Values[1].Attrs = append(f.Values[1].Attrs, f.Values[1].Attrs[0]) }, "out of order"},
		{"parameter's attribute", func(f *Func) { f.Params[0].Attrs = NewAttrs(Attr{"init", "often"}) }, "unknown value"},
		{"parameter with operands", func(f *Func) { f.Params[0].Args = []*Value{f.Params[0]} }, "neither operands nor a body"},
		{"tuple parameter", func(f *Func) { f.Params[0].Type = Type{Tuple: []Type{}} }, "must be a tensor"},
		{"invalid parameter", func(f *Func) { f.Params[0].Type = Type{} }, "must be a tensor"},
		{"no parameter", func(f *Func) { f.Params[0].Op = OpExp }, "must be of op param"},
		{"parameter among the values", func(f *Func) { f.Values[0].Op, f.Values[0].Args = OpParam, nil }, "a parameter among the values"},
		{"no such op", func(f *Func) { f.Values[0].Op = numOps }, "no such op"},
		{"too many operands", func(f *Func) { f.Values[0].Args = append(f.Values[0].Args, f.Params[0]) }, "wrong number of operands"},
		{"body on another op", func(f *Func) { f.Values[0].Bodies = f.Values[2].Bodies }, "wrong number of bodies: expected 0, got 1"},
		{"region without a body", func(f *Func) { f.Values[2].Bodies = nil }, "wrong number of bodies: expected 1, got 0"},
		{"nil body", func(f *Func) { f.Values[2].Bodies = []*Func{nil} }, "a body is nil"},
		{"region without facts", func(f *Func) { f.Values[2].Bodies[0].Facts = nil }, "without facts"},
		{"open region", func(f *Func) { f.Values[2].Bodies[0].Values[0].Args[0] = f.Values[0] }, "operand 0 is not defined above"},
		{"wrong type in a region", func(f *Func) { f.Values[2].Bodies[0].Values[0].Type = TConst(tensor.F32) }, "add (id 2)"},
		{"region of other parameters", func(f *Func) { f.Values[2].Args = f.Values[2].Args[:1] }, "wrong number of operands"},
		{"region in a region", func(f *Func) { f.Values[2].Bodies[0].Values[0].Op = OpFused }, "a region within a region"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := sound(t)
			c.spoil(f)
			require.ErrorContains(t, Verify(f, Fused), c.want)
		})
	}
}

// other is another function of the same shape.
func other() *Func {
	f := NewFunc("g", nil)
	x := f.AddParam("x", TConst(tensor.F32, 4), nil)
	b := NewBuilder(f)
	f.Results = []*Value{b.Unary(OpExp, x)}
	return f
}

func TestVerifyReportsEveryViolationWithItsPosition(t *testing.T) {
	f := sound(t)
	f.Values[0].Type, f.Values[1].Type = TConst(tensor.F32), TConst(tensor.F32)
	err := Verify(f, Fused)
	require.ErrorContains(t, err, "sound.trace:3:3: exp (id 1)")
	require.ErrorContains(t, err, "sound.trace:4:3: ")
}

func TestVerifyHoldsFunctionsToTheirDialect(t *testing.T) {
	f := sound(t)
	require.ErrorContains(t, Verify(f, Surface), "a region before fusion")
	require.ErrorContains(t, Verify(f, Primitive), "a composite op after decomposition")
	require.NoError(t, Verify(other(), Primitive))
}

func TestVerifyRefusesNothing(t *testing.T) {
	require.Error(t, Verify(nil, Surface))
	f := other()
	f.Facts = nil
	require.ErrorContains(t, Verify(f, Surface), "no facts")
}

// Bodies of regions may not name each other's values even if IDs agree.
func TestVerifyTellsValuesOfOneIDApart(t *testing.T) {
	f := sound(t)
	body := f.Values[2].Bodies[0]
	body.Results[0] = &Value{ID: body.Results[0].ID, Op: OpAdd, Type: body.Results[0].Type}
	require.ErrorContains(t, Verify(f, Fused), "result 0 is not a value of the function")
}
