package codegen

import (
	"fmt"
	"math"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Target says what a backend can emit.
type Target struct {
	// Spells reports whether the backend emits an instruction of this code and
	// type; for a comparison the type is that of its operands. Codes without an
	// expansion are left as they are: the backend refuses what it cannot emit.
	// Nil spells all but the elementary functions.
	Spells func(Code, tensor.DType) bool
	// FastMath allows expansions beyond 2 ulp that drop subnormals and specials.
	FastMath bool
	// WideIndex computes masks and clamps in I64. Without it they are computed in
	// I32 and Bind fails with ErrIndexWidth where that overflows.
	WideIndex bool
}

// Legalize rewrites a verified kernel for a target; it leaves k alone:
//
//   - masks become part of the predicates, what does not vary over the inner axes
//     in a phase of its own in front
//   - data-dependent indices are clamped by instructions
//   - codes that the target does not spell are expanded into ones that it may
//
// A masked load in I32, before and after:
//
//	%0 = load.f32 x[j - 2] where 0 <= j - 2 < W (stride 1)
//
//	%0 = const.i32 -2        %3 = const.i32 0
//	%1 = index.i32 j         %4 = ge.bool %2, %3
//	%2 = add.i32 %1, %0      %5 = size.i32 W
//	                         %6 = lt.bool %2, %5
//	                         %7 = and.bool %4, %6
//	%8 = load.f32 x[j - 2] where ... if %7
func Legalize(k *Kernel, t Target) (*Kernel, error) {
	if k.Legal {
		return k, nil
	}
	if t.Spells == nil {
		t.Spells = func(c Code, _ tensor.DType) bool { return !c.Elementary() }
	}
	out := *k
	out.Legal, out.WideIndex = true, t.WideIndex
	out.Steps = make([]Step, 0, len(k.Steps))
	for _, s := range k.Steps {
		switch {
		case s.Nest != nil:
			s.Nest = legalizeNest(&out, s.Nest, t)
		case s.Gemm != nil:
			g := *s.Gemm
			g.Epilogue = legalizeNest(&out, g.Epilogue, t)
			s.Gemm = &g
		}
		out.Steps = append(out.Steps, s)
	}
	if err := Verify(&out); err != nil {
		return nil, fmt.Errorf("BUG: codegen: legalize: %w", err)
	}
	return &out, nil
}

// legalizer rewrites one nest.
type legalizer struct {
	*expander
	src   *Nest
	facts *dim.Facts
	wide  bool
	vals  []Val // the new value of each old one
}

func legalizeNest(k *Kernel, n *Nest, t Target) *Nest {
	b := newNest(k.Bufs, n.Axes, len(n.Outer))
	b.nest.Outer, b.nest.Inner, b.nest.Vec = n.Outer, n.Inner, n.Vec
	l := &legalizer{expander: &expander{NestBuilder: b, target: t}, src: n, facts: k.Facts, wide: t.WideIndex,
		vals: make([]Val, len(n.Insts))}
	if l.facts == nil {
		l.facts = dim.NewFacts()
	}
	l.hoist()
	for _, p := range n.Phases {
		l.phase(p)
	}
	return b.nest
}

// hoist emits, in a phase of its own, what masks and clamps of looping phases
// need that does not vary over the inner axes.
func (l *legalizer) hoist() {
	l.Once()
	for _, p := range l.src.Phases {
		for i := p.From; p.Loop && i < p.To; i++ {
			in := &l.src.Insts[i]
			if in.Op != Load && in.Op != Store {
				continue
			}
			a := &l.src.Accs[in.Acc]
			for j := range a.Masks {
				l.hoistMask(&a.Masks[j])
			}
			for _, d := range a.Dyn {
				l.lastIndex(l.src.Insts[d.Val].Type, d.Limit)
			}
		}
	}
	if len(l.nest.Insts) == 0 {
		l.nest.Phases, l.open = nil, false
	}
}

func (l *legalizer) phase(p Phase) {
	l.begin(p.Loop)
	for i := p.From; i < p.To; i++ {
		l.vals[i] = l.inst(i)
	}
	for _, r := range p.Reduce {
		l.vals[r.Result] = l.Reduce(r.Op, l.vals[r.Value])
	}
}

func (l *legalizer) inst(i int) Val {
	in := l.src.Insts[i]
	for _, v := range []*Val{&in.A, &in.B, &in.C} {
		if *v != None {
			*v = l.vals[*v]
		}
	}
	if in.Op != Load && in.Op != Store {
		return l.expand(in)
	}
	a := l.src.Accs[in.Acc]
	a.Dyn = append([]Dyn(nil), a.Dyn...)
	for j := range a.Dyn {
		a.Dyn[j].Val = l.clamp(l.vals[a.Dyn[j].Val], a.Dyn[j].Limit)
	}
	if in.Pred != None {
		in.Pred = l.vals[in.Pred]
	}
	for j := range a.Masks {
		in.Pred = l.and(in.Pred, l.mask(&a.Masks[j]))
	}
	in.Acc = l.access(a)
	return l.Emit(in)
}

// and is the conjunction of predicates, of which None is the true one.
func (l *legalizer) and(a, b Val) Val {
	switch {
	case a == None:
		return b
	case b == None:
		return a
	}
	return l.Op(And, a, b)
}

// clamp is v cut to [0, limit).
func (l *legalizer) clamp(v Val, limit dim.Expr) Val {
	t := l.TypeOf(v)
	return l.Op(Max, l.Op(Min, v, l.lastIndex(t, limit)), l.ConstI(t, 0))
}

// lastIndex is limit-1; in I32 at most the greatest one, which cuts no I32 value.
func (l *legalizer) lastIndex(t tensor.DType, limit dim.Expr) Val {
	last := limit.Sub(dim.Const(1))
	if _, hi := l.facts.Range(last); t == tensor.I32 && hi > math.MaxInt32 {
		last = last.Min(dim.Const(math.MaxInt32))
	}
	return l.Size(t, last)
}

func (l *legalizer) indexType() tensor.DType {
	if l.wide {
		return tensor.I64
	}
	return tensor.I32
}

// mask is the predicate of a mask; None where it always holds.
func (l *legalizer) mask(m *Mask) Val {
	low, high := l.proven(m)
	if low && high {
		return None
	}
	v, t := l.maskIndex(m, true), l.indexType()
	pred := None
	if !low {
		pred = l.Op(Ge, v, l.ConstI(t, 0))
	}
	if !high {
		pred = l.and(pred, l.Op(Lt, v, l.Size(t, m.Limit)))
	}
	return pred
}

func (l *legalizer) hoistMask(m *Mask) {
	if low, high := l.proven(m); low && high {
		return
	}
	for _, a := range l.src.Inner {
		if c, ok := m.Coef[a].Const(); !ok || c != 0 {
			l.maskIndex(m, false)
			l.Size(l.indexType(), m.Limit)
			return
		}
	}
	l.mask(m)
}

// maskIndex is the index that a mask restricts, outer axes first so that their
// sum is found again in the hoisting phase; inner says whether to add the rest.
func (l *legalizer) maskIndex(m *Mask, inner bool) Val {
	t := l.indexType()
	v := None
	add := func(x Val) {
		if v == None {
			v = x
			return
		}
		v = l.Op(Add, v, x)
	}
	if c, ok := m.Offset.Const(); !ok || c != 0 {
		add(l.Size(t, m.Offset))
	}
	l.addTerms(m, l.src.Outer, add)
	if inner {
		l.addTerms(m, l.src.Inner, add)
	}
	if v == None {
		return l.ConstI(t, 0)
	}
	return v
}

func (l *legalizer) addTerms(m *Mask, axes []int, add func(Val)) {
	t := l.indexType()
	for _, a := range axes {
		switch c, ok := m.Coef[a].Const(); {
		case ok && c == 0:
		case ok && c == 1:
			add(l.Index(t, a))
		default:
			add(l.Op(Mul, l.Index(t, a), l.Size(t, m.Coef[a])))
		}
	}
}

// proven reports which sides of a mask hold at every point, for all sizes that
// the facts allow.
func (l *legalizer) proven(m *Mask) (low, high bool) {
	least, most := m.Offset, m.Offset
	for a, e := range m.Coef {
		end := e.Mul(l.src.Axes[a].Extent.Sub(dim.Const(1)))
		switch lo, hi := l.facts.Range(e); {
		case lo >= 0:
			most = most.Add(end)
		case hi <= 0:
			least = least.Add(end)
		default:
			return false, false
		}
	}
	return l.facts.LessEq(dim.Const(0), least), l.facts.Less(most, m.Limit)
}
