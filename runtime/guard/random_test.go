package guard

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// flag is a variable for tests.
type flag struct {
	name string
	v    atomic.Int64
}

func (f *flag) Name() string     { return f.name }
func (f *flag) Load() call.Const { return call.IntConst(f.v.Load()) }

// generator makes random sets and calls over few tensors, sizes and values, so
// that guards often hold and often share observations.
type generator struct {
	*rand.Rand
	flags  []*flag
	pool   []*tensor.Tensor
	simple bool // nothing that looks beyond signatures
}

var someTypes = []tensor.DType{tensor.F32, tensor.F16, tensor.I32}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), flags: []*flag{{name: "training"}, {name: "mode"}}}
	for range 24 {
		shape := make([]int, g.IntN(4))
		for i := range shape {
			shape[i] = g.IntN(4)
		}
		t := tensor.New(someTypes[g.IntN(len(someTypes))], shape...)
		g.pool = append(g.pool, t)
		if len(shape) == 2 {
			transposed, err := t.Permute(1, 0)
			if err != nil {
				panic(err)
			}
			g.pool = append(g.pool, transposed)
		}
	}
	return g
}

func (g *generator) call() *call.Call {
	c := &call.Call{}
	for range 2 + g.IntN(3) {
		c.Tensors = append(c.Tensors, g.tensor())
	}
	for range g.IntN(3) {
		c.Consts = append(c.Consts, g.constant())
	}
	if g.IntN(3) == 0 {
		c.Frozen = append(c.Frozen, call.NewFrozen([]*tensor.Tensor{g.tensor()}, []call.Const{g.constant()}))
	}
	if g.IntN(4) == 0 {
		return c.Remember()
	}
	return c
}

func (g *generator) tensor() *tensor.Tensor {
	if g.IntN(8) == 0 {
		return nil
	}
	return g.pool[g.IntN(len(g.pool))]
}

func (g *generator) constant() call.Const {
	if g.IntN(4) == 0 {
		return call.Const{Text: string(rune('a' + g.IntN(2)))}
	}
	return call.IntConst(int64(g.IntN(3)) - 1)
}

func (g *generator) source(sym string) Source {
	s := Source{Sym: sym, Arg: g.IntN(5) - 1, Axis: g.IntN(3), Const: g.IntN(3)}
	if g.IntN(3) == 0 {
		s.Coef, s.Offset = int64(1+g.IntN(2)), int64(g.IntN(3)-1)
	}
	return s
}

func (g *generator) condition() Guard {
	a, b := dim.Sym("A"), dim.Sym("B")
	n := dim.Const(int64(g.IntN(4)))
	forms := []dim.Constraint{
		dim.Le(a, n), dim.Ge(a, n), dim.Ne(a, n), dim.Eq(a, b), dim.Le(a, b), dim.Divisible(a, 2),
		dim.Eq(a.Add(b), n), dim.Le(a.Mul(b), n), dim.Eq(a.Mod(b), dim.Const(0)), {},
	}
	c := forms[g.IntN(len(forms))]
	out := Guard{Kind: Cond, Cond: c}
	for _, sym := range c.Syms() {
		out.From = append(out.From, g.source(sym))
	}
	return out
}

func (g *generator) guard() Guard {
	kind := Kind(1 + g.IntN(int(numKinds)-1))
	for g.simple && kind.Live() {
		kind = Kind(1 + g.IntN(int(numKinds)-1))
	}
	arg := g.IntN(5)
	switch kind {
	case Count:
		return Guard{Kind: kind, Arg: arg % 2, Want: int64(2 + g.IntN(2))}
	case DType:
		return Guard{Kind: kind, Arg: arg, DType: someTypes[g.IntN(len(someTypes))]}
	case Rank:
		return Guard{Kind: kind, Arg: arg, Want: int64(g.IntN(4))}
	case Const:
		return Guard{Kind: kind, Arg: arg % 3, Value: g.constant()}
	case Cond:
		return g.condition()
	case Var:
		return Guard{Kind: kind, Var: g.flags[arg%2], Value: call.IntConst(int64(g.IntN(2)))}
	}
	return Guard{Kind: kind, Arg: arg, Axis: g.IntN(3), Want: int64(g.IntN(4))}
}

// family makes sets that share most guards, as the entries of one function do,
// or few.
func (g *generator) family(n int) []*Set {
	common := make([]Guard, g.IntN(4))
	for i := range common {
		common[i] = g.guard()
	}
	sets := make([]*Set, n)
	for i := range sets {
		guards := append([]Guard(nil), common...)
		for range g.IntN(5) {
			guards = append(guards, g.guard())
		}
		if len(guards) > 0 && g.IntN(8) == 0 {
			guards = append(guards, guards[0]) // said twice
		}
		sets[i] = NewSet(guards, nil)
	}
	return sets
}

func describe(sets []*Set) string {
	var out string
	for i, s := range sets {
		out += fmt.Sprintf("set %d:", i)
		for j := range s.Guards {
			out += " [" + s.Guards[j].Text(nil) + "]"
		}
		out += "\n"
	}
	return out
}
