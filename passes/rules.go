package passes

import (
	"sync"

	"jitc/ir"
)

// A rule replaces values of some ops. Its from and to spell it out for readers,
// dumps and tests.
type rule struct {
	ops      []ir.Op // any of these
	from, to string  // "neg(neg(x))", "x"
	// apply gives the value that stands for v: one that exists, or one built by
	// the rewriter; nil where the rule does not apply. v is not in the function
	// yet, its operands are, and were themselves offered to the rules.
	apply func(e *rewriter, v *ir.Value) *ir.Value
	fired func() // told when the rule applied; for tests
}

// ruleSet lists rules by op.
type ruleSet [][]rule

func (s ruleSet) of(op ir.Op) []rule {
	if int(op) >= len(s) {
		return nil
	}
	return s[op]
}

// index sorts the rules of tables by op, keeping their order.
func index(tables ...[]rule) ruleSet {
	s := make(ruleSet, len(ir.Ops()))
	for _, t := range tables {
		for _, r := range t {
			for _, op := range r.ops {
				s[op] = append(s[op], r)
			}
		}
	}
	return s
}

// ruleSets are the sets that passes use: without and with fast math.
type ruleSets struct{ canonicalise, fold, simplify, settle [2]ruleSet }

// sets indexes the tables once.
var sets = sync.OnceValue(func() *ruleSets {
	both := func(tables ...[]rule) [2]ruleSet { s := index(tables...); return [2]ruleSet{s, s} }
	s := &ruleSets{canonicalise: both(canonicalRules()), fold: both(foldRules())}
	exact := simplifyRules()
	s.simplify = [2]ruleSet{index(exact), index(exact, fastRules())}
	s.settle = [2]ruleSet{index(foldRules(), exact, canonicalRules()), index(foldRules(), exact, fastRules(), canonicalRules())}
	return s
})

// pick is the set for the options.
func pick(s [2]ruleSet, o Options) ruleSet {
	if o.FastMath {
		return s[1]
	}
	return s[0]
}

// withTraits lists the primitive and composite ops that have all of the traits.
func withTraits(t ir.Traits) []ir.Op {
	var ops []ir.Op
	for _, op := range ir.Ops() {
		if op.Row().Traits&t == t {
			ops = append(ops, op)
		}
	}
	return ops
}
