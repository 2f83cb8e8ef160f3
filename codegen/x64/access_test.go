//go:build unix && amd64

package x64

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/kernels"
	"jitc/executors/native/exec"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

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

// TestTiles transposes in tiles: enough of both axes, in permutations of three
// axes, beside other accesses.
func TestTiles(t *testing.T) {
	e := []dim.Expr{sym("A"), sym("B"), sym("C")}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.I32, tensor.BF16, tensor.F16, tensor.I8, tensor.F8E5M2} {
		for _, perm := range [][3]int{{0, 2, 1}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}} {
			b := codegen.NewKernel(fmt.Sprintf("permute_%s_%v", dt, perm))
			size := e[0].Mul(e[1]).Mul(e[2])
			x := b.Buffer(codegen.Input, "x", dt, size)
			w := b.Buffer(codegen.Input, "w", dt, size)
			v := b.Buffer(codegen.Input, "v", dt, e[1])
			y := b.Buffer(codegen.Output, "y", dt, size)
			s := b.Nest(axes("abc", e...), 3)
			s.Once()
			st := make([]dim.Expr, 3)
			stride := con(1)
			for _, a := range []int{perm[2], perm[1], perm[0]} {
				st[a] = stride
				stride = stride.Mul(e[a])
			}
			to := codegen.AtExpr(y, con(0), e[1].Mul(e[2]), e[2], con(1))
			here := codegen.AtExpr(w, con(0), e[1].Mul(e[2]), e[2], con(1))
			sum := s.Op(codegen.Add, s.Load(codegen.AtExpr(x, con(0), st...)), s.Load(here))
			s.Store(to, s.Op(codegen.Sub, sum, s.Load(codegen.At(v, 0, 1))))
			k := build(t, b)
			for _, n := range [][3]int64{{3, 40, 37}, {33, 2, 16}, {16, 17, 5}, {1, 16, 16}} {
				check(t, k, map[string]int64{"A": n[0], "B": n[1], "C": n[2]}, 4, 0, Options{})
			}
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
	k := kernels.Pointwise(t, "double", []tensor.DType{tensor.F32}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		return n.Op(codegen.Add, a[0], a[0])
	})
	for _, n := range []int64{1, 64, 100, 1000, 1024} {
		check(t, k, map[string]int64{"N": n}, 1, 0, Options{NonTemporal: []bool{false, true}})
	}
}

// TestEpilogue runs the epilogue of a product on tiles with rows of their own
// stride: with a bias of the columns, and with an addend that lies transposed,
// which is read in square tiles of its own.
func TestEpilogue(t *testing.T) {
	testEpilogue(t, 7, 0, 1, codegen.Box{Lo: []int64{2, 5}, Hi: []int64{6, 5 + 21}})
	testEpilogue(t, 40, 1, 40, codegen.Box{Lo: []int64{2, 5}, Hi: []int64{38, 5 + 42}})
}

func testEpilogue(t *testing.T, m int, row, col int64, box codegen.Box) {
	const n, stride = 50, 48
	b := codegen.NewKernel("epilogue")
	x := b.Buffer(codegen.Input, "a", tensor.F32, con(int64(m)*3))
	w := b.Buffer(codegen.Input, "b", tensor.F32, con(3*n))
	biases := make([]float32, row*int64(m-1)+col*(n-1)+1)
	bias := b.Buffer(codegen.Input, "bias", tensor.F32, con(int64(len(biases))))
	y := b.Buffer(codegen.Output, "y", tensor.F32, con(int64(m)*n))
	tile := b.Buffer(codegen.Tile, "tile", tensor.F32, con(int64(m)*n))
	g := &codegen.Gemm{M: con(int64(m)), N: con(n), K: con(3), DType: tensor.F32, Tile: tile,
		A: codegen.Operand{Buf: x, Row: con(3), Col: con(1)}, B: codegen.Operand{Buf: w, Row: con(n), Col: con(1)}}
	s := b.EpilogueNest(g)
	s.Once()
	s.Store(codegen.At(y, n, 1), s.Op(codegen.Add, s.Load(codegen.At(tile, n, 1)), s.Load(codegen.At(bias, row, col))))
	b.Gemm(g)
	k := build(t, b)
	for _, f := range targets(t) {
		legal, err := codegen.Legalize(k, Target(f, false))
		require.NoError(t, err)
		bound, err := codegen.Bind(legal, nil)
		require.NoError(t, err)
		e := bound.Steps[0].Gemm.Epilogue
		code, err := Compile(legal, e.Nest, f, Options{})
		require.NoError(t, err)
		run, err := exec.Load(code.Bytes)
		require.NoError(t, err)
		out, tiles := make([]float32, m*n), make([]float32, m*stride)
		for i := range biases {
			biases[i] = float32(i)
		}
		for i := range tiles {
			tiles[i] = float32(i * 100)
		}
		bases := make([]uintptr, len(k.Bufs))
		bases[bias], bases[y] = uintptr(unsafe.Pointer(&biases[0])), uintptr(unsafe.Pointer(&out[0]))
		args := newArgs(code)
		code.Fill(args, e, bases)
		code.SetTile(args, stride)
		code.PlaceTile(args, box, uintptr(unsafe.Pointer(&tiles[0])))
		run.Call(args)
		run.Free()
		for i := range m {
			for j := range n {
				want := float32(0)
				if lo, hi := box.Lo, box.Hi; i >= int(lo[0]) && i < int(hi[0]) && j >= int(lo[1]) && j < int(hi[1]) {
					want = tiles[(i-int(lo[0]))*stride+j-int(lo[1])] + biases[i*int(row)+j*int(col)]
				}
				require.Equal(t, want, out[i*n+j], "%d,%d", i, j)
			}
		}
	}
}
