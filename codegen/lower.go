package codegen

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// Options are the choices that a caller of Lower has.
type Options struct {
	Name string // of the kernel; empty: the region's
}

// Unsupported says that a region cannot be said in loops.
type Unsupported struct {
	Value  *ir.Value // the value at fault
	Reason string
}

// Error names the op and the reason.
func (e *Unsupported) Error() string {
	return fmt.Sprintf("codegen: cannot lower %s: %s", e.Value.Op, e.Reason)
}

// Lower turns a region into a kernel. The region is in the primitive dialect; its
// parameters and results are contiguous and row-major, and become the kernel's
// inputs and outputs in order.
//
// Each result is pulled into a nest over its dimensions: pointwise ops and views
// are evaluated at the index that their use needs, reductions become inner axes,
// a matrix product takes what consumes it as its epilogue. Whatever does not fit
// into the nest that wants it is computed by an earlier step into a temporary, so
// that any region can be lowered; that few are needed is fusion's business. The
// only error is *Unsupported.
func Lower(region *ir.Func, o Options) (*Kernel, error) {
	l := newLowering(region, o)
	if err := l.run(region); err != nil {
		return nil, err
	}
	if err := Verify(l.k); err != nil {
		panic("BUG: codegen: lowered kernel is invalid: " + err.Error() + "\n" + l.k.String())
	}
	return l.k, nil
}

// lowering is the state of one Lower.
type lowering struct {
	prover
	k        *Kernel
	stored   map[*ir.Value]int // buffers that hold a value in row-major order
	outputs  map[*ir.Value]int // the output buffer of each result
	order    map[*ir.Value]int // position in the region
	uses     map[*ir.Value]int
	active   map[*ir.Value]bool // being materialised
	blocks   map[*ir.Value]*blocks
	partials map[*ir.Value]*blocks // the synthetic values of blocks
	copies   []*ir.Value           // matrix operands in another order or type
	waiting  []*root               // results to store yet
	vars     int
}

// root is a value that a nest stores.
type root struct {
	v   *ir.Value
	buf int
}

func newLowering(region *ir.Func, o Options) *lowering {
	facts := region.Facts
	if facts == nil {
		facts = dim.NewFacts()
	}
	if o.Name == "" {
		o.Name = region.Name
	}
	l := &lowering{
		prover: prover{facts}, k: &Kernel{Name: o.Name, Facts: facts},
		stored: map[*ir.Value]int{}, outputs: map[*ir.Value]int{}, order: map[*ir.Value]int{}, uses: map[*ir.Value]int{},
		active: map[*ir.Value]bool{}, blocks: map[*ir.Value]*blocks{}, partials: map[*ir.Value]*blocks{},
	}
	for i, p := range region.Params {
		l.stored[p] = l.buffer(Input, fmt.Sprintf("p%d", i), p.Type)
	}
	for i, r := range region.Results {
		b := l.buffer(Output, fmt.Sprintf("r%d", i), r.Type)
		if _, ok := l.outputs[r]; !ok {
			l.outputs[r] = b
		}
	}
	for i, v := range region.Values {
		l.order[v] = i
		for _, a := range v.Args {
			l.uses[a]++
		}
	}
	return l
}

func (l *lowering) buffer(kind BufKind, name string, t ir.Type) int {
	l.k.Bufs = append(l.k.Bufs, Buffer{Name: name, Kind: kind, DType: t.DType, Len: t.Elements()})
	return len(l.k.Bufs) - 1
}

// numbered is a buffer named by its kind and how many of it there are already.
func (l *lowering) numbered(kind BufKind, t ir.Type) int {
	n := 0
	for _, b := range l.k.Bufs {
		if b.Kind == kind {
			n++
		}
	}
	prefix := kindNames[kind]
	if kind == Temp {
		prefix = "t"
	}
	return l.buffer(kind, fmt.Sprintf("%s%d", prefix, n), t)
}

func (l *lowering) nextVar() int {
	l.vars++
	return l.vars
}

func (l *lowering) axis(extent dim.Expr, inner bool) *variable {
	return &variable{id: l.nextVar(), kind: axisVar, extent: extent, inner: inner}
}

// run stores every result, those of higher rank first, since lower ones often
// are reductions that can join their nests.
func (l *lowering) run(region *ir.Func) error {
	for r, buf := range l.outputs {
		if _, ok := l.stored[r]; !ok {
			l.waiting = append(l.waiting, &root{r, buf})
		}
	}
	slices.SortFunc(l.waiting, func(a, b *root) int {
		if d := b.v.Type.Rank() - a.v.Type.Rank(); d != 0 {
			return d
		}
		return a.buf - b.buf
	})
	for len(l.waiting) > 0 {
		if err := l.materialise(l.waiting[0].v); err != nil {
			return err
		}
	}
	for i, r := range region.Results { // a parameter, or a result given twice
		if buf := len(region.Params) + i; l.stored[r] != buf {
			if err := l.lowerNest(&root{r, buf}); err != nil {
				return err
			}
		}
	}
	return nil
}

// materialise stores a value in its output, or in a temporary.
func (l *lowering) materialise(v *ir.Value) error {
	if _, ok := l.stored[v]; ok {
		return nil
	}
	if l.active[v] {
		panic("BUG: codegen: " + v.Op.String() + " needs itself")
	}
	l.active[v] = true
	defer delete(l.active, v)
	buf, ok := l.outputs[v]
	if !ok {
		buf = l.numbered(Temp, v.Type)
	}
	return l.lowerRoot(&root{v, buf})
}

// lowerRoot makes a root the epilogue of the last matrix product that it depends
// on, if it can be that, or gives it a nest.
func (l *lowering) lowerRoot(r *root) error {
	for {
		d := l.lastProduct(r.v)
		if d == nil {
			return l.lowerNest(r)
		}
		done, err := l.lowerProduct(d, r)
		if done || err != nil {
			return err
		}
		if err := l.materialise(d); err != nil {
			return err
		}
	}
}

// done records that a nest stores a root.
func (l *lowering) done(r *root) {
	if _, ok := l.stored[r.v]; !ok {
		l.stored[r.v] = r.buf
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(w *root) bool { return w.v == r.v })
}

// cone calls visit for the values that v is computed from and that are not
// stored, v first; visit says whether to go on to its operands.
func (l *lowering) cone(v *ir.Value, visit func(*ir.Value) bool) {
	seen := map[*ir.Value]bool{}
	var walk func(*ir.Value)
	walk = func(v *ir.Value) {
		if _, ok := l.stored[v]; ok || seen[v] {
			return
		}
		seen[v] = true
		if visit(v) {
			for _, a := range v.Args {
				walk(a)
			}
		}
	}
	walk(v)
}

// dependsOn reports whether v is computed from d, stored values aside.
func (l *lowering) dependsOn(v, d *ir.Value) bool {
	found := false
	l.cone(v, func(u *ir.Value) bool {
		found = found || u == d
		return !found
	})
	return found
}
