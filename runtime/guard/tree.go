package guard

import "jitc/ir/call"

// Tree is the decision among the sets of a function's entries. It observes
// nothing twice on the way to an answer:
//
//	check x: f32[_,784]          what all entries need
//	if x.size(0) == 1            a switch on one observation
//	  entry 2
//	if x.size(0) == 64
//	  entry 0
//	check x.size(0) % 8 == 0
//	entry 1
//
// Below a switch stand, in order, the sets that want the value and those that do
// not care. To keep the size near linear in the guards, what would copy too many
// sets is a chain instead: sets tried one after another, which may observe again
// what they share. Immutable.
type Tree struct {
	sets  []*Set
	order []int // most specialised first
	nodes []node
	root  int32
}

// none is the answer that no set holds.
const none = int32(-1)

// node is a step of the decision: a block, then an answer, a switch, or another
// node.
type node struct {
	block block
	fail  int32 // the node where the block does not hold, or none
	entry int32 // the answer, or none

	cases  []*Guard // of one observation, each with another value
	wants  []call.Const
	next   []int32              // by case
	more   map[call.Const]int32 // in place of a search, if there are many
	others int32                // the node for other values, or none
}

// searchable is the number of values up to which looking at each is fastest.
const searchable = 8

// Select returns the index of the first set, most specialised first, whose every
// guard holds; -1 if none does. It allocates nothing.
func (t *Tree) Select(c *call.Call) int {
	for at := t.root; at != none; {
		n := &t.nodes[at]
		switch {
		case !n.block.holds(c):
			at = n.fail
		case n.entry != none:
			return int(n.entry)
		default:
			at = n.follow(c)
		}
	}
	return -1
}

// follow is the node that the observed value leads to.
func (n *node) follow(c *call.Call) int32 {
	if len(n.cases) == 0 {
		return n.others
	}
	v, ok := n.cases[0].Kind.row().observe(n.cases[0], c)
	if !ok {
		return n.others
	}
	if n.more != nil {
		if at, ok := n.more[v]; ok {
			return at
		}
		return n.others
	}
	for i := range n.wants {
		if n.wants[i] == v {
			return n.next[i]
		}
	}
	return n.others
}

// Order returns the indices of the sets, most specialised first: the order in
// which Select prefers them.
func (t *Tree) Order() []int { return append([]int(nil), t.order...) }

// Explain says for every set why it does not hold, most specialised first: the
// first guard that fails, in the order that the set lists them.
func (t *Tree) Explain(c *call.Call) []Miss {
	out := make([]Miss, 0, len(t.sets))
	for _, i := range t.order {
		m := Miss{Set: i, Index: t.sets[i].FirstFailing(c)}
		if m.Index >= 0 {
			m.Guard = &t.sets[i].Guards[m.Index]
		}
		out = append(out, m)
	}
	return out
}
