package codegen

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// requireRegion lowers a region of the text form, its composites decomposed, and
// compares it with the reference at the given values of its symbols.
func requireRegion(t *testing.T, src string, sizes map[string]int64) *Kernel {
	t.Helper()
	f := primitives(t, parseFunc(t, src))
	rng := rand.New(rand.NewPCG(3, 9))
	var args []*tensor.Tensor
	for _, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		require.NoError(t, err)
		args = append(args, randomTensor(rng, p.Type.DType, shape, 0, 0))
	}
	return requireAgrees(t, f, args, sizes)
}

// shapeOf counts what a kernel is made of.
type shapeOf struct{ nests, gemms, temps, rows, phases int }

func shapeOfKernel(k *Kernel) (s shapeOf) {
	for _, st := range k.Steps {
		if st.Gemm != nil {
			s.gemms++
			continue
		}
		s.nests++
		s.phases += len(st.Nest.Phases)
	}
	for _, b := range k.Bufs {
		switch b.Kind {
		case Temp:
			s.temps++
		case Row:
			s.rows++
		}
	}
	return s
}

// TestLowerShapes states how regions that matter are lowered, and runs them.
func TestLowerShapes(t *testing.T) {
	for _, c := range []struct {
		name, src string
		sizes     map[string]int64
		want      shapeOf
	}{
		{"softmax", `func @f(%x: f32[N,C]) -> f32[N,C] {
  %0: f32[N,C] = softmax(%x) {axis=1}
  return %0
}`, map[string]int64{"N": 5, "C": 37}, shapeOf{nests: 1, phases: 4}}, // exponentials wait in the result
		{"softmax in bf16", `func @f(%x: bf16[N,C]) -> bf16[N,C] {
  %0: bf16[N,C] = softmax(%x) {axis=1}
  return %0
}`, map[string]int64{"N": 5, "C": 37}, shapeOf{nests: 1, rows: 1, phases: 4}}, // which is too narrow for them here
		{"layer_norm", `func @f(%x: f32[N,C], %g: f32[C], %b: f32[C]) -> f32[N,C] {
  %0: f32[N,C] = layer_norm(%x, %g, %b) {eps=1e-05, axes=[1]}
  return %0
}`, map[string]int64{"N": 5, "C": 37}, shapeOf{nests: 1, phases: 6}},
		{"two products", `func @f(%x: f32[N,8], %u: f32[8,16], %v: f32[8,16]) -> f32[N,16] {
  %0: f32[N,16] = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[N,16] = dot_general(%x, %v) {lhs_contract=[1], rhs_contract=[0]}
  %2: f32[N,16] = silu(%0)
  %3: f32[N,16] = mul(%2, %1)
  return %3
}`, map[string]int64{"N": 9}, shapeOf{gemms: 2, temps: 1}},
		{"chained products", `func @f(%x: f32[N,8], %u: f32[8,16], %v: f32[16,4]) -> f32[N,4] {
  %0: f32[N,16] = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[N,16] = relu(%0)
  %2: f32[N,4] = dot_general(%1, %v) {lhs_contract=[1], rhs_contract=[0]}
  return %2
}`, map[string]int64{"N": 9}, shapeOf{gemms: 2, temps: 1}},
		{"softmax of a product", `func @f(%x: f32[N,8], %u: f32[8,16]) -> f32[N,16] {
  %0: f32[N,16] = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[N,16] = softmax(%0) {axis=1}
  return %1
}`, map[string]int64{"N": 9}, shapeOf{nests: 1, gemms: 1, temps: 1, phases: 4}},
		{"transposed product", `func @f(%x: f32[N,8], %u: f32[8,16]) -> f32[16,N] {
  %0: f32[N,16] = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[16,N] = transpose(%0) {perm=[1, 0]}
  return %1
}`, map[string]int64{"N": 9}, shapeOf{gemms: 1}},
		{"product and its sum", `func @f(%x: f32[N,8], %u: f32[8,16]) -> (f32[N,16], f32[N]) {
  %0: f32[N,16] = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[N] = reduce_sum(%0) {axes=[1]}
  %2: f32[N,16] = tanh(%0)
  return %2, %1
}`, map[string]int64{"N": 9}, shapeOf{nests: 1, gemms: 1, temps: 1, phases: 2}},
		{"operand to be arranged", `func @f(%x: f32[3,N,5], %u: f32[3,5,7]) -> f32[N,7] {
  %0: f32[N,7] = dot_general(%x, %u) {lhs_contract=[0, 2], rhs_contract=[0, 1]}
  return %0
}`, map[string]int64{"N": 9}, shapeOf{nests: 1, gemms: 1, temps: 1, phases: 1}},
		{"operand to be widened", `func @f(%x: f8e4m3[N,5], %v: f8e4m3[7,5]) -> f32[N,7] {
  %0: f32[N,7] = dot_general(%x, %v) {lhs_contract=[1], rhs_contract=[1], dtype=f32}
  return %0
}`, map[string]int64{"N": 9}, shapeOf{nests: 2, gemms: 1, temps: 2, phases: 2}},
		{"dot product", `func @f(%x: f32[N], %y: f32[N]) -> f32[]
    where N in [1, 1000] {
  %0: f32[] = dot_general(%x, %y) {lhs_contract=[0], rhs_contract=[0]}
  return %0
}`, map[string]int64{"N": 9}, shapeOf{nests: 1, phases: 2}},
		{"columns", `func @f(%x: f32[N,C]) -> (f32[N], f32[C]) {
  %0: f32[C] = reduce_sum(%x) {axes=[0]}
  %1: f32[N] = reduce_sum(%x) {axes=[1]}
  return %1, %0
}`, map[string]int64{"N": 9, "C": 7}, shapeOf{nests: 2, phases: 4}},
		{"big sum", `func @f(%x: bf16[N,3]) -> bf16[]
    where N in [1, 1000000] {
  %0: bf16[] = reduce_max(%x) {axes=[0, 1]}
  return %0
}`, map[string]int64{"N": 12001}, shapeOf{nests: 2, temps: 1, phases: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := requireRegion(t, c.src, c.sizes)
			assert.Equal(t, c.want, shapeOfKernel(k), "%s", k)
		})
	}
}

// TestLowerChoosesLanes asks that lanes are neighbours in memory.
func TestLowerChoosesLanes(t *testing.T) {
	for _, c := range []struct{ name, src, vec string }{
		{"row sum", "func @f(%x: f32[N,C]) -> f32[N] {\n  %0: f32[N] = reduce_sum(%x) {axes=[1]}\n  return %0\n}", "C"},
		{"column sum", "func @f(%x: f32[N,C]) -> f32[C] {\n  %0: f32[C] = reduce_sum(%x) {axes=[0]}\n  return %0\n}", "C"},
		{"short rows", "func @f(%x: f32[N,C,2]) -> f32[C,N,2] {\n  %0: f32[C,N,2] = transpose(%x) {perm=[1, 0, 2]}\n  return %0\n}", "N"},
	} {
		k := requireRegion(t, c.src, map[string]int64{"N": 19, "C": 23})
		n := k.Steps[0].Nest
		assert.Equal(t, c.vec, n.Axes[n.Vec].Extent.String(), "%s:\n%s", c.name, k)
	}
}

// TestLowerLongTranspose transposes through a padding, beside a position.
func TestLowerLongTranspose(t *testing.T) {
	requireRegion(t, `func @f(%x: f32[N,M], %y: f32[], %b: f32[N + 3]) -> f32[M + 2,N + 3] {
  %0: f32[M,N] = transpose(%x) {perm=[1, 0]}
  %1: f32[M + 2,N + 3] = pad(%0, %y) {low=[1, 1], high=[1, 2]}
  %2: f32[M + 2,N + 3] = iota() {axis=1}
  %3: f32[M + 2,N + 3] = broadcast(%b) {axes=[1]}
  %4: f32[M + 2,N + 3] = mul(%2, %3)
  %5: f32[M + 2,N + 3] = add(%1, %4)
  return %5
}`, map[string]int64{"N": 131, "M": 70})
}

// TestLowerExtremes covers empty dimensions, scalars and high ranks.
func TestLowerExtremes(t *testing.T) {
	for _, src := range []string{
		"func @f(%x: f32[N,0,3]) -> f32[N,3] {\n  %0: f32[N,3] = reduce_max(%x) {axes=[1]}\n  return %0\n}",
		"func @f(%x: f32[N,4], %y: f32[4,M]) -> f32[N,M] {\n  %0: f32[N,M] = dot_general(%x, %y) {lhs_contract=[1], rhs_contract=[0]}\n  return %0\n}",
		"func @f(%x: f32[3,N], %y: f32[N,M]) -> f32[3,M] {\n  %0: f32[3,M] = dot_general(%x, %y) {lhs_contract=[1], rhs_contract=[0]}\n  return %0\n}",
		"func @f(%x: f32[N,4]) -> (f32[N,4], f32[N,4]) {\n  return %x, %x\n}",
		"func @f(%x: f32[2,1,3,1,2,N,1,2,2,3]) -> f32[2,1,3,1,2,N,1,2,2,3] {\n  %0: f32[2,1,3,1,2,N,1,2,2,3] = softmax(%x) {axis=4}\n  return %0\n}",
		"func @f(%x: f32[2,3,N,2,2,3,2]) -> f32[2,3,2,2,N,3,2] {\n  %0: f32[2,3,2,2,N,3,2] = transpose(%x) {perm=[6, 5, 4, 3, 2, 1, 0]}\n  return %0\n}",
	} {
		for n := range int64(4) {
			requireRegion(t, src, map[string]int64{"N": n, "M": 3 - n})
		}
	}
}

// TestLowerPrefixSum doubles the distance in every step; recomputing all the way
// down would take a load per element and step, doubled each time.
func TestLowerPrefixSum(t *testing.T) {
	f := ir.NewFunc("scan", nil)
	b := ir.NewBuilder(f)
	n := dim.Const(1 << 10)
	x := f.AddParam("x", ir.T(tensor.F32, n), nil)
	y, zero := x, b.Splat(ir.T(tensor.F32), 0)
	for d := int64(1); d < 1<<10; d *= 2 {
		head := b.Emit(ir.OpSlice, []*ir.Value{y}, ir.Attr{Name: "starts", Value: ir.Dims(0)}, ir.Attr{Name: "limits", Value: []dim.Expr{n.Sub(dim.Const(d))}})
		y = b.Add(y, b.Emit(ir.OpPad, []*ir.Value{head, zero}, ir.Attr{Name: "low", Value: []dim.Expr{dim.Const(d)}}, ir.Attr{Name: "high", Value: ir.Dims(0)}))
	}
	require.NoError(t, b.Err())
	f.Results = []*ir.Value{y}
	rng := rand.New(rand.NewPCG(1, 1))
	k := requireAgrees(t, f, []*tensor.Tensor{randomTensor(rng, tensor.F32, []int{1 << 10}, 0, 1)}, nil)
	insts := 0
	for _, s := range k.Steps {
		insts += len(s.Nest.Insts)
	}
	assert.Less(t, insts, 400, "%s", k)
	assert.Greater(t, len(k.Steps), 1)
}

// TestLowerEmptyProducts multiplies matrices without rows, columns, depth or batch.
func TestLowerEmptyProducts(t *testing.T) {
	for _, n := range [][4]int{{2, 3, 0, 4}, {2, 0, 3, 4}, {2, 3, 5, 0}, {0, 3, 5, 4}, {0, 0, 0, 0}, {1, 0, 1, 1}} {
		f := ir.NewFunc("empty", nil)
		b := ir.NewBuilder(f)
		x := f.AddParam("x", ir.TConst(tensor.F32, n[0], n[1], n[3]), nil)
		y := f.AddParam("y", ir.TConst(tensor.F32, n[0], n[3], n[2]), nil)
		d := b.Emit(ir.OpDotGeneral, []*ir.Value{x, y}, ir.Attr{Name: "lhs_batch", Value: []int64{0}}, ir.Attr{Name: "rhs_batch", Value: []int64{0}},
			ir.Attr{Name: "lhs_contract", Value: []int64{2}}, ir.Attr{Name: "rhs_contract", Value: []int64{1}})
		f.Results = []*ir.Value{b.Unary(ir.OpExp, d), b.Reduce(ir.OpReduceSum, d, 1)}
		require.NoError(t, b.Err())
		requireAgrees(t, f, []*tensor.Tensor{tensor.New(tensor.F32, n[0], n[1], n[3]), tensor.New(tensor.F32, n[0], n[3], n[2])}, nil)
	}
}

// TestLowerIsDeterministic lowers one region twice.
func TestLowerIsDeterministic(t *testing.T) {
	for seed := range uint64(50) {
		r := newRandomRegion(seed, true)
		for tries := 0; len(r.values) < 12 && tries < 200; tries++ {
			r.grow()
		}
		r.finish()
		a, err := Lower(r.f, Options{})
		require.NoError(t, err)
		b, err := Lower(r.f, Options{})
		require.NoError(t, err)
		require.Equal(t, a.String(), b.String())
	}
}

func TestLowerRefusesComposites(t *testing.T) {
	f := parseFunc(t, "func @f(%x: f32[3]) -> f32[3] {\n  %0: f32[3] = softmax(%x) {axis=0}\n  return %0\n}")
	_, err := Lower(f, Options{})
	var unsupported *Unsupported
	require.ErrorAs(t, err, &unsupported)
	assert.Equal(t, "codegen: cannot lower softmax: op softmax is not primitive: decompose it first", err.Error())
}
