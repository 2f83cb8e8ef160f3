package runtime

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSizeClassesGrowByAnEighth(t *testing.T) {
	for n := 1; n < 1<<20; n += 1 + n/100 {
		c := sizeClass(n)
		require.GreaterOrEqual(t, c, n)
		require.Zero(t, c%64)
		require.LessOrEqual(t, c, max(4096, n+n/8))
		require.Equal(t, c, sizeClass(c))
	}
}

func TestASteadyRunReusesItsBlock(t *testing.T) {
	var a arenas
	for range 3 * epoch {
		b := a.take(300 << 20)
		a.give(b, 300<<20)
	}
	assert.EqualValues(t, 1, a.stats().Blocks)
	assert.EqualValues(t, 300<<20, a.stats().Peak)
	assert.Nil(t, a.take(0))
	a.give(nil, 0)
	assert.Zero(t, a.stats().Lent)
}

func TestVaryingSizesDoNotAccumulate(t *testing.T) {
	var a arenas
	rng := rand.New(rand.NewPCG(1, 1))
	most := 0
	for i := range 4000 {
		n := 1 + rng.IntN(1<<(10+i%14))
		if i < 64 {
			n = i << 16 // rising: every one is too large for the last block
		}
		most = max(most, n)
		b := a.take(n)
		require.GreaterOrEqual(t, len(b), n)
		if n > 0 {
			require.Zero(t, address(b)%64)
		}
		a.give(b, n)
		s := a.stats()
		require.Zero(t, s.Lent)
		require.LessOrEqual(t, s.Idle, int64(most+most/4+floor))
		require.EqualValues(t, most, s.Peak)
	}
	assert.Less(t, a.stats().Blocks, int64(120), "most runs find a block")
}

func TestIdleMemoryFollowsRecentDemand(t *testing.T) {
	var a arenas
	use := func(n int) { a.give(a.take(n), n) }
	use(1 << 30)
	assert.EqualValues(t, 1<<30, a.stats().Idle, "kept for the next run")
	for range 2*epoch + 1 {
		use(1 << 20)
	}
	assert.LessOrEqual(t, a.stats().Idle, int64(floor+2<<20), "the large block fades")
}

func TestASmallRunLeavesLargeBlocksToLargeRuns(t *testing.T) {
	var a arenas
	large := a.take(256 << 20)
	a.give(large, 256<<20)
	small := a.take(1 << 20)
	assert.NotEqual(t, address(large), address(small))
	again := a.take(256 << 20)
	assert.Equal(t, address(large), address(again))
	assert.EqualValues(t, 2, a.stats().Blocks)
	a.give(small, 1<<20)
	a.give(again, 256<<20)
}

func TestLentBlocksAreApart(t *testing.T) {
	var a arenas
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(id), 9))
			for range 200 {
				n := 1 + rng.IntN(20_000)
				b := a.take(n)
				for i := range b {
					b[i] = byte(id)
				}
				for _, x := range b {
					if x != byte(id) {
						t.Error("another run wrote here")
						return
					}
				}
				a.give(b, n)
			}
		}()
	}
	wg.Wait()
	assert.Zero(t, a.stats().Lent)
	assert.Zero(t, a.demand)
}
