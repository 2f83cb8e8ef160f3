package padding

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// A walker builds the rewritten function in one walk over the original.
type walker struct {
	sym   string
	facts *dim.Facts
	tied  map[string]bool // symbols that are sym or are defined by it
	grows map[string]bool // sizes known to grow with sym, or not to, by key
	ahead string          // a symbol that f does not have: how much larger a padded size is

	b     *ir.Builder // of the rewritten function
	valid *ir.Value
	axes  map[*ir.Value][]axis // of the values built so far; of a tuple, none
	whole *ir.Value            // the composite being taken apart, nil outside

	scalars map[string]*ir.Value // true sizes as data, by size
	keeps   map[string]*ir.Value // whether an index is kept, by size
	made    map[maskKey]*ir.Value
	edits   int // masks and bounds asked for so far
	masks   []Mask
	rounded []Site
}

func newWalker(f *ir.Func, sym string) (*walker, error) {
	w := &walker{
		sym: sym, facts: f.Facts, tied: map[string]bool{}, grows: map[string]bool{},
		b: ir.NewBuilder(ir.NewFunc(f.Name, f.Facts)), axes: map[*ir.Value][]axis{},
		scalars: map[string]*ir.Value{}, keeps: map[string]*ir.Value{}, made: map[maskKey]*ir.Value{},
	}
	if !slices.Contains(f.Facts.Syms(), sym) {
		return nil, &Refusal{Sym: sym, What: "is no size of @" + f.Name, Hint: sizesHint(f)}
	}
	if e := f.Facts.Simplify(dim.Sym(sym)); !e.Equal(dim.Sym(sym)) {
		return nil, &Refusal{Sym: sym, What: "is defined as " + e.String(), Hint: "pad what it is defined by"}
	}
	for _, v := range f.Values {
		if slices.Contains(ir.Defines(v), sym) {
			return nil, w.refuse(v, w.leaveOut(), "decides %s by its operands", sym)
		}
	}
	for _, s := range f.Facts.Syms() {
		w.tied[s] = slices.Contains(f.Facts.Simplify(dim.Sym(s)).Syms(), sym)
	}
	w.ahead = "ahead"
	for slices.Contains(f.Facts.Syms(), w.ahead) {
		w.ahead += "_"
	}
	return w, nil
}

func sizesHint(f *ir.Func) string {
	hint := "it has none"
	for i, s := range f.Facts.Syms() {
		if i == 0 {
			hint = "it has " + s
		} else {
			hint += ", " + s
		}
	}
	return hint
}

// addValid adds the parameter for the true size, under a name that f does not use.
func (w *walker) addValid(f *ir.Func) {
	name := w.sym + ".valid"
	taken := func(v *ir.Value) bool { return v.Name == name }
	for slices.ContainsFunc(f.Params, taken) || slices.ContainsFunc(f.Values, taken) {
		name += "_"
	}
	w.valid = w.b.F.AddParam(name, ir.T(tensor.I64), nil)
}

// function builds what stands for f's values that its results need. at gives, by
// ID, what stands for each value; the parameters are there already.
func (w *walker) function(f *ir.Func, at []*ir.Value) error {
	live := liveValues(f)
	for _, v := range f.Values {
		if !live[v.ID] {
			continue
		}
		c := *v
		c.Args = make([]*ir.Value, len(v.Args))
		for i, a := range v.Args {
			c.Args[i] = at[a.ID]
		}
		r, err := w.value(&c)
		if err != nil {
			return err
		}
		at[v.ID] = r
	}
	return nil
}

// liveValues are, by ID, the values that f's results depend on.
func liveValues(f *ir.Func) []bool {
	live := make([]bool, f.NumIDs)
	for _, r := range f.Results {
		live[r.ID] = true
	}
	for _, v := range slices.Backward(f.Values) {
		live[v.ID] = live[v.ID] || v.MustRun()
		for _, a := range v.Args {
			live[a.ID] = live[a.ID] || live[v.ID]
		}
	}
	return live
}

// value builds what stands for v, whose operands are those of the rewritten
// function already.
func (w *walker) value(v *ir.Value) (*ir.Value, error) {
	w.b.Pos = v.Pos
	rule := ruleOf(v)
	switch {
	case !w.touched(v):
		rule = untouched
	case rule == nil && v.Op.Composite():
		return w.composite(v)
	case rule == nil:
		return nil, w.refuse(v, w.leaveOut(), "is not known to keep padding apart")
	}
	axes, err := rule(w, v)
	if err != nil {
		return nil, err
	}
	return w.emit(v, axes)
}

// emit appends v, as its rule left it, with the type that the original had.
func (w *walker) emit(v *ir.Value, axes []axis) (*ir.Value, error) {
	r := w.b.Clone(v, v.Args)
	if err := w.b.Err(); err != nil {
		return nil, w.refuse(v, w.leaveOut(), "cannot be rewritten: %v", err)
	}
	if r.Type.EqualUnder(w.facts, v.Type) {
		r.Type = v.Type
	}
	if n, ok := r.Type.Elements().Const(); ok && n == 0 { // nothing that could be wrong
		axes = uniformAxes(axes)
	}
	w.axes[r] = axes
	return r, nil
}

// touched reports whether padding or the symbol occurs in v or its operands. What
// is not touched computes what it did.
func (w *walker) touched(v *ir.Value) bool {
	for _, a := range v.Args {
		if slices.ContainsFunc(w.axes[a], axis.padded) {
			return true
		}
	}
	for _, a := range v.Attrs {
		if es, ok := a.Value.([]dim.Expr); ok && slices.ContainsFunc(es, w.depends) {
			return true
		}
	}
	return w.inType(v.Type) || slices.ContainsFunc(v.Bodies, w.inside)
}

func (w *walker) inType(t ir.Type) bool {
	return slices.ContainsFunc(t.Shape, w.depends) || slices.ContainsFunc(t.Tuple, w.inType)
}

// inside reports whether the symbol occurs in a body.
func (w *walker) inside(body *ir.Func) bool {
	return slices.ContainsFunc(body.Values, func(v *ir.Value) bool {
		return w.touched(v)
	}) || slices.ContainsFunc(body.Params, func(p *ir.Value) bool { return w.inType(p.Type) })
}

// untouched is the rule of values that the symbol does not reach.
func untouched(w *walker, v *ir.Value) ([]axis, error) {
	if v.Type.IsTuple() {
		return nil, nil
	}
	return w.plain(v)
}

// composite builds what v decomposes into; but v itself, if nothing in there
// needed a mask, so that executors may take it whole.
func (w *walker) composite(v *ir.Value) (*ir.Value, error) {
	f, err := w.decomposed(v)
	if err != nil {
		return nil, err
	}
	outer, edits, from, ids := w.whole, w.edits, len(w.b.F.Values), w.b.F.NumIDs
	if outer == nil {
		w.whole = v
	}
	at := make([]*ir.Value, f.NumIDs)
	for i, p := range f.Params {
		at[p.ID] = v.Args[i]
	}
	err = w.function(f, at)
	w.whole = outer
	if err != nil {
		return nil, err
	}
	r := at[f.Results[0].ID]
	w.b.Pos = v.Pos
	if w.edits == edits {
		w.b.F.Values, w.b.F.NumIDs = w.b.F.Values[:from], ids
		return w.emit(v, w.axes[r])
	}
	if r.ID >= ids && r.Name == "" {
		r.Name = v.Name
	}
	return r, nil
}

// decomposed is a function of v's operands that computes v, one level down, under
// the facts of the function that v is in.
func (w *walker) decomposed(v *ir.Value) (*ir.Func, error) {
	f := ir.NewFunc(v.Op.String(), w.facts)
	b := ir.NewBuilder(f)
	b.Pos = v.Pos
	c := *v
	c.Args = make([]*ir.Value, len(v.Args))
	for i, a := range v.Args {
		c.Args[i] = f.AddParam("", a.Type, nil)
	}
	r := v.Row().Decompose(b, &c)
	if err := b.Err(); err != nil {
		return nil, w.refuse(v, w.leaveOut(), "does not decompose: %v", err)
	}
	f.Results = []*ir.Value{r}
	return f, nil
}
