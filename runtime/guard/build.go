package guard

import (
	"slices"

	"jitc/ir/call"
)

// NewTree builds the decision among sets, given oldest first. The order of
// preference is by specialisation: more constant sizes first, then more fixed
// constants and variables, more conditions, more guards; then those whose
// conditions imply the others'; then the older.
func NewTree(sets []*Set) *Tree {
	t := &Tree{sets: slices.Clone(sets), order: specialised(sets)}
	b := newBuilder(t, sets)
	t.root = b.build(b.candidates(t.order), 0)
	return t
}

// candidate is a set and its atoms that are still to be tested.
type candidate struct {
	set   int32
	atoms []int32
}

type builder struct {
	t      *Tree
	atoms  *atoms
	lists  [][]int32 // by set; nil: no call satisfies it
	uses   []int32   // by atom: how many candidates have it
	cares  []int32   // by observation: how many candidates have an atom of it
	copies int       // how often a switch may still copy a candidate
}

// maxDepth bounds the switches on one path.
const maxDepth = 64

func newBuilder(t *Tree, sets []*Set) *builder {
	most := 0
	for _, s := range sets {
		most = max(most, len(s.Guards))
	}
	b := &builder{t: t, atoms: newAtoms(most + most/4), lists: make([][]int32, len(sets)), copies: 8*len(sets) + 64}
	var seen []int32
	for i, s := range sets {
		ids, room, ok := b.atoms.list(s, seen)
		if seen = room; ok {
			b.lists[i] = ids
		}
	}
	b.uses, b.cares = make([]int32, len(b.atoms.guards)), make([]int32, b.atoms.numObs)
	return b
}

func (b *builder) candidates(order []int) []candidate {
	var list []candidate
	for _, i := range order {
		if b.lists[i] != nil {
			list = append(list, candidate{int32(i), b.lists[i]})
		}
	}
	return list
}

// build returns the node that decides among candidates, listed in order of
// preference.
func (b *builder) build(list []candidate, depth int) int32 {
	if len(list) == 0 {
		return none
	}
	list, must := b.shared(list)
	for i, c := range list {
		if len(c.atoms) == 0 { // it holds: those after it are never reached
			list = list[:i+1]
			break
		}
	}
	if len(list[0].atoms) == 0 {
		return b.add(node{block: b.block(must), fail: none, entry: list[0].set})
	}
	obs, cost := b.bestSwitch(list)
	if obs < 0 || depth >= maxDepth || cost > b.copies {
		return b.chain(list, must)
	}
	b.copies -= cost
	return b.branch(list, must, obs, depth)
}

func (b *builder) add(n node) int32 {
	b.t.nodes = append(b.t.nodes, n)
	return int32(len(b.t.nodes) - 1)
}

func (b *builder) block(ids []int32) block {
	guards := make([]*Guard, len(ids))
	for i, id := range ids {
		guards[i] = b.atoms.guards[id]
	}
	return newBlock(guards)
}

// shared takes the atoms that all candidates have out of them.
func (b *builder) shared(list []candidate) (rest []candidate, must []int32) {
	for _, c := range list {
		for _, a := range c.atoms {
			b.uses[a]++
		}
	}
	everywhere := int32(len(list))
	for _, a := range list[0].atoms {
		if b.uses[a] == everywhere {
			must = append(must, a)
		}
	}
	rest = make([]candidate, len(list))
	for i, c := range list {
		rest[i] = candidate{c.set, c.atoms}
		if len(must) == 0 {
			continue
		}
		rest[i].atoms = make([]int32, 0, len(c.atoms)-len(must))
		for _, a := range c.atoms {
			if b.uses[a] != everywhere {
				rest[i].atoms = append(rest[i].atoms, a)
			}
		}
	}
	for _, c := range list {
		for _, a := range c.atoms {
			b.uses[a] = 0
		}
	}
	return rest, must
}

// bestSwitch chooses the observation that at least two candidates care about and
// that leaves the fewest candidates, then copies the fewest; -1 if there is
// none. cost is the number of candidates that it copies.
func (b *builder) bestSwitch(list []candidate) (obs int32, cost int) {
	values, largest, touched := map[int32]int{}, map[int32]int32{}, []int32(nil)
	for _, c := range list {
		for _, a := range c.atoms {
			o := b.atoms.on[a]
			if b.cares[o]++; b.cares[o] == 2 {
				touched = append(touched, o)
			}
		}
	}
	for _, c := range list {
		for _, a := range c.atoms {
			if o := b.atoms.on[a]; b.cares[o] >= 2 {
				if b.uses[a]++; b.uses[a] == 1 {
					values[o]++
				}
				largest[o] = max(largest[o], b.uses[a])
			}
		}
	}
	obs = -1
	var least int
	for _, o := range touched {
		idle := len(list) - int(b.cares[o])
		left, copied := idle+int(largest[o]), idle*values[o]
		if obs < 0 || left < least || left == least && (copied < cost || copied == cost && o < obs) {
			obs, least, cost = o, left, copied
		}
	}
	for _, c := range list {
		for _, a := range c.atoms {
			b.uses[a], b.cares[b.atoms.on[a]] = 0, 0
		}
	}
	return obs, cost
}

// branch makes a switch on an observation.
func (b *builder) branch(list []candidate, must []int32, obs int32, depth int) int32 {
	var ids []int32 // the values' atoms, in order of appearance
	by := map[int32][]candidate{}
	var idle []candidate
	for _, c := range list {
		at := slices.IndexFunc(c.atoms, func(a int32) bool { return b.atoms.on[a] == obs })
		if at < 0 {
			for _, id := range ids {
				by[id] = append(by[id], c)
			}
			idle = append(idle, c)
			continue
		}
		id := c.atoms[at]
		if _, ok := by[id]; !ok {
			ids = append(ids, id)
			by[id] = slices.Clone(idle)
		}
		by[id] = append(by[id], candidate{c.set, slices.Concat(c.atoms[:at], c.atoms[at+1:])})
	}
	n := node{block: b.block(must), fail: none, entry: none}
	for _, id := range ids {
		g := b.atoms.guards[id]
		n.cases, n.wants = append(n.cases, g), append(n.wants, g.Kind.row().want(g))
		n.next = append(n.next, b.build(by[id], depth+1))
	}
	n.others = b.build(idle, depth+1)
	if len(n.wants) > searchable {
		n.more = make(map[call.Const]int32, len(n.wants))
		for i, want := range n.wants {
			n.more[want] = n.next[i]
		}
	}
	return b.add(n)
}

// chain tries the candidates one after another. Where they share no observation
// nothing is observed twice; otherwise it is the form that copies nothing.
func (b *builder) chain(list []candidate, must []int32) int32 {
	at := none
	for _, c := range slices.Backward(list) {
		at = b.add(node{block: b.block(c.atoms), fail: at, entry: c.set})
	}
	if len(must) == 0 {
		return at
	}
	return b.add(node{block: b.block(must), fail: none, entry: none, others: at})
}
