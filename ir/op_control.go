package ir

import (
	"fmt"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Control flow: ops that run functions as data decides. A body has no free
// variables: what it uses comes in as operands.
//
//	cond   results = predicate ? then(operands) : else(operands)
//	while  for cond(carries, invariants) { carries = body(carries, invariants) }
//	scan   for i := range L { carries, out[i] = body(carries, in[i], invariants) }
//
// Types do not change from one iteration to the next, so that two buffers for
// each carry are enough.

func controlRows() map[Op]OpRow {
	carries := AttrSpec{Name: "carries", Kind: KindInt, Required: true,
		Doc: "how many of the operands, the first ones, are the carries' values before the first iteration"}
	return map[Op]OpRow{
		OpCond: {
			Name: "cond", MinArgs: 1, MaxArgs: -1, Bodies: 2, Traits: Structural | Control, DTypes: Anything,
			Doc: "The first body's results if the predicate, a bool scalar, is true, else the second one's. " +
				"Both take the operands after the predicate; only one runs.",
			Infer: inferCond, EvalBodies: evalCond,
			Samples: func() []Sample { return textSamples(condSamples) },
		},
		OpWhile: {
			Name: "while", MinArgs: 1, MaxArgs: -1, Bodies: 2, Traits: Structural | Control, DTypes: Anything,
			Doc: "While the first body gives true, the second one computes the carries anew. " +
				"Both take the carries and the invariants, which are the other operands. The results are the last carries.",
			Attrs: []AttrSpec{carries},
			Infer: inferWhile, EvalBodies: evalWhile,
			Samples: func() []Sample { return textSamples(whileSamples) },
		},
		OpScan: {
			Name: "scan", MaxArgs: -1, Bodies: 1, Traits: Structural | Control, DTypes: Anything,
			Doc: "For each index along axis 0 of the inputs, the body takes the carries, one slice of each input, and the " +
				"invariants, which are the other operands; it gives the next carries and one slice of each output. " +
				"The results are the last carries, then the outputs stacked along a new axis 0.",
			Attrs: []AttrSpec{carries,
				{Name: "inputs", Kind: KindInt, Required: true, Doc: "how many operands after the carries are sliced along axis 0"},
				{Name: "length", Kind: KindDims, Required: true, Doc: "how many slices there are: one size"},
			},
			Infer: inferScan, EvalBodies: evalScan,
			Samples: func() []Sample { return textSamples(scanSamples) },
		},
	}
}

// bodyRoles names the bodies of the ops that have several.
var bodyRoles = map[Op][]string{OpCond: {"then", "else"}, OpWhile: {"cond", "body"}}

// BodyRole names body i of an op, for messages and reports: "then", "cond", "body".
func BodyRole(op Op, i int) string {
	switch roles := bodyRoles[op]; {
	case i < len(roles):
		return roles[i]
	case op == OpFused:
		return "region"
	}
	return "body"
}

// Carries are the leading operands of a loop that each iteration computes anew:
// as many results are their last values.
func (v *Value) Carries() int { return int(v.Attrs.Int("carries", 0)) }

// Inputs are the operands of a scan, after the carries, that it slices.
func (v *Value) Inputs() int { return int(v.Attrs.Int("inputs", 0)) }

// HasEffect reports whether an application of v, or of anything in its bodies,
// must not be merged with an equal one: it is Random or an Effect.
func (v *Value) HasEffect() bool { return v.hasTrait(Random | Effect) }

// MustRun reports whether v, or anything in its bodies, is an Effect.
func (v *Value) MustRun() bool { return v.hasTrait(Effect) }

// hasTrait reports whether v or anything in its bodies has one of the traits.
func (v *Value) hasTrait(t Traits) bool {
	if v.Row().Traits&t != 0 {
		return true
	}
	for _, body := range v.Bodies {
		for _, w := range body.Values {
			if w.hasTrait(t) {
				return true
			}
		}
	}
	return false
}

func inferCond(v *Value, facts *dim.Facts) (Type, error) {
	if p := v.Args[0].Type; p.DType != tensor.Bool || p.Rank() > 0 {
		return Type{}, argError(v, 0, "the predicate is not a bool scalar", "bool[]", p.String(),
			"compare scalars, or reduce_any and reduce_all a tensor")
	}
	then, other := v.Bodies[0], v.Bodies[1]
	for i, body := range v.Bodies {
		if err := wantParams(v, facts, BodyRole(v.Op, i), body, v.Args[1:], 1); err != nil {
			return Type{}, err
		}
	}
	ts, us := then.ResultTypes(), other.ResultTypes()
	if len(ts) != len(us) {
		return Type{}, argError(v, -1, "the branches differ in the number of results",
			fmt.Sprintf("%d, as the first gives", len(ts)), fmt.Sprint(len(us)), "")
	}
	for i := range ts {
		if !ts[i].EqualUnder(facts, us[i]) {
			return Type{}, argError(v, -1, fmt.Sprintf("the branches differ in the type of result %d", i),
				ts[i].String()+", as the first gives", us[i].String(), "cast or broadcast one of them")
		}
	}
	return resultType(v, ts)
}

func inferWhile(v *Value, facts *dim.Facts) (Type, error) {
	n, err := countAttr(v, "carries", len(v.Args))
	if err != nil {
		return Type{}, err
	}
	for i, body := range v.Bodies {
		if err := wantParams(v, facts, BodyRole(v.Op, i), body, v.Args, 0); err != nil {
			return Type{}, err
		}
	}
	if p := v.Bodies[0].ResultTypes(); len(p) != 1 || !p[0].Equal(T(tensor.Bool)) {
		return Type{}, argError(v, -1, "the condition is not a bool scalar", "bool[]", resultsString(p), "")
	}
	ts := v.Bodies[1].ResultTypes()
	if len(ts) != n {
		return Type{}, argError(v, -1, "the body does not give the carries", fmt.Sprintf("%d results", n), fmt.Sprint(len(ts)), "")
	}
	return loopType(v, facts, n, ts)
}

func inferScan(v *Value, facts *dim.Facts) (Type, error) {
	n, err := countAttr(v, "carries", len(v.Args))
	if err != nil {
		return Type{}, err
	}
	inputs, err := countAttr(v, "inputs", len(v.Args)-n)
	if err != nil {
		return Type{}, err
	}
	length, err := dimsAttr(v, "length", 1)
	if err != nil {
		return Type{}, err
	}
	if err := wantNonNegative(v, facts, "length", length[0]); err != nil {
		return Type{}, err
	}
	params := make([]*Value, len(v.Args)) // what the body takes
	for i, a := range v.Args {
		if params[i] = a; i < n || i >= n+inputs {
			continue
		}
		if err := wantMinRank(v, i, 1); err != nil {
			return Type{}, err
		}
		if err := wantEqual(v, facts, i, "the input's axis 0 is not the scan's length", "size "+length[0].String(), a.Type.Shape[0], length[0]); err != nil {
			return Type{}, err
		}
		params[i] = &Value{Type: a.Type.WithShape(a.Type.Shape[1:])}
	}
	if err := wantParams(v, facts, "body", v.Bodies[0], params, 0); err != nil {
		return Type{}, err
	}
	ts := v.Bodies[0].ResultTypes()
	if len(ts) < n {
		return Type{}, argError(v, -1, "the body does not give the carries", fmt.Sprintf("at least %d results", n), fmt.Sprint(len(ts)), "")
	}
	for i := n; i < len(ts); i++ {
		ts[i] = ts[i].WithShape(append([]dim.Expr{length[0]}, ts[i].Shape...))
	}
	return loopType(v, facts, n, ts)
}

// loopType is the type of a loop whose results are ts, the carries first: they
// have the types of the operands.
func loopType(v *Value, facts *dim.Facts, carries int, ts []Type) (Type, error) {
	for i := range carries {
		if want := v.Args[i].Type; !ts[i].EqualUnder(facts, want) {
			return Type{}, argError(v, i, fmt.Sprintf("carry %d changes its type", i), want.String()+" from the body", ts[i].String(),
				"a carry has one type in all iterations")
		}
		ts[i] = v.Args[i].Type
	}
	return resultType(v, ts)
}

// countAttr returns an integer attribute that counts some of n operands.
func countAttr(v *Value, name string, n int) (int, error) {
	c := v.Attrs.Int(name, 0)
	if c < 0 || c > int64(n) {
		return 0, attrError(v, name, name+" out of range", fmt.Sprintf("0 to %d, the operands there are", n), fmt.Sprint(c), "")
	}
	return int(c), nil
}

// checkBodies checks that v has the bodies of its row.
func checkBodies(v *Value, row *OpRow) error {
	for _, body := range v.Bodies {
		if body == nil {
			panic("BUG: ir: nil body of " + row.Name)
		}
	}
	if len(v.Bodies) == row.Bodies {
		return nil
	}
	return argError(v, -1, "wrong number of bodies", fmt.Sprint(row.Bodies), fmt.Sprint(len(v.Bodies)), "")
}

// wantParams checks that a body's parameters have the types of args, which are
// v's operands from first on, or slices of them.
func wantParams(v *Value, facts *dim.Facts, role string, body *Func, args []*Value, first int) error {
	if len(v.Bodies) > 1 && role != "body" {
		role += " body"
	}
	if len(body.Params) != len(args) {
		return argError(v, -1, role+" applied to the wrong number of operands", fmt.Sprint(len(body.Params)), fmt.Sprint(len(args)), "")
	}
	for i, p := range body.Params {
		if !p.Type.EqualUnder(facts, args[i].Type) {
			return argError(v, first+i, fmt.Sprintf("operand and parameter %d of the %s differ in type", i, role),
				p.Type.String(), args[i].Type.String(), "")
		}
	}
	return nil
}

// resultType is the type of a value with bodies: a tuple of several results.
func resultType(v *Value, ts []Type) (Type, error) {
	switch len(ts) {
	case 0:
		return Type{}, argError(v, -1, "no results", "at least one", "0", "")
	case 1:
		return ts[0], nil
	}
	return Type{Tuple: ts}, nil
}

// ResultTypes are the types of v's results, one or several.
func (v *Value) ResultTypes() []Type {
	if v.Type.IsTuple() {
		return v.Type.Tuple
	}
	return []Type{v.Type}
}

func evalCond(c *Call) ([]*tensor.Tensor, error) {
	body := c.V.Bodies[1]
	if isTrue(c.Args[0]) {
		body = c.V.Bodies[0]
	}
	return Eval(body, c.Args[1:], c.Sizes)
}

func isTrue(t *tensor.Tensor) bool { return tensor.Ints(t)[0] != 0 }

// evalWhile runs for as long as the program says: for ever, if it never ends.
func evalWhile(c *Call) ([]*tensor.Tensor, error) {
	n := c.V.Carries()
	now := append([]*tensor.Tensor(nil), c.Args...)
	for {
		p, err := Eval(c.V.Bodies[0], now, c.Sizes)
		if err != nil {
			return nil, err
		}
		if !isTrue(p[0]) {
			return now[:n], nil
		}
		next, err := Eval(c.V.Bodies[1], now, c.Sizes)
		if err != nil {
			return nil, err
		}
		copy(now, next)
	}
}

func evalScan(c *Call) ([]*tensor.Tensor, error) {
	n, inputs, body := c.V.Carries(), c.V.Inputs(), c.V.Bodies[0]
	length, err := c.Dims("length")
	if err != nil {
		return nil, err
	}
	outputs := make([][]byte, len(body.Results)-n) // the slices one after the other
	now, xs := append([]*tensor.Tensor(nil), c.Args...), append([]*tensor.Tensor(nil), c.Args...)
	for k := n; k < n+inputs; k++ {
		xs[k] = xs[k].Contiguous()
	}
	for i := range length[0] {
		for k := n; k < n+inputs; k++ {
			if now[k], err = sliceAt(xs[k], i); err != nil {
				return nil, err
			}
		}
		out, err := Eval(body, now, c.Sizes)
		if err != nil {
			return nil, err
		}
		copy(now, out[:n])
		for k, t := range out[n:] {
			data, _ := t.Contiguous().Bytes()
			outputs[k] = append(outputs[k], data...)
		}
	}
	results := append([]*tensor.Tensor(nil), now[:n]...)
	for k, data := range outputs {
		t := c.V.ResultTypes()[n+k]
		shape, err := EvalShape(t.Shape, c.Sizes)
		if err != nil {
			return nil, err
		}
		r, err := tensor.FromBytes(t.DType, shape, data)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// sliceAt is x[i] of a contiguous x.
func sliceAt(x *tensor.Tensor, i int) (*tensor.Tensor, error) {
	data, _ := x.Bytes()
	shape := x.Shape()[1:]
	n, err := tensor.CheckedBytes(x.DType(), shape)
	if err != nil {
		return nil, err
	}
	return tensor.FromBytes(x.DType(), shape, data[i*n:(i+1)*n])
}
