package codegen

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// brokenKernel is a small row sum that the table below damages: values %0 load,
// %1 exp in a looping phase, %2 its sum, %3 const, %4 mul, %5 store once.
func brokenKernel() *Kernel {
	b := NewKernel("sum")
	x := b.Buffer(Input, "x", tensor.F32, con(12))
	y := b.Buffer(Output, "y", tensor.F32, con(3))
	b.Buffer(Row, "row", tensor.F32, con(4))
	s := b.Nest([]Axis{{"i", con(3)}, {"j", con(4)}}, 1)
	s.Loop()
	sum := s.Reduce(Add, s.Op(Exp, s.Load(At(x, 4, 1))))
	s.Once()
	s.Store(At(y, 1), s.Op(Mul, sum, s.ConstF32(2)))
	return b.k
}

func TestVerifyRejects(t *testing.T) {
	require.NoError(t, Verify(brokenKernel()))
	for _, c := range []struct {
		name  string
		spoil func(k *Kernel, n *Nest)
		want  string
	}{
		{"step of both kinds", func(k *Kernel, n *Nest) { k.Steps[0].Gemm = &Gemm{} }, "either a nest or"},
		{"empty step", func(k *Kernel, n *Nest) { k.Steps[0].Nest = nil }, "either a nest or"},
		{"buffer order", func(k *Kernel, n *Nest) { k.Bufs[0].Kind = Temp }, "inputs come first"},
		{"buffer type", func(k *Kernel, n *Nest) { k.Bufs[0].DType = tensor.Invalid }, "no element type"},
		{"axis unbound", func(k *Kernel, n *Nest) { n.Inner = nil; n.Vec = 0 }, "bound 0 times"},
		{"axis bound twice", func(k *Kernel, n *Nest) { n.Inner = []int{1, 0} }, "bound 2 times"},
		{"axis out of range", func(k *Kernel, n *Nest) { n.Inner = []int{2} }, "axis 2 of 2"},
		{"vector axis", func(k *Kernel, n *Nest) { n.Vec = 5 }, "vector axis"},
		{"strides", func(k *Kernel, n *Nest) { n.Accs[0].Strides = n.Accs[0].Strides[:1] }, "1 strides for 2 axes"},
		{"buffer index", func(k *Kernel, n *Nest) { n.Accs[0].Buf = 9 }, "buffer 9"},
		{"mask width", func(k *Kernel, n *Nest) { n.Accs[0].Masks = []Mask{{Coef: []dim.Expr{con(1)}}} }, "1 coefficients"},
		{"phase gap", func(k *Kernel, n *Nest) { n.Phases[1].From++ }, "expected to start"},
		{"phase overrun", func(k *Kernel, n *Nest) { n.Phases[1].To += 9 }, "expected to start"},
		{"trailing instruction", func(k *Kernel, n *Nest) { n.Insts = append(n.Insts, NewInst(Const, tensor.F32)) }, "owned by no phase"},
		{"loop value escapes", func(k *Kernel, n *Nest) { n.Insts[4].A = 1 }, "not visible"},
		{"use before definition", func(k *Kernel, n *Nest) { n.Insts[1].A = 1 }, "not visible"},
		{"operand missing", func(k *Kernel, n *Nest) { n.Insts[4].B = None }, "not visible"},
		{"operand too many", func(k *Kernel, n *Nest) { n.Insts[1].B = 0 }, "takes 1 operands"},
		{"types differ", func(k *Kernel, n *Nest) { n.Insts[3].Type = tensor.F64 }, "operand 1 is f64"},
		{"narrow type", func(k *Kernel, n *Nest) { n.Insts[3].Type = tensor.F16 }, "no compute type"},
		{"load type", func(k *Kernel, n *Nest) { n.Insts[0].Type = tensor.F64 }, "f32 element of x"},
		{"access index", func(k *Kernel, n *Nest) { n.Insts[0].Acc = 7 }, "access 7 of 2"},
		{"store to input", func(k *Kernel, n *Nest) { n.Accs[1].Buf = 0 }, "read only"},
		{"predicate type", func(k *Kernel, n *Nest) { n.Insts[5].Pred = 4 }, "is not bool"},
		{"predicate elsewhere", func(k *Kernel, n *Nest) { n.Insts[4].Pred = 4 }, "only loads and stores"},
		{"reduction op", func(k *Kernel, n *Nest) { n.Phases[0].Reduce[0].Op = Sub }, "folds with sub"},
		{"reduction of floats by and", func(k *Kernel, n *Nest) { n.Phases[0].Reduce[0].Op = And }, "folds f32 with and"},
		{"reduction result", func(k *Kernel, n *Nest) { n.Phases[0].Reduce[0].Result = 1 }, "expected %2"},
		{"reduction outside of a loop", func(k *Kernel, n *Nest) { n.Phases[0].Loop = false }, "does not loop"},
		{"accumulator in a phase", func(k *Kernel, n *Nest) { n.Insts[3] = NewInst(Acc, tensor.F32) }, "inside of a phase"},
		{"unknown code", func(k *Kernel, n *Nest) { n.Insts[3].Op = numCodes }, "unknown code"},
		{"code of another type", func(k *Kernel, n *Nest) { n.Insts[1].Op = Not }, "not defined for f32"},
		{"inner position once", func(k *Kernel, n *Nest) { n.Insts[3] = NewInst(Index, tensor.I32); n.Insts[3].Axis = 1 }, "runs once"},
		{"dyn of a float", func(k *Kernel, n *Nest) { n.Accs[1].Dyn = []Dyn{{Val: 4, Limit: con(1)}} }, "expected i32 or i64"},
		{"row with outer lanes", func(k *Kernel, n *Nest) { n.Vec = 0; n.Accs[1].Buf = 2 }, "its lanes would share it"},
		{"invalid extent", func(k *Kernel, n *Nest) { n.Axes[0].Extent = dim.Sym("1") }, "axis i has extent"},
	} {
		k := brokenKernel()
		c.spoil(k, k.Steps[0].Nest)
		require.ErrorContains(t, Verify(k), c.want, c.name)
		require.NotPanics(t, func() { _ = k.String() }, c.name)
	}
}

func TestVerifyRejectsProducts(t *testing.T) {
	build := func() (*Kernel, *Gemm) {
		b := NewKernel("gemm")
		x := b.Buffer(Input, "x", tensor.F32, con(6))
		y := b.Buffer(Output, "y", tensor.F32, con(6))
		tile := b.Buffer(Tile, "tile", tensor.F32, con(6))
		g := &Gemm{M: con(2), N: con(3), K: con(1), DType: tensor.F32, Tile: tile,
			A: Operand{Buf: x, Row: con(1)}, B: Operand{Buf: x, Col: con(1)}}
		b.Gemm(g)
		e := b.EpilogueNest(g)
		e.Once()
		e.Store(At(y, 3, 1), e.Load(At(tile, 3, 1)))
		return b.k, g
	}
	k, _ := build()
	require.NoError(t, Verify(k))
	for _, c := range []struct {
		spoil func(k *Kernel, g *Gemm)
		want  string
	}{
		{func(k *Kernel, g *Gemm) { g.DType = tensor.F16 }, "accumulates in f16"},
		{func(k *Kernel, g *Gemm) { g.DType = tensor.F64 }, "operand A is f32"},
		{func(k *Kernel, g *Gemm) { g.A.Buf = 8 }, "names buffer 8"},
		{func(k *Kernel, g *Gemm) { g.Tile = 0 }, "as its tile"},
		{func(k *Kernel, g *Gemm) { g.Epilogue = nil }, "without an epilogue"},
		{func(k *Kernel, g *Gemm) { g.M = con(5) }, "epilogue's axes"},
		{func(k *Kernel, g *Gemm) { g.Epilogue.Vec = 0 }, "vector axis is not n"},
		{func(k *Kernel, g *Gemm) { g.Batch = []Axis{{"b", con(1)}} }, "0 batch strides"},
		{func(k *Kernel, g *Gemm) { g.Epilogue.Accs[0].Offset = con(1) }, "row and column only"},
		{func(k *Kernel, g *Gemm) { k.Steps = append(k.Steps, Step{Nest: g.Epilogue}) }, "outside of its product's epilogue"},
	} {
		k, g := build()
		c.spoil(k, g)
		require.ErrorContains(t, Verify(k), c.want)
	}
}

func TestBuilderSharesValues(t *testing.T) {
	b := NewKernel("share")
	x := b.Buffer(Input, "x", tensor.F32, con(4))
	y := b.Buffer(Output, "y", tensor.F32, con(4))
	s := b.Nest([]Axis{{"i", con(4)}}, 0)
	s.Once()
	two := s.ConstF32(2)
	s.Loop()
	a := s.Load(At(x, 1))
	require.Equal(t, a, s.Load(At(x, 1)))
	require.Equal(t, two, s.ConstF32(2), "values of phases that run once are shared")
	require.Equal(t, s.Op(Mul, a, two), s.Op(Mul, a, two))
	s.Store(At(y, 1), a)
	require.NotEqual(t, a, s.Load(At(x, 1)), "a store may have changed what is loaded")
	s.Loop()
	require.NotEqual(t, a, s.Load(At(x, 1)), "values of looping phases are not visible later")
	_, err := b.Build()
	require.NoError(t, err)
}
