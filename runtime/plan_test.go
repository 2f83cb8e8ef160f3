package runtime

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lifetimePatterns draw n blocks as programs have them.
var lifetimePatterns = []struct {
	name  string
	ratio float64 // the plan's size over the lower bound, at most; over all seeds
	life  func(rng *rand.Rand, i, n int) (first, last int)
}{
	{"chain", 1.15, func(rng *rand.Rand, i, n int) (int, int) { return i, i + 1 }},
	{"skip", 1.15, func(rng *rand.Rand, i, n int) (int, int) { return i, i + 1 + rng.IntN(8)*rng.IntN(2) }},
	{"gradient", 1.15, func(rng *rand.Rand, i, n int) (int, int) {
		if i%2 == 0 { // kept from the forward to the backward step
			return i, 2*n - i
		}
		return i, i + 1
	}},
	{"any", 1.25, func(rng *rand.Rand, i, n int) (int, int) {
		a, b := rng.IntN(n), rng.IntN(n)
		return min(a, b), max(a, b)
	}},
	{"one step", 1, func(rng *rand.Rand, i, n int) (int, int) { return 7, 7 }},
}

func randomBlocks(rng *rand.Rand, n int, life func(rng *rand.Rand, i, n int) (int, int)) []block {
	blocks := make([]block, n)
	for i := range blocks {
		size := 1 + rng.IntN(1<<rng.IntN(16))
		if rng.IntN(2) == 0 {
			size = 4096 * (1 + rng.IntN(3)) // layers repeat sizes
		}
		first, last := life(rng, i, n)
		blocks[i] = block{bytes: alignUp(size), first: first, last: last}
	}
	return blocks
}

// checkPlan compares every pair.
func checkPlan(t *testing.T, blocks []block, total int) {
	t.Helper()
	top := 0
	for i, a := range blocks {
		require.Zero(t, a.offset%align)
		require.GreaterOrEqual(t, a.offset, 0)
		top = max(top, a.offset+a.bytes)
		for _, b := range blocks[:i] {
			apart := a.last < b.first || b.last < a.first || a.offset+a.bytes <= b.offset || b.offset+b.bytes <= a.offset
			if !apart {
				require.Fail(t, "overlap", "%+v and %+v", a, b)
			}
		}
	}
	require.Equal(t, top, total)
	require.GreaterOrEqual(t, total, peakLive(blocks))
}

func TestPlansKeepLiveBlocksApart(t *testing.T) {
	for _, p := range lifetimePatterns {
		t.Run(p.name, func(t *testing.T) {
			need, got := 0, 0
			for seed := range uint64(60) {
				rng := rand.New(rand.NewPCG(seed, 1))
				blocks := randomBlocks(rng, 1+rng.IntN(200), p.life)
				for _, plan := range []func([]block) int{place, placeBySize, placeByTime} {
					checkPlan(t, blocks, plan(blocks))
				}
				need += peakLive(blocks)
				got += place(blocks)
			}
			ratio := float64(got) / float64(need)
			t.Logf("planned / lower bound = %.3f", ratio)
			assert.LessOrEqual(t, ratio, p.ratio)
		})
	}
}

func TestPeakLiveIsTheMostBytesAtOneStep(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		blocks := randomBlocks(rng, 1+rng.IntN(40), lifetimePatterns[3].life)
		want := 0
		for step := range 40 {
			live := 0
			for _, b := range blocks {
				if b.first <= step && step <= b.last {
					live += b.bytes
				}
			}
			want = max(want, live)
		}
		require.Equal(t, want, peakLive(blocks))
	}
}

func TestEqualBlocksGiveAnEqualPlan(t *testing.T) {
	blocks := make([]block, 100)
	for i := range blocks {
		blocks[i] = block{bytes: align * (1 + i%2), first: i / 4, last: i/4 + 2}
	}
	first := slices.Clone(blocks)
	place(first)
	for range 5 {
		again := slices.Clone(blocks)
		place(again)
		require.Equal(t, first, again)
	}
}

func TestLifetimesFindWhatLivesBeside(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		blocks := randomBlocks(rng, 1+rng.IntN(60), lifetimePatterns[3].life)
		l := newLifetimes(blocks)
		var members []int
		for i := range blocks {
			var want []int
			for _, m := range members {
				if blocks[m].first <= blocks[i].last && blocks[i].first <= blocks[m].last {
					want = append(want, m)
				}
			}
			require.ElementsMatch(t, want, l.beside(&blocks[i], nil))
			if rng.IntN(2) == 0 {
				l.add(i)
				members = append(members, i)
			}
		}
	}
}

// TestPlanningScales is not a benchmark: a quadratic plan of these takes minutes.
func TestPlanningScales(t *testing.T) {
	n := 100_000
	if raceEnabled {
		n = 10_000
	}
	for _, p := range lifetimePatterns {
		rng := rand.New(rand.NewPCG(5, 5))
		blocks := randomBlocks(rng, n, p.life)
		start := time.Now()
		total := place(blocks)
		took := time.Since(start)
		t.Logf("%-9s %8v  planned / lower bound = %.3f", p.name, took.Round(time.Millisecond), float64(total)/float64(peakLive(blocks)))
		assert.Less(t, took, 10*time.Second)
	}
	assert.Zero(t, place(nil))
}

// TestGapsAreWhatIsFree compares with a map of every unit of memory.
func TestGapsAreWhatIsFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	g := gaps{starts: map[int]int{}, ends: map[int]int{}}
	taken := make([]bool, 4000)
	var live []gap
	for range 3000 {
		if n := 1 + rng.IntN(9); len(live) < 100 && rng.IntN(2) == 0 {
			at := g.take(n)
			live = append(live, gap{n, at})
			for i := at; i < at+n; i++ {
				require.False(t, taken[i])
				taken[i] = true
			}
		} else if len(live) > 0 {
			i := rng.IntN(len(live))
			g.give(live[i].start, live[i].size)
			for k := range live[i].size {
				taken[live[i].start+k] = false
			}
			live = slices.Delete(live, i, i+1)
		}
		var want []gap
		end := 0
		for i, is := range taken {
			if is && i > end {
				want = append(want, gap{i - end, end})
			}
			if is {
				end = i + 1
			}
		}
		require.Equal(t, end, g.top)
		require.ElementsMatch(t, want, g.bySize)
		require.True(t, slices.IsSortedFunc(g.bySize, compareGaps))
	}
}
