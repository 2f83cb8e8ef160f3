package trace_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"jitc/ir/tensor"
	"jitc/trace"
)

// Traces on several goroutines do not see one another; tensors outside of traces
// and settings are shared by all.
func TestConcurrentTraces(t *testing.T) {
	shared := trace.Iota(tensor.F32, 0, 4) // made when someone first asks
	v := trace.NewVar("v", 0)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 20 {
				assert.Equal(t, []float32{0, 1, 2, 3}, tensor.Data[float32](shared.Host()))
				at := 0
				r, err := trace.Record(symbolic(), func(x []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
					at = v.Get()
					y := trace.Ones(tensor.F32, 4).Mul(at).Add(shared) // no operand is traced, and yet it is staged
					assert.True(t, y.Traced())
					assert.Equal(t, at, v.Get(), "one trace sees one value")
					return []*trace.Tensor{x[0].Add(y)}, nil
				})
				if assert.NoError(t, err) {
					assert.Len(t, r.Vars, 1)
					assert.Equal(t, int64(at), int64(r.Vars[0].Value.Bits))
				}
				v.Set(g*100 + i)
			}
		}()
	}
	wg.Wait()
	assert.False(t, shared.Add(1).Traced())
}
