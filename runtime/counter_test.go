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
	c.Add(homeStripe(), 1)
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
				c.Add(homeStripe(), 1)
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
				c.Add(homeStripe(), 1)
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
	for range 4 * stripes {
		assert.Less(t, homeStripe(), stripes)
	}
}

// BenchmarkCounter adds on that many goroutines per processor, beside one word.
func BenchmarkCounter(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("striped/%d", callers), func(b *testing.B) {
			var c Counter
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				stripe := homeStripe()
				for pb.Next() {
					c.Add(stripe, 1)
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
			c.Add(0, 1)
		}
	})
}
