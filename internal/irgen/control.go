package irgen

import (
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

const (
	maxDepth = 2 // functions within functions
	maxTrips = 4 // iterations of a while
)

// Bodies are made of all families, so these cannot be in opRows' own literal.
func init() {
	opRows = append(opRows, opRow{4, control, (*generator).cond}, opRow{4, control, (*generator).while},
		opRow{6, control, (*generator).scan})
}

// body starts a function within g's, with parameters of the given types and some
// random values.
func (g *generator) body(params []ir.Type) *generator {
	b := &generator{rng: g.rng, opts: g.opts, f: ir.NewFunc("", g.f.Facts), depth: g.depth + 1}
	b.b = ir.NewBuilder(b.f)
	for _, t := range params {
		b.pool = append(b.pool, b.f.AddParam("", t, nil))
	}
	if len(params) == 0 {
		b.constant(ir.T(g.dtype(), g.shape()...))
	}
	if len(b.pool) > 0 {
		b.values(2 + g.rng.IntN(6))
	}
	return b
}

// result makes a value of type t a result of the body: one that exists, often the
// last of the type, or something of it and another.
func (g *generator) result(t ir.Type) {
	var of []*ir.Value
	for _, v := range g.pool {
		if v.Type.Equal(t) {
			of = append(of, v)
		}
	}
	var v *ir.Value
	switch n := len(of); {
	case n == 0:
		v = g.splat(t)
	case g.rng.IntN(3) == 0:
		v = of[g.rng.IntN(n)]
	default:
		v = of[n-1]
		for _, op := range []ir.Op{oneOf(g.rng, ir.OpAdd, ir.OpSub, ir.OpMax), ir.OpXor} {
			if op.Row().DTypes.Has(t.DType) && g.rng.IntN(2) == 0 {
				v = g.b.Emit(op, []*ir.Value{v, of[g.rng.IntN(n)]})
				break
			}
		}
	}
	g.f.Results = append(g.f.Results, v)
}

// splat makes a constant, whatever Options.Keep and MaxElements say.
func (g *generator) splat(t ir.Type) *ir.Value { return g.splatOf(t, g.number(t.DType)) }

func (g *generator) splatOf(t ir.Type, value any) *ir.Value {
	return g.b.Emit(ir.OpConstant, nil, ir.Attr{Name: "value", Value: value},
		ir.Attr{Name: "dtype", Value: t.DType}, ir.Attr{Name: "shape", Value: t.Shape})
}

// picks draws up to n values.
func (g *generator) picks(n int) []*ir.Value {
	var vs []*ir.Value
	for range g.rng.IntN(n + 1) {
		vs = append(vs, g.pick())
	}
	return vs
}

func typesOf(vs []*ir.Value) []ir.Type {
	var ts []ir.Type
	for _, v := range vs {
		ts = append(ts, v.Type)
	}
	return ts
}

// apply appends control flow, and adds its results to the pool.
func (g *generator) apply(op ir.Op, args []*ir.Value, bodies []*ir.Func, attrs ...ir.Attr) *ir.Value {
	v := g.b.EmitControl(op, args, bodies, attrs...)
	if v == nil {
		panic("BUG: irgen: " + g.b.Err().Error())
	}
	if !v.Type.IsTuple() {
		g.pool = append(g.pool, v)
		return v
	}
	for i := range v.Type.Tuple {
		if i == 0 || g.rng.IntN(4) > 0 { // some results have no readers
			g.pool = append(g.pool, g.b.Emit(ir.OpGet, []*ir.Value{v}, ir.Attr{Name: "index", Value: int64(i)}))
		}
	}
	return v
}

// predicate is a bool scalar: one that exists, whether some element of a value
// is true, or a constant.
func (g *generator) predicate() *ir.Value {
	scalar := ir.T(tensor.Bool)
	if v := g.pickWhere(func(v *ir.Value) bool { return v.Type.Equal(scalar) }); v != nil {
		return v
	}
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType == tensor.Bool })
	if x == nil || g.rng.IntN(4) == 0 {
		return g.splat(scalar)
	}
	axes := []int64{}
	for a := range x.Type.Rank() {
		axes = append(axes, int64(a))
	}
	return g.b.Emit(oneOf(g.rng, ir.OpReduceAny, ir.OpReduceAll), []*ir.Value{x}, ir.Attr{Name: "axes", Value: axes})
}

func (g *generator) cond() *ir.Value {
	p, args := g.predicate(), g.picks(3)
	results := []ir.Type{g.pick().Type}
	for _, t := range typesOf(args) {
		if g.rng.IntN(2) == 0 {
			results = append(results, t)
		}
	}
	var bodies []*ir.Func
	for range 2 {
		b := g.body(typesOf(args))
		for _, t := range results {
			b.result(t)
		}
		bodies = append(bodies, b.f)
	}
	return g.apply(ir.OpCond, append([]*ir.Value{p}, args...), bodies)
}

// while counts in its first carry.
func (g *generator) while() *ir.Value {
	count := ir.T(tensor.I64)
	start := g.splatOf(count, int64(0))
	args := append([]*ir.Value{start}, append(g.picks(2), g.picks(2)...)...)
	carries := 1 + g.rng.IntN(len(args))
	more, next := g.body(typesOf(args)), g.body(typesOf(args))
	limit := more.splatOf(count, int64(g.rng.IntN(maxTrips)))
	p := more.b.Emit(ir.OpLt, []*ir.Value{more.f.Params[0], limit})
	if g.rng.IntN(3) == 0 {
		p = more.b.Emit(ir.OpAnd, []*ir.Value{p, more.predicate()})
	}
	more.f.Results = []*ir.Value{p}
	one := next.splatOf(count, int64(1))
	next.f.Results = []*ir.Value{next.b.Emit(ir.OpAdd, []*ir.Value{next.f.Params[0], one})}
	for _, t := range typesOf(args[1:carries]) {
		next.result(t)
	}
	return g.apply(ir.OpWhile, args, []*ir.Func{more.f, next.f}, ir.Attr{Name: "carries", Value: int64(carries)})
}

// scan runs along an axis of some value, if that is short.
func (g *generator) scan() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool {
		if v.Type.Rank() == 0 {
			return false
		}
		_, hi := g.f.Facts.Range(v.Type.Shape[0])
		return hi <= 7
	})
	length := dim.Const(int64(g.rng.IntN(4)))
	var inputs []*ir.Value
	if x != nil {
		length = x.Type.Shape[0]
		for _, v := range append([]*ir.Value{x}, g.picks(3)...) {
			if v.Type.Rank() > 0 && v.Type.Shape[0].Equal(length) {
				inputs = append(inputs, v)
			}
		}
	}
	carries := g.picks(2)
	args := append(append(append([]*ir.Value{}, carries...), inputs...), g.picks(2)...)
	params := typesOf(args)
	for i := range inputs {
		t := &params[len(carries)+i]
		*t = t.WithShape(t.Shape[1:])
	}
	b := g.body(params)
	for _, t := range params[:len(carries)] {
		b.result(t)
	}
	for tries := range 4 {
		if len(b.pool) == 0 || tries == 3 && len(b.f.Results) == 0 {
			b.f.Results = append(b.f.Results, b.splat(ir.T(b.dtype())))
			break
		}
		v := b.pick()
		if stacked := v.Type.WithShape(append([]dim.Expr{length}, v.Type.Shape...)); g.fits(stacked) {
			b.f.Results = append(b.f.Results, v)
		}
	}
	return g.apply(ir.OpScan, args, []*ir.Func{b.f}, ir.Attr{Name: "carries", Value: int64(len(carries))},
		ir.Attr{Name: "inputs", Value: int64(len(inputs))}, ir.Attr{Name: "length", Value: []dim.Expr{length}})
}
