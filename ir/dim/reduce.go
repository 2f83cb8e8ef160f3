package dim

import (
	"cmp"
	"errors"
	"slices"
)

// Reduce returns the indices, ascending, of constraints that together with
// given say what all of cs do: no constraint is left that the others and given
// are found to imply. Of several choices it keeps the constraints that are
// simpler (fewer symbols; equations before bounds before divisibilities;
// shorter), of equal ones the first. Given may be nil for no facts.
//
// Constraints that share no symbol, directly or through given, are reduced
// apart, so many independent ones cost no more than their number.
func Reduce(cs []Constraint, given *Facts) []int {
	if given == nil {
		given = NewFacts()
	}
	if i := slices.IndexFunc(cs, func(c Constraint) bool { return c.kind == never }); i >= 0 {
		return []int{i} // implies all others
	}
	var kept []int
	for _, group := range independent(cs, given) {
		kept = append(kept, reduceGroup(cs, group, given)...)
	}
	slices.Sort(kept)
	return kept
}

// reduceGroup drops, the most complicated first, what the rest implies.
func reduceGroup(cs []Constraint, group []int, given *Facts) []int {
	order := slices.Clone(group)
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cs[j].complexity(cs[i]), cmp.Compare(j, i))
	})
	return reduction{cs}.keep(distinct(cs, order), given)
}

// distinct drops constraints that a later one in order equals.
func distinct(cs []Constraint, order []int) []int {
	seen := map[string]bool{}
	var out []int
	for _, i := range slices.Backward(order) {
		if key := cs[i].String(); !seen[key] {
			seen[key] = true
			out = append(out, i)
		}
	}
	slices.Reverse(out)
	return out
}

// reduction drops constraints one after the other that all the others imply.
type reduction struct {
	cs []Constraint
}

// keep returns those of the constraints, to be dropped in this order, that stay.
// Facts holds all others. Halving the constraints states each one only as
// often as the logarithm of their number.
func (r reduction) keep(order []int, facts *Facts) []int {
	if facts == nil { // the others contradict each other, which implies anything
		return nil
	}
	if len(order) <= 1 {
		if len(order) == 1 {
			if value, known := facts.Decide(r.cs[order[0]]); known && value {
				return nil
			}
		}
		return order
	}
	half := len(order) / 2
	first := r.keep(order[:half], r.with(facts, order[half:]))
	second := r.keep(order[half:], r.with(facts, first))
	return slices.Concat(first, second)
}

// with returns the facts and constraints together, nil if they contradict each
// other.
func (r reduction) with(facts *Facts, chosen []int) *Facts {
	var cs []Constraint
	for _, i := range chosen {
		if !r.cs[i].Invalid() {
			cs = append(cs, r.cs[i])
		}
	}
	if len(cs) == 0 {
		return facts
	}
	f := facts.Clone()
	if err := f.assumeAll(cs); errors.Is(err, ErrContradiction) {
		return nil
	} else if err != nil { // a limit: without them less is implied
		return facts
	}
	return f
}

// complexity compares constraints by what Reduce would rather drop.
func (c Constraint) complexity(o Constraint) int {
	return cmp.Or(cmp.Compare(len(c.Syms()), len(o.Syms())), cmp.Compare(c.rank(), o.rank()),
		cmp.Compare(c.e.size(), o.e.size()))
}

// rank puts equations before bounds before other conditions.
func (c Constraint) rank() int {
	return [...]int{always: 9, never: 0, zero: 1, atLeast: 2, divides: 3, nonzero: 4, divideNot: 5}[c.kind]
}

// independent groups the indices of constraints that share symbols, directly or
// through facts that relate several.
func independent(cs []Constraint, given *Facts) [][]int {
	u := union{}
	for _, c := range append(given.Constraints(), cs...) {
		syms := c.Syms()
		for _, s := range syms {
			u.join(syms[0], s)
		}
	}
	groups := map[string][]int{}
	var order []string
	for i, c := range cs {
		root := ""
		if syms := c.Syms(); len(syms) > 0 {
			root = u.root(syms[0])
		}
		if groups[root] == nil {
			order = append(order, root)
		}
		groups[root] = append(groups[root], i)
	}
	out := make([][]int, len(order))
	for i, root := range order {
		out[i] = groups[root]
	}
	return out
}

// union is a partition of symbols, by representative; a symbol that is not in
// it represents itself.
type union map[string]string

func (u union) root(s string) string {
	for {
		next, ok := u[s]
		if !ok {
			return s
		}
		if further, ok := u[next]; ok { // halve the path
			u[s] = further
		}
		s = next
	}
}

func (u union) join(a, b string) {
	if ra, rb := u.root(a), u.root(b); ra != rb {
		u[rb] = ra
	}
}
