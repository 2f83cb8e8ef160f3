package passes

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// controlRules replace control flow by its bodies where it is known which run,
// and how often:
//
//	before  %r = cond(true, %x) func(%a) { return neg(%a) } func(%a) { ... }
//	after   %r = neg(%x)
func controlRules() []rule {
	var rules []rule
	for _, r := range []struct {
		op       ir.Op
		from, to string
		results  func(e *rewriter, v *ir.Value) []*ir.Value
	}{
		{ir.OpCond, "cond(true, x), cond(c, x) of equal branches", "the branch's values", (*rewriter).branch},
		{ir.OpWhile, "while(x) that never runs", "x", (*rewriter).neverRun},
		{ir.OpScan, "scan(x) of length 0", "x, empty outputs", (*rewriter).emptyScan},
		{ir.OpScan, "scan(x) of length 1", "the body's values", (*rewriter).oneStep},
	} {
		rules = append(rules,
			rule{ops: ops(r.op), from: r.from, to: r.to, apply: func(e *rewriter, v *ir.Value) *ir.Value {
				if v.Type.IsTuple() { // replaced result by result
					return nil
				}
				return first(r.results(e, v))
			}},
			rule{ops: ops(ir.OpGet), from: "get(" + r.from + ")", to: r.to, apply: func(e *rewriter, v *ir.Value) *ir.Value {
				c := v.Args[0]
				if c.Op != r.op || c.HasEffect() { // c stays, and has its effects
					return nil
				}
				return e.opened(r.from, c, r.results, int(v.Attrs.Int("index", 0)))
			}})
	}
	return rules
}

func first(vs []*ir.Value) *ir.Value {
	if len(vs) == 0 {
		return nil
	}
	return vs[0]
}

// opening is a rule applied to a value of several results, once for all of them.
type opening struct {
	rule string
	v    *ir.Value
}

// opened is result i of what a rule makes of v's results.
func (e *rewriter) opened(rule string, v *ir.Value, results func(*rewriter, *ir.Value) []*ir.Value, i int) *ir.Value {
	key := opening{rule, v}
	vs, done := e.openings[key]
	if !done {
		if vs = results(e, v); e.openings == nil {
			e.openings = map[opening][]*ir.Value{}
		}
		e.openings[key] = vs
	}
	if vs == nil {
		return nil
	}
	return vs[i]
}

// branch are the values of the branch that a cond takes.
func (e *rewriter) branch(v *ir.Value) []*ir.Value {
	p, then, other := v.Args[0], v.Bodies[0], v.Bodies[1]
	switch {
	case splatIs(p, 0, -1), sameFunc(then, other):
		return e.inline(then, v.Args[1:])
	case splatIs(p, 0, 0):
		return e.inline(other, v.Args[1:])
	}
	return nil
}

// neverRun are the carries of a loop whose condition is false.
func (e *rewriter) neverRun(v *ir.Value) []*ir.Value {
	if !splatIs(v.Bodies[0].Results[0], 0, 0) {
		return nil
	}
	return v.Args[:v.Carries()]
}

// emptyScan gives the carries back, and outputs without elements.
func (e *rewriter) emptyScan(v *ir.Value) []*ir.Value {
	if !v.Attrs.Dims("length")[0].Equal(dim.Const(0)) {
		return nil
	}
	results := append([]*ir.Value(nil), v.Args[:v.Carries()]...)
	for _, t := range v.ResultTypes()[v.Carries():] {
		results = append(results, e.splat(t, numberAttr(t.DType, 0, 0)))
	}
	return results
}

// oneStep is the body on the only slices that there are.
func (e *rewriter) oneStep(v *ir.Value) []*ir.Value {
	if !v.Attrs.Dims("length")[0].Equal(dim.Const(1)) {
		return nil
	}
	args := append([]*ir.Value(nil), v.Args...)
	for i := v.Carries(); i < v.Carries()+v.Inputs(); i++ {
		if args[i] = e.reshape(args[i], args[i].Type.Shape[1:]); args[i] == nil {
			return nil
		}
	}
	results := e.inline(v.Bodies[0], args)
	for i := v.Carries(); i < len(results); i++ {
		if results[i] = e.reshape(results[i], v.ResultTypes()[i].Shape); results[i] == nil {
			return nil
		}
	}
	return results
}

// inline builds a body's values on operands, and returns its results.
func (e *rewriter) inline(body *ir.Func, args []*ir.Value) []*ir.Value {
	pos := e.pos
	defer func() { e.pos = pos }()
	uses := liveUses(body)
	at := make([]*ir.Value, body.NumIDs)
	put := func(v, w *ir.Value) {
		at[v.ID] = w
		e.uses[w.ID] += uses[v.ID]
	}
	for i, p := range body.Params {
		put(p, args[i])
	}
	for _, v := range body.Values {
		c := &ir.Value{Op: v.Op, Type: v.Type, Attrs: v.Attrs, Bodies: v.Bodies, Pos: v.Pos}
		for _, a := range v.Args {
			c.Args = append(c.Args, at[a.ID])
		}
		e.pos = v.Pos
		put(v, e.build(c))
	}
	results := make([]*ir.Value, len(body.Results))
	for i, r := range body.Results {
		results[i] = at[r.ID]
	}
	return results
}
