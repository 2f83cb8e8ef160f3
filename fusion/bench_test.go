package fusion

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// benchPartition partitions functions of growing size; ns per op of the input
// must stay flat.
func benchPartition(b *testing.B, function func(ops int) *ir.Func) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("ops=%d", n), func(b *testing.B) {
			f := function(n)
			b.ReportAllocs()
			for b.Loop() {
				_, err := Partition(f, native, Options{})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(f.Values)), "ns/irop")
		})
	}
}

// BenchmarkPartition partitions random functions whose operands come from
// anywhere above.
func BenchmarkPartition(b *testing.B) {
	benchPartition(b, func(n int) *ir.Func { return randomFunc(b, rand.New(rand.NewPCG(1, 1)), n, 0, true) })
}

// BenchmarkPartitionLocal partitions random functions whose operands come from
// the last 50 values, as in a network.
func BenchmarkPartitionLocal(b *testing.B) {
	benchPartition(b, func(n int) *ir.Func { return randomFunc(b, rand.New(rand.NewPCG(1, 1)), n, 50, true) })
}

// BenchmarkPartitionHub partitions a function in which one expensive value has
// all others as readers, through chains that would close cycles.
func BenchmarkPartitionHub(b *testing.B) {
	benchPartition(b, func(n int) *ir.Func { return hub(b, n) })
}

// hub has links exp -> dot -> neg -> add whose add reads the hub again.
func hub(t testing.TB, n int) *ir.Func {
	t.Helper()
	f := ir.NewFunc("hub", nil)
	b := ir.NewBuilder(f)
	at := b.Unary(ir.OpExp, f.AddParam("x", ir.TConst(tensor.F32, 8, 8), nil))
	center, cheap := at, b.Unary(ir.OpNeg, at)
	for len(f.Values) < n {
		y := b.Unary(ir.OpNeg, b.Add(at, cheap))
		y = b.Emit(ir.OpDotGeneral, []*ir.Value{y, center}, ir.Attr{Name: "lhs_contract", Value: []int64{1}}, ir.Attr{Name: "rhs_contract", Value: []int64{0}})
		at = b.Add(b.Unary(ir.OpNeg, y), center)
	}
	require.NoError(t, b.Err())
	f.Results = []*ir.Value{at}
	return f
}

// BenchmarkKeyOf computes the key of a layer normalisation.
func BenchmarkKeyOf(b *testing.B) {
	r := partition(b, primitive(b, parse(b, layerNorm), nil), native, Options{})
	body := r.F.Values[0].Bodies[0]
	b.ReportAllocs()
	for b.Loop() {
		KeyOf(body, "target")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(body.Values)), "ns/irop")
}

const layerNorm = `func @f(%x: f32[B,S,64], %g: f32[64], %h: f32[64]) -> f32[B,S,64]
    where B in [1, 64], S % 8 == 0 {
  %y = layer_norm(%x, %g, %h)
  return %y
}
`
