package fusion

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plainGraph decides merges by the definition: merge, then look for a cycle.
type plainGraph struct {
	group []int32
	edges [][2]int32
}

func (p *plainGraph) acyclicWith(u, v int32) bool {
	group := make([]int32, len(p.group))
	for i, x := range p.group {
		if group[i] = x; x == v {
			group[i] = u
		}
	}
	missing := make([]int, len(group))
	for _, e := range p.edges {
		if group[e[0]] != group[e[1]] {
			missing[group[e[1]]]++
		}
	}
	done := make([]bool, len(group))
	left := len(group)
	for progress := true; progress; {
		progress = false
		for x := range group {
			if done[x] || missing[x] > 0 {
				continue
			}
			done[x], progress = true, true
			left--
			for _, e := range p.edges {
				if group[e[0]] == int32(x) && group[e[1]] != int32(x) {
					missing[group[e[1]]]--
				}
			}
		}
	}
	return left == 0
}

func randomDigraph(rng *rand.Rand, n, edges int) (*digraph, *plainGraph) {
	g, p := newDigraph(n), &plainGraph{group: make([]int32, n)}
	for i := range p.group {
		p.group[i] = int32(i)
	}
	for range edges {
		u, v := int32(rng.IntN(n)), int32(rng.IntN(n))
		if u > v {
			u, v = v, u
		}
		if u != v {
			p.edges = append(p.edges, [2]int32{u, v})
		}
	}
	half := len(p.edges) / 2
	g.addEdges(p.edges[:half])
	for _, e := range p.edges[half:] {
		g.addEdge(e[0], e[1])
	}
	return g, p
}

func requireTopological(t *testing.T, g *digraph, p *plainGraph) {
	t.Helper()
	for _, e := range p.edges {
		u, v := g.find(e[0]), g.find(e[1])
		require.True(t, u == v || g.before(u, v), "edge %d -> %d runs against the order", e[0], e[1])
	}
}

func TestMergeIsAllowedExactlyIfAcyclic(t *testing.T) {
	allowed, refused := 0, 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 2 + rng.IntN(14)
		g, p := randomDigraph(rng, n, rng.IntN(3*n))
		for range 4 * n {
			u, v := g.find(int32(rng.IntN(n))), g.find(int32(rng.IntN(n)))
			if u == v {
				continue
			}
			want := p.acyclicWith(p.group[u], p.group[v])
			root, why, via := g.merge(u, v, 1<<30)
			require.Equal(t, want, why == fits, "seed %d: %d and %d: %d", seed, u, v, why)
			if !want {
				refused++
				require.Equal(t, cycle, why)
				require.NotEqual(t, u, g.find(via))
				require.NotEqual(t, v, g.find(via))
				continue
			}
			allowed++
			gu, gv := p.group[u], p.group[v]
			for i, x := range p.group {
				if x == gv {
					p.group[i] = gu
				}
			}
			require.Equal(t, root, g.find(u))
			require.Equal(t, root, g.find(v))
			requireTopological(t, g, p)
		}
	}
	assert.Greater(t, allowed, 1000)
	assert.Greater(t, refused, 1000)
}

func TestBudgetRefusesAndChangesNothing(t *testing.T) {
	g := newDigraph(100)
	for i := range int32(99) {
		g.addEdge(i, i+1)
	}
	g.addEdge(0, 99)
	_, why, _ := g.merge(0, 99, 10)
	assert.Equal(t, searchBudget, why)
	_, why, _ = g.merge(0, 99, 1000)
	assert.Equal(t, cycle, why)
	assert.True(t, g.before(0, 99))
}

func TestOrderListSurvivesMovesToOnePlace(t *testing.T) {
	const n = 3000
	l := newOrderList(n)
	want := make([]int32, 0, n) // behind 0, last moved first
	for i := int32(n - 1); i > 0; i-- {
		l.moveAfter(i, 0)
		want = append(want, i)
	}
	at := l.next[0]
	for i := len(want) - 1; i >= 0; i-- {
		require.Equal(t, want[i], at)
		require.Positive(t, l.compare(at, l.prev[at]))
		at = l.next[at]
	}
	require.Equal(t, l.end, at)
	for i := range int32(n - 1) {
		l.moveBefore(i+1, l.next[l.end])
		require.Negative(t, l.compare(i+1, l.next[i+1]))
	}
}

func TestManyMergesKeepTheOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n = 3000
	g, p := randomDigraph(rng, n, 3*n)
	merged := 0
	for range 4 * n {
		e := p.edges[rng.IntN(len(p.edges))]
		if u, v := g.find(e[0]), g.find(e[1]); u != v {
			if _, why, _ := g.merge(u, v, 1000); why == fits {
				merged++
			}
		}
	}
	requireTopological(t, g, p)
	assert.Greater(t, merged, n/10)
}
