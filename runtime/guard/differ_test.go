package guard

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func vector(n int) *tensor.Tensor { return tensor.New(tensor.F32, n) }

func of(ts ...*tensor.Tensor) *call.Call { return &call.Call{Tensors: ts} }

// TestTheCounterexampleOfFailCounts: of the entries a1 & a2 and b1, choosing the
// guards that once failed leaves a1 and nothing, and gives the second entry's
// call to the first.
func TestTheCounterexampleOfFailCounts(t *testing.T) {
	b := dim.Sym("B")
	a1, a2 := about(0, 0, dim.Le(b, dim.Const(8))), about(1, 0, dim.Le(b, dim.Const(8)))
	b1 := about(0, 0, dim.Ge(b, dim.Const(1)))
	sets := []*Set{NewSet([]Guard{a1, a2}, nil), NewSet([]Guard{b1}, nil)}
	first, second := of(vector(4), vector(4)), of(vector(4), vector(16))
	tree := NewTree(sets)
	require.Equal(t, 0, tree.Select(first))
	require.Equal(t, 1, tree.Select(second))

	d := Differentiate(sets, []Admitted{{first.Remember(), 0}, {second.Remember(), 1}})
	assert.True(t, d.Minimal)
	assert.Equal(t, `guards: 1, minimal
1  #1.size(0) <= 8
- entry 1
+ entry 0
`, d.String())
	assert.Equal(t, 0, d.Select(first))
	assert.Equal(t, 1, d.Select(second))
}

func TestDifferWithoutCallsSelectsNone(t *testing.T) {
	d := Differentiate([]*Set{NewSet(nil, nil)}, nil)
	assert.Equal(t, -1, d.Select(of()))
	assert.Empty(t, d.Guards())
}

func TestOneEntryNeedsNoGuard(t *testing.T) {
	sets := []*Set{NewSet([]Guard{sized(0, 0, 4)}, nil), NewSet([]Guard{sized(0, 0, 8)}, nil)}
	d := Differentiate(sets, []Admitted{{of(vector(8)).Remember(), 1}})
	assert.Empty(t, d.Guards())
	assert.Equal(t, 1, d.Select(of(vector(8))))
}

// TestLiveGuardsAreAlwaysChecked: variables and memory are no part of the
// choice, they are looked at in every call.
func TestLiveGuardsAreAlwaysChecked(t *testing.T) {
	training := &flag{name: "training"}
	is := func(n int64) Guard { return Guard{Kind: Var, Var: training, Value: call.IntConst(n)} }
	apart := Guard{Kind: Disjoint, Arg: 0, Axis: 1}
	sets := []*Set{
		NewSet([]Guard{is(0), sized(0, 0, 4)}, nil),
		NewSet([]Guard{is(1), sized(0, 0, 4), apart}, nil),
		NewSet([]Guard{is(1), sized(0, 0, 8)}, nil),
	}
	x, y := of(vector(4), vector(4)), of(vector(8), vector(8))
	d := Differentiate(sets, []Admitted{{x.Remember(), 0}, {x.Remember(), 1}, {y.Remember(), 2}})
	assert.Equal(t, `guards: 1, minimal
1  #0.size(0) == 4
- entry 2 if training == 1
+ entry 1 if training == 1, #0 does not overlap #1
+ else entry 0 if training == 0
`, d.String())
	assert.Len(t, d.Always(), 4)
	assert.Equal(t, 0, d.Select(x))
	assert.Equal(t, -1, d.Select(y))
	training.v.Store(1)
	assert.Equal(t, 1, d.Select(x))
	assert.Equal(t, 2, d.Select(y))
	same := vector(4)
	assert.Equal(t, -1, d.Select(of(same, same)))
}

// admit lists calls with the sets that the tree selects for them.
func admit(g *generator, sets []*Set, n int) (live []*call.Call, out []Admitted) {
	tree := NewTree(sets)
	for range n {
		c := g.call()
		if at := tree.Select(c); at >= 0 {
			live = append(live, c)
			out = append(out, Admitted{c.Remember(), at})
		}
	}
	return live, out
}

// separates reports whether admitted calls of different sets differ in one of
// the guards, where any guard of the sets tells them apart.
func separates(sets []*Set, chosen []*Guard, admitted []Admitted) bool {
	all := signatureGuards(sets)
	differ := func(gs []*Guard, a, b *call.Call) bool {
		for _, g := range gs {
			if g.Holds(a) != g.Holds(b) {
				return true
			}
		}
		return false
	}
	for i, a := range admitted {
		for _, b := range admitted[:i] {
			if a.Set != b.Set && differ(all, a.Call, b.Call) && !differ(chosen, a.Call, b.Call) {
				return false
			}
		}
	}
	return true
}

// TestDifferentiatingGuards: on random families every admitted call gets its
// set, no guard can be left out, and where Minimal says so no smaller choice
// exists.
func TestDifferentiatingGuards(t *testing.T) {
	selected, proved := 0, 0
	for seed := range uint64(600) {
		g := newGenerator(seed)
		g.simple = true
		sets := g.family(2 + g.IntN(5))
		live, admitted := admit(g, sets, 40)
		d := Differentiate(sets, admitted)
		for i, c := range live {
			require.Equal(t, admitted[i].Set, d.Select(c), "seed %d\n%s\n%s", seed, describe(sets), d)
			require.Equal(t, admitted[i].Set, d.Select(admitted[i].Call))
			selected++
		}
		require.True(t, separates(sets, d.Guards(), admitted))
		for i := range d.Guards() {
			rest := append(append([]*Guard(nil), d.Guards()[:i]...), d.Guards()[i+1:]...)
			require.False(t, separates(sets, rest, admitted), "seed %d: guard %d is superfluous", seed, i)
		}
		if all := signatureGuards(sets); d.Minimal && len(all) <= 12 && len(d.Guards()) > 1 {
			proved++
			require.False(t, smaller(sets, all, len(d.Guards()), admitted), "seed %d: fewer guards do\n%s", seed, d)
		}
	}
	assert.Greater(t, selected, 2000)
	assert.Greater(t, proved, 50)
}

// smaller reports whether fewer than n guards separate.
func smaller(sets []*Set, all []*Guard, n int, admitted []Admitted) bool {
	for subset := range 1 << len(all) {
		if bits.OnesCount(uint(subset)) != n-1 {
			continue
		}
		var chosen []*Guard
		for i, g := range all {
			if subset>>i&1 == 1 {
				chosen = append(chosen, g)
			}
		}
		if separates(sets, chosen, admitted) {
			return true
		}
	}
	return false
}

// TestLiveGuardsOfRandomFamilies: with guards on variables and memory, a call
// that was admitted gets a set all of whose guards hold.
func TestLiveGuardsOfRandomFamilies(t *testing.T) {
	for seed := range uint64(400) {
		g := newGenerator(seed)
		sets := g.family(2 + g.IntN(5))
		live, admitted := admit(g, sets, 40)
		d := Differentiate(sets, admitted)
		for _, c := range live {
			got := d.Select(c)
			require.GreaterOrEqual(t, got, 0, "seed %d\n%s\n%s", seed, describe(sets), d)
			require.Equal(t, -1, sets[got].FirstFailing(c), "seed %d\n%s\n%s", seed, describe(sets), d)
		}
	}
}

// TestManyOutcomes goes beyond the exact search: entries told apart by each of a
// hundred sizes.
func TestManyOutcomes(t *testing.T) {
	var sets []*Set
	var admitted []Admitted
	for n := range 100 {
		sets = append(sets, NewSet([]Guard{sized(0, 0, int64(n))}, nil))
		admitted = append(admitted, Admitted{of(vector(n)).Remember(), n})
	}
	d := Differentiate(sets, admitted)
	assert.False(t, d.Minimal)
	assert.Len(t, d.Guards(), 99)
	for _, a := range admitted {
		require.Equal(t, a.Set, d.Select(a.Call))
	}
	assert.False(t, separates(sets, d.Guards()[1:], admitted))
}

// TestExactSearch holds the search to brute force on random set systems, and
// finds some where greed takes more.
func TestExactSearch(t *testing.T) {
	g := newGenerator(1)
	better := 0
	for range 3000 {
		s := search{steps: exactSteps}
		for range 3 + g.IntN(10) {
			s.pairs = append(s.pairs, 1+g.Uint64N(1<<10-1))
		}
		greedy := greedyHits(s.pairs)
		got, minimal := s.shrink(greedy)
		require.True(t, minimal)
		best := 11
		for w := range uint64(1 << 10) {
			if hits(s.pairs, w) {
				best = min(best, bits.OnesCount64(w))
			}
		}
		var w uint64
		for _, col := range got {
			w |= 1 << col
		}
		require.True(t, hits(s.pairs, w))
		require.Len(t, got, best)
		if len(got) < len(greedy) {
			better++
		}
	}
	assert.Greater(t, better, 10)
}

func hits(pairs []uint64, w uint64) bool {
	for _, p := range pairs {
		if p&w == 0 {
			return false
		}
	}
	return true
}

func greedyHits(pairs []uint64) (chosen []int) {
	for w := uint64(0); !hits(pairs, w); {
		best, most := 0, 0
		for col := range 10 {
			n := 0
			for _, p := range pairs {
				if p&w == 0 && p>>col&1 == 1 {
					n++
				}
			}
			if n > most {
				best, most = col, n
			}
		}
		w |= 1 << best
		chosen = append(chosen, best)
	}
	return chosen
}

func TestTheSearchIsBounded(t *testing.T) {
	s := search{steps: 3, pairs: []uint64{0b0011, 0b0110, 0b1100, 0b1001}}
	got, minimal := s.shrink([]int{0, 1, 2, 3})
	assert.False(t, minimal)
	var w uint64
	for _, col := range got {
		w |= 1 << col
	}
	assert.True(t, hits(s.pairs, w))
}
