package passes

import (
	"fmt"
	"slices"

	"jitc/ir"
)

// prune drops what control flow computes and nothing needs: results without
// readers, carries that only themselves need, operands that no body reads. A carry
// that no iteration changes becomes an invariant; operands given twice are given
// once; splats and iotas are made where they are read.
//
//	before  %r = scan(%a, %b, %xs, %two) {carries=2, inputs=1, length=[L]} func(%a, %b, %x, %k) {
//	          %s = add(%a, %x)
//	          %t = mul(%s, %k)
//	          return %t, %b, %s
//	        }
//	        %0 = get(%r) {index=0}
//	after   %0 = scan(%a, %xs) {carries=1, inputs=1, length=[L]} func(%a, %x) {
//	          %s = add(%a, %x)
//	          %k = constant() {value=2.0}
//	          %t = mul(%s, %k)
//	          return %t
//	        }
func prune(f *ir.Func, o Options) (*ir.Func, error) {
	if !slices.ContainsFunc(f.Values, func(v *ir.Value) bool { return v.Is(ir.Control) }) {
		return f, nil
	}
	g, err := dce(f, o) // dead readers do not count
	if err != nil {
		return nil, err
	}
	return narrow(g), nil
}

// narrow prunes a function whose values are live.
func narrow(f *ir.Func) *ir.Func {
	used := usedResults(f)
	e := newRewriter(f)
	parts := map[*ir.Value][]*ir.Value{} // what stands for the results of narrowed values
	for _, v := range f.Values {
		c := e.copyOf(v)
		if v.Op == ir.OpGet && parts[v.Args[0]] != nil {
			e.replace(v, parts[v.Args[0]][v.Attrs.Int("index", 0)])
			continue
		}
		if !v.Is(ir.Control) || v.MustRun() {
			e.replace(v, e.append(c))
			continue
		}
		p := newPruning(c, used[v])
		if p == nil {
			e.replace(v, e.append(c))
			continue
		}
		e.changed = true
		results := p.emit(e)
		if v.Type.IsTuple() {
			parts[v] = results
		} else {
			e.replace(v, results[0])
		}
	}
	return e.finish()
}

// usedResults says of each control value which results have readers.
func usedResults(f *ir.Func) map[*ir.Value][]bool {
	used := map[*ir.Value][]bool{}
	for _, v := range f.Values {
		switch {
		case v.Is(ir.Control):
			used[v] = make([]bool, len(v.ResultTypes()))
			used[v][0] = !v.Type.IsTuple()
		case v.Op == ir.OpGet && used[v.Args[0]] != nil:
			used[v.Args[0]][v.Attrs.Int("index", 0)] = true
		}
	}
	return used
}

// pruning is what becomes of one control value.
type pruning struct {
	v       *ir.Value
	first   int      // operands before those that the bodies take: a cond's predicate
	carries int      // results and parameters that are carried
	inputs  int      // parameters after the carries that are slices
	results []bool   // that stay
	fixed   []bool   // carries that no iteration changes
	needed  []bool   // parameters
	live    [][]bool // of each body's values, by ID
	params  []int    // that stay, in the new order
	alias   []int    // the parameter that stands for each; itself as a rule
}

// newPruning decides what stays of v; nil if everything does.
func newPruning(v *ir.Value, used []bool) *pruning {
	p := &pruning{v: v, carries: v.Carries(), inputs: v.Inputs(), results: append([]bool(nil), used...)}
	if v.Op == ir.OpCond {
		p.first = 1
	}
	body := v.Bodies[len(v.Bodies)-1]
	n := len(body.Params)
	p.fixed, p.needed, p.alias = make([]bool, n), make([]bool, n), make([]int, n)
	for i := range p.carries {
		if body.Results[i] == body.Params[i] {
			p.fixed[i], p.results[i] = true, false
		}
	}
	for p.spread() {
	}
	p.place()
	if len(p.params) == n && !slices.Contains(p.results, false) {
		return nil
	}
	return p
}

// spread finds the parameters that the results which stay need, and keeps the
// carries among them; true if there are more of these than before.
func (p *pruning) spread() (more bool) {
	p.live = p.live[:0]
	for i, body := range p.v.Bodies {
		keep := p.results
		if p.v.Op == ir.OpWhile && i == 0 {
			keep = []bool{true}
		}
		live := liveFor(body, keep)
		p.live = append(p.live, live)
		for k, q := range body.Params {
			p.needed[k] = p.needed[k] || live[q.ID]
		}
	}
	for i := range p.carries {
		if p.needed[i] && !p.fixed[i] && !p.results[i] {
			p.results[i], more = true, true
		}
	}
	return more
}

// liveFor says, by ID, which values of a body the results to keep need.
func liveFor(body *ir.Func, keep []bool) []bool {
	part := *body
	part.Results = nil
	for i, r := range body.Results {
		if keep[i] {
			part.Results = append(part.Results, r)
		}
	}
	return isLive(&part)
}

// place orders the parameters that stay: carries, inputs, invariants.
func (p *pruning) place() {
	loop := p.carries + p.inputs
	for i := range p.alias {
		p.alias[i] = i
		if carried := i < p.carries && !p.fixed[i]; carried && p.results[i] || i >= p.carries && i < loop && p.needed[i] {
			p.params = append(p.params, i)
		}
	}
	given := map[*ir.Value]int{} // invariants by operand
	for i := range p.alias {
		invariant := i >= loop || p.fixed[i]
		if !invariant || !p.needed[i] || isRemade(p.operand(i)) {
			continue
		}
		if k, ok := given[p.operand(i)]; ok {
			p.alias[i] = k
			continue
		}
		given[p.operand(i)] = i
		p.params = append(p.params, i)
	}
}

// operand is what parameter i stands for.
func (p *pruning) operand(i int) *ir.Value { return p.v.Args[p.first+i] }

// isRemade reports whether a body makes its own copy of an operand: it costs
// nothing where it is read.
func isRemade(v *ir.Value) bool { return isSplat(v) || v.Op == ir.OpIota }

// emit builds what is left, and returns what stands for each result; nil for
// those without readers.
func (p *pruning) emit(e *rewriter) []*ir.Value {
	results := make([]*ir.Value, len(p.results))
	var kept []int
	for i, keep := range p.results {
		if keep {
			kept = append(kept, i)
		} else if i < p.carries && p.fixed[i] {
			results[i] = p.v.Args[i]
		}
	}
	if len(kept) == 0 {
		return results
	}
	v := &ir.Value{Op: p.v.Op, Args: append([]*ir.Value(nil), p.v.Args[:p.first]...), Attrs: p.attrs(), Pos: p.v.Pos}
	for _, i := range p.params {
		v.Args = append(v.Args, p.operand(i))
	}
	for i, body := range p.v.Bodies {
		v.Bodies = append(v.Bodies, p.body(body, p.live[i], kept, p.v.Op == ir.OpWhile && i == 0))
	}
	t, err := ir.InferType(v, e.facts)
	if err != nil {
		panic(fmt.Sprintf("BUG: passes: pruning %s at %s: %v", v.Op, v.Pos, err))
	}
	v.Type = t
	if e.append(v); len(kept) == 1 {
		results[kept[0]] = v
		return results
	}
	for k, i := range kept {
		results[i] = e.append(&ir.Value{Op: ir.OpGet, Args: []*ir.Value{v}, Type: t.Tuple[k], Pos: v.Pos,
			Attrs: ir.NewAttrs(ir.Attr{Name: "index", Value: int64(k)})})
	}
	return results
}

// attrs count the carries and inputs that stay.
func (p *pruning) attrs() ir.Attrs {
	carries, inputs := 0, 0
	for _, i := range p.params {
		switch {
		case i < p.carries && !p.fixed[i]:
			carries++
		case i >= p.carries && i < p.carries+p.inputs:
			inputs++
		}
	}
	as := p.v.Attrs
	if as.Has("carries") {
		as = as.With("carries", int64(carries))
	}
	if as.Has("inputs") {
		as = as.With("inputs", int64(inputs))
	}
	return as
}

// body copies the live values of a body; all its results if it is a condition,
// else those that are kept.
func (p *pruning) body(body *ir.Func, live []bool, kept []int, condition bool) *ir.Func {
	out := ir.NewFunc(body.Name, body.Facts)
	at := make([]*ir.Value, body.NumIDs)
	for _, i := range p.params {
		q := body.Params[i]
		at[q.ID] = out.AddParam(q.Name, q.Type, q.Attrs)
		at[q.ID].Pos = q.Pos
	}
	add := func(v *ir.Value) *ir.Value {
		v.ID = out.NumIDs
		out.NumIDs++
		out.Values = append(out.Values, v)
		return v
	}
	for i, q := range body.Params {
		switch x := p.operand(i); {
		case at[q.ID] != nil || !live[q.ID]:
		case isRemade(x):
			at[q.ID] = add(&ir.Value{Op: x.Op, Type: x.Type, Attrs: x.Attrs, Name: q.Name, Pos: x.Pos})
		default:
			at[q.ID] = at[body.Params[p.alias[i]].ID]
		}
	}
	for _, v := range body.Values {
		if live[v.ID] {
			c := *v
			c.Args = make([]*ir.Value, len(v.Args))
			for i, a := range v.Args {
				c.Args[i] = at[a.ID]
			}
			at[v.ID] = add(&c)
		}
	}
	if condition {
		kept = []int{0}
	}
	for _, i := range kept {
		out.Results = append(out.Results, at[body.Results[i].ID])
	}
	return out
}
