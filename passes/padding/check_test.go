package padding

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func parse(t testing.TB, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, ir.Verify(f, ir.Surface))
	return f
}

// garbage is a tensor of what padding may hold: what spoils most folds.
func garbage(rng *rand.Rand, dt tensor.DType, shape []int) *tensor.Tensor {
	n, err := tensor.CheckedElements(shape)
	if err != nil {
		panic(err)
	}
	if dt.IsFloat() {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = []float64{math.NaN(), math.NaN(), math.Inf(1), math.Inf(-1), 300, -300}[rng.IntN(6)]
		}
		return tensor.FromFloats(dt, shape, xs)
	}
	xs := make([]int64, n)
	for i := range xs {
		xs[i] = []int64{math.MinInt64, math.MaxInt64, -1, 77, 1 << 6, 1 << 31}[rng.IntN(6)]
		if dt == tensor.Bool {
			xs[i] = rng.Int64N(2)
		}
	}
	return tensor.FromInts(dt, shape, xs)
}

// leading is the view of t that starts at 0 and has a smaller shape.
func leading(t testing.TB, x *tensor.Tensor, shape []int) *tensor.Tensor {
	t.Helper()
	view, err := x.View(x.Strides(), x.Offset(), shape)
	require.NoError(t, err)
	return view
}

// padded are args in leading parts of tensors of the parameters' sizes, in the midst
// of garbage, and the true size.
func padded(t testing.TB, rng *rand.Rand, p *Padded, args []*tensor.Tensor, sizes map[string]int64, valid int64) []*tensor.Tensor {
	t.Helper()
	out := make([]*tensor.Tensor, 0, len(args)+1)
	for i, a := range args {
		shape, err := ir.EvalShape(p.F.Params[i].Type.Shape, sizes)
		require.NoError(t, err)
		for at, n := range a.Shape() {
			listed := slices.ContainsFunc(p.Params[i], func(x Axis) bool { return x.Axis == at })
			require.True(t, listed || n == shape[at], "parameter %d, axis %d grows and is not listed", i, at)
		}
		x := garbage(rng, a.DType(), shape)
		if a.NumElements() > 0 {
			require.NoError(t, leading(t, x, a.Shape()).CopyFrom(a))
		}
		out = append(out, x)
	}
	return append(out, tensor.Scalar(valid))
}

// requireKept compares f on args with the kept part of p on the same, padded to to.
// Sizes at which f itself fails say nothing; then it gives false.
func requireKept(t testing.TB, rng *rand.Rand, f *ir.Func, p *Padded, args []*tensor.Tensor,
	sizes map[string]int64, sym string, to int64, tol tensor.Tolerance) bool {
	t.Helper()
	want, err := ir.Eval(f, args, sizes)
	if err != nil {
		return false
	}
	n, at := sizes[sym], withSize(t, f, sizes, sym, to)
	got, err := ir.Eval(p.F, padded(t, rng, p, args, at, n), at)
	require.NoError(t, err, "%s = %d, padded to %d\n%s\n%s", sym, n, to, f, p.F)
	for i := range want {
		shape := slices.Clone(got[i].Shape())
		for _, a := range p.Results[i] {
			size, err := a.Size.Eval(sizes)
			require.NoError(t, err)
			shape[a.Axis] = int(size)
		}
		require.Equal(t, want[i].Shape(), shape, "result %d", i)
		if want[i].NumElements() == 0 {
			continue
		}
		kept := leading(t, got[i], shape).Clone()
		require.NoError(t, tensor.Check(kept, want[i], tol), "result %d, %v, %s padded to %d\n%s\n%s", i, sizes, sym, to, f, p.F)
	}
	return true
}

// withSize is sizes with another value of a symbol, and of those that it defines.
func withSize(t testing.TB, f *ir.Func, sizes map[string]int64, sym string, n int64) map[string]int64 {
	t.Helper()
	out := maps.Clone(sizes)
	out[sym] = n
	for s := range out {
		if e := f.Facts.Simplify(dim.Sym(s)); !e.Equal(dim.Sym(s)) {
			v, err := e.Eval(out)
			require.NoError(t, err)
			out[s] = v
		}
	}
	return out
}

// requireSound checks p for some sizes that the facts of f allow.
func requireSound(t testing.TB, f *ir.Func, p *Padded, sym string, tol tensor.Tolerance) {
	t.Helper()
	require.NoError(t, ir.Verify(p.F, ir.Surface), "%s", p.F)
	rng, compared := rand.New(rand.NewPCG(5, 6)), 0
	for range 40 {
		sizes := irgen.Sizes(rng, f)
		sizes = withSize(t, f, sizes, sym, sizes[sym])
		larger := irgen.Sizes(rng, f)[sym]
		at := withSize(t, f, sizes, sym, larger)
		if larger < sizes[sym] || f.Facts.Check(sizes) != nil || f.Facts.Check(at) != nil {
			continue
		}
		args := make([]*tensor.Tensor, len(f.Params))
		for i, a := range irgen.Args(rng, f, sizes) {
			args[i] = tame(t, rng, a)
		}
		if requireKept(t, rng, f, p, args, sizes, sym, larger, tol) {
			compared++
		}
	}
	require.Greater(t, compared, 5, "hardly any sizes satisfy the facts")
}

// tame is a tensor of x's type with elements between -2 and 3.
func tame(t testing.TB, rng *rand.Rand, x *tensor.Tensor) *tensor.Tensor {
	kind := "uniform"
	if !x.DType().IsFloat() {
		kind = "ints"
	}
	out, err := tensor.Generate(tensor.Rule{Kind: kind, Seed: rng.Uint64(), Lo: -2, Hi: 3}, x.DType(), x.Shape())
	if err != nil { // unsigned and bool
		out, err = tensor.Generate(tensor.Rule{Kind: kind, Seed: rng.Uint64(), Lo: 0, Hi: 2}, x.DType(), x.Shape())
	}
	require.NoError(t, err)
	return out
}
