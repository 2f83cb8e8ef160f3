package codegen

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// loadKernel reads x[length] by an access over i < N, j < 4 and stores nothing else.
func loadKernel(t *testing.T, length dim.Expr, a func(s *NestBuilder) Access) *Kernel {
	t.Helper()
	b := NewKernel("load")
	x := b.Buffer(Input, "x", tensor.F32, length)
	idx := b.Buffer(Input, "idx", tensor.I32, con(1))
	y := b.Buffer(Output, "y", tensor.F32, sym("N").Mul(con(4)))
	s := b.Nest([]Axis{{"i", sym("N")}, {"j", con(4)}}, 2)
	s.Once()
	s.Load(At(idx))
	acc := a(s)
	acc.Buf = x
	s.Store(At(y, 4, 1), s.Load(acc))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestBindProvesBounds(t *testing.T) {
	n := sym("N")
	mask := func(off int64, coef []dim.Expr, limit dim.Expr, stride int64) Mask {
		return Mask{Offset: con(off), Coef: coef, Limit: limit, Stride: con(stride)}
	}
	ij := func(i, j int64) []dim.Expr { return []dim.Expr{con(i), con(j)} }
	for _, c := range []struct {
		name   string
		length dim.Expr
		access Access
		n      int64
		want   string // "" if it is proven
	}{
		{"exact fit", n.Mul(con(4)), At(0, 4, 1), 5, ""},
		{"one short", n.Mul(con(4)).Sub(con(1)), At(0, 4, 1), 5, "addresses 0..19, buffer x has 19"},
		{"no points", con(0), At(0, 4, 1), 0, ""},
		{"negative offset", con(100), AtExpr(0, con(-1), con(4), con(1)), 5, "addresses -1..18"},
		{"backwards", n.Mul(con(4)), AtExpr(0, n.Mul(con(4)).Sub(con(1)), con(-4), con(-1)), 5, ""},
		{"backwards beyond", n.Mul(con(4)), AtExpr(0, n.Mul(con(4)), con(-4), con(-1)), 5, "addresses 1..20"},
		{"shifted and masked", n, Access{Offset: con(-1), Strides: ij(1, 1), Masks: []Mask{mask(-1, ij(1, 1), n, 1)}}, 5, ""},
		{"mask too wide", n, Access{Offset: con(-1), Strides: ij(1, 1), Masks: []Mask{mask(-1, ij(1, 1), n.Add(con(1)), 1)}}, 5, "buffer x has 5"},
		{"mask of one axis, no stride", con(3), Access{Strides: ij(1, 0), Masks: []Mask{mask(0, ij(1, 0), con(3), 0)}}, 50, ""},
		{"mask with a step", con(10), Access{Offset: con(0), Strides: ij(3, 0), Masks: []Mask{mask(0, ij(3, 0), con(10), 1)}}, 50, ""},
		{"mask that never holds", con(0), Access{Strides: ij(1, 1), Masks: []Mask{mask(-100, ij(1, 1), n, 1)}}, 5, ""},
		{"constant mask that fails", con(0), Access{Strides: ij(1, 1), Masks: []Mask{mask(7, ij(0, 0), con(7), 1)}}, 5, ""},
		{"index clamped", con(21), Access{Strides: ij(0, 1), Dyn: []Dyn{{Limit: n, Stride: con(4)}}}, 5, ""},
		{"index of nothing", con(21), Access{Strides: ij(0, 1), Dyn: []Dyn{{Limit: con(0), Stride: con(4)}}}, 5, "out of bounds"},
		{"index beyond", con(19), Access{Strides: ij(0, 1), Dyn: []Dyn{{Limit: n, Stride: con(4)}}}, 5, "buffer x has 19"},
		{"overflow", con(math.MaxInt64), At(0, 1<<62, 1), 5, "overflows"},
	} {
		if c.want == "out of bounds" {
			c.want = "not provably in bounds"
		}
		k := loadKernel(t, c.length, func(*NestBuilder) Access { return c.access })
		_, err := Bind(k, map[string]int64{"N": c.n})
		if c.want == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorIs(t, err, ErrOutOfBounds, c.name)
		require.ErrorContains(t, err, c.want, c.name)
		require.ErrorContains(t, err, "x[", c.name)
	}
}

func TestBindRejectsSizes(t *testing.T) {
	k := loadKernel(t, sym("N").Mul(con(4)), func(*NestBuilder) Access { return At(0, 4, 1) })
	_, err := Bind(k, map[string]int64{"N": -1})
	require.ErrorIs(t, err, ErrSize)
	_, err = Bind(k, nil)
	require.ErrorContains(t, err, "N")
	_, err = Bind(k, map[string]int64{"N": math.MaxInt64})
	require.ErrorIs(t, err, dim.ErrOverflow)
}

func TestBindChecksOperands(t *testing.T) {
	b := NewKernel("gemm")
	x := b.Buffer(Input, "x", tensor.F32, con(5))
	y := b.Buffer(Output, "y", tensor.F32, con(6))
	tile := b.Buffer(Tile, "tile", tensor.F32, con(6))
	g := &Gemm{M: con(2), N: con(3), K: con(3), DType: tensor.F32, Tile: tile,
		A: Operand{Buf: x, Row: con(3), Col: con(1)}, B: Operand{Buf: x, Col: con(1)}}
	b.Gemm(g)
	e := b.EpilogueNest(g)
	e.Once()
	e.Store(At(y, 3, 1), e.Load(At(tile, 3, 1)))
	k, err := b.Build()
	require.NoError(t, err)
	_, err = Bind(k, nil)
	require.ErrorIs(t, err, ErrOutOfBounds)
	require.ErrorContains(t, err, "addresses 0..5, buffer x has 5")
}

// An access that Bind could not have proven fails in the interpreter as an error.
func TestInterpreterReportsOutOfBounds(t *testing.T) {
	k := loadKernel(t, sym("N").Mul(con(4)), func(*NestBuilder) Access { return At(0, 4, 1) })
	b, err := Bind(k, map[string]int64{"N": 4})
	require.NoError(t, err)
	b.Steps[0].Nest.Accs[1].Offset = 3
	x, y := make([]float32, 16), make([]float32, 16)
	err = Interpret(b, [][]byte{memOf(x), memOf([]int32{0}), memOf(y)})
	require.ErrorContains(t, err, "BUG: codegen: interpreting step 0 of load")
}

func TestStrideClass(t *testing.T) {
	a := AtExpr(0, con(0), con(0), con(1), con(-1), con(7), sym("N"))
	for axis, want := range []StrideClass{StrideZero, StrideOne, StrideMinusOne, StrideConst, StrideDynamic} {
		assert.Equal(t, want, a.Class(axis))
		assert.Equal(t, want != StrideZero, a.Varies(axis))
	}
	a.Masks = []Mask{{Coef: []dim.Expr{con(1), con(0), con(0), con(0), con(0)}}}
	assert.True(t, a.Varies(0))
}

// Chunks cover every outer point exactly once, whatever the sizes and targets.
func TestChunksPartitionTheBox(t *testing.T) {
	for _, extent := range [][]int64{{1}, {7}, {1000}, {3, 5}, {4, 8, 100}, {2, 1, 300}, {0, 4}, {}} {
		var axes []Axis
		total := int64(1)
		for _, e := range extent {
			axes = append(axes, Axis{"a", con(e)})
			total *= e
		}
		b := NewKernel("chunks")
		s := b.Nest(append(axes, Axis{"k", con(3)}), len(axes)).Vec(len(axes) - 1)
		s.Once()
		k, err := b.Build()
		require.NoError(t, err)
		bound, err := Bind(k, nil)
		require.NoError(t, err)
		for _, points := range []int64{0, 1, 10, 300, 1 << 40} {
			c := Chunks(bound.Steps[0].Nest, points)
			seen := map[int64]int{}
			box := NewBox(len(extent))
			for i := range c.Count {
				c.At(i, &box)
				countPoints(seen, extent, box, 0, 0)
			}
			require.Len(t, seen, int(total), "%v by %d", extent, points)
			for p, times := range seen {
				require.Equal(t, 1, times, "%v by %d: point %d", extent, points, p)
			}
			if total > 0 && points == 1<<40 {
				require.Equal(t, int64(1), c.Count)
			}
		}
		if total > 1 {
			c := Chunks(bound.Steps[0].Nest, 1)
			box := NewBox(len(extent))
			assert.Zero(t, testing.AllocsPerRun(5, func() { c.At(c.Count-1, &box) }))
		}
	}
}

func countPoints(seen map[int64]int, extent []int64, box Box, axis int, at int64) {
	if axis == len(extent) {
		seen[at]++
		return
	}
	for i := box.Lo[axis]; i < box.Hi[axis]; i++ {
		countPoints(seen, extent, box, axis+1, at*extent[axis]+i)
	}
}

// Running chunk by chunk gives the bits of one run.
func TestRunByChunks(t *testing.T) {
	b, err := Bind(softmaxKernel(t), map[string]int64{"N": 13, "C": 21})
	require.NoError(t, err)
	x, whole, parts := floats(273, 1), make([]float32, 273), make([]float32, 273)
	require.NoError(t, Interpret(b, [][]byte{memOf(x), memOf(whole), nil}))
	m, err := NewMachine(b)
	require.NoError(t, err)
	require.NoError(t, m.SetBuffers([][]byte{memOf(x), memOf(parts), nil}))
	c := Chunks(b.Steps[0].Nest, 50)
	require.Greater(t, c.Count, int64(3))
	box := NewBox(1)
	for i := c.Count - 1; i >= 0; i-- {
		c.At(i, &box)
		require.NoError(t, m.RunNest(0, box))
	}
	require.Equal(t, whole, parts)
}
