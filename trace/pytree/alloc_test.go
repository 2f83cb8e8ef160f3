package pytree_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/trace/pytree"
)

// block is a transformer block of 16 tensors.
type block struct {
	Norm1, Q, K, V, O, BQ, BK, BV, BO *tensor
	Norm2, Up, Down, Gate, B1, B2, B3 *tensor
}

type network struct {
	Blocks [12]block
	Rate   float64
}

func blocks(n int) []block {
	out := make([]block, n)
	for i := range out {
		for j, p := range pointers(16) {
			unsafe.Slice((**tensor)(unsafe.Pointer(&out[i])), 16)[j] = (*tensor)(p)
		}
	}
	return out
}

// typed is a call as a typed wrapper makes it: the value is a parameter, and must
// stay on the stack.
func typed[T any](p *pytree.Plan, s *pytree.Sink, v T) error {
	s.Reset()
	return p.Flatten(unsafe.Pointer(&v), s)
}

func allocates[T any](t *testing.T, v T) {
	t.Helper()
	p, s := planOf[T](t), new(pytree.Sink)
	require.NoError(t, typed(p, s, v))
	tensors := pointers(len(s.Tensors))
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		if err := typed(p, s, v); err != nil {
			panic(err)
		}
	}), "flatten %T", v)
	if testing.Short() || raceEnabled {
		return // the race detector drops pooled items at random
	}
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		if !p.Assign(unsafe.Pointer(&v), tensors) {
			panic("assign")
		}
	}), "assign %T", v)
}

func TestFlattenAndAssignAllocateNothing(t *testing.T) {
	params := map[string]*tensor{}
	groups := map[string][]*tensor{}
	for i := range 20 {
		params[fmt.Sprint("w", i)] = named("w")
		groups[fmt.Sprint("g", i)] = []*tensor{named("g")}
	}
	allocates(t, named("x"))
	allocates(t, [3]*tensor{})
	allocates(t, network{})
	allocates(t, blocks(12))
	allocates(t, params)
	allocates(t, groups)
	allocates(t, map[int32]layer{1000000: {}, -5: {}})
	allocates(t, map[string]map[string]*tensor{"a": params, "b": {"x": nil}})
	allocates(t, []map[string]*tensor{params, {"other": nil}, {}})
	allocates(t, *randomValue(11))
	allocates(t, struct {
		Text string
		N    size
		R    float
		Next *layer
	}{"adam", size{n: 3}, 0.5, &layer{}})
}

func TestRebuildOfFixedTypesAllocatesNothing(t *testing.T) {
	type result struct {
		Loss  *tensor
		Parts [3]*tensor
		Step  int
	}
	p, tensors := planOf[result](t), pointers(4)
	template := result{Step: 3}
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		var out result
		if p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), tensors) != nil || out.Step != 3 {
			panic("rebuild")
		}
	}))
}

func benchmarkFlatten[T any](b *testing.B, v T) {
	p, s := planOf[T](b), new(pytree.Sink)
	b.ReportAllocs()
	for b.Loop() {
		s.Reset()
		if err := p.Flatten(unsafe.Pointer(&v), s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFlatten(b *testing.B) {
	type mixed struct {
		W, B *tensor
		Rate float64
		On   bool
		Next *layer
	}
	params := map[string]*tensor{}
	for i := range 192 {
		params[fmt.Sprint("model.layers.", i/16, ".w", i%16)] = named("w")
	}
	b.Run("tensor", func(b *testing.B) { benchmarkFlatten(b, named("x")) })
	b.Run("struct-12x16", func(b *testing.B) { benchmarkFlatten(b, network{}) })
	b.Run("slice-12x16", func(b *testing.B) { benchmarkFlatten(b, blocks(12)) })
	b.Run("pointers-12x16", func(b *testing.B) {
		var ps []*block
		for _, bl := range blocks(12) {
			ps = append(ps, &bl)
		}
		benchmarkFlatten(b, ps)
	})
	b.Run("mixed-12", func(b *testing.B) { benchmarkFlatten(b, make([]mixed, 12)) })
	b.Run("map-192", func(b *testing.B) { benchmarkFlatten(b, params) })
	b.Run("map-12x16", func(b *testing.B) {
		m := map[string]block{}
		for i, bl := range blocks(12) {
			m[fmt.Sprint("layer", i)] = bl
		}
		benchmarkFlatten(b, m)
	})
}

func BenchmarkRebuild(b *testing.B) {
	type result struct {
		Loss *tensor
		Step int
	}
	p, tensors, template := planOf[result](b), pointers(1), result{Step: 3}
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out result
			if p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), tensors) != nil {
				b.Fatal("rebuild")
			}
		}
	})
}
