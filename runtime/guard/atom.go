package guard

import "jitc/ir/call"

// An observation is something to look at in a call, such as the size of an axis;
// an atom is an observation together with the value that a guard wants of it.
// Both are numbered from zero, so that guards of different sets that say the
// same have the same atom, and guards of one observation with different atoms
// exclude each other.
type atoms struct {
	guards []*Guard // by atom: a guard that stands for it
	on     []int32  // by atom: its observation
	numObs int

	obs     map[place]int32 // observations
	numbers map[numeral]int32
	others  map[other]int32
}

// place identifies an observation of a kind that looks at one place.
type place struct {
	kind Kind
	a, b int32
	cond string
	v    Variable
}

// numeral identifies an atom of the kinds that are by far the most.
type numeral struct {
	where uint64
	want  int64
}

// other identifies any atom.
type other struct {
	place
	want call.Const
}

func newAtoms(expect int) *atoms {
	return &atoms{
		guards: make([]*Guard, 0, expect), on: make([]int32, 0, expect),
		obs: make(map[place]int32, expect), numbers: make(map[numeral]int32, expect), others: map[other]int32{},
	}
}

// of returns the atom of a guard.
func (t *atoms) of(g *Guard) int32 {
	if key, ok := numeralOf(g); ok {
		id, found := t.numbers[key]
		if !found {
			id = t.add(g, placeOf(g))
			t.numbers[key] = id
		}
		return id
	}
	key := other{placeOf(g), g.Kind.row().want(g)}
	id, found := t.others[key]
	if !found {
		id = t.add(g, key.place)
		t.others[key] = id
	}
	return id
}

func (t *atoms) add(g *Guard, p place) int32 {
	obs, ok := t.obs[p]
	if !ok {
		obs = int32(t.numObs)
		t.numObs++
		t.obs[p] = obs
	}
	t.guards, t.on = append(t.guards, g), append(t.on, obs)
	return int32(len(t.guards) - 1)
}

// numeralOf packs kind, tensor and axis, where they fit.
func numeralOf(g *Guard) (numeral, bool) {
	switch g.Kind {
	case DType, Rank, Size:
		if uint(g.Arg) < 1<<32 && uint(g.Axis) < 1<<16 {
			axis := g.Axis
			if g.Kind != Size {
				axis = 0
			}
			return numeral{uint64(g.Kind)<<48 | uint64(axis)<<32 | uint64(g.Arg), int64(g.Kind.row().want(g).Bits)}, true
		}
	}
	return numeral{}, false
}

func placeOf(g *Guard) place {
	p := place{kind: g.Kind, a: int32(g.Arg), b: int32(g.Axis)}
	switch g.Kind {
	case Count, Present, DType, Rank, Const:
		p.b = 0
	case Cond:
		p.a, p.b, p.cond = 0, 0, g.condition().key
	case Var:
		p.a, p.b, p.v = 0, 0, g.Var
	case Disjoint:
		p.a, p.b = min(p.a, p.b), max(p.a, p.b)
	}
	return p
}

func (g *Guard) condition() *condition {
	if g.check != nil {
		return g.check
	}
	return compile(g)
}

// list returns the distinct atoms of a set, in the order of its guards. ok is
// false where two of them exclude each other: no call satisfies the set. seen
// has an element per observation, or is grown to; it is returned cleared.
func (t *atoms) list(s *Set, seen []int32) (ids, room []int32, ok bool) {
	ids, ok = make([]int32, 0, len(s.Guards)), true
	for i := range s.Guards {
		id := t.of(&s.Guards[i])
		obs := t.on[id]
		for int(obs) >= len(seen) {
			seen = append(seen, 0)
		}
		switch seen[obs] {
		case 0:
			seen[obs] = id + 1
			ids = append(ids, id)
		case id + 1:
		default:
			ok = false
		}
	}
	for _, id := range ids {
		seen[t.on[id]] = 0
	}
	return ids, seen, ok
}
