package runtime

import (
	"fmt"
	"math/rand/v2"
	goruntime "runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// use takes and gives back n bytes.
func (a *arenas) use(n int) {
	at := homeStripe()
	a.give(a.lends(n, &at), at)
}

// lends is take of the host's memory, which is never refused.
func (a *arenas) lends(n int, stripe *uint32) *slab {
	b, err := a.take(n, stripe)
	if err != nil {
		panic(err)
	}
	return b
}

func (a *arenas) bytesHeld() int64 { s := a.stats(); return s.Lent + s.Idle }

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
		a.use(256 << 20)
	}
	assert.Equal(t, ArenaStats{Idle: 256 << 20, Peak: 256 << 20, Blocks: 1, Made: 1}, a.stats())
	a.use(0)
	assert.EqualValues(t, 1, a.stats().Blocks)
}

// A decoder's memory grows with every token: it holds the largest size, never the
// sum of sizes.
func TestAGrowingRunHoldsItsLargestSize(t *testing.T) {
	var a arenas
	for n := 1 << 10; n < 40<<20; n += n / 5 {
		a.use(n)
		require.EqualValues(t, sizeClass(n), a.bytesHeld())
		require.EqualValues(t, 1, a.stats().Blocks)
	}
	assert.Equal(t, a.bytesHeld(), a.stats().Peak, "an old block goes before a new one comes")
}

func TestRecordingsOfGrowingSizesShareABlock(t *testing.T) {
	b := newBuilder(t, "N")
	p := b.link(b.one(addByte(1), b.one(addByte(1), b.param(dim.Sym("N")))))
	for n := int64(2000); n < 1<<20; n += n / 4 {
		r := record(t, p, map[string]int64{"N": n})
		mustRun(t, r, tensor.New(tensor.U8, int(n)))
		require.EqualValues(t, sizeClass(r.Arena), p.memory.bytesHeld())
	}
	assert.EqualValues(t, 1, p.memory.stats().Blocks)
}

func TestVaryingSizesShareABlock(t *testing.T) {
	var a arenas
	rng := rand.New(rand.NewPCG(1, 1))
	most := 1
	for i := range 4000 {
		n := 1 + rng.IntN(1<<(10+i%14))
		most = max(most, n)
		at := homeStripe()
		b := a.lends(n, &at)
		require.GreaterOrEqual(t, len(b.bytes), n)
		require.Zero(t, address(b.bytes)%64)
		require.EqualValues(t, len(b.bytes), a.stats().Lent)
		a.give(b, at)
		s := a.stats()
		require.Equal(t, []int64{0, int64(sizeClass(most)), 1}, []int64{s.Lent, s.Idle, s.Blocks})
	}
	assert.Less(t, a.stats().Made, int64(60))
}

func TestThereIsABlockPerRunAtTheSameTime(t *testing.T) {
	var a arenas
	const callers = 32
	rng := rand.New(rand.NewPCG(2, 3))
	for round := range 50 {
		blocks, at := make([]*slab, callers), make([]uint32, callers)
		largest := 1 << (8 + round%12)
		for i := range blocks {
			at[i] = uint32(rng.IntN(int(stripes))) // as if the callers moved between processors
			blocks[i] = a.lends(1+rng.IntN(largest), &at[i])
		}
		require.EqualValues(t, callers, a.stats().Blocks)
		require.Zero(t, a.stats().Idle)
		rng.Shuffle(callers, func(i, k int) { blocks[i], blocks[k] = blocks[k], blocks[i] })
		for i, b := range blocks {
			a.give(b, at[i])
		}
		require.Zero(t, a.stats().Lent)
	}
	assert.LessOrEqual(t, a.stats().Peak, int64(callers*sizeClass(1<<19)))
}

func TestTheSmallestBlockThatFitsIsLent(t *testing.T) {
	var a arenas
	sizes := []int{8 << 20, 1 << 20, 4 << 20, 64 << 10}
	blocks, at := map[int]*slab{}, make([]uint32, len(sizes))
	for i, n := range sizes {
		at[i] = uint32(i) & (stripes - 1)
		blocks[n] = a.lends(n, &at[i])
	}
	for i, n := range sizes {
		a.give(blocks[n], at[i])
	}
	for _, n := range []int{2 << 20, 60 << 10, 1 << 20, 100} {
		var home uint32
		for home = range stripes { // from a stripe that has none, so that all are looked at
			if len(a.stripes[home].idle) == 0 {
				break
			}
		}
		b := a.lends(n, &home)
		want := map[int]int{2 << 20: 4 << 20, 60 << 10: 64 << 10, 1 << 20: 1 << 20, 100: 8 << 20}[n]
		assert.Same(t, blocks[want], b, "%d bytes", n)
	}
	assert.EqualValues(t, 4, a.stats().Made)
}

func TestALargeBlockFades(t *testing.T) {
	var a arenas
	a.use(1 << 30)
	assert.EqualValues(t, 1<<30, a.stats().Idle, "kept for the next run")
	for range 2*epoch + 1 {
		a.use(1 << 20)
	}
	assert.EqualValues(t, 1<<20, a.stats().Idle)
	assert.EqualValues(t, 1<<30, a.stats().Peak)
}

func TestBlocksOfABurstFade(t *testing.T) {
	var a arenas
	const n, burst = 16 << 20, 16
	for range 2 {
		var lent []*slab
		at := make([]uint32, burst)
		for i := range burst {
			at[i] = uint32(i) & (stripes - 1)
			lent = append(lent, a.lends(n, &at[i]))
		}
		for i, b := range lent {
			a.give(b, at[i])
		}
		require.EqualValues(t, burst*n, a.stats().Idle)
		require.EqualValues(t, burst, a.stats().Blocks)
	}
	require.EqualValues(t, burst, a.stats().Made, "the second burst finds them")
	at := homeStripe()
	for range (burst + 3) * epoch {
		a.give(a.lends(n, &at), at)
	}
	assert.LessOrEqual(t, a.stats().Idle, int64(floor))
}

func TestLentBlocksAreApart(t *testing.T) {
	var a arenas
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(id), 9))
			for range 1200 {
				at := uint32(rng.IntN(int(stripes)))
				n := 1 + rng.IntN(9_000)
				b := a.lends(n, &at)
				for i := range b.bytes {
					b.bytes[i] = byte(id)
				}
				goruntime.Gosched()
				for _, x := range b.bytes {
					if x != byte(id) {
						t.Error("another run wrote here")
						return
					}
				}
				a.give(b, at)
			}
		}()
	}
	wg.Wait()
	s := a.stats()
	assert.Zero(t, s.Lent)
	assert.LessOrEqual(t, s.Blocks, int64(8))
	assert.LessOrEqual(t, s.Idle, int64(8*sizeClass(9000)))
}

func TestArenasOfTheProcess(t *testing.T) {
	b := newBuilder(t)
	p := b.link(b.one(addByte(1), b.one(addByte(1), b.param(dim.Const(2<<20)))))
	p.memory = &sharedArenas
	r := record(t, p, nil)
	before := Arenas()
	mustRun(t, r, tensor.Fill(tensor.U8, []int{2 << 20}, 1))
	after := Arenas()
	assert.GreaterOrEqual(t, after.Peak, int64(2<<20))
	assert.GreaterOrEqual(t, after.Made, before.Made)
	assert.GreaterOrEqual(t, after.Lent+after.Idle, int64(2<<20))
}

// BenchmarkArenas takes and gives a block, on that many goroutines per processor.
func BenchmarkArenas(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			var a arenas
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				at := homeStripe()
				for pb.Next() {
					a.give(a.lends(100_000, &at), at)
				}
			})
		})
	}
	b.Run("serial", func(b *testing.B) {
		var a arenas
		at := homeStripe()
		for b.Loop() {
			a.give(a.lends(100_000, &at), at)
		}
	})
}

// tight is a device's memory of so many bytes.
type tight struct{ free, freed int }

func (s *tight) Alloc(n int) ([]byte, error) {
	if n > s.free {
		return nil, fmt.Errorf("%d are free", s.free)
	}
	s.free -= n
	return make([]byte, n), nil
}

func (s *tight) Free(mem []byte) {
	s.free += len(mem)
	s.freed++
}

func TestMemoryThatIsRefused(t *testing.T) {
	s := &tight{free: 100_000}
	a := arenas{source: s}
	at := homeStripe()
	b, err := a.take(99_900, &at)
	require.NoError(t, err, "its size class is larger than the device")
	assert.Len(t, b.bytes, 99_900)
	assert.EqualValues(t, 99_900, a.stats().Lent)
	_, err = a.take(5000, &at)
	assert.EqualError(t, err, "100 are free")
	assert.Equal(t, ArenaStats{Lent: 99_900, Blocks: 1, Made: 1}, func() ArenaStats { s := a.stats(); s.Peak = 0; return s }())
	a.give(b, at)
	c, err := a.take(90_000, &at)
	require.NoError(t, err)
	assert.Same(t, b, c)
	a.give(c, at)
	assert.True(t, a.trim())
	assert.False(t, a.trim())
	assert.Equal(t, tight{100_000, 1}, *s)
	assert.Zero(t, a.bytesHeld())
}
