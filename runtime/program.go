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
//	return %1
//
// Invariants: two values whose lifetimes overlap do not overlap in the arena, but
// for one that a step updates in place, which is then its last reader; results
// never live in the arena; a Recording is immutable, and each run of it has an
// arena of its own, so that any number may run at once; between runs nothing here
// refers to a caller's tensors, but for those of frozen sets.
//
// Steps may run on devices, and tensors may lie there: see placement. Results that
// a device computes stay there if an argument of the call lies there too. Control flow
// is where most kernels of its bodies are.
package runtime

import (
	"fmt"
	"slices"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Step is one region of a program and the kernel that computes it, or one value
// of control flow and the programs of its bodies.
type Step struct {
	Region   *ir.Value // of op fused or control flow, in the program's function; Link sets it
	Kernel   executors.Kernel
	Bodies   []*Program // of control flow, which has no kernel
	Executor string
	Key      string // the region's canonical key, for reports
	// Queue is that of the accelerator whose kernel it is; nil for the host. Queues
	// are compared with ==. Link sets that of control flow: see home.
	Queue executors.Queue
	// The kernel may have been compiled for another region of the same canonical
	// form: its parameter i is the region's operand Params[i], its result i the
	// region's result Results[i], its symbol s the function's Syms[s]. Nil means
	// the same. Results lists every result once.
	Params  []int
	Results []int
	Syms    map[string]string
}

// sizes gives the kernel's symbols their values.
func (s *Step) sizes(sizes map[string]int64) (map[string]int64, error) {
	if s.Syms == nil {
		return sizes, nil
	}
	out := make(map[string]int64, len(s.Syms))
	for k, v := range s.Syms {
		n, ok := sizes[v]
		if !ok {
			return nil, fmt.Errorf("no value for the size %s", v)
		}
		out[k] = n
	}
	return out, nil
}

// Program is a linked function. Immutable, so safe for concurrent use.
type Program struct {
	F     *ir.Func // dialect Fused
	Steps []Step   // in F's order

	slots   []slot
	params  []int       // slot of each parameter
	steps   []stepSlots // of each step
	results []result
	donated []int // parameters whose memory results may take
	inTurn  bool  // each by the result of its number only
	memory  *arenas
	placed  *placement // nil if all steps run on the host
}

// slot is one tensor that the program reads or writes.
type slot struct {
	typ      ir.Type
	kind     slotKind
	value    *ir.Value      // slotConst
	constant *tensor.Tensor // slotConst of static type; contiguous
	first    int            // slotTemp: step that writes it
	last     int            // slotTemp: last step that reads it
	side     int            // of a placement: where it lies; of a parameter the run says so
	of       int            // of a placement: the slot that it is a copy of, or itself
}

type slotKind uint8

const (
	slotParam slotKind = iota
	slotConst
	slotTemp
	slotResult // written by a step, to the memory of a result
	slotCopy   // a parameter or a constant on the side of the steps that read it
)

// stepSlots are the slots a step reads, and those it writes. The last of those that
// control flow writes are its work: the host's, and that of each device on which its
// bodies compute.
type stepSlots struct {
	in, out []int
	works   int // how many of out are work
}

// work are the slots of the work.
func (s *stepSlots) work() []int { return s.out[len(s.out)-s.works:] }

// result is where a result of the program comes from. It is copied where no
// step writes it in place: a parameter, a constant, a value returned before.
type result struct {
	slot   int
	copied bool
}

// Link builds a program from a fused function, which Verify accepts, and the
// steps of its regions and control flow by value ID. Constants of static type that stand outside
// regions are evaluated here, once; those of symbolic type by Record.
func Link(f *ir.Func, steps map[int]Step) (*Program, error) {
	p := &Program{F: f, memory: &sharedArenas}
	l := &linker{p: p, slotsOf: make([][]int, f.NumIDs)}
	for _, v := range f.Params {
		p.params = append(p.params, l.add(v, slot{typ: v.Type, kind: slotParam}))
	}
	for _, v := range f.Values {
		if err := l.value(v, steps); err != nil {
			return nil, err
		}
	}
	l.results()
	if p.hasDevices() {
		l.place()
	}
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

// slotOf is the slot of a value that is no tuple.
func (l *linker) slotOf(v *ir.Value) int {
	slots := l.slotsOf[v.ID]
	if v.Type.IsTuple() || len(slots) != 1 {
		panic(fmt.Sprintf("BUG: runtime: a value of op %s and type %s is used as a tensor", v.Op, v.Type))
	}
	return slots[0]
}

func (l *linker) value(v *ir.Value, steps map[int]Step) error {
	switch v.Op {
	case ir.OpFused:
		step, ok := steps[v.ID]
		if !ok || step.Kernel == nil {
			panic("BUG: runtime: a region without a kernel")
		}
		l.region(v, step)
		return nil
	case ir.OpGet:
		l.slotsOf[v.ID] = []int{l.slotsOf[v.Args[0].ID][v.Attrs.Int("index", 0)]}
		return nil
	case ir.OpConstant:
		return l.constant(v)
	}
	if v.Is(ir.Control) {
		step := steps[v.ID]
		if len(step.Bodies) != len(v.Bodies) {
			panic(fmt.Sprintf("BUG: runtime: %d programs for the %d bodies of a %s", len(step.Bodies), len(v.Bodies), v.Op))
		}
		l.control(v, step)
		return nil
	}
	panic(fmt.Sprintf("BUG: runtime: %s is in no region", v.Op))
}

func (l *linker) constant(v *ir.Value) error {
	s := slot{typ: v.Type, kind: slotConst, value: v}
	if v.Type.IsStatic() {
		t, err := evalConstant(v, nil)
		if err != nil {
			return err
		}
		s.constant = t
	}
	l.add(v, s)
	return nil
}

func evalConstant(v *ir.Value, sizes map[string]int64) (*tensor.Tensor, error) {
	ts, err := ir.EvalValue(v, nil, sizes)
	if err != nil {
		return nil, fmt.Errorf("constant at %s: %w", v.Pos, err)
	}
	return ts[0].Contiguous(), nil
}

func (l *linker) region(v *ir.Value, step Step) {
	at := len(l.p.Steps)
	s := stepSlots{}
	for _, i := range orderOf(step.Params, len(v.Args)) {
		n := l.slotOf(v.Args[i])
		s.in = append(s.in, n)
		l.p.slots[n].last = at
	}
	for _, t := range v.ResultTypes() {
		l.add(v, slot{typ: t, kind: slotTemp, first: at, last: at})
	}
	slots := l.slotsOf[v.ID]
	written := make([]bool, len(slots))
	for _, i := range orderOf(step.Results, len(slots)) {
		s.out = append(s.out, slots[i])
		written[i] = true
	}
	if len(s.out) != len(slots) || slices.Contains(written, false) {
		panic(fmt.Sprintf("BUG: runtime: a kernel writes results %v of a region that has %d", step.Results, len(slots)))
	}
	step.Region = v
	l.p.Steps = append(l.p.Steps, step)
	l.p.steps = append(l.p.steps, s)
}

// control is region for control flow, which has work.
func (l *linker) control(v *ir.Value, step Step) {
	at := len(l.p.Steps)
	l.region(v, step)
	l.p.Steps[at].Queue = l.home(at)
	l.addWork(at, 0)
}

// addWork gives a step of control flow work on a side.
func (l *linker) addWork(at, side int) {
	l.p.slots = append(l.p.slots, slot{typ: workType, kind: slotTemp, first: at, last: at, side: side})
	s := &l.p.steps[at]
	s.out = append(s.out, len(l.p.slots)-1)
	s.works++
}

// String names the step in messages: "region at f.trace:3:3".
func (s *Step) String() string {
	name := "region"
	if s.Bodies != nil {
		name = s.Region.Op.String()
	}
	return name + " at " + s.Region.Pos.String()
}

// orderOf is order, which lists some of n operands or results; nil is all of them.
func orderOf(order []int, n int) []int {
	if order == nil {
		order = make([]int, n)
		for i := range order {
			order[i] = i
		}
	}
	for _, i := range order {
		if i < 0 || i >= n {
			panic(fmt.Sprintf("BUG: runtime: %v is out of range of a region's %d operands or results", order, n))
		}
	}
	return order
}

// results turns the temporaries that are returned into results.
func (l *linker) results() {
	for _, v := range l.p.F.Results {
		n := l.slotOf(v)
		r := result{slot: n, copied: l.p.slots[n].kind != slotTemp}
		if !r.copied {
			l.p.slots[n].kind = slotResult
		}
		l.p.results = append(l.p.results, r)
	}
}
