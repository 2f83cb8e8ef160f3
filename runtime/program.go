// Package runtime links compiled regions into programs, plans their memory,
// and keeps them in caches that count what happens to every entry.
//
// A Program is good for every size its symbols may take. A Recording is the
// program at concrete sizes: every launch bound, every intermediate at a fixed
// offset of one arena, so that running it resolves nothing.
//
//	fused function        recording at B=4
//	%0 = fused(%x, %w1)   launch 0: x, w1 -> arena[0:4096]
//	%1 = fused(%0, %w2)   launch 1: arena[0:4096], w2 -> result 0
//
// Invariants: two values whose lifetimes overlap do not overlap in the arena;
// results never live in the arena; a Recording is immutable, and each run of it
// has an arena of its own, so that any number may run at once.
package runtime

import (
	"fmt"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Step is one region of a program and the kernel that computes it.
type Step struct {
	Region   *ir.Value // of op fused, in the program's function
	Kernel   executors.Kernel
	Executor string
	Key      string // the region's canonical key, for reports
	// The kernel may have been compiled for another region of the same canonical
	// form: its parameter i is the region's operand Params[i], its result i the
	// region's result Results[i], its symbol s the function's Syms[s]. Nil means
	// the same.
	Params  []int
	Results []int
	Syms    map[string]string
}

// sizes gives the kernel's symbols their values.
func (s *Step) sizes(sizes map[string]int64) map[string]int64 {
	if s.Syms == nil {
		return sizes
	}
	out := make(map[string]int64, len(s.Syms))
	for k, v := range s.Syms {
		out[k] = sizes[v]
	}
	return out
}

// Program is a linked function. Safe for concurrent use.
type Program struct {
	F     *ir.Func // dialect Fused
	Steps []Step   // in F's order

	slots  []slot
	params []int // slot of each parameter
	steps  []stepSlots
	result []int // slot of each result
}

// slot is one tensor that the program reads or writes.
type slot struct {
	typ      ir.Type
	kind     slotKind
	param    int            // slotParam: index of the parameter
	constant *tensor.Tensor // slotConst
	first    int            // slotTemp: step that writes it
	last     int            // slotTemp: last step that reads it
}

type slotKind uint8

const (
	slotParam slotKind = iota
	slotConst
	slotTemp
	slotResult
)

// stepSlots are the slots a step reads, then those it writes.
type stepSlots struct{ in, out []int }

// Link builds a program from a fused function and the kernels of its regions,
// by value ID. Constants that stand outside regions are evaluated here, once.
func Link(f *ir.Func, kernels map[int]Step) (*Program, error) {
	p := &Program{F: f}
	l := &linker{p: p, slotsOf: make([][]int, f.NumIDs)}
	for i, v := range f.Params {
		p.params = append(p.params, l.add(v, slot{typ: v.Type, kind: slotParam, param: i}))
	}
	for _, v := range f.Values {
		if err := l.value(v, kernels); err != nil {
			return nil, err
		}
	}
	l.results()
	return p, nil
}

type linker struct {
	p       *Program
	slotsOf [][]int // by value ID; a tuple has one slot per result
}

func (l *linker) add(v *ir.Value, s slot) int {
	l.p.slots = append(l.p.slots, s)
	n := len(l.p.slots) - 1
	l.slotsOf[v.ID] = append(l.slotsOf[v.ID], n)
	return n
}

func (l *linker) value(v *ir.Value, kernels map[int]Step) error {
	switch v.Op {
	case ir.OpFused:
		return l.region(v, kernels)
	case ir.OpGet:
		l.slotsOf[v.ID] = []int{l.slotsOf[v.Args[0].ID][v.Attrs.Int("index", 0)]}
		return nil
	case ir.OpConstant:
		ts, err := ir.EvalValue(v, nil, nil)
		if err != nil {
			return fmt.Errorf("constant at %s: %w", v.Pos, err)
		}
		l.add(v, slot{typ: v.Type, kind: slotConst, constant: ts[0].Contiguous()})
		return nil
	}
	panic(fmt.Sprintf("BUG: runtime: %s is in no region", v.Op))
}

func (l *linker) region(v *ir.Value, kernels map[int]Step) error {
	step, ok := kernels[v.ID]
	if !ok {
		panic("BUG: runtime: a region without a kernel")
	}
	at := len(l.p.Steps)
	s := stepSlots{}
	for i := range v.Args {
		n := l.slotsOf[v.Args[permuted(step.Params, i)].ID][0]
		s.in = append(s.in, n)
		l.p.slots[n].last = at
	}
	for _, t := range v.Body.ResultTypes() {
		l.add(v, slot{typ: t, kind: slotTemp, first: at, last: at})
	}
	for i, slots := 0, l.slotsOf[v.ID]; i < len(slots); i++ {
		s.out = append(s.out, slots[permuted(step.Results, i)])
	}
	step.Region = v
	l.p.Steps = append(l.p.Steps, step)
	l.p.steps = append(l.p.steps, s)
	return nil
}

func permuted(order []int, i int) int {
	if order == nil {
		return i
	}
	return order[i]
}

// results turns the slots that are returned into result slots. A slot returned
// twice, or one that is a parameter or constant, is copied when a run returns.
func (l *linker) results() {
	for _, r := range l.p.F.Results {
		n := l.slotsOf[r.ID][0]
		if l.p.slots[n].kind == slotTemp {
			l.p.slots[n].kind = slotResult
		}
		l.p.result = append(l.p.result, n)
	}
}
