package guard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// network is entries of a function of 300 tensors, as the parameters of a model:
// they differ in the type or a size of one to three tensors.
func network(entries int) (sets []*Set, calls []*call.Call) {
	for e := range entries {
		c := &call.Call{}
		for i := range 300 {
			shape := [][]int{{64, 64}, {64}, {64, 256}, {256, 64}}[i%4]
			shape = append([]int(nil), shape...)
			dt := tensor.F32
			switch {
			case i == 17 && e%2 == 1:
				dt = tensor.F16
			case i == 0:
				shape[0] = 1 + e/2
			case i == 150 && e >= 4:
				shape[0] = 7
			}
			c.Tensors = append(c.Tensors, tensor.New(dt, shape...))
		}
		var guards []Guard
		for i, t := range c.Tensors {
			guards = append(guards, isOf(i, t.DType(), int64(t.Rank()))...)
			guards = append(guards, sized(i, 0, int64(t.Shape()[0])))
		}
		sets, calls = append(sets, NewSet(guards, nil)), append(calls, c)
	}
	return sets, calls
}

func BenchmarkCheck900Guards(b *testing.B) {
	sets, calls := network(1)
	require.Equal(b, -1, sets[0].Check(calls[0]))
	b.ReportAllocs()
	for b.Loop() {
		sets[0].Check(calls[0])
	}
}

func BenchmarkTreeSelect8x300(b *testing.B) {
	sets, calls := network(8)
	tree := NewTree(sets)
	for i, c := range calls {
		require.Equal(b, i, tree.Select(c))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tree.Select(calls[i%8])
	}
}

func BenchmarkTreeMiss8x300(b *testing.B) {
	sets, calls := network(9)
	tree := NewTree(sets[:8])
	require.Equal(b, -1, tree.Select(calls[8]))
	b.ReportAllocs()
	for b.Loop() {
		tree.Select(calls[8])
	}
}

func BenchmarkNewTree8x300(b *testing.B) {
	sets, _ := network(8)
	b.ReportAllocs()
	for b.Loop() {
		NewTree(sets)
	}
}

func BenchmarkDifferSelect8x300(b *testing.B) {
	sets, calls := network(8)
	d := differOf(sets, calls)
	for i, c := range calls {
		require.Equal(b, i, d.Select(c))
	}
	b.ReportMetric(float64(len(d.Guards())), "guards")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Select(calls[i%8])
	}
}

func differOf(sets []*Set, calls []*call.Call) *Differ {
	var admitted []Admitted
	for i, c := range calls {
		admitted = append(admitted, Admitted{c.Remember(), i})
	}
	return Differentiate(sets, admitted)
}

func BenchmarkDifferentiate8x300(b *testing.B) {
	sets, calls := network(8)
	for b.Loop() {
		differOf(sets, calls)
	}
}

func BenchmarkCondition(b *testing.B) {
	g := about(0, 0, dim.Divisible(dim.Sym("B"), 8))
	s := NewSet([]Guard{g}, nil)
	c := of(vector(64))
	require.Equal(b, -1, s.Check(c))
	b.ReportAllocs()
	for b.Loop() {
		s.Check(c)
	}
}
