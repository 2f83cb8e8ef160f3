package runtime

import (
	"fmt"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
)

// Assumption is a choice that an executor makes by sizes, for one step of a
// program, in terms of the program's symbols.
type Assumption struct {
	executors.Assumption
	Executor string
	Step     *ir.Value // the region
}

// Assumptions are the choices that recording the program at sizes makes, in the
// order of its steps; those of bodies of control flow stand where it does.
// Nothing is allocated that depends on sizes.
func (p *Program) Assumptions(sizes map[string]int64) ([]Assumption, error) {
	var out []Assumption
	for i := range p.Steps {
		step := &p.Steps[i]
		for _, body := range step.Bodies {
			inside, err := body.Assumptions(sizes)
			if err != nil {
				return nil, err
			}
			out = append(out, inside...)
		}
		if step.Bodies != nil {
			continue
		}
		own, err := step.assumptions(sizes)
		if err != nil {
			return nil, fmt.Errorf("@%s: %s: %w", p.F.Name, step, err)
		}
		out = append(out, own...)
	}
	return out, nil
}

func (s *Step) assumptions(sizes map[string]int64) ([]Assumption, error) {
	own, err := s.sizes(sizes)
	if err != nil {
		return nil, err
	}
	l, err := s.Kernel.Bind(own)
	if err != nil {
		return nil, err
	}
	a, ok := l.(executors.Assumer)
	if !ok {
		return nil, nil
	}
	var out []Assumption
	for _, x := range a.Assumes() {
		out = append(out, Assumption{executors.Assumption{What: x.What, Conds: s.rename(x.Conds)}, s.Executor, s.Region})
	}
	return out, nil
}

// rename puts the function's symbols in the place of the kernel's.
func (s *Step) rename(cs []dim.Constraint) []dim.Constraint {
	if s.Syms == nil {
		return cs
	}
	names := make(map[string]dim.Expr, len(s.Syms))
	for kernel, function := range s.Syms {
		names[kernel] = dim.Sym(function)
	}
	out := make([]dim.Constraint, len(cs))
	for i, c := range cs {
		out[i] = c.Subst(names)
	}
	return out
}
