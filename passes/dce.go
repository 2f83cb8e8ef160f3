package passes

import "jitc/ir"

// dce drops what neither a result nor an effect depends on. Parameters stay.
//
//	before  %a = neg(%x)       after  %b = exp(%x)
//	        %b = exp(%x)              return %b
//	        return %b
func dce(f *ir.Func, _ Options) (*ir.Func, error) {
	live := isLive(f)
	e := newRewriter(f)
	for _, v := range f.Values {
		if !live[v.ID] {
			e.changed = true
			continue
		}
		e.replace(v, e.append(e.copyOf(v)))
	}
	return e.finish(), nil
}

// isLive says, by ID, which values a result or an effect depends on.
func isLive(f *ir.Func) []bool {
	live := make([]bool, f.NumIDs)
	for _, r := range f.Results {
		live[r.ID] = true
	}
	for i := len(f.Values) - 1; i >= 0; i-- { // uses come after definitions
		v := f.Values[i]
		if v.Is(ir.Effect) {
			live[v.ID] = true
		}
		if live[v.ID] {
			for _, a := range v.Args {
				live[a.ID] = true
			}
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
