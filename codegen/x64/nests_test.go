//go:build unix && amd64

package x64

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
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
	count := s.To(codegen.Cast, tensor.F32, s.Size(tensor.I32, c))
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
		for _, s := range rowSizes {
			_ = name
			checkTarget(t, name, c, map[string]int64{"N": s[0], "C": s[1]}, 1<<40, 1e-5)
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

var memoryTypes = []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.U8, tensor.Bool}

// TestTranspose reads along a stride, then writes along one.
func TestTranspose(t *testing.T) {
	n, c := sym("N"), sym("C")
	for _, dt := range memoryTypes {
		for _, gather := range []bool{true, false} {
			b := codegen.NewKernel("transpose_" + dt.String())
			x := b.Buffer(codegen.Input, "x", dt, n.Mul(c))
			y := b.Buffer(codegen.Output, "y", dt, n.Mul(c))
			s := b.Nest(axes("ij", n, c), 2)
			s.Once()
			from, to := codegen.AtExpr(x, con(0), con(1), n), rowMajor(y, c)
			if !gather {
				from, to = rowMajor(x, c), codegen.AtExpr(y, con(0), con(1), n)
			}
			s.Store(to, s.Load(from))
			checkRows(t, build(t, b), 0)
		}
	}
}

// TestBackwards reverses rows: stride -1.
func TestBackwards(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("reverse")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	y := b.Buffer(codegen.Output, "y", tensor.F32, n.Mul(c))
	s := b.Nest(axes("ij", n, c), 2)
	s.Once()
	s.Store(rowMajor(y, c), s.Load(codegen.AtExpr(x, c.Sub(con(1)), c, con(-1))))
	checkRows(t, build(t, b), 0)
}

// TestPad reads where two masks hold, in all element types.
func TestPad(t *testing.T) {
	h, w := sym("H"), sym("W")
	oh, ow := h.Add(con(3)), w.Add(con(5))
	for _, dt := range memoryTypes {
		b := codegen.NewKernel("pad_" + dt.String())
		x := b.Buffer(codegen.Input, "x", dt, h.Mul(w))
		y := b.Buffer(codegen.Output, "y", dt, oh.Mul(ow))
		s := b.Nest(axes("ij", oh, ow), 2)
		s.Once()
		a := codegen.AtExpr(x, w.Neg().Sub(con(2)), w, con(1))
		a.Masks = []codegen.Mask{
			{Offset: con(-1), Coef: []dim.Expr{con(1), con(0)}, Limit: h, Stride: w},
			{Offset: con(-2), Coef: []dim.Expr{con(0), con(1)}, Limit: w, Stride: con(1)},
		}
		s.Store(codegen.AtExpr(y, con(0), ow, con(1)), s.Load(a))
		k := build(t, b)
		for _, size := range [][2]int64{{3, 4}, {2, 40}, {0, 3}, {3, 0}, {5, 13}} {
			check(t, k, map[string]int64{"H": size[0], "W": size[1]}, 5, 0, Options{})
		}
	}
}

// TestSliceUpdate stores where a mask holds.
func TestSliceUpdate(t *testing.T) {
	h, w := sym("H"), sym("W")
	for _, dt := range memoryTypes {
		b := codegen.NewKernel("crop_" + dt.String())
		x := b.Buffer(codegen.Input, "x", dt, h.Mul(w))
		y := b.Buffer(codegen.Output, "y", dt, h.Mul(w))
		s := b.Nest(axes("ij", h, w), 2)
		s.Once()
		a := codegen.AtExpr(y, con(-3), w, con(1))
		a.Masks = []codegen.Mask{{Offset: con(-3), Coef: []dim.Expr{con(0), con(1)}, Limit: w, Stride: con(1)}}
		s.Store(a, s.Load(rowMajor(x, w)))
		k := build(t, b)
		for _, size := range [][2]int64{{3, 4}, {2, 40}, {5, 21}} {
			check(t, k, map[string]int64{"H": size[0], "W": size[1]}, 5, 0, Options{})
		}
	}
}

// TestGatherRows looks rows up by an index that lanes share; TestGatherLanes by
// one that differs per lane.
func TestGatherRows(t *testing.T) {
	v, d, n := sym("V"), sym("D"), sym("N")
	for _, it := range []tensor.DType{tensor.I32, tensor.I64} {
		for _, dt := range memoryTypes {
			b := codegen.NewKernel("rows")
			x := b.Buffer(codegen.Input, "x", dt, v.Mul(d))
			idx := b.Buffer(codegen.Input, "idx", it, n)
			y := b.Buffer(codegen.Output, "y", dt, n.Mul(d))
			s := b.Nest(axes("ij", n, d), 2)
			s.Once()
			a := codegen.AtExpr(x, con(0), con(0), con(1))
			a.Dyn = []codegen.Dyn{{Val: s.Load(codegen.At(idx, 1)), Limit: v, Stride: d}}
			s.Store(codegen.AtExpr(y, con(0), d, con(1)), s.Load(a))
			k := build(t, b)
			for _, size := range []int64{1, 5, 16, 50} {
				check(t, k, map[string]int64{"V": 7, "D": size, "N": 4}, 6, 0, Options{})
			}
		}
	}
}

func TestGatherLanes(t *testing.T) {
	v, n := sym("V"), sym("N")
	for _, it := range []tensor.DType{tensor.I32, tensor.I64} {
		for _, dt := range memoryTypes {
			b := codegen.NewKernel("lanes_" + it.String() + "_" + dt.String())
			x := b.Buffer(codegen.Input, "x", dt, v.Mul(con(3)).Mul(n))
			i0 := b.Buffer(codegen.Input, "i0", it, n)
			i1 := b.Buffer(codegen.Input, "i1", tensor.I8, n)
			p := b.Buffer(codegen.Input, "p", tensor.Bool, n)
			y := b.Buffer(codegen.Output, "y", dt, n.Mul(con(3)))
			z := b.Buffer(codegen.Output, "z", dt, v.Mul(n))
			s := b.Nest(axes("i", n), 1)
			s.Once()
			a := codegen.AtExpr(x, con(0), con(1))
			a.Dyn = []codegen.Dyn{{Val: s.Load(codegen.At(i0, 1)), Limit: v, Stride: n.Mul(con(3))}, {Val: s.Load(codegen.At(i1, 1)), Limit: con(3), Stride: n}}
			pred := s.Load(codegen.At(p, 1))
			s.Store(codegen.At(y, 3), s.LoadIf(a, pred))
			to := codegen.AtExpr(z, con(0), con(1))
			to.Dyn = []codegen.Dyn{{Val: s.Load(codegen.At(i0, 1)), Limit: v, Stride: n}}
			s.StoreIf(to, s.LoadIf(a, pred), pred)
			k := build(t, b)
			for _, size := range []int64{1, 5, 16, 50} {
				check(t, k, map[string]int64{"V": 7, "N": size}, 6, 0, Options{})
			}
		}
	}
}

// TestWindow has two serial inner axes under an outer vector axis, with stride 2
// and masks.
func TestWindow(t *testing.T) {
	h, w := sym("H"), sym("W")
	half := func(e dim.Expr) dim.Expr { return e.Sub(con(1)).FloorDiv(con(2)).Add(con(1)) }
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.F16} {
		b := codegen.NewKernel("maxpool")
		x := b.Buffer(codegen.Input, "x", dt, h.Mul(w))
		y := b.Buffer(codegen.Output, "y", dt, half(h).Mul(half(w)))
		s := b.Nest(axes("ijpq", half(h), half(w), con(3), con(3)), 2).Vec(1)
		a := codegen.AtExpr(x, w.Neg().Sub(con(1)), w.Mul(con(2)), con(2), w, con(1))
		a.Masks = []codegen.Mask{
			{Offset: con(-1), Coef: []dim.Expr{con(2), con(0), con(1), con(0)}, Limit: h, Stride: w},
			{Offset: con(-1), Coef: []dim.Expr{con(0), con(2), con(0), con(1)}, Limit: w, Stride: con(1)},
		}
		s.Loop()
		top := s.Reduce(codegen.Max, s.Load(a))
		s.Once()
		s.Store(codegen.AtExpr(y, con(0), half(w), con(1)), top)
		k := build(t, b)
		for _, size := range [][2]int64{{5, 7}, {4, 65}, {1, 1}} {
			check(t, k, map[string]int64{"H": size[0], "W": size[1]}, 8, 0, Options{})
		}
	}
}

// TestScalarNest has no vector axis: rank 0, and a serial reduction.
func TestScalarNest(t *testing.T) {
	b := codegen.NewKernel("scalar")
	x := b.Buffer(codegen.Input, "x", tensor.F32, con(1))
	y := b.Buffer(codegen.Output, "y", tensor.F64, con(1))
	s := b.Nest(nil, 0).Vec(-1)
	s.Once()
	s.Store(codegen.At(y), s.To(codegen.Cast, tensor.F64, s.Op(codegen.Neg, s.Load(codegen.At(x)))))
	check(t, build(t, b), nil, 1, 0, Options{})

	b = codegen.NewKernel("serial")
	x = b.Buffer(codegen.Input, "x", tensor.I32, sym("N"))
	y = b.Buffer(codegen.Output, "y", tensor.I32, con(1))
	s = b.Nest(axes("i", sym("N")), 0).Vec(-1)
	s.Loop()
	v := s.Load(codegen.At(x, 1))
	r := s.Reduce(codegen.Add, s.Op(codegen.Mul, v, s.Index(tensor.I32, 0)))
	s.Once()
	s.Store(codegen.At(y, 0), r)
	check(t, build(t, b), map[string]int64{"N": 29}, 1, 0, Options{})
}

// TestManyPointers has more streams than pointer registers, in four loops.
func TestManyPointers(t *testing.T) {
	const count = 14
	b := codegen.NewKernel("many")
	ext := []dim.Expr{sym("A"), sym("B"), sym("C"), sym("D")}
	a, bb, c, d := ext[0], ext[1], ext[2], ext[3]
	strides := func(p int) codegen.Access { // rotate which axes are contiguous
		s := []dim.Expr{bb.Mul(c).Mul(d), c.Mul(d), d, con(1)}
		if p%2 == 1 {
			s = []dim.Expr{d, a.Mul(d), a.Mul(bb).Mul(d), con(1)}
		}
		return codegen.AtExpr(p, con(0), s...)
	}
	for range count {
		b.Buffer(codegen.Input, "x", tensor.I32, a.Mul(bb).Mul(c).Mul(d))
	}
	y := b.Buffer(codegen.Output, "y", tensor.I32, a.Mul(bb).Mul(c).Mul(d))
	s := b.Nest(axes("abcd", ext...), 4)
	s.Once()
	v := s.Load(strides(0))
	for p := 1; p < count; p++ {
		v = s.Op(codegen.Add, s.Op(codegen.Mul, v, s.ConstI(tensor.I32, 3)), s.Load(strides(p)))
	}
	s.Store(codegen.AtExpr(y, con(0), bb.Mul(c).Mul(d), c.Mul(d), d, con(1)), v)
	k := build(t, b)
	check(t, k, map[string]int64{"A": 2, "B": 3, "C": 4, "D": 19}, 2, 0, Options{})
}

// TestNonTemporal stores past the caches where it is aligned.
func TestNonTemporal(t *testing.T) {
	k := pointwise(t, "double", []tensor.DType{tensor.F32}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		return n.Op(codegen.Add, a[0], a[0])
	})
	for _, n := range []int64{1, 64, 100, 1000, 1024} {
		check(t, k, map[string]int64{"N": n}, 1, 0, Options{NonTemporal: []bool{false, true}})
	}
}
