package passes

import "jitc/ir"

// dce drops what neither a result nor an effect depends on. Parameters stay, and
// so does what defines a symbol that something left has, or of which the function
// declares anything: others may rely on it. A symbol that is dropped leaves the
// facts.
//
//	before  %a = neg(%x)       after  %b = exp(%x)
//	        %b = exp(%x)              return %b
//	        return %b
func dce(f *ir.Func, _ Options) (*ir.Func, error) {
	live := isLive(f)
	e := newRewriter(f)
	dropped := map[string]bool{}
	for _, v := range f.Values {
		if !live[v.ID] {
			e.changed = true
			for _, sym := range ir.Defines(v) {
				dropped[sym] = true
			}
			continue
		}
		e.replace(v, e.append(e.copyOf(v)))
	}
	g := e.finish()
	if len(dropped) > 0 {
		g.Facts = ir.Restrict(f.Facts, func(sym string) bool { return !dropped[sym] })
	}
	return g, nil
}

// isLive says, by ID, which values a result or an effect depends on.
func isLive(f *ir.Func) []bool {
	live := make([]bool, f.NumIDs)
	for _, r := range f.Results {
		live[r.ID] = true
	}
	syms := neededSyms(f)
	for i := len(f.Values) - 1; i >= 0; i-- { // uses come after definitions
		v := f.Values[i]
		if v.Is(ir.Effect) || syms.defines(v) {
			live[v.ID] = true
		}
		if live[v.ID] {
			for _, a := range v.Args {
				live[a.ID] = true
			}
			syms.use(v)
		}
	}
	return live
}

// liveUses counts, by ID, the uses of values as operands of live values and as
// results.
func liveUses(f *ir.Func) []int {
	live := isLive(f)
	n := make([]int, f.NumIDs)
	for _, v := range f.Values {
		if live[v.ID] {
			for _, a := range v.Args {
				n[a.ID]++
			}
		}
	}
	for _, r := range f.Results {
		n[r.ID]++
	}
	return n
}
