package native

import (
	"slices"

	"jitc/codegen"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// What a launch chose by its sizes is found by deciding again, with expressions
// in the place of numbers: every question that the facts leave open is answered
// at the launch's sizes and kept as a condition.
//
//	linear, f32[B,784] x f32[512,784], at B = 64 on AVX-512
//	  M in [1, 8]?      B <= 8     no: kept as B >= 9      product: blocked
//
// Sizes that satisfy the conditions get the same answers, so the same choices.

var (
	_ executors.Assumer = (*launch)(nil)
	_ executors.Assumer = (*interpreted)(nil)
)

// Assumes are the choices of code by size: nests that are empty, strategies of
// products, stores past the caches, and whether all is small enough for one chunk.
func (l *launch) Assumes() []executors.Assumption {
	c := &choices{sizes: l.sizes, facts: l.k.legal.Facts}
	if c.facts == nil {
		c.facts = dim.NewFacts()
	}
	for i := range l.steps {
		l.assumeStep(c, i)
	}
	l.assumeChunks(c)
	return c.made
}

// Assumes says why machine code exists and is not used.
func (l *interpreted) Assumes() []executors.Assumption {
	if !l.wide {
		return nil
	}
	return []executors.Assumption{{What: "interpreted: an index needs more than 32 bits"}}
}

// choices keeps what was asked, and what was chosen upon it.
type choices struct {
	sizes map[string]int64
	facts *dim.Facts
	asked []dim.Constraint // since the last choice
	made  []executors.Assumption
}

// ask answers a question at the sizes at hand.
func (c *choices) ask(q dim.Constraint) bool {
	if v, known := c.facts.Decide(q); known {
		return v
	}
	holds, err := q.Holds(c.sizes)
	if err != nil { // it has no value: then it is no condition
		return false
	}
	if !holds {
		q = q.Not()
	}
	c.asked = append(c.asked, q)
	return holds
}

// chose ends a choice. One that no size had a part in is not worth a word.
func (c *choices) chose(what string) {
	if len(c.asked) > 0 {
		c.made = append(c.made, executors.Assumption{What: what, Conds: c.asked})
	}
	c.asked = nil
}

func (l *launch) assumeStep(c *choices, i int) {
	step, s := &l.k.legal.Steps[i], &l.steps[i]
	if c.empty(s.nest.Nest) {
		return
	}
	if s.gemm != nil {
		c.product(l.k.steps[i].products, l.k.legal, step.Gemm)
		return
	}
	if bytes, ok := l.storedBytes(step.Nest); ok {
		what := "stores through the caches"
		if c.ask(dim.Gt(bytes, dim.Const(int64(l.k.executor.lastLevel)))) {
			what = "stores past the caches"
		}
		c.chose(what)
	}
}

// empty asks whether a nest has no points.
func (c *choices) empty(n *codegen.Nest) bool {
	for _, a := range n.Outer {
		if c.ask(dim.Le(n.Axes[a].Extent, dim.Const(0))) {
			c.chose("nothing to compute")
			return true
		}
	}
	return false // that there is something is part of the next choice
}

// storedBytes is what streams looks at; ok is false where it never says yes.
func (l *launch) storedBytes(n *codegen.Nest) (bytes dim.Expr, ok bool) {
	if n == nil || !l.k.executor.features.AVX512 {
		return bytes, false
	}
	for b, stored := range storedOnly(l.k.legal, n) {
		if stored {
			buf := &l.k.legal.Bufs[b]
			bytes, ok = bytes.Add(buf.Len.Mul(dim.Const(int64(buf.DType.Size())))), true
		}
	}
	return bytes, ok
}

// product asks for the strategy of a product that is not empty.
func (c *choices) product(k *gemm.Kernels, of *codegen.Kernel, g *codegen.Gemm) {
	n := symbolic{c, [...]dim.Expr{gemm.NumM: g.M, gemm.NumN: g.N, gemm.NumK: g.K,
		gemm.RowA: g.A.Row, gemm.ColA: g.A.Col, gemm.RowB: g.B.Row, gemm.ColB: g.B.Col}}
	dtype := func(o codegen.Operand) tensor.DType { return of.Bufs[o.Buf].DType }
	kind, transposed := k.KindOf(n, dtype(g.A), dtype(g.B))
	what := "matrix product, " + kindTexts[kind]
	if transposed {
		what += ", transposed"
	}
	c.chose(what)
}

var kindTexts = [...]string{gemm.Blocked: "blocked", gemm.Stream: "few rows, streamed",
	gemm.Dot: "few rows, dot products", gemm.Zeros: "of nothing: zeros"}

// symbolic are the numbers of a product as expressions.
type symbolic struct {
	c     *choices
	exprs [gemm.ColB + 1]dim.Expr
}

// Between asks for the bounds, the upper one first, and for both in one where
// they are equal: which side a number lies on if it differs is asked then.
func (s symbolic) Between(n gemm.Number, lo, hi int64) bool {
	e, c := s.exprs[n], s.c
	if lo == hi {
		if v, known := c.facts.Decide(dim.Eq(e, dim.Const(lo))); known {
			return v
		}
		if v, err := e.Eval(c.sizes); err == nil && v == lo {
			return c.ask(dim.Eq(e, dim.Const(lo)))
		}
	}
	return c.ask(dim.Le(e, dim.Const(hi))) && c.ask(dim.Ge(e, dim.Const(lo)))
}

// Multiple asks for divisibility.
func (s symbolic) Multiple(n gemm.Number, of int64) bool {
	return s.c.ask(dim.Divisible(s.exprs[n], of))
}

// assumeChunks asks whether each step is small enough for one chunk, up to the
// first that is not. A product is handed out in any case.
func (l *launch) assumeChunks(c *choices) {
	if slices.ContainsFunc(l.steps, func(s boundStep) bool { return s.product != nil }) {
		c.chose("something to compute")
		return
	}
	for i := range l.steps {
		s := &l.steps[i]
		if n := s.nest.Nest; !c.ask(dim.Le(points(n), dim.Const(shortestChunk(n)))) {
			c.chose("split among workers")
			return
		}
	}
	c.chose("in one piece, on the caller's goroutine")
}

// points counts a nest's points.
func points(n *codegen.Nest) dim.Expr {
	total := dim.Const(1)
	for _, axes := range [][]int{n.Outer, n.Inner} {
		for _, a := range axes {
			total = total.Mul(n.Axes[a].Extent)
		}
	}
	return total
}
