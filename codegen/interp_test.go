package codegen

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func sym(name string) dim.Expr { return dim.Sym(name) }

func con(n int64) dim.Expr { return dim.Const(n) }

// memOf is the memory of a slice, for a buffer.
func memOf[T any](s []T) []byte {
	if len(s) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0]))
}

func floats(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// interpret verifies, binds and runs a kernel on buffers, which leave out
// trailing row and tile buffers.
func interpret(t *testing.T, k *Kernel, sizes map[string]int64, bufs ...[]byte) {
	t.Helper()
	require.NoError(t, Verify(k), k.String())
	b, err := Bind(k, sizes)
	require.NoError(t, err, k.String())
	all := make([][]byte, len(k.Bufs))
	copy(all, bufs)
	require.NoError(t, Interpret(b, all), k.String())
}

func softmaxKernel(t *testing.T) *Kernel {
	n, c := sym("N"), sym("C")
	b := NewKernel("softmax")
	x := b.Buffer(Input, "x", tensor.F32, n.Mul(c))
	y := b.Buffer(Output, "y", tensor.F32, n.Mul(c))
	row := b.Buffer(Row, "row", tensor.F32, c)
	s := b.Nest([]Axis{{"i", n}, {"j", c}}, 1)
	at := func(buf int) Access { return AtExpr(buf, con(0), c, con(1)) }
	s.Loop()
	top := s.Reduce(Max, s.Load(at(x)))
	s.Loop()
	e := s.Op(Exp, s.Op(Sub, s.Load(at(x)), top))
	s.Store(At(row, 0, 1), e)
	total := s.Reduce(Add, e)
	s.Once()
	scale := s.Op(Div, s.ConstF32(1), total)
	s.Loop()
	s.Store(at(y), s.Op(Mul, s.Load(At(row, 0, 1)), scale))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestSoftmax(t *testing.T) {
	k := softmaxKernel(t)
	for _, size := range [][2]int{{3, 7}, {2, 128}, {5, 300}, {1, 1}, {0, 4}, {4, 0}} {
		n, c := size[0], size[1]
		x, y := floats(n*c, 1), make([]float32, n*c)
		interpret(t, k, map[string]int64{"N": int64(n), "C": int64(c)}, memOf(x), memOf(y))
		for i := range n {
			sum := 0.0
			for j := range c {
				sum += math.Exp(float64(x[i*c+j]))
			}
			for j := range c {
				want := math.Exp(float64(x[i*c+j])) / sum
				require.InEpsilon(t, want, float64(y[i*c+j]), 1e-5, "%v at %d,%d", size, i, j)
			}
		}
	}
}

func TestLayerNorm(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := NewKernel("layer_norm")
	x := b.Buffer(Input, "x", tensor.F32, n.Mul(c))
	g := b.Buffer(Input, "g", tensor.F32, c)
	y := b.Buffer(Output, "y", tensor.F32, n.Mul(c))
	s := b.Nest([]Axis{{"i", n}, {"j", c}}, 1)
	at := func(buf int) Access { return AtExpr(buf, con(0), c, con(1)) }
	s.Loop()
	sum := s.Reduce(Add, s.Load(at(x)))
	s.Once()
	count := s.To(Cast, tensor.F32, s.Size(tensor.I64, c))
	mean := s.Op(Div, sum, count)
	s.Loop()
	d := s.Op(Sub, s.Load(at(x)), mean)
	sq := s.Reduce(Add, s.Op(Mul, d, d))
	s.Once()
	inv := s.Op(Rsqrt, s.Op(Add, s.Op(Div, sq, count), s.ConstF32(1e-5)))
	s.Loop()
	d = s.Op(Sub, s.Load(at(x)), mean)
	s.Store(at(y), s.Op(Mul, s.Op(Mul, d, inv), s.Load(At(g, 0, 1))))
	k, err := b.Build()
	require.NoError(t, err)
	for _, size := range [][2]int{{3, 5}, {200, 5}, {4, 257}, {1, 1}} {
		n, c := size[0], size[1]
		x, g, y := floats(n*c, 1), floats(c, 2), make([]float32, n*c)
		interpret(t, k, map[string]int64{"N": int64(n), "C": int64(c)}, memOf(x), memOf(g), memOf(y))
		for i := range n {
			row, mean, sq := x[i*c:(i+1)*c], 0.0, 0.0
			for _, v := range row {
				mean += float64(v) / float64(c)
			}
			for _, v := range row {
				sq += (float64(v) - mean) * (float64(v) - mean) / float64(c)
			}
			for j, v := range row {
				want := (float64(v) - mean) / math.Sqrt(sq+1e-5) * float64(g[j])
				require.InDelta(t, want, float64(y[i*c+j]), 1e-5, "%v at %d,%d", size, i, j)
			}
		}
	}
}

// Column sums: the vector axis is outer, the reduction is a serial inner loop.
func TestColumnReduction(t *testing.T) {
	n, c := sym("N"), sym("C")
	for _, vec := range []int{0, 1, -1} {
		b := NewKernel("columns")
		x := b.Buffer(Input, "x", tensor.I32, n.Mul(c))
		y := b.Buffer(Output, "y", tensor.I64, c)
		z := b.Buffer(Output, "z", tensor.I32, c)
		s := b.Nest([]Axis{{"j", c}, {"i", n}}, 1).Vec(vec)
		s.Loop()
		v := s.Load(AtExpr(x, con(0), con(1), c))
		sum := s.Reduce(Add, s.To(Cast, tensor.I64, v))
		least := s.Reduce(Min, v)
		s.Once()
		s.Store(At(y, 1), sum)
		s.Store(At(z, 1), least)
		k, err := b.Build()
		require.NoError(t, err)
		for _, size := range [][2]int{{3, 300}, {300, 3}, {0, 5}, {1, 1}} {
			n, c := size[0], size[1]
			x, y, z := make([]int32, n*c), make([]int64, c), make([]int32, c)
			for i := range x {
				x[i] = int32(rand.Uint32())
			}
			interpret(t, k, map[string]int64{"N": int64(n), "C": int64(c)}, memOf(x), memOf(y), memOf(z))
			for j := range c {
				want, least := int64(0), int32(math.MaxInt32)
				for i := range n {
					want += int64(x[i*c+j])
					least = min(least, x[i*c+j])
				}
				require.Equal(t, want, y[j])
				require.Equal(t, least, z[j])
			}
		}
	}
}

// A transpose of x[N,C] with a row vector broadcast over it.
func TestTransposeBroadcast(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := NewKernel("transpose")
	x := b.Buffer(Input, "x", tensor.F64, n.Mul(c))
	w := b.Buffer(Input, "w", tensor.F64, c)
	y := b.Buffer(Output, "y", tensor.F64, n.Mul(c))
	s := b.Nest([]Axis{{"j", c}, {"i", n}}, 2)
	s.Once()
	s.Store(AtExpr(y, con(0), n, con(1)), s.Op(Add, s.Load(AtExpr(x, con(0), con(1), c)), s.Load(At(w, 1))))
	k, err := b.Build()
	require.NoError(t, err)
	for _, size := range [][2]int{{130, 3}, {1, 9}, {0, 3}} {
		n, c := size[0], size[1]
		x, w, y := make([]float64, n*c), make([]float64, c), make([]float64, n*c)
		for i := range x {
			x[i] = float64(i)
		}
		for i := range w {
			w[i] = 0.5 * float64(i)
		}
		interpret(t, k, map[string]int64{"N": int64(n), "C": int64(c)}, memOf(x), memOf(w), memOf(y))
		for i := range n {
			for j := range c {
				require.Equal(t, x[i*c+j]+w[j], y[j*n+i])
			}
		}
	}
}

func padKernel(t *testing.T) *Kernel {
	h, w := sym("H"), sym("W")
	// y[i,j] = x[i-1, j-2] of x[H,W], zero outside; y[H+3, W+5].
	oh, ow := h.Add(con(3)), w.Add(con(5))
	b := NewKernel("pad")
	x := b.Buffer(Input, "x", tensor.F32, h.Mul(w))
	y := b.Buffer(Output, "y", tensor.F32, oh.Mul(ow))
	s := b.Nest([]Axis{{"i", oh}, {"j", ow}}, 2)
	s.Once()
	a := AtExpr(x, w.Neg().Sub(con(2)), w, con(1))
	a.Masks = []Mask{
		{Offset: con(-1), Coef: []dim.Expr{con(1), con(0)}, Limit: h, Stride: w},
		{Offset: con(-2), Coef: []dim.Expr{con(0), con(1)}, Limit: w, Stride: con(1)},
	}
	s.Store(AtExpr(y, con(0), ow, con(1)), s.Load(a))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestMaskedPad(t *testing.T) {
	k := padKernel(t)
	for _, size := range [][2]int{{3, 4}, {2, 200}, {0, 3}, {3, 0}} {
		checkPad(t, k, size[0], size[1])
	}
}

func checkPad(t *testing.T, k *Kernel, h, w int) {
	t.Helper()
	x, y := floats(h*w, 3), make([]float32, (h+3)*(w+5))
	for i := range y {
		y[i] = float32(math.NaN())
	}
	interpret(t, k, map[string]int64{"H": int64(h), "W": int64(w)}, memOf(x), memOf(y))
	for i := range h + 3 {
		for j := range w + 5 {
			want := float32(0)
			if si, sj := i-1, j-2; si >= 0 && si < h && sj >= 0 && sj < w {
				want = x[si*w+sj]
			}
			require.Equal(t, want, y[i*(w+5)+j], "%d,%d", i, j)
		}
	}
}

// gatherKernel is rows of a table by index, out-of-range ones clamped.
func gatherKernel(t *testing.T, index tensor.DType) *Kernel {
	v, d, n := sym("V"), sym("D"), sym("N")
	b := NewKernel("gather")
	x := b.Buffer(Input, "table", tensor.F32, v.Mul(d))
	idx := b.Buffer(Input, "idx", index, n)
	y := b.Buffer(Output, "y", tensor.F32, n.Mul(d))
	s := b.Nest([]Axis{{"i", n}, {"j", d}}, 2)
	s.Once()
	a := AtExpr(x, con(0), con(0), con(1))
	a.Dyn = []Dyn{{Val: s.Load(At(idx, 1)), Limit: v, Stride: d}}
	s.Store(AtExpr(y, con(0), d, con(1)), s.Load(a))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestGatherClamps(t *testing.T) {
	k := gatherKernel(t, tensor.I64)
	checkGather(t, k)
}

func checkGather(t *testing.T, k *Kernel) {
	t.Helper()
	const v, d = 5, 3
	idx := []int64{0, 4, 2, -1, 5, math.MaxInt64, math.MinInt64}
	x, y := floats(v*d, 4), make([]float32, len(idx)*d)
	interpret(t, k, map[string]int64{"V": v, "D": d, "N": int64(len(idx))}, memOf(x), memOf(idx), memOf(y))
	for i, r := range idx {
		r = max(0, min(r, v-1))
		require.Equal(t, x[r*d:(r+1)*d], y[i*d:(i+1)*d])
	}
}

// Arg max in two phases: the maximum, then the least index that has it.
func TestArgMax(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := NewKernel("argmax")
	x := b.Buffer(Input, "x", tensor.BF16, n.Mul(c))
	y := b.Buffer(Output, "y", tensor.I64, n)
	s := b.Nest([]Axis{{"i", n}, {"j", c}}, 1)
	at := AtExpr(x, con(0), c, con(1))
	s.Loop()
	top := s.Reduce(Max, s.Load(at))
	s.Loop()
	hit := s.Op(Eq, s.Load(at), top)
	best := s.Reduce(Min, s.Op(Select, hit, s.Index(tensor.I64, 1), s.ConstI(tensor.I64, math.MaxInt64)))
	s.Once()
	s.Store(At(y, 1), best)
	k, err := b.Build()
	require.NoError(t, err)
	const rows, cols = 300, 11
	x16, y64 := make([]uint16, rows*cols), make([]int64, rows)
	for i, f := range floats(rows*cols, 5) {
		x16[i] = tensor.F32ToBF16(f)
	}
	interpret(t, k, map[string]int64{"N": rows, "C": cols}, memOf(x16), memOf(y64))
	for i := range rows {
		best := 0
		for j := range cols {
			if tensor.BF16ToF32(x16[i*cols+j]) > tensor.BF16ToF32(x16[i*cols+best]) {
				best = j
			}
		}
		require.Equal(t, int64(best), y64[i])
	}
}

// A 3x3 max pool of stride 2 with a padding of 1: two inner window axes under
// an outer vector axis, masked.
func TestWindowMaxPool(t *testing.T) {
	k := maxPoolKernel(t)
	checkMaxPool(t, k)
}

func maxPoolKernel(t *testing.T) *Kernel {
	h, w := sym("H"), sym("W")
	half := func(e dim.Expr) dim.Expr { return e.Sub(con(1)).FloorDiv(con(2)).Add(con(1)) }
	b := NewKernel("maxpool")
	x := b.Buffer(Input, "x", tensor.F32, h.Mul(w))
	y := b.Buffer(Output, "y", tensor.F32, half(h).Mul(half(w)))
	s := b.Nest([]Axis{{"i", half(h)}, {"j", half(w)}, {"p", con(3)}, {"q", con(3)}}, 2).Vec(1)
	a := AtExpr(x, w.Neg().Sub(con(1)), w.Mul(con(2)), con(2), w, con(1))
	a.Masks = []Mask{
		{Offset: con(-1), Coef: []dim.Expr{con(2), con(0), con(1), con(0)}, Limit: h, Stride: w},
		{Offset: con(-1), Coef: []dim.Expr{con(0), con(2), con(0), con(1)}, Limit: w, Stride: con(1)},
	}
	s.Loop()
	top := s.Reduce(Max, s.Load(a)) // inputs are positive, so padding by zero is neutral
	s.Once()
	s.Store(AtExpr(y, con(0), half(w), con(1)), top)
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func checkMaxPool(t *testing.T, k *Kernel) {
	t.Helper()
	for _, size := range [][2]int{{5, 7}, {4, 301}, {1, 1}} {
		h, w := size[0], size[1]
		oh, ow := (h-1)/2+1, (w-1)/2+1
		x, y := floats(h*w, 6), make([]float32, oh*ow)
		for i := range x {
			x[i] = float32(math.Abs(float64(x[i])))
		}
		interpret(t, k, map[string]int64{"H": int64(h), "W": int64(w)}, memOf(x), memOf(y))
		for i := range oh {
			for j := range ow {
				want := float32(0)
				for p := range 3 {
					for q := range 3 {
						if si, sj := 2*i+p-1, 2*j+q-1; si >= 0 && si < h && sj >= 0 && sj < w {
							want = max(want, x[si*w+sj])
						}
					}
				}
				require.Equal(t, want, y[i*ow+j])
			}
		}
	}
}

func TestGemm(t *testing.T) {
	bb, m, n, kk := sym("B"), sym("M"), sym("N"), sym("K")
	b := NewKernel("gemm")
	x := b.Buffer(Input, "x", tensor.BF16, bb.Mul(m).Mul(kk))
	w := b.Buffer(Input, "w", tensor.F32, n.Mul(kk))
	y := b.Buffer(Output, "y", tensor.F32, bb.Mul(m).Mul(n))
	tile := b.Buffer(Tile, "tile", tensor.F32, m.Mul(n))
	g := &Gemm{
		Batch: []Axis{{"b", bb}}, M: m, N: n, K: kk, DType: tensor.F32, Tile: tile,
		A: Operand{Buf: x, Batch: []dim.Expr{m.Mul(kk)}, Row: kk, Col: con(1)},
		B: Operand{Buf: w, Batch: []dim.Expr{con(0)}, Row: con(1), Col: kk},
	}
	b.Gemm(g)
	e := b.EpilogueNest(g)
	e.Once()
	v := e.Op(Max, e.Load(AtExpr(tile, con(0), con(0), n, con(1))), e.ConstF32(0))
	e.Store(AtExpr(y, con(0), m.Mul(n), n, con(1)), v)
	k, err := b.Build()
	require.NoError(t, err)
	for _, size := range [][4]int{{2, 3, 5, 7}, {3, 40, 150, 140}, {1, 4, 4, 0}, {2, 0, 3, 3}} {
		nb, m, n, d := size[0], size[1], size[2], size[3]
		x, w, y := make([]uint16, nb*m*d), floats(n*d, 8), make([]float32, nb*m*n)
		for i, f := range floats(len(x), 7) {
			x[i] = tensor.F32ToBF16(f)
		}
		interpret(t, k, map[string]int64{"B": int64(nb), "M": int64(m), "N": int64(n), "K": int64(d)}, memOf(x), memOf(w), memOf(y))
		for bi := range nb {
			for i := range m {
				for j := range n {
					want := 0.0
					for p := range d {
						want += float64(tensor.BF16ToF32(x[(bi*m+i)*d+p])) * float64(w[j*d+p])
					}
					require.InDelta(t, max(want, 0), y[(bi*m+i)*n+j], 1e-3, "%v %d %d %d", size, bi, i, j)
				}
			}
		}
	}
}

// Every memory type survives a load, a doubling and a store.
func TestMemoryTypes(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		const n = 200
		b := NewKernel("copy")
		x := b.Buffer(Input, "x", dt, con(2*n))
		y := b.Buffer(Output, "y", dt, con(n))
		s := b.Nest([]Axis{{"i", con(n)}}, 1)
		s.Once()
		s.Store(At(y, 1), s.Load(At(x, 2)))
		k, err := b.Build()
		require.NoError(t, err)
		in := tensor.New(dt, 2*n)
		raw, _ := in.Bytes()
		for i := range raw {
			raw[i] = byte(i*37) >> 1
			switch {
			case dt == tensor.Bool:
				raw[i] &= 1
			case dt.IsFloat():
				raw[i] &^= 0x40 // no NaNs: a conversion may quiet them
			}
		}
		out := tensor.New(dt, n)
		dst, _ := out.Bytes()
		interpret(t, k, nil, raw, dst)
		size := dt.Size()
		for i := range n {
			require.Equal(t, raw[2*i*size:(2*i+1)*size], dst[i*size:(i+1)*size], "%s element %d", dt, i)
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	k := softmaxKernel(t)
	b, err := Bind(k, map[string]int64{"N": 4, "C": 300})
	require.NoError(t, err)
	m, err := NewMachine(b)
	require.NoError(t, err)
	x, y := floats(1200, 1), make([]float32, 1200)
	bufs := [][]byte{memOf(x), memOf(y), nil}
	assert.Zero(t, testing.AllocsPerRun(5, func() {
		if m.SetBuffers(bufs) != nil || m.Run() != nil {
			t.Fail()
		}
	}))
}

func TestSetBuffersChecks(t *testing.T) {
	b, err := Bind(softmaxKernel(t), map[string]int64{"N": 2, "C": 2})
	require.NoError(t, err)
	m, err := NewMachine(b)
	require.NoError(t, err)
	words := make([]uint64, 8)
	ok := memOf(words)
	assert.ErrorContains(t, m.SetBuffers([][]byte{ok}), "3 buffers")
	assert.ErrorContains(t, m.SetBuffers([][]byte{ok[:15], ok, nil}), "needs 16 bytes, got 15")
	assert.ErrorContains(t, m.SetBuffers([][]byte{ok, ok[1:], nil}), "aligned")
	assert.NoError(t, m.SetBuffers([][]byte{ok, ok, nil}))
}
