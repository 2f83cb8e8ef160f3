package runtime

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCountersAreExact(t *testing.T) {
	var c Counter
	assert.Zero(t, c.Load())
	c.Inc()
	c.Add(maxStripes+1, 41)
	assert.EqualValues(t, 42, c.Load(), "any stripe is right")
	assert.Nil(t, c.cells.Load(), "one goroutine needs one word")
	c.spread() // as if two had met
	var wg sync.WaitGroup
	for id := range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 1000 {
				c.Add(uint32(id), 2)
				c.Inc()
			}
		}()
	}
	wg.Wait()
	assert.EqualValues(t, 42+32*3000, c.Load())
	c.Add(0, -c.Load())
	assert.Zero(t, c.Load())
}

func TestACounterThatManyMeetSpreadsOnce(t *testing.T) {
	for range 50 {
		var c Counter
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				c.spread()
				c.Inc()
			}()
		}
		wg.Wait()
		assert.EqualValues(t, 8, c.Load())
	}
}

func TestStripes(t *testing.T) {
	for procs, want := range map[int]uint32{1: 2, 2: 4, 3: 8, 16: 32, 17: 64, 500: maxStripes} {
		assert.Equal(t, want, stripeCount(procs), "%d processors", procs)
	}
	var mu sync.Mutex
	seen := map[uint32]int{}
	var wg sync.WaitGroup
	hold := make(chan struct{})
	for range 256 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := stackStripe()
			<-hold // all stacks exist at once
			mu.Lock()
			seen[s]++
			mu.Unlock()
			assert.Less(t, homeStripe(), stripes)
		}()
	}
	close(hold)
	wg.Wait()
	assert.Len(t, seen, int(stripes), "goroutines spread over the stripes: %v", seen)
	for s := range seen {
		assert.Less(t, s, stripes)
	}
}

// BenchmarkCounter adds on that many goroutines per processor, beside one word.
func BenchmarkCounter(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("striped/%d", callers), func(b *testing.B) {
			var c Counter
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Inc()
				}
			})
		})
		b.Run(fmt.Sprintf("word/%d", callers), func(b *testing.B) {
			var c atomic.Int64
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Add(1)
				}
			})
		})
	}
	b.Run("serial", func(b *testing.B) {
		var c Counter
		for b.Loop() {
			c.Inc()
		}
	})
}
