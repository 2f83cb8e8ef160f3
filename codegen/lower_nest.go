package codegen

import (
	"errors"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// space is the iteration space of a nest in the making: the first root's
// dimensions as expressions of loop axes, one axis each to begin with.
type space struct {
	dims  []dim.Expr
	at    []affine
	axes  []*variable // of the root; those marked inner belong to the looping phases
	loops []*variable // further inner axes, of reductions
}

func (l *lowering) newSpace(dims []dim.Expr) *space {
	s := &space{dims: dims, at: make([]affine, len(dims))}
	for i, e := range dims {
		if !l.one(e) {
			a := l.axis(e, false)
			s.axes, s.at[i] = append(s.axes, a), ofVar(a)
		}
	}
	return s
}

// clone is a copy with variables of its own.
func (s *space) clone(l *lowering) *space {
	out := &space{dims: s.dims, at: slices.Clone(s.at)}
	fresh := func(vs []*variable) []*variable {
		var to []*variable
		for _, v := range vs {
			n := l.axis(v.extent, v.inner)
			for i := range out.at {
				out.at[i] = out.at[i].replace(v, ofVar(n))
			}
			to = append(to, n)
		}
		return to
	}
	out.axes, out.loops = fresh(s.axes), fresh(s.loops)
	return out
}

// split replaces an axis by two: axis = outer*size + inner.
func (s *space) split(l *lowering, by *split) {
	count, _ := l.facts.Quotient(by.axis.extent, by.size)
	outer, inner := l.axis(count, by.axis.inner), l.axis(by.size, by.axis.inner)
	for i := range s.at {
		s.at[i] = s.at[i].replace(by.axis, ofVar(outer).scale(by.size).add(ofVar(inner)))
	}
	for _, list := range []*[]*variable{&s.axes, &s.loops} {
		if i := slices.Index(*list, by.axis); i >= 0 {
			*list = slices.Replace(*list, i, i+1, outer, inner)
		}
	}
}

// index is where a root lies in the space: at the space's own index, or at the
// leading part of it.
func (s *space) index(p prover, shape []dim.Expr) ([]affine, bool) {
	if n := len(shape); n <= len(s.dims) && p.equalAll(shape, s.dims[:n]) {
		return s.at[:n], true
	}
	return nil, false
}

// sink is a store: node to the buffer at an address.
type sink struct {
	root *root
	node *node
	at   affine
}

// attempt pulls the roots; why says what is in the way, if anything is.
func (l *lowering) attempt(s *space, roots []*root, dot *ir.Value) (p *puller, sinks []*sink, why *retry) {
	p = newPuller(l, s)
	p.dot = dot
	for _, r := range roots {
		at, ok := s.index(l.prover, r.v.Type.Shape)
		if !ok {
			return p, nil, &retry{never: "roots of one nest differ in shape"}
		}
		n := p.pull(r.v, at)
		if p.why != nil {
			return p, nil, p.why
		}
		sinks = append(sinks, &sink{r, n, linear(at, r.v.Type.Shape)})
	}
	return p, sinks, nil
}

// errConflict says that an epilogue needs a value stored that depends on the
// product itself.
var errConflict = errors.New("codegen: the product is needed before its epilogue")

// settle repeats attempts until one succeeds. store is called for values that
// have to be stored first; where it is nil, they make settle fail. dot is the
// product that the roots are the epilogue of, or nil.
func (l *lowering) settle(s *space, roots []*root, dot *ir.Value, store func(*ir.Value) error) (*puller, []*sink, error) {
	for {
		p, sinks, why := l.attempt(s, roots, dot)
		switch {
		case why == nil:
			return p, sinks, nil
		case why.split != nil:
			s.split(l, why.split)
		case why.inner != nil:
			for _, a := range why.inner {
				a.inner = true
			}
		case why.need != nil && dot != nil && l.dependsOn(why.need, dot):
			return nil, nil, errConflict
		case why.need != nil && store != nil:
			if _, ok := l.stored[why.need]; ok {
				panic("BUG: codegen: " + why.need.Op.String() + " is stored and still needed")
			}
			if err := store(why.need); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, &Unsupported{roots[0].v, why.never}
		}
	}
}

// lowerNest stores a root, and the waiting results that fit, in one nest.
func (l *lowering) lowerNest(r *root) error {
	s, roots := l.newSpace(r.v.Type.Shape), []*root{r}
	p, sinks, err := l.settle(s, roots, nil, l.materialise)
	if err != nil {
		return err
	}
	for _, w := range slices.Clone(l.waiting) {
		if w.v == r.v {
			continue
		}
		if _, ok := s.index(l.prover, w.v.Type.Shape); !ok {
			continue
		}
		wider := s.clone(l)
		more := append(slices.Clone(roots), w)
		if q, found, err := l.settle(wider, more, nil, nil); err == nil && covered(q, found) {
			s, roots, p, sinks = wider, more, q, found
		}
	}
	n := l.schedule(p, sinks)
	l.k.Steps = append(l.k.Steps, Step{Nest: n})
	for _, r := range roots {
		l.done(r)
	}
	return nil
}

// covered reports whether every store depends on every outer axis, so that no two
// outer points write one element.
func covered(p *puller, sinks []*sink) bool {
	for _, k := range sinks {
		if isConst(k.root.v.Type.Elements(), 0) { // nothing is written, and strides are 0
			continue
		}
		for _, a := range p.s.axes {
			if !a.inner && isConst(k.at.coef(a), 0) {
				return false
			}
		}
	}
	return true
}
