package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// bySize is a cache of recordings of x+1, by the size of x.
func bySize(t *testing.T, size int, builds func(n int)) *Cache {
	b := newBuilder(t, "N")
	p := b.link(b.one(addByte(1), b.one(addByte(0), b.param(dim.Sym("N")))))
	return NewCache(size, func(_ context.Context, args []*tensor.Tensor) (*Recording, error) {
		if args[0] == nil {
			return nil, errors.New("no tensor")
		}
		n := args[0].NumElements()
		builds(n)
		return p.Record(map[string]int64{"N": int64(n)}, 1)
	})
}

func zeros(n int) []*tensor.Tensor { return []*tensor.Tensor{tensor.New(tensor.U8, n)} }

func lookup(t *testing.T, c *Cache, args []*tensor.Tensor) *Entry {
	e, err := c.Lookup(context.Background(), args)
	require.NoError(t, err)
	return e
}

func TestSignaturesAreExact(t *testing.T) {
	shapes := []*tensor.Tensor{nil, tensor.New(tensor.U8), tensor.New(tensor.U8, 0), tensor.New(tensor.U8, 1), tensor.New(tensor.I8, 1),
		tensor.New(tensor.U8, 1, 1), tensor.New(tensor.U8, 0, 300), tensor.New(tensor.U8, 0, 44, 2), tensor.New(tensor.U16, 2, 1)}
	var lists [][]*tensor.Tensor
	for _, a := range shapes {
		lists = append(lists, []*tensor.Tensor{a})
		for _, b := range shapes {
			lists = append(lists, []*tensor.Tensor{a, b}, []*tensor.Tensor{a, b, b})
		}
	}
	lists = append(lists, nil)
	seen := map[Signature]int{}
	for i, args := range lists {
		before, twice := seen[SignatureOf(args)]
		require.False(t, twice, "lists %d and %d", before, i)
		seen[SignatureOf(args)] = i
	}
	for _, have := range lists {
		if nils(have) {
			continue
		}
		for _, args := range lists {
			assert.Equal(t, SignatureOf(have) == SignatureOf(args), fit(argTypes(have), args))
		}
	}
	assert.Equal(t, "u8[0,300], i8[1], u8[]", typesText(argTypes([]*tensor.Tensor{shapes[6], shapes[4], shapes[1]})))
}

func nils(args []*tensor.Tensor) bool {
	for _, a := range args {
		if a == nil {
			return true
		}
	}
	return false
}

func TestEachSignatureIsBuiltOnce(t *testing.T) {
	const goroutines, sizes, calls = 32, 40, 300
	var built [sizes]atomic.Int64
	c := bySize(t, sizes, func(n int) { built[n].Add(1); time.Sleep(50 * time.Microsecond) })
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range calls {
				n := rng.IntN(sizes)
				for range 1 + rng.IntN(3)*rng.IntN(2) {
					e, err := c.Lookup(context.Background(), zeros(n))
					assert.NoError(t, err)
					assert.EqualValues(t, n, e.Recording.Sizes["N"])
				}
			}
		}()
	}
	wg.Wait()
	perEntry, s := int64(0), c.Stats()
	for n := range built {
		assert.EqualValues(t, 1, built[n].Load(), "size %d", n)
	}
	for _, e := range s.Entries {
		perEntry += e.Hits
	}
	assert.EqualValues(t, sizes, s.Misses)
	assert.Equal(t, s.Hits, perEntry)
	assert.Len(t, s.Entries, sizes)
	assert.GreaterOrEqual(t, s.Compile, sizes*50*time.Microsecond)
}

func TestEveryLookupCountsOnceUnderEviction(t *testing.T) {
	const goroutines, calls = 16, 400
	var builds atomic.Int64
	c := bySize(t, 3, func(int) { builds.Add(1) })
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			for range calls {
				n := rng.IntN(8)
				args := zeros(n)
				e, err := c.Lookup(context.Background(), args)
				assert.NoError(t, err)
				results := e.Recording.Results() // an evicted entry runs on
				assert.NoError(t, e.Recording.Run(args, results, serial{}))
				assert.NoError(t, tensor.Check(results[0], tensor.Fill(tensor.U8, []int{n}, 1), tensor.Exact))
			}
		}()
	}
	wg.Wait()
	s := c.Stats()
	assert.EqualValues(t, goroutines*calls, s.Hits+s.Misses)
	assert.Equal(t, builds.Load(), s.Misses)
	assert.Equal(t, s.Misses, s.Evicted+int64(len(s.Entries)))
	assert.Positive(t, s.Evicted)
	if e := c.lastHit.Load(); e != nil {
		assert.False(t, e.evicted.Load())
	}
}

func TestRecencyCountsTheShortcut(t *testing.T) {
	var built []int
	c := bySize(t, 2, func(n int) { built = append(built, n) })
	for _, n := range []int{1, 2, 1, 1, 1, 3, 1, 2} { // 3 evicts 2, 2 evicts 3
		lookup(t, c, zeros(n))
	}
	assert.Equal(t, []int{1, 2, 3, 2}, built)
	s := c.Stats()
	require.Len(t, s.Entries, 2)
	assert.Equal(t, []string{"u8[1]", "u8[2]"}, []string{s.Entries[0].Signature, s.Entries[1].Signature})
	assert.Equal(t, []int64{4, 4, 2, 0}, []int64{s.Hits, s.Misses, s.Evicted, s.Failed}, "the hits of 2 survive it")
	assert.EqualValues(t, 4, s.Entries[0].Hits)
	assert.Zero(t, s.Entries[1].Hits)
	for _, e := range s.Entries {
		assert.WithinDuration(t, time.Now(), e.LastUse, time.Minute)
		assert.Positive(t, e.Compile)
		assert.Equal(t, 64, e.Arena)
	}
	assert.False(t, s.Entries[0].LastUse.After(s.Entries[1].LastUse))
	text, err := json.Marshal(s.Entries[0])
	require.NoError(t, err)
	assert.Contains(t, string(text), `"signature":"u8[1]","sizes":{"N":1},"hits":4,`)
}

func TestAnEvictedEntryIsForgotten(t *testing.T) {
	c := bySize(t, 1, func(int) {})
	old := func() weak.Pointer[Entry] {
		e := lookup(t, c, zeros(1))
		lookup(t, c, zeros(2))
		c.remember(e) // as a lookup does that ends after the eviction
		assert.NotSame(t, e, c.lastHit.Load())
		return weak.Make(e)
	}()
	goruntime.GC()
	assert.Nil(t, old.Value())
	assert.Equal(t, "u8[2]", c.Stats().Entries[0].Signature)
}

func TestASteadyLookupAllocatesNothing(t *testing.T) {
	c := bySize(t, 4, func(int) {})
	many := make([]*tensor.Tensor, 300)
	for i := range many {
		many[i] = tensor.New(tensor.F32, 4, 5, 6)
	}
	one, two := zeros(1), append(zeros(2), many...)
	for _, list := range [][][]*tensor.Tensor{{two}, {one, two}} {
		at := 0
		assertNoAllocs(t, func() {
			at++
			if _, err := c.Lookup(context.Background(), list[at%len(list)]); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAFailedBuildIsNotKept(t *testing.T) {
	c := bySize(t, 4, func(n int) {
		if n == 13 {
			panic("unlucky")
		}
	})
	for range 3 {
		_, err := c.Lookup(context.Background(), []*tensor.Tensor{nil})
		assert.ErrorContains(t, err, "no tensor")
		assert.PanicsWithValue(t, "unlucky", func() { _, _ = c.Lookup(context.Background(), zeros(13)) })
	}
	lookup(t, c, zeros(1))
	s := c.Stats()
	assert.Equal(t, []int64{0, 7, 6, 0}, []int64{s.Hits, s.Misses, s.Failed, s.Evicted})
	assert.Len(t, s.Entries, 1)
}

func BenchmarkLookup(b *testing.B) {
	args := make([]*tensor.Tensor, 300)
	for i := range args {
		args[i] = tensor.New(tensor.F32, 4, 5)
	}
	c := NewCache(4, func(context.Context, []*tensor.Tensor) (*Recording, error) { return &Recording{}, nil })
	for _, n := range []int{1, 3, 300} {
		b.Run(map[int]string{1: "1", 3: "3", 300: "300"}[n], func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Lookup(context.Background(), args[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
