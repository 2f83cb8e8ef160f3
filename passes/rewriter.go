package passes

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// A rewriter makes a new function from another in one walk. Each value, its
// operands already replaced, is offered to the rules for its op; the first that
// applies gives what stands for it. What rules build goes the same way, so after
// the walk no rule applies to what it looked at: chains of any length need one
// walk.
//
//	in   %a  %b       %c               at[c] = what stands for %c in out
//	      |   |        |
//	out  %a' %b' -- rules(op(%a', %b')) -> a value of out, old or new
type rewriter struct {
	in, out *ir.Func
	facts   *dim.Facts
	rules   ruleSet
	numbers *numbering // merges equal values where it is not nil
	at      []*ir.Value
	live    []int       // uses of in's values by live ones, by ID
	uses    []int       // uses of out's values that are known of, by ID
	pos     ir.Pos      // of the value being replaced
	fresh   []ir.Value  // storage for copies
	args    []*ir.Value // storage for copies' operands
	depth   int         // of rules within rules
	changed bool
	// openings are the results of control flow that rules have replaced.
	openings map[opening][]*ir.Value
}

// maxDepth bounds rules within rules. No rule set comes near it; it keeps a rule
// that undoes another from running forever.
const maxDepth = 200

// rewrite applies rules to f; merge also gives equal values one number.
func rewrite(f *ir.Func, rules ruleSet, merge bool) *ir.Func {
	e := newRewriter(f)
	e.rules = rules
	if merge {
		e.numbers = newNumbering(len(f.Values))
	}
	for _, v := range f.Values {
		e.pos = v.Pos
		e.replace(v, e.build(e.copyOf(v)))
	}
	return e.finish()
}

// newRewriter starts a function with copies of f's parameters.
func newRewriter(f *ir.Func) *rewriter {
	e := &rewriter{
		in: f, out: ir.NewFunc(f.Name, f.Facts), facts: f.Facts,
		at: make([]*ir.Value, f.NumIDs), live: liveUses(f),
		fresh: make([]ir.Value, 0, len(f.Values)),
	}
	e.out.Values = make([]*ir.Value, 0, len(f.Values))
	e.uses = make([]int, 0, f.NumIDs)
	for _, p := range f.Params {
		q := e.out.AddParam(p.Name, p.Type, p.Attrs)
		q.Pos = p.Pos
		e.uses = append(e.uses, 0)
		e.replace(p, q)
	}
	return e
}

// copyOf is v with its operands replaced, not yet in out.
func (e *rewriter) copyOf(v *ir.Value) *ir.Value {
	if len(e.fresh) == cap(e.fresh) {
		e.fresh = make([]ir.Value, 0, 64)
	}
	e.fresh = append(e.fresh, *v)
	c := &e.fresh[len(e.fresh)-1]
	c.Name = "" // replace gives it
	n := len(v.Args)
	if n == 0 {
		return c
	}
	if n > cap(e.args)-len(e.args) {
		e.args = make([]*ir.Value, 0, max(n, 256))
	}
	from := len(e.args)
	for _, a := range v.Args {
		e.args = append(e.args, e.at[a.ID])
	}
	c.Args = e.args[from : from+n : from+n]
	return c
}

// replace records that r stands for v from here on. r inherits v's name, unless
// it has one.
func (e *rewriter) replace(v, r *ir.Value) {
	e.at[v.ID] = r
	e.uses[r.ID] += e.live[v.ID]
	if r.Name == "" {
		r.Name = v.Name
	}
}

// build gives the value of out that stands for v: what a rule makes of it, an
// equal value, or v itself, appended.
func (e *rewriter) build(v *ir.Value) *ir.Value {
	if e.depth++; e.depth < maxDepth {
		for _, r := range e.rules.of(v.Op) {
			// A result that is not provably of v's type is no replacement: the
			// facts do not suffice for this rule here.
			if w := r.apply(e, v); w != nil && w.Type.EqualUnder(e.facts, v.Type) {
				e.depth--
				e.changed = true
				if r.fired != nil {
					r.fired()
				}
				return w
			}
		}
	}
	e.depth--
	if e.numbers != nil {
		if w := e.numbers.find(v); w != nil {
			e.changed = true
			return w
		}
	}
	return e.append(v)
}

func (e *rewriter) append(v *ir.Value) *ir.Value {
	v.ID = e.out.NumIDs
	e.out.NumIDs++
	e.out.Values = append(e.out.Values, v)
	e.uses = append(e.uses, 0)
	return v
}

// emit builds op(args){attrs}; nil if an operand is nil or the type rule refuses.
func (e *rewriter) emit(op ir.Op, args []*ir.Value, attrs ...ir.Attr) *ir.Value {
	return e.emitAttrs(op, args, ir.NewAttrs(attrs...))
}

func (e *rewriter) emitAttrs(op ir.Op, args []*ir.Value, attrs ir.Attrs) *ir.Value {
	if slices.Contains(args, nil) {
		return nil
	}
	v := &ir.Value{Op: op, Args: args, Attrs: attrs, Pos: e.pos}
	t, err := ir.InferType(v, e.facts)
	if err != nil {
		return nil
	}
	v.Type = t
	return e.build(v)
}

// with builds v with other attributes and operands.
func (e *rewriter) with(v *ir.Value, attrs ir.Attrs, args ...*ir.Value) *ir.Value {
	return e.emitAttrs(v.Op, args, attrs)
}

// unary builds op(x), binary op(x, y).
func (e *rewriter) unary(op ir.Op, x *ir.Value) *ir.Value { return e.emit(op, []*ir.Value{x}) }

func (e *rewriter) binary(op ir.Op, x, y *ir.Value) *ir.Value {
	return e.emit(op, []*ir.Value{x, y})
}

// splat builds a constant of type t whose elements are all value.
func (e *rewriter) splat(t ir.Type, value any) *ir.Value {
	return e.emit(ir.OpConstant, nil, ir.Attr{Name: "value", Value: value},
		ir.Attr{Name: "dtype", Value: t.DType}, ir.Attr{Name: "shape", Value: t.Shape})
}

// data builds a constant of given elements.
func (e *rewriter) data(x *tensor.Tensor) *ir.Value {
	return e.emit(ir.OpConstant, nil, ir.Attr{Name: "data", Value: x},
		ir.Attr{Name: "dtype", Value: x.DType()}, ir.Attr{Name: "shape", Value: ir.Dims(x.Shape()...)})
}

// reshape builds x with another shape; x itself if it has it.
func (e *rewriter) reshape(x *ir.Value, shape []dim.Expr) *ir.Value {
	if x == nil || ir.ShapeEqual(e.facts, x.Type.Shape, shape) {
		return x
	}
	return e.emit(ir.OpReshape, []*ir.Value{x}, ir.Attr{Name: "shape", Value: shape})
}

func (e *rewriter) broadcast(x *ir.Value, shape []dim.Expr, axes []int64) *ir.Value {
	return e.emit(ir.OpBroadcast, []*ir.Value{x}, ir.Attr{Name: "shape", Value: shape}, ir.Attr{Name: "axes", Value: axes})
}

func (e *rewriter) transpose(x *ir.Value, perm []int64) *ir.Value {
	return e.emit(ir.OpTranspose, []*ir.Value{x}, ir.Attr{Name: "perm", Value: perm})
}

func (e *rewriter) iota(t ir.Type, axis int64) *ir.Value {
	return e.emit(ir.OpIota, nil, ir.Attr{Name: "dtype", Value: t.DType}, ir.Attr{Name: "shape", Value: t.Shape},
		ir.Attr{Name: "axis", Value: axis})
}

// usedOnce reports whether nothing but the value being built is known to use x,
// so that x can be taken apart without computing it twice.
func (e *rewriter) usedOnce(x *ir.Value) bool { return e.uses[x.ID] <= 1 }

// equal reports whether two sizes are provably equal.
func (e *rewriter) equal(a, b dim.Expr) bool { return ir.SizeEqual(e.facts, a, b) }

// nonEmpty reports whether all sizes are provably at least 1.
func (e *rewriter) nonEmpty(sizes []dim.Expr) bool {
	for _, s := range sizes {
		if n, ok := s.Const(); ok && n > 0 {
			continue
		}
		if lo, _ := e.facts.Range(s); lo < 1 {
			return false
		}
	}
	return true
}

// finish maps the results; where nothing changed, it gives the input back.
func (e *rewriter) finish() *ir.Func {
	if !e.changed {
		return e.in
	}
	e.out.Results = make([]*ir.Value, len(e.in.Results))
	for i, r := range e.in.Results {
		if e.out.Results[i] = e.at[r.ID]; e.out.Results[i] == nil {
			panic(fmt.Sprintf("BUG: passes: result %d of @%s is not among its values", i, e.in.Name))
		}
	}
	return e.out
}
