package passes

import (
	"slices"

	"jitc/ir"
)

// everywhere applies a pass to the bodies of control flow, innermost first, and
// then to the function around them.
func everywhere(run func(*ir.Func, Options) (*ir.Func, error)) func(*ir.Func, Options) (*ir.Func, error) {
	var all func(*ir.Func, Options) (*ir.Func, error)
	all = func(f *ir.Func, o Options) (*ir.Func, error) {
		g, err := mapBodies(f, func(body *ir.Func) (*ir.Func, error) { return all(body, o) })
		if err != nil {
			return nil, err
		}
		return run(g, o)
	}
	return all
}

// mapBodies replaces the bodies of f's control flow by what change gives for
// them; f itself if nothing does change.
func mapBodies(f *ir.Func, change func(*ir.Func) (*ir.Func, error)) (*ir.Func, error) {
	var changed map[*ir.Value][]*ir.Func
	for _, v := range f.Values {
		for i, body := range v.Bodies {
			g, err := change(body)
			if err != nil {
				return nil, err
			}
			if g == body {
				continue
			}
			if changed == nil {
				changed = map[*ir.Value][]*ir.Func{}
			}
			if changed[v] == nil {
				changed[v] = slices.Clone(v.Bodies)
			}
			changed[v][i] = g
		}
	}
	if changed == nil {
		return f, nil
	}
	e := newRewriter(f)
	e.changed = true
	for _, v := range f.Values {
		c := e.copyOf(v)
		if bodies := changed[v]; bodies != nil {
			c.Bodies = bodies
		}
		e.replace(v, e.append(c))
	}
	return e.finish(), nil
}

// sameBodies reports whether two lists of functions compute the same, value by
// value in one order.
func sameBodies(a, b []*ir.Func) bool { return slices.EqualFunc(a, b, sameFunc) }

func sameFunc(a, b *ir.Func) bool {
	if a == b {
		return true
	}
	if len(a.Params) != len(b.Params) || len(a.Values) != len(b.Values) || len(a.Results) != len(b.Results) {
		return false
	}
	at := make([]*ir.Value, a.NumIDs) // b's value for each of a's
	for i, p := range a.Params {
		if at[p.ID] = b.Params[i]; !p.Type.Equal(b.Params[i].Type) {
			return false
		}
	}
	matches := func(v, w *ir.Value) bool { return at[v.ID] == w }
	for i, v := range a.Values {
		w := b.Values[i]
		at[v.ID] = w
		if v.Op != w.Op || !slices.EqualFunc(v.Args, w.Args, matches) || !v.Attrs.Equal(w.Attrs) ||
			!v.Type.Equal(w.Type) || !sameBodies(v.Bodies, w.Bodies) {
			return false
		}
	}
	return slices.EqualFunc(a.Results, b.Results, matches)
}
