package fusion

import (
	"math"
	"strings"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// colours tell the values of a region apart by structure alone: two values that
// an isomorphism maps to each other have equal colours. A value's colour takes in
// what it is computed from (up) and what is computed from it (down), a symbol's
// the places where it occurs; rounds of refinement let each see the other, as
// Weisfeiler and Leman do for graphs. Equal colours of values that are not
// alike cost a cache hit, never a wrong one.
type colours struct {
	value []uint64 // by ID
	sym   map[string]uint64
	shape [][]dim.Expr // of each value, simplified, by ID
	other []sizesAttr  // sizes in attributes that the type does not imply
}

// sizesAttr are the sizes in an attribute, simplified.
type sizesAttr struct {
	v     *ir.Value
	name  string
	sizes []dim.Expr
}

// rounds of refinement. One reaches everything that is connected; the second
// lets symbols tell values apart.
const rounds = 2

// mix combines two numbers. Colours decide the canonical order, and with it keys
// on disk, so they are the same in every process.
func mix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 ^ (b + 0x7f4a7c15f39cc060)
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 29
	return x
}

func colourOf(f *ir.Func, facts *symbolFacts) *colours {
	c := &colours{value: make([]uint64, f.NumIDs), sym: map[string]uint64{}, shape: make([][]dim.Expr, f.NumIDs)}
	for _, v := range f.Params {
		c.shape[v.ID] = facts.simplify(v.Type.Shape)
	}
	for _, v := range f.Values {
		c.shape[v.ID] = facts.simplify(v.Type.Shape)
		for _, a := range v.Attrs {
			if es, ok := a.Value.([]dim.Expr); ok && !implied(v, a.Name) {
				c.other = append(c.other, sizesAttr{v, a.Name, facts.simplify(es)})
			}
		}
	}
	c.symbols(f, facts)
	results := make([]uint64, f.NumIDs)
	for _, r := range f.Results {
		results[r.ID]++
	}
	for range rounds {
		c.refine(f, results)
		c.refineSymbols(f)
	}
	return c
}

// implied reports whether the type rule makes an attribute follow from the
// result type.
func implied(v *ir.Value, attr string) bool {
	spec := v.Row().Attr(attr)
	return spec != nil && spec.FromType
}

// symbols gives the symbols their first colour: what is known of them.
func (c *colours) symbols(f *ir.Func, facts *symbolFacts) {
	c.eachSize(f, func(s string, _ *ir.Value, _ string, _ int) {
		if _, ok := c.sym[s]; !ok {
			lo, hi := facts.facts.Range(dim.Sym(s))
			c.sym[s] = mix(mix(mix(17, uint64(lo)), uint64(hi)), uint64(facts.divisor(s)))
		}
	})
}

// eachSize calls visit for each symbol at each place where it occurs: an axis of
// a value, or of a list of sizes in an attribute.
func (c *colours) eachSize(f *ir.Func, visit func(sym string, v *ir.Value, attr string, axis int)) {
	each := func(v *ir.Value, attr string, es []dim.Expr) {
		for i, e := range es {
			if _, ok := e.Const(); ok {
				continue
			}
			if s, ok := e.IsSym(); ok {
				visit(s, v, attr, i)
				continue
			}
			for _, s := range e.Syms() {
				visit(s, v, attr, i)
			}
		}
	}
	for _, p := range f.Params {
		each(p, "", c.shape[p.ID])
	}
	for _, v := range f.Values {
		each(v, "", c.shape[v.ID])
	}
	for _, a := range c.other {
		each(a.v, a.name, a.sizes)
	}
}

// refine recolours all values: first from operands to readers, then back.
func (c *colours) refine(f *ir.Func, results []uint64) {
	up, down := make([]uint64, f.NumIDs), make([]uint64, f.NumIDs)
	for _, a := range c.other {
		for _, e := range a.sizes {
			c.value[a.v.ID] = mix(c.value[a.v.ID], c.expr(e))
		}
	}
	for _, p := range f.Params {
		up[p.ID] = mix(c.own(p), results[p.ID])
	}
	for _, v := range f.Values {
		h := mix(c.own(v), results[v.ID])
		args := v.Args
		if v.Is(ir.Commutative) {
			h = mix(h, up[args[0].ID]+up[args[1].ID])
			args = args[2:]
		}
		for _, a := range args {
			h = mix(h, up[a.ID])
		}
		up[v.ID] = h
	}
	for i := len(f.Values) - 1; i >= 0; i-- {
		v := f.Values[i]
		h := mix(up[v.ID], down[v.ID])
		for pos, a := range v.Args {
			if pos < 2 && v.Is(ir.Commutative) {
				pos = 0
			}
			down[a.ID] += mix(h, uint64(pos))
		}
	}
	for id := range c.value {
		c.value[id] = mix(up[id], down[id])
	}
}

// opColours are by an op's name: its number changes when one is added before it.
var opColours = func() []uint64 {
	var colours []uint64
	for _, op := range ir.Ops() {
		colours = append(colours, text(op.String()))
	}
	return colours
}()

// own is a value's colour without its neighbours, but with its last colour.
func (c *colours) own(v *ir.Value) uint64 {
	h := mix(mix(c.value[v.ID], opColours[v.Op]), uint64(v.Type.DType))
	for _, e := range c.shape[v.ID] {
		h = mix(h, c.expr(e))
	}
	for _, a := range v.Attrs {
		if _, ok := a.Value.([]dim.Expr); !ok { // those are sizes of the type, or in c.other
			h = mix(mix(h, text(a.Name)), c.attr(a.Value))
		}
	}
	return h
}

// text hashes a string: FNV-1a.
func text(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// expr colours a size without looking at the names of its symbols.
func (c *colours) expr(e dim.Expr) uint64 {
	if n, ok := e.Const(); ok {
		return mix(1, uint64(n))
	}
	if s, ok := e.IsSym(); ok {
		return mix(2, c.sym[s])
	}
	sizes := map[string]int64{}
	for _, s := range e.Syms() {
		sizes[s] = int64(c.sym[s]%89) + 3
	}
	n, err := e.Eval(sizes)
	if err != nil {
		n = -1
	}
	return mix(3, uint64(n))
}

func (c *colours) attr(v any) uint64 {
	h := uint64(5)
	switch v := v.(type) {
	case int64:
		return mix(h, uint64(v))
	case float64:
		return mix(h+1, math.Float64bits(v))
	case []int64:
		for _, n := range v {
			h = mix(h, uint64(n))
		}
	case tensor.DType:
		return mix(h+2, uint64(v))
	default:
		return mix(h+3, text(ir.AttrString(v)))
	}
	return h
}

// refineSymbols adds to a symbol's colour the values and axes where it occurs.
func (c *colours) refineSymbols(f *ir.Func) {
	if len(c.sym) == 0 {
		return
	}
	sum := make(map[string]uint64, len(c.sym))
	c.eachSize(f, func(s string, v *ir.Value, attr string, axis int) {
		sum[s] += mix(mix(c.value[v.ID], text(attr)), uint64(axis))
	})
	for s, h := range sum {
		c.sym[s] = mix(c.sym[s], h)
	}
}

// symbolFacts answers what is known of a region's symbols.
type symbolFacts struct {
	facts    *dim.Facts
	divisors map[string]int64         // filled on the first question
	shapes   map[*dim.Expr][]dim.Expr // simplified, by the list's first element: values share shapes
}

// simplify replaces symbols by what they equal and drops what facts decide.
func (s *symbolFacts) simplify(es []dim.Expr) []dim.Expr {
	for i, e := range es {
		if _, ok := e.Const(); ok {
			continue
		}
		out, ok := s.shapes[&es[0]]
		if ok && len(out) == len(es) {
			return out
		}
		out = append([]dim.Expr{}, es...)
		for ; i < len(out); i++ {
			out[i] = s.facts.Simplify(out[i])
		}
		s.shapes[&es[0]] = out
		return out
	}
	return es
}

// divisor is the number that is known to divide a symbol, 1 if none is.
func (s *symbolFacts) divisor(sym string) int64 {
	if s.divisors == nil {
		s.divisors = map[string]int64{}
		for _, fact := range s.facts.Strings() {
			words := strings.Fields(fact)
			if len(words) == 5 && words[1] == "%" {
				if e, err := dim.Parse(words[2]); err == nil {
					s.divisors[words[0]], _ = e.Const()
				}
			}
		}
	}
	return max(s.divisors[sym], 1)
}
