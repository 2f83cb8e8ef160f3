package guard

import (
	"cmp"
	"slices"

	"jitc/ir/call"
)

// Admitted is a call that was found to belong to a set, and may come again.
type Admitted struct {
	Call *call.Call // remembered
	Set  int        // an index of the sets
}

// Differ tells the admitted calls apart, and nothing more: it evaluates the
// fewest guards such that any two admitted calls of different sets differ in the
// outcome of one. A call whose outcomes no admitted call had belongs to no set.
// Calls beyond the admitted ones may be taken for one of them: that is the
// bargain.
//
// Guards that look beyond signatures (see [Kind.Live]) are not part of the
// choice: all those of the set that was found are checked at every call. Where
// only they tell sets apart, the sets are tried one after another.
//
// The entries a1 & a2 and b1 show why it takes the admitted calls: if b1 holds
// of all of them, "b1" never fails and a1 alone may hold of a call of the second
// entry too, so that leaving out a2 gives it to the first.
//
// Immutable.
type Differ struct {
	Minimal bool // no smaller choice exists; else none of its parts can be left out

	guards []*Guard
	steps  []fork    // a trie over the outcomes of guards
	leaves [][]entry // the sets that admitted calls of one outcome have
	root   int32
}

// fork is a node of the trie: guard number depth is evaluated, and next holds
// where its outcome false and true lead: a fork, a leaf after the last guard, or
// none.
type fork struct{ next [2]int32 }

// entry is a set with what is checked at every call.
type entry struct {
	set  int
	live []*Guard
}

// Differentiate finds the guards that tell admitted calls apart. Up to 64 guards
// whose outcomes differ are searched for the least number, with a bound on the
// work; beyond that each guard is needed, but another choice might do with
// fewer: see Minimal.
func Differentiate(sets []*Set, admitted []Admitted) *Differ {
	cols := newColumns(sets, admitted)
	chosen, minimal := cols.cover()
	d := &Differ{Minimal: minimal, guards: make([]*Guard, len(chosen)), root: none}
	slices.SortFunc(chosen, func(a, b int) int { return compareCost(cols.guards[a], cols.guards[b]) })
	for i, col := range chosen {
		d.guards[i] = cols.guards[col]
	}
	if len(admitted) > 0 {
		d.compile(sets, cols, chosen)
	}
	return d
}

// compareCost orders guards by what they cost and where they look.
func compareCost(a, b *Guard) int {
	return cmp.Or(cmp.Compare(a.Kind.row().cost, b.Kind.row().cost), cmp.Compare(a.Arg, b.Arg),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Axis, b.Axis), cmp.Compare(a.Want, b.Want))
}

// compile makes the trie.
func (d *Differ) compile(sets []*Set, cols *columns, chosen []int) {
	rank := make([]int, len(sets)) // what is preferred where several sets remain
	for i, s := range specialised(sets) {
		rank[s] = i
	}
	live := liveGuards(sets)
	d.root = d.fork(len(chosen))
	for i, r := range cols.rows {
		at := d.root
		for depth, col := range chosen {
			next := &d.steps[at].next[cols.outcome(col, i)]
			if *next == none {
				n := d.fork(len(chosen) - depth - 1)
				next = &d.steps[at].next[cols.outcome(col, i)] // the slice has moved
				*next = n
			}
			at = *next
		}
		if leaf := &d.leaves[at]; !slices.ContainsFunc(*leaf, func(e entry) bool { return e.set == r.set }) {
			*leaf = append(*leaf, entry{r.set, live[r.set]})
		}
	}
	for _, leaf := range d.leaves {
		slices.SortFunc(leaf, func(a, b entry) int {
			return cmp.Or(cmp.Compare(len(b.live), len(a.live)), cmp.Compare(rank[a.set], rank[b.set]))
		})
	}
}

// fork adds a node above so many guards; above none it is a leaf.
func (d *Differ) fork(left int) int32 {
	if left == 0 {
		d.leaves = append(d.leaves, nil)
		return int32(len(d.leaves) - 1)
	}
	d.steps = append(d.steps, fork{[2]int32{none, none}})
	return int32(len(d.steps) - 1)
}

func liveGuards(sets []*Set) [][]*Guard {
	out := make([][]*Guard, len(sets))
	for i, s := range sets {
		for j := range s.Guards {
			if g := &s.Guards[j]; g.Kind.Live() {
				out[i] = append(out[i], g)
			}
		}
	}
	return out
}

// Select returns the set of the admitted calls that have the outcomes of c, -1
// if there is none. It allocates nothing.
func (d *Differ) Select(c *call.Call) int {
	at := d.root
	if at == none {
		return -1
	}
	for _, g := range d.guards {
		outcome := 0
		if g.Holds(c) {
			outcome = 1
		}
		if at = d.steps[at].next[outcome]; at == none {
			return -1
		}
	}
	leaf := d.leaves[at]
	for i := range leaf {
		if allHold(leaf[i].live, c) {
			return leaf[i].set
		}
	}
	return -1
}

func allHold(gs []*Guard, c *call.Call) bool {
	for _, g := range gs {
		if !g.Holds(c) {
			return false
		}
	}
	return true
}

// Guards are the guards that tell the admitted calls apart, in the order of
// evaluation. Not to be changed.
func (d *Differ) Guards() []*Guard { return d.guards }

// Always lists what is checked at every call besides: the guards of all sets
// that look beyond signatures.
func (d *Differ) Always() []*Guard {
	var out []*Guard
	for _, leaf := range d.leaves {
		for _, e := range leaf {
			for _, g := range e.live {
				if !slices.Contains(out, g) {
					out = append(out, g)
				}
			}
		}
	}
	return out
}
