package fusion

import (
	"hash/fnv"
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
		c.symbols(v, facts)
	}
	for _, v := range f.Values {
		c.shape[v.ID] = facts.simplify(v.Type.Shape)
		c.symbols(v, facts)
	}
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

// symbols gives the symbols of a value their first colour: their facts.
func (c *colours) symbols(v *ir.Value, facts *symbolFacts) {
	add := func(es []dim.Expr) {
		for _, e := range es {
			if _, ok := e.Const(); ok {
				continue
			}
			for _, s := range e.Syms() {
				if _, ok := c.sym[s]; !ok {
					lo, hi := facts.facts.Range(dim.Sym(s))
					c.sym[s] = mix(mix(mix(17, uint64(lo)), uint64(hi)), uint64(facts.divisor(s)))
				}
			}
		}
	}
	add(c.shape[v.ID])
	for _, a := range v.Attrs {
		if es, ok := a.Value.([]dim.Expr); ok {
			add(es)
		}
	}
}

// refine recolours all values: first from operands to readers, then back.
func (c *colours) refine(f *ir.Func, results []uint64) {
	up, down := make([]uint64, f.NumIDs), make([]uint64, f.NumIDs)
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

// own is a value's colour without its neighbours, but with its last colour.
func (c *colours) own(v *ir.Value) uint64 {
	h := mix(mix(c.value[v.ID], uint64(v.Op)), uint64(v.Type.DType))
	for _, e := range c.shape[v.ID] {
		h = mix(h, c.expr(e))
	}
	for _, a := range v.Attrs {
		h = mix(mix(h, text(a.Name)), c.attr(a.Value))
	}
	return h
}

func text(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
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
	case []dim.Expr:
		for _, e := range v {
			h = mix(h, c.expr(e))
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
	occurs := func(es []dim.Expr, h uint64) {
		for i, e := range es {
			if _, ok := e.Const(); ok {
				continue
			}
			for _, s := range e.Syms() {
				sum[s] += mix(h, uint64(i))
			}
		}
	}
	visit := func(v *ir.Value) {
		occurs(c.shape[v.ID], mix(c.value[v.ID], 7))
		for _, a := range v.Attrs {
			if es, ok := a.Value.([]dim.Expr); ok {
				occurs(es, mix(c.value[v.ID], text(a.Name)))
			}
		}
	}
	for _, p := range f.Params {
		visit(p)
	}
	for _, v := range f.Values {
		visit(v)
	}
	for s, h := range sum {
		c.sym[s] = mix(c.sym[s], h)
	}
}

// symbolFacts answers what is known of a region's symbols.
type symbolFacts struct {
	facts    *dim.Facts
	divisors map[string]int64 // filled on the first question
}

// simplify replaces symbols by what they equal and drops what facts decide.
func (s *symbolFacts) simplify(es []dim.Expr) []dim.Expr {
	for i, e := range es {
		if _, ok := e.Const(); !ok {
			out := append([]dim.Expr{}, es...)
			for ; i < len(out); i++ {
				out[i] = s.facts.Simplify(out[i])
			}
			return out
		}
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
