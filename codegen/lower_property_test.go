package codegen

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// randomRegion builds random primitive functions over small, odd sizes, some of
// them symbolic.
type randomRegion struct {
	rng    *rand.Rand
	f      *ir.Func
	b      *ir.Builder
	values []*ir.Value
	syms   map[string]int64 // values to bind
}

func newRandomRegion(seed uint64, symbolic bool) *randomRegion {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := ir.NewFunc("region", nil)
	r := &randomRegion{rng: rng, f: f, b: ir.NewBuilder(f), syms: map[string]int64{}}
	if symbolic {
		for _, s := range []string{"B", "S"} {
			r.syms[s] = int64(rng.IntN(7))
			if err := f.Facts.Declare(s, 0, 1000); err != nil {
				panic(err)
			}
		}
	}
	for range 2 + rng.IntN(3) {
		r.values = append(r.values, f.AddParam("", ir.T(tensor.F32, r.shape(rng.IntN(4))...), nil))
	}
	return r
}

func (r *randomRegion) size() dim.Expr {
	if len(r.syms) > 0 && r.rng.IntN(2) == 0 {
		return dim.Sym([]string{"B", "S"}[r.rng.IntN(2)])
	}
	return dim.Const(int64([]int{1, 2, 3, 5, 7, 8, 0, 4, 3, 2, 6}[r.rng.IntN(11)]))
}

func (r *randomRegion) shape(rank int) []dim.Expr {
	shape := make([]dim.Expr, rank)
	for i := range shape {
		shape[i] = r.size()
	}
	return shape
}

func (r *randomRegion) pick() *ir.Value { return r.values[r.rng.IntN(len(r.values))] }

// like is a value of the shape: one there is, or a broadcast of a scalar.
func (r *randomRegion) like(shape []dim.Expr) *ir.Value {
	var same []*ir.Value
	for _, v := range r.values {
		if ir.ShapeEqual(r.f.Facts, v.Type.Shape, shape) {
			same = append(same, v)
		}
	}
	return same[r.rng.IntN(len(same))]
}

func (r *randomRegion) axis(v *ir.Value) int64 { return int64(r.rng.IntN(v.Type.Rank())) }

// grow appends one value; false where the op picked does not fit the operand.
func (r *randomRegion) grow() bool {
	x := r.pick()
	rank := x.Type.Rank()
	step := randomSteps[r.rng.IntN(len(randomSteps))]
	if rank < step.rank {
		return false
	}
	n := len(r.f.Values)
	v := step.build(r, x)
	if r.b.Err() != nil || v == nil { // not well typed for these sizes: start over
		r.f.Values = r.f.Values[:n]
		b := ir.NewBuilder(r.f)
		r.b = b
		return false
	}
	if size, err := v.Type.Elements().Eval(r.syms); err != nil || size > 1<<14 {
		r.f.Values = r.f.Values[:n]
		return false
	}
	r.values = append(r.values, v)
	return true
}

type randomStep struct {
	rank  int
	build func(r *randomRegion, x *ir.Value) *ir.Value
}

var randomSteps = []randomStep{
	{0, func(r *randomRegion, x *ir.Value) *ir.Value { return r.b.Unary(ir.OpTanh, x) }},
	{0, func(r *randomRegion, x *ir.Value) *ir.Value { return r.b.Unary(ir.OpSigmoid, x) }},
	{0, func(r *randomRegion, x *ir.Value) *ir.Value { return r.b.Add(x, r.like(x.Type.Shape)) }},
	{0, func(r *randomRegion, x *ir.Value) *ir.Value {
		return r.b.Mul(r.b.Unary(ir.OpTanh, r.like(x.Type.Shape)), x)
	}},
	{1, stepReduce}, {1, stepReduce}, {1, stepNormalise}, {1, stepNormalise}, {1, stepBroadcast},
	{2, stepTranspose}, {1, stepSlice}, {1, stepReverse}, {1, stepPad}, {1, stepConcat}, {1, stepReshape}, {1, stepReshape},
	{1, stepGather}, {2, stepDot}, {2, stepDot}, {1, stepWindow}, {3, stepPatches}, {1, stepIota}, {1, stepDynamic},
}

func stepReduce(r *randomRegion, x *ir.Value) *ir.Value {
	op := []ir.Op{ir.OpReduceSum, ir.OpReduceMax, ir.OpReduceMin}[r.rng.IntN(3)]
	axes := []int64{r.axis(x)}
	if a := r.axis(x); a != axes[0] && r.rng.IntN(3) == 0 {
		axes = append(axes, a)
	}
	return r.b.Reduce(op, x, axes...)
}

// stepNormalise subtracts and divides by reductions along an axis.
func stepNormalise(r *randomRegion, x *ir.Value) *ir.Value {
	axis := r.axis(x)
	y := r.b.Sub(x, r.b.ReduceKeep(ir.OpReduceMax, x, axis))
	e := r.b.Unary(ir.OpExp, y)
	return r.b.Div(e, r.b.ReduceKeep(ir.OpReduceSum, e, axis))
}

func stepBroadcast(r *randomRegion, x *ir.Value) *ir.Value {
	at := r.rng.IntN(x.Type.Rank() + 1)
	var shape []dim.Expr
	var axes []int64
	for i, e := range x.Type.Shape {
		if i == at {
			shape = append(shape, r.size())
		}
		axes, shape = append(axes, int64(len(shape))), append(shape, e)
	}
	if at == x.Type.Rank() {
		shape = append(shape, r.size())
	}
	return r.b.Broadcast(x, shape, axes...)
}

func stepTranspose(r *randomRegion, x *ir.Value) *ir.Value {
	var perm []int64
	for _, i := range r.rng.Perm(x.Type.Rank()) {
		perm = append(perm, int64(i))
	}
	return r.b.Transpose(x, perm...)
}

func stepSlice(r *randomRegion, x *ir.Value) *ir.Value {
	starts, limits, strides := []dim.Expr{}, []dim.Expr{}, []int64{}
	for _, e := range x.Type.Shape {
		lo := int64(0)
		if n, ok := e.Const(); ok && n > 1 {
			lo = int64(r.rng.IntN(int(n)))
		}
		starts, limits, strides = append(starts, dim.Const(lo)), append(limits, e), append(strides, int64(1+r.rng.IntN(2)))
	}
	return r.b.Emit(ir.OpSlice, []*ir.Value{x}, ir.Attr{Name: "starts", Value: starts},
		ir.Attr{Name: "limits", Value: limits}, ir.Attr{Name: "strides", Value: strides})
}

func stepReverse(r *randomRegion, x *ir.Value) *ir.Value {
	return r.b.Emit(ir.OpReverse, []*ir.Value{x}, ir.Attr{Name: "axes", Value: []int64{r.axis(x)}})
}

func stepPad(r *randomRegion, x *ir.Value) *ir.Value {
	amounts := func() []dim.Expr {
		es := make([]dim.Expr, x.Type.Rank())
		es[r.rng.IntN(len(es))] = dim.Const(int64(r.rng.IntN(3)))
		return es
	}
	value := r.b.Splat(ir.T(tensor.F32), float64(r.rng.IntN(2)))
	return r.b.Emit(ir.OpPad, []*ir.Value{x, value}, ir.Attr{Name: "low", Value: amounts()}, ir.Attr{Name: "high", Value: amounts()})
}

func stepConcat(r *randomRegion, x *ir.Value) *ir.Value {
	return r.b.Emit(ir.OpConcat, []*ir.Value{x, r.like(x.Type.Shape), x}, ir.Attr{Name: "axis", Value: r.axis(x)})
}

// stepReshape merges two neighbouring axes, or splits one.
func stepReshape(r *randomRegion, x *ir.Value) *ir.Value {
	shape := append([]dim.Expr(nil), x.Type.Shape...)
	i := r.rng.IntN(len(shape))
	if i+1 < len(shape) && r.rng.IntN(2) == 0 {
		shape[i] = shape[i].Mul(shape[i+1])
		return r.b.Reshape(x, append(shape[:i+1], shape[i+2:]...))
	}
	for _, w := range []int64{2, 3, 5} {
		if r.f.Facts.Divides(w, shape[i]) {
			inner := append([]dim.Expr{shape[i].FloorDiv(dim.Const(w)), dim.Const(w)}, shape[i+1:]...)
			return r.b.Reshape(x, append(shape[:i:i], inner...))
		}
	}
	return nil
}

func (r *randomRegion) indices(shape []dim.Expr) *ir.Value {
	i := r.b.Iota(ir.T(tensor.I64, shape...), int64(r.rng.IntN(len(shape))))
	return r.b.Sub(r.b.Mul(i, i), r.b.SplatLike(i, 1))
}

func stepGather(r *randomRegion, x *ir.Value) *ir.Value {
	axis := r.axis(x)
	if n, err := x.Type.Shape[axis].Eval(r.syms); err != nil || n == 0 {
		return nil // there is nothing to index
	}
	return r.b.Emit(ir.OpGather, []*ir.Value{x, r.indices([]dim.Expr{r.size()})}, ir.Attr{Name: "axis", Value: axis})
}

func stepDot(r *randomRegion, x *ir.Value) *ir.Value {
	y := r.like(x.Type.Shape)
	rank := x.Type.Rank()
	perm := r.rng.Perm(rank)
	var batch, contract []int64
	for i, a := range perm {
		switch {
		case i == 0:
			contract = append(contract, int64(a))
		case i > 1 && r.rng.IntN(2) == 0:
			batch = append(batch, int64(a))
		}
	}
	return r.b.Emit(ir.OpDotGeneral, []*ir.Value{x, y}, ir.Attr{Name: "lhs_batch", Value: batch}, ir.Attr{Name: "rhs_batch", Value: batch},
		ir.Attr{Name: "lhs_contract", Value: contract}, ir.Attr{Name: "rhs_contract", Value: contract})
}

func stepWindow(r *randomRegion, x *ir.Value) *ir.Value {
	n := x.Type.Rank()
	list := func(base, more int) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = int64(base + r.rng.IntN(more))
		}
		return out
	}
	return r.b.Emit(ir.OpReduceWindow, []*ir.Value{x}, ir.Attr{Name: "op", Value: []string{"sum", "max", "min"}[r.rng.IntN(3)]},
		ir.Attr{Name: "window", Value: list(1, 2)}, ir.Attr{Name: "strides", Value: list(1, 2)},
		ir.Attr{Name: "padding_low", Value: list(1, 2)}, ir.Attr{Name: "padding_high", Value: list(0, 2)})
}

func stepPatches(r *randomRegion, x *ir.Value) *ir.Value {
	n := x.Type.Rank() - 2
	ones := func(base int64) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = base + int64(r.rng.IntN(2))
		}
		return out
	}
	return r.b.Emit(ir.OpPatches, []*ir.Value{x}, ir.Attr{Name: "window", Value: ones(1)}, ir.Attr{Name: "strides", Value: ones(1)},
		ir.Attr{Name: "padding_low", Value: ones(1)}, ir.Attr{Name: "padding_high", Value: ones(1)})
}

func stepIota(r *randomRegion, x *ir.Value) *ir.Value {
	return r.b.Add(x, r.b.Unary(ir.OpSigmoid, r.b.Iota(x.Type, r.axis(x))))
}

// stepDynamic puts a part of x, sliced from a position that is computed, back at
// another.
func stepDynamic(r *randomRegion, x *ir.Value) *ir.Value {
	sizes := make([]dim.Expr, x.Type.Rank())
	var starts []*ir.Value
	for i := range sizes {
		sizes[i] = dim.Const(1)
		if r.rng.IntN(2) == 0 {
			sizes[i] = x.Type.Shape[i]
		}
		n := r.b.Splat(ir.T(tensor.I32), float64(r.rng.IntN(5)-1))
		starts = append(starts, r.b.Mul(n, n))
	}
	part := r.b.Emit(ir.OpDynamicSlice, append([]*ir.Value{x}, starts...), ir.Attr{Name: "sizes", Value: sizes})
	if r.b.Err() != nil || r.rng.IntN(2) == 0 {
		return part
	}
	starts[0] = r.b.Splat(ir.T(tensor.I32), 1)
	return r.b.Emit(ir.OpDynamicUpdateSlice, append([]*ir.Value{x, part}, starts...))
}

// finish picks results: the last value and some others.
func (r *randomRegion) finish() {
	r.f.Results = []*ir.Value{r.values[len(r.values)-1]}
	for range r.rng.IntN(4) {
		r.f.Results = append(r.f.Results, r.pick())
	}
}

func (r *randomRegion) arguments() []*tensor.Tensor {
	var args []*tensor.Tensor
	for _, p := range r.f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, r.syms)
		if err != nil {
			panic(err)
		}
		args = append(args, randomTensor(r.rng, p.Type.DType, shape, -1, 1))
	}
	return args
}

// TestLowerRandomRegions compares random regions with the reference evaluation.
func TestLowerRandomRegions(t *testing.T) {
	for seed := range uint64(1500) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRandomRegion(seed, seed%2 == 1)
			for tries := 0; len(r.values) < 4+int(seed%13) && tries < 200; tries++ {
				r.grow()
			}
			r.finish()
			require.NoError(t, ir.Verify(r.f, ir.Primitive))
			requireAgrees(t, r.f, r.arguments(), r.syms, tensor.Tolerance{Abs: 2e-3, Rel: 2e-3, NaNEqual: true})
		})
	}
}
