//go:build unix && amd64

package x64

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func build(t testing.TB, b *codegen.KernelBuilder) *codegen.Kernel {
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func axes(names string, extents ...dim.Expr) []codegen.Axis {
	var out []codegen.Axis
	for i, e := range extents {
		out = append(out, codegen.Axis{Name: names[i : i+1], Extent: e})
	}
	return out
}

func rowMajor(buf int, c dim.Expr) codegen.Access { return codegen.AtExpr(buf, con(0), c, con(1)) }

func softmax(t testing.TB, dt tensor.DType) *codegen.Kernel {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("softmax")
	x := b.Buffer(codegen.Input, "x", dt, n.Mul(c))
	y := b.Buffer(codegen.Output, "y", dt, n.Mul(c))
	ct := codegen.ComputeType(dt)
	row := b.Buffer(codegen.Row, "row", ct, c)
	s := b.Nest(axes("ij", n, c), 1)
	clean := func(v codegen.Val) codegen.Val { // the test's inputs hold infinities and NaN
		return s.Op(codegen.Select, s.Op(codegen.Lt, s.Op(codegen.Abs, v), s.ConstF(ct, 50)), v, s.ConstF(ct, 1))
	}
	s.Loop()
	top := s.Reduce(codegen.Max, clean(s.Load(rowMajor(x, c))))
	s.Loop()
	e := s.Op(codegen.Exp, s.Op(codegen.Sub, clean(s.Load(rowMajor(x, c))), top))
	s.Store(codegen.At(row, 0, 1), e)
	total := s.Reduce(codegen.Add, e)
	s.Once()
	scale := s.Op(codegen.Div, s.ConstF(ct, 1), total)
	s.Loop()
	s.Store(rowMajor(y, c), s.Op(codegen.Mul, s.Load(codegen.At(row, 0, 1)), scale))
	return build(t, b)
}

func layerNorm(t testing.TB) *codegen.Kernel {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("layernorm")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	g := b.Buffer(codegen.Input, "g", tensor.F32, c)
	h := b.Buffer(codegen.Input, "h", tensor.F32, c)
	y := b.Buffer(codegen.Output, "y", tensor.F32, n.Mul(c))
	s := b.Nest(axes("ij", n, c), 1)
	s.Loop()
	sum := s.Reduce(codegen.Add, s.Load(rowMajor(x, c)))
	s.Once()
	count := s.To(codegen.Cast, tensor.F32, s.Size(tensor.I64, c)) // I64, which must not halve the lanes
	mean := s.Op(codegen.Div, sum, count)
	s.Loop()
	d := s.Op(codegen.Sub, s.Load(rowMajor(x, c)), mean)
	sq := s.Reduce(codegen.Add, s.Op(codegen.Mul, d, d))
	s.Once()
	root := s.Op(codegen.Sqrt, s.Op(codegen.Add, s.Op(codegen.Div, sq, count), s.ConstF32(1e-5)))
	inv := s.Op(codegen.Div, s.ConstF32(1), root)
	s.Loop()
	d = s.Op(codegen.Sub, s.Load(rowMajor(x, c)), mean)
	s.Store(rowMajor(y, c), s.Op(codegen.FMA, s.Op(codegen.Mul, d, inv), s.Load(codegen.At(g, 0, 1)), s.Load(codegen.At(h, 0, 1))))
	return build(t, b)
}

var rowSizes = [][2]int64{{0, 3}, {3, 0}, {1, 1}, {3, 5}, {2, 16}, {5, 17}, {4, 33}, {2, 64}, {3, 129}, {2, 300}}

func checkRows(t *testing.T, k *codegen.Kernel, tol float64) {
	t.Helper()
	for _, s := range rowSizes {
		check(t, k, map[string]int64{"N": s[0], "C": s[1]}, uint64(s[1]), tol, Options{})
	}
}

func TestSoftmax(t *testing.T) {
	checkRows(t, softmax(t, tensor.F32), 1e-6)
	checkRows(t, softmax(t, tensor.BF16), 1e-2)
	checkRows(t, softmax(t, tensor.F64), 1e-13)
}

func TestLayerNorm(t *testing.T) {
	for name, f := range targets(t) {
		c := compileKernel(t, layerNorm(t), f, Options{})
		require.Equal(t, map[bool]int{true: 16, false: 8}[f.AVX512], c.codes[0].Stats.Lanes)
		for _, s := range rowSizes {
			checkTarget(t, name, c, map[string]int64{"N": s[0], "C": s[1]}, elements.Moderate, 1e-5)
		}
	}
}

// TestReductions folds rows and columns with every operator and type; integers
// and lattices agree bit for bit.
func TestReductions(t *testing.T) {
	n, c := sym("N"), sym("C")
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.U32, tensor.U64, tensor.Bool, tensor.I8, tensor.BF16} {
		for _, op := range []codegen.Code{codegen.Add, codegen.Mul, codegen.Max, codegen.Min, codegen.And, codegen.Or} {
			ct := codegen.ComputeType(dt)
			if ct.IsFloat() && op >= codegen.And || ct == tensor.Bool && op < codegen.And || ct.IsFloat() && op <= codegen.Mul {
				continue
			}
			for _, outer := range []bool{false, true} {
				b := codegen.NewKernel("fold_" + op.String() + "_" + dt.String())
				x := b.Buffer(codegen.Input, "x", dt, n.Mul(c))
				y := b.Buffer(codegen.Output, "y", ct, n)
				s := b.Nest(axes("ij", n, c), 1)
				a := rowMajor(x, c)
				if outer { // neighbouring outer points in the lanes
					s.Vec(0)
					a = codegen.AtExpr(x, con(0), con(1), n)
				}
				s.Loop()
				r := s.Reduce(op, s.Load(a))
				s.Once()
				s.Store(codegen.At(y, 1), r)
				checkRows(t, build(t, b), 0)
			}
		}
	}
}

func TestSums(t *testing.T) {
	n, c := sym("N"), sym("C")
	for _, dt := range []tensor.DType{tensor.F16, tensor.F32, tensor.F64} {
		b := codegen.NewKernel("sums")
		x := b.Buffer(codegen.Input, "x", dt, n.Mul(c))
		y := b.Buffer(codegen.Output, "y", codegen.ComputeType(dt), n)
		z := b.Buffer(codegen.Output, "z", codegen.ComputeType(dt), n)
		s := b.Nest(axes("ij", n, c), 1)
		s.Loop()
		v := s.Load(rowMajor(x, c))
		v = s.Op(codegen.Select, s.Op(codegen.Lt, s.Op(codegen.Abs, v), s.ConstF(s.TypeOf(v), 100)), v, s.ConstF(s.TypeOf(v), 0.5))
		square := s.Op(codegen.Mul, v, v)
		sum := s.Reduce(codegen.Add, v)
		sq := s.Reduce(codegen.Add, square)
		s.Once()
		s.Store(codegen.At(y, 1), sum)
		s.Store(codegen.At(z, 1), sq)
		checkRows(t, build(t, b), 1e-5)
	}
}

// TestReductionOrder: a sum has the same bits however many copies of the body are
// interleaved and however the rows are split.
func TestReductionOrder(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("sum")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	y := b.Buffer(codegen.Output, "y", tensor.F32, n)
	s := b.Nest(axes("ij", n, c), 1)
	s.Loop()
	sum := s.Reduce(codegen.Add, s.Load(rowMajor(x, c)))
	s.Once()
	s.Store(codegen.At(y, 1), sum)
	k := build(t, b)
	for _, f := range targets(t) {
		var want []byte
		for _, unroll := range []int{0, 1, 2, 4} {
			code := compileKernel(t, k, f, Options{Unroll: unroll})
			bound, err := codegen.Bind(code.k, map[string]int64{"N": 5, "C": 1037})
			require.NoError(t, err)
			for _, points := range []int64{0, 1, 3000} {
				bufs := [][]byte{elements.Random(tensor.F32, 5*1037, elements.Moderate), make([]byte, 20)}
				code.run(bound, bufs, points)
				if want == nil {
					want = bufs[1]
				}
				require.Equal(t, want, bufs[1], "unroll %d, chunks of %d", unroll, points)
			}
		}
	}
}

func TestArgMax(t *testing.T) {
	n, c := sym("N"), sym("C")
	for _, it := range []tensor.DType{tensor.I32, tensor.I64} {
		b := codegen.NewKernel("argmax")
		x := b.Buffer(codegen.Input, "x", tensor.I8, n.Mul(c))
		y := b.Buffer(codegen.Output, "y", it, n)
		s := b.Nest(axes("ij", n, c), 1)
		s.Loop()
		top := s.Reduce(codegen.Max, s.Load(rowMajor(x, c)))
		s.Loop()
		hit := s.Op(codegen.Eq, s.Load(rowMajor(x, c)), top)
		best := s.Reduce(codegen.Min, s.Op(codegen.Select, hit, s.Index(it, 1), s.ConstI(it, math.MaxInt32)))
		s.Once()
		s.Store(codegen.At(y, 1), best)
		checkRows(t, build(t, b), 0)
	}
}

// TestFewOpmasks: reductions that note NaN leave opmasks for what needs most of
// them, a selection among masks and a masked store of 8-bit floats at a tail.
func TestFewOpmasks(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("opmasks")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	y := b.Buffer(codegen.Output, "y", tensor.F8E5M2, n.Mul(c))
	z := b.Buffer(codegen.Output, "z", tensor.F32, n)
	s := b.Nest(axes("ij", n, c), 1)
	s.Loop()
	v := s.Load(rowMajor(x, c))
	below := func(limit float32) codegen.Val { return s.Op(codegen.Lt, v, s.ConstF32(limit)) }
	one := s.Op(codegen.Select, below(0), below(-2), below(2))
	two := s.Op(codegen.Select, below(1), one, below(3))
	s.Store(rowMajor(y, c), s.ConstF32(0))
	s.StoreIf(rowMajor(y, c), v, s.Op(codegen.Select, two, one, below(-1)))
	tops := []codegen.Val{v, s.Op(codegen.Neg, v), s.Op(codegen.Add, v, v), s.Op(codegen.Select, two, v, s.ConstF32(1))}
	for i := range tops {
		tops[i] = s.Reduce(codegen.Max, tops[i])
	}
	s.Once()
	s.Store(codegen.At(z, 1), s.Op(codegen.Add, s.Op(codegen.Add, tops[0], tops[1]), s.Op(codegen.Add, tops[2], tops[3])))
	checkRows(t, build(t, b), 0)
}
