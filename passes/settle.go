package passes

import "jitc/ir"

// maxWalks bounds settle. A walk looks at a value after its operands have
// settled, so a second one finds only what depends on the number of uses that
// the first one changed, and the third finds nothing.
const maxWalks = 8

// settle applies the rules of canonicalise, fold and simplify together, merging
// equal values and pruning unused ones, until none applies: a chain in which one
// kind of rule waits for another needs one walk, whatever its length.
//
//	before  %0 = add(%x, 0)          after  return %x
//	        %1 = transpose(%0) ...
//	        %2 = transpose(%1) ...
//	        return %2
func settle(f *ir.Func, o Options) (*ir.Func, error) {
	for range maxWalks {
		g, err := mapBodies(f, func(body *ir.Func) (*ir.Func, error) { return settle(body, o) })
		if err != nil {
			return nil, err
		}
		for _, run := range []func(*ir.Func, Options) (*ir.Func, error){settleWalk, prune, dce} {
			if g, err = run(g, o); err != nil {
				return nil, err
			}
		}
		if g == f {
			break
		}
		f = g
	}
	return f, nil
}

// settleWalk is one walk with all rules.
func settleWalk(f *ir.Func, o Options) (*ir.Func, error) {
	return rewrite(f, pick(sets().settle, o), true), nil
}
