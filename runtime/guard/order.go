package guard

import (
	"cmp"
	"math"
	"slices"

	"jitc/ir/dim"
)

// special measures how specialised a set is.
type special struct {
	sizes, fixed, conds, all int
}

func specialOf(s *Set) special {
	v := special{all: len(s.Guards)}
	for i := range s.Guards {
		switch s.Guards[i].Kind {
		case Size:
			v.sizes++
		case Const, Var:
			v.fixed++
		case Cond:
			v.conds++
		}
	}
	return v
}

// compare puts the more specialised first.
func (v special) compare(o special) int {
	return cmp.Or(cmp.Compare(o.sizes, v.sizes), cmp.Compare(o.fixed, v.fixed),
		cmp.Compare(o.conds, v.conds), cmp.Compare(o.all, v.all))
}

// specialised returns the indices of the sets, most specialised first.
func specialised(sets []*Set) []int {
	order, by := make([]int, len(sets)), make([]special, len(sets))
	for i, s := range sets {
		order[i], by[i] = i, specialOf(s)
	}
	slices.SortStableFunc(order, func(a, b int) int { return by[a].compare(by[b]) })
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && by[order[hi]] == by[order[lo]] {
			hi++
		}
		tightestFirst(sets, order[lo:hi])
		lo = hi
	}
	return order
}

// These bound the sets whose conditions are compared pair by pair, and the
// conditions of each: proofs are not free.
const (
	maxCompared      = 16
	maxComparedConds = 16
)

// tightestFirst puts a set before an older one if its conditions imply the
// other's and not the reverse: x.size(0) <= 8 before x.size(0) <= 64.
func tightestFirst(sets []*Set, order []int) {
	if len(order) < 2 || len(order) > maxCompared {
		return
	}
	conds := make([][]*condition, len(order))
	for i, s := range order {
		if conds[i] = conditionsOf(sets[s]); len(conds[i]) == 0 || len(conds[i]) > maxComparedConds {
			return
		}
	}
	tighter := make([][]bool, len(order)) // [i][j]: i implies j, and j does not imply i
	for i := range order {
		tighter[i] = make([]bool, len(order))
		known := factsOf(conds[i])
		for j := range order {
			tighter[i][j] = i != j && known != nil && implied(known, conds[j])
		}
	}
	left := make([]int, len(order)) // positions in order, oldest first
	for i := range left {
		left[i] = i
	}
	sorted := make([]int, 0, len(order))
	for len(left) > 0 {
		at := max(0, slices.IndexFunc(left, func(j int) bool {
			return !slices.ContainsFunc(left, func(i int) bool { return tighter[i][j] && !tighter[j][i] })
		}))
		sorted = append(sorted, order[left[at]])
		left = slices.Delete(left, at, at+1)
	}
	copy(order, sorted)
}

func conditionsOf(s *Set) []*condition {
	var out []*condition
	for i := range s.Guards {
		if g := &s.Guards[i]; g.Kind == Cond {
			out = append(out, g.condition())
		}
	}
	return out
}

// factsOf states conditions about places; nil if they contradict each other.
// What is computed from a size, and a constant, may be negative.
func factsOf(conds []*condition) *dim.Facts {
	f := dim.NewFacts()
	for _, k := range conds {
		for i := range k.sources {
			if src := &k.sources[i]; src.Arg < 0 || !src.plain() {
				if f.Declare(src.place(), math.MinInt64, math.MaxInt64) != nil {
					return nil
				}
			}
		}
	}
	for _, k := range conds {
		if f.Assume(k.places) != nil {
			return nil
		}
	}
	return f
}

func implied(f *dim.Facts, conds []*condition) bool {
	for _, k := range conds {
		if v, known := f.Decide(k.places); !known || !v {
			return false
		}
	}
	return true
}
