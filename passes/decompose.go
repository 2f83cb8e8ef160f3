package passes

import (
	"fmt"

	"jitc/ir"
)

// decompose replaces composites by their decompositions, theirs too, all at the
// composite's position. The value that stands for it has its name.
//
//	before  %y: f32[B] = relu(%x)
//	after   %0: f32[B] = constant() {value=0.0}
//	        %y: f32[B] = max(%x, %0)
func decompose(f *ir.Func, o Options) (*ir.Func, error) {
	if !hasComposites(f, o) {
		return f, nil
	}
	d := &decomposer{rewriter: newRewriter(f), keep: o.KeepComposite}
	d.b = ir.NewBuilder(d.out)
	for _, v := range f.Values {
		r, err := d.value(d.copyOf(v))
		if err != nil {
			return nil, err
		}
		d.uses = append(d.uses, make([]int, d.out.NumIDs-len(d.uses))...)
		d.replace(v, r)
	}
	d.changed = true
	return d.finish(), nil
}

func hasComposites(f *ir.Func, o Options) bool {
	for _, v := range f.Values {
		if v.Op.Composite() && (o.KeepComposite == nil || !o.KeepComposite(v)) {
			return true
		}
	}
	return false
}

type decomposer struct {
	*rewriter
	b    *ir.Builder // appends to out
	keep func(v *ir.Value) bool
}

// value appends v, or what it decomposes into.
func (d *decomposer) value(v *ir.Value) (*ir.Value, error) {
	if !v.Op.Composite() || d.keep != nil && d.keep(v) {
		v.ID = d.out.NumIDs
		d.out.NumIDs++
		d.out.Values = append(d.out.Values, v)
		return v, nil
	}
	from, ids := len(d.out.Values), d.out.NumIDs
	d.b.Pos = v.Pos
	r := v.Row().Decompose(d.b, v)
	if err := d.b.Err(); err != nil {
		return nil, fmt.Errorf("%s: decomposing %s: %w", v.Pos, v.Op, err)
	}
	return d.parts(from, ids, r)
}

// parts decomposes the composites among the values that were built from index
// from on, and returns what stands for r.
func (d *decomposer) parts(from, ids int, r *ir.Value) (*ir.Value, error) {
	built := d.out.Values[from:]
	composite := false
	for _, w := range built {
		composite = composite || w.Op.Composite()
	}
	if !composite {
		return r, nil
	}
	built = append([]*ir.Value(nil), built...)
	at := make(map[*ir.Value]*ir.Value, len(built))
	d.out.Values, d.out.NumIDs = d.out.Values[:from], ids
	for _, w := range built {
		args := make([]*ir.Value, len(w.Args)) // the builder's callers may share theirs
		for i, a := range w.Args {
			if args[i] = a; at[a] != nil {
				args[i] = at[a]
			}
		}
		w.Args = args
		s, err := d.value(w)
		if err != nil {
			return nil, err
		}
		at[w] = s
	}
	if at[r] != nil {
		r = at[r]
	}
	return r, nil
}
