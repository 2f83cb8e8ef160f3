package jitc_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// exactTypes are element types of which every way of computing gives the same
// bits: else one way would select what another does not.
var exactTypes = []tensor.DType{tensor.I64, tensor.I32, tensor.Bool}

// dynamicFunc is a random function with sizes that data gives, some of them of
// tensors whose sizes data gave.
func dynamicFunc(rng *rand.Rand) *ir.Func {
	f := irgen.Func(rng, irgen.Options{Values: 8, DTypes: exactTypes, MaxElements: 200, Control: true})
	g := &dynamicMaker{rng: rng, b: ir.NewBuilder(f)}
	for _, v := range append(append([]*ir.Value{}, f.Params...), f.Values...) {
		if !v.Type.IsTuple() {
			g.pool = append(g.pool, v)
		}
	}
	for i := range 1 + rng.IntN(3) {
		u := dim.Sym(fmt.Sprintf("U%d", i))
		g.b.Pos = ir.Pos{File: "random.trace", Line: 100 + i, Col: 1}
		if err := f.Facts.Declare(u.String(), 0, math.MaxInt64); err != nil {
			panic(err)
		}
		g.keep(definers[rng.IntN(len(definers))](g, u))
		for range rng.IntN(4) {
			g.keep(followers[rng.IntN(len(followers))](g, u))
		}
	}
	if g.b.Err() != nil {
		panic(g.b.Err())
	}
	return f
}

type dynamicMaker struct {
	rng  *rand.Rand
	b    *ir.Builder
	pool []*ir.Value
}

// keep makes a value an operand for later ones, and often a result.
func (g *dynamicMaker) keep(v *ir.Value) {
	g.pool = append(g.pool, v)
	if g.rng.IntN(3) > 0 {
		g.b.F.Results = append(g.b.F.Results, v)
	}
}

// pick takes a value, later ones rather than earlier ones.
func (g *dynamicMaker) pick() *ir.Value {
	return g.pool[max(g.rng.IntN(len(g.pool)), g.rng.IntN(len(g.pool)))]
}

// vector is a value with an axis.
func (g *dynamicMaker) vector() *ir.Value {
	if v := g.pick(); v.Type.Rank() > 0 {
		return v
	}
	return g.b.Iota(ir.TConst(tensor.I64, 5), 0)
}

var definers = []func(g *dynamicMaker, u dim.Expr) *ir.Value{
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		return g.b.Emit(ir.OpNonzero, []*ir.Value{g.pick()}, ir.Attr{Name: "count", Value: []dim.Expr{u}})
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		x := g.pick()
		mask := g.b.Binary(ir.OpGt, g.b.Cast(x, tensor.I32), g.b.SplatLike(g.b.Cast(x, tensor.I32), 0))
		return g.b.Emit(ir.OpMaskedSelect, []*ir.Value{x, mask}, ir.Attr{Name: "count", Value: []dim.Expr{u}})
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		x := g.vector()
		axis := g.rng.IntN(x.Type.Rank())
		n := g.b.Iota(ir.T(tensor.I64, x.Type.Shape[axis]), 0)
		counts := g.b.Binary(ir.OpAnd, g.b.Mul(n, n), g.b.SplatLike(n, float64(g.rng.IntN(4))))
		return g.b.Emit(ir.OpRepeat, []*ir.Value{x, counts}, ir.Attr{Name: "axis", Value: int64(axis)}, ir.Attr{Name: "total", Value: []dim.Expr{u}})
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		n := g.b.Cast(g.pick(), tensor.I64)
		axes := []int64{}
		for a := range n.Type.Rank() {
			axes = append(axes, int64(a))
		}
		sum := g.b.Reduce(ir.OpReduceSum, n, axes...)
		return g.b.Emit(ir.OpSizeFrom, []*ir.Value{g.b.Binary(ir.OpAnd, sum, g.b.SplatLike(sum, 7))}, ir.Attr{Name: "size", Value: []dim.Expr{u}})
	},
}

// followers are ops on what is there, at sizes that data gave.
var followers = []func(g *dynamicMaker, u dim.Expr) *ir.Value{
	func(g *dynamicMaker, _ dim.Expr) *ir.Value {
		x := g.b.Cast(g.pick(), tensor.I64)
		return g.b.Add(x, g.b.SplatLike(x, 3))
	},
	func(g *dynamicMaker, _ dim.Expr) *ir.Value {
		return g.b.Reduce(ir.OpReduceSum, g.b.Cast(g.vector(), tensor.I64), 0)
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		return g.b.Iota(ir.T(tensor.I32, u, dim.Const(2)), int64(g.rng.IntN(2)))
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		return g.b.Emit(ir.OpSize, nil, ir.Attr{Name: "of", Value: []dim.Expr{u.Mul(dim.Const(2)).Sub(dim.Const(5))}})
	},
	func(g *dynamicMaker, u dim.Expr) *ir.Value {
		x := g.pick()
		axes := []int64{}
		for a := range x.Type.Rank() {
			axes = append(axes, int64(a)+1)
		}
		return g.b.Broadcast(x, append([]dim.Expr{dim.Const(2)}, x.Type.Shape...), axes...)
	},
	func(g *dynamicMaker, _ dim.Expr) *ir.Value {
		x := g.vector()
		return g.b.Emit(ir.OpConcat, []*ir.Value{x, x}, ir.Attr{Name: "axis", Value: int64(0)})
	},
}

// TestRandomChainsAgreeWithEvaluation compiles random functions with sizes from
// data and compares every bit with the evaluation, at several sizes of arguments.
func TestRandomChainsAgreeWithEvaluation(t *testing.T) {
	engines := []*jitc.Engine{chainEngine(t, jitc.Options{}), chainEngine(t, jitc.Options{NoFuse: true})}
	from, to := seeds(t, 150)
	several := 0
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(21, seed))
		f := dynamicFunc(rng)
		require.NoError(t, ir.Verify(f, ir.Surface), "seed %d\n%s", seed, f)
		again, _, diags := ir.Parse("again.trace", f.String())
		require.NoError(t, diags.Err(), "seed %d\n%s", seed, f)
		require.Equal(t, f.String(), again.String())
		fn := engines[seed%2].Function(f)
		for range 3 {
			args := irgen.Args(rng, f, irgen.Sizes(rng, f))
			want, err := ir.Eval(f, args, nil)
			require.NoError(t, err, "seed %d\n%s", seed, f)
			got, err := fn.Call(context.Background(), args...)
			require.NoError(t, err, "seed %d\n%s", seed, f)
			if m := tensor.CompareAll(got, want, tensor.Exact); m != nil {
				require.Fail(t, m.Error(), "seed %d\n%s", seed, f)
			}
		}
		c, err := fn.Compiled(context.Background())
		require.NoError(t, err)
		if c.Chain != nil && len(c.Segments) > 2 {
			several++
		}
	}
	if to-from >= 100 {
		require.Greater(t, several, 10, "functions of three segments or more")
	}
}
