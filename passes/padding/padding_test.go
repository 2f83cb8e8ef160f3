package padding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestGolden: want.padding is the rewritten function, want.masks what was masked,
// want.error the refusal. The flag names the symbol: sym=S.
func TestGolden(t *testing.T) {
	golden.Run(t, "../../testdata/padding", func(t *testing.T, c *golden.Case) {
		f, sym := parse(t, c.In), ""
		for flag := range c.Flags {
			sym = strings.TrimPrefix(flag, "sym=")
		}
		p, err := Rewrite(f, sym)
		if c.Has("want.error") {
			require.Error(t, err)
			c.Want(t, "want.error", err.Error())
			return
		}
		require.NoError(t, err)
		c.Want(t, "want.padding", p.F.String())
		c.Want(t, "want.masks", masksText(p))
		requireSound(t, f, p, sym, rounding(p))
	})
}

// rounding is the tolerance for results of p on tame arguments.
func rounding(p *Padded) tensor.Tolerance {
	if p.Exact {
		return tensor.Exact
	}
	return tensor.Tolerance{Rel: 1e-4, Abs: 1e-5, NaNEqual: true}
}

func masksText(p *Padded) string {
	var s strings.Builder
	for _, m := range p.Masked {
		fmt.Fprintf(&s, "%s", m.Op)
		if m.Within != "" {
			fmt.Fprintf(&s, " within %s", m.Within)
		}
		fmt.Fprintf(&s, " at %s, operand %d, axis %d: %s, since it %s\n", m.Pos, m.Arg, m.Axis, m.Identity, m.Why)
	}
	fmt.Fprintf(&s, "exact: %v\n", p.Exact)
	return s.String()
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		t.Run(c.name, func(t *testing.T) {
			f := parse(t, strings.TrimSpace(c.body)+"\n")
			p, err := Rewrite(f, c.sym)
			require.NoError(t, err)
			var masks []string
			for _, m := range p.Masked {
				masks = append(masks, m.Identity)
			}
			assert.Equal(t, c.masks, masks)
			assert.Equal(t, c.exact, p.Exact, "%v", p.Rounded)
			assert.Equal(t, p.Exact, len(p.Rounded) == 0)
			assert.Equal(t, f.ResultTypes(), p.F.ResultTypes())
			requireSound(t, f, p, c.sym, rounding(p))
		})
	}
}

// TestMasksAreShared: a value that two ops fold with one identity is masked once.
func TestMasksAreShared(t *testing.T) {
	f := parse(t, `func @f(%x: i32[S,3]) -> (i32[3], i32[3,3]) where S in [0, 9] {
  %0: i32[3] = reduce_sum(%x) {axes=[0]}
  %1: i32[3,3] = dot_general(%x, %x) {lhs_contract=[0], rhs_contract=[0]}
  return %0, %1
}
`)
	p, err := Rewrite(f, "S")
	require.NoError(t, err)
	assert.Equal(t, 1, countOf(p.F, ir.OpSelect))
	requireSound(t, f, p, "S", tensor.Exact)
}

func countOf(f *ir.Func, op ir.Op) int {
	n := 0
	for _, v := range f.Values {
		if v.Op == op {
			n++
		}
	}
	return n
}

// TestCompositesStayWhole: one that needs no mask is not taken apart.
func TestCompositesStayWhole(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B,S,4]) -> f32[B,S,4] where B in [1, 4], S in [1, 9] {
  %0: f32[B,S,4] = softmax(%x) {axis=1}
  %n: f32[B,S,4] = layer_norm(%0)
  return %n
}
`)
	for sym, softmaxes := range map[string]int{"B": 1, "S": 0} {
		p, err := Rewrite(f, sym)
		require.NoError(t, err)
		assert.Equal(t, softmaxes, countOf(p.F, ir.OpSoftmax), "%s\n%s", sym, p.F)
		assert.Equal(t, 1, countOf(p.F, ir.OpLayerNorm), "%s\n%s", sym, p.F)
	}
}

// TestBothSymbols: what was rewritten for one symbol is rewritten for another.
func TestBothSymbols(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B,S]) -> f32[] where B in [1, 7], S in [1, 7] {
  %0: f32[B,S] = softmax(%x) {axis=1}
  %1: f32[] = reduce_max(%0) {axes=[0, 1]}
  return %1
}
`)
	once, err := Rewrite(f, "B")
	require.NoError(t, err)
	twice, err := Rewrite(once.F, "S")
	require.NoError(t, err)
	require.NoError(t, ir.Verify(twice.F, ir.Surface))
	var names []string
	for _, p := range twice.F.Params {
		names = append(names, p.Name)
	}
	assert.Equal(t, []string{"x", "B.valid", "S.valid"}, names)

	x := tensor.FromFloats(tensor.F32, []int{2, 2}, []float64{1, 2, 3, 5})
	want, err := ir.Eval(f, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	wide := tensor.Fill(tensor.F32, []int{4, 3}, 1e30)
	require.NoError(t, leading(t, wide, []int{2, 2}).CopyFrom(x))
	got, err := ir.Eval(twice.F, []*tensor.Tensor{wide, tensor.Scalar(int64(2)), tensor.Scalar(int64(2))}, nil)
	require.NoError(t, err)
	require.NoError(t, tensor.Check(got[0], want[0], tensor.Tolerance{Rel: 1e-6}))
}

func TestAxesOfParametersAndResults(t *testing.T) {
	f := parse(t, `func @f(%x: f32[3,B,2*B], %w: f32[4]) -> (f32[4], f32[2*B,B,3]) where B in [1, 4] {
  %0: f32[2*B,B,3] = transpose(%x) {perm=[2, 1, 0]}
  return %w, %0
}
`)
	p, err := Rewrite(f, "B")
	require.NoError(t, err)
	b := dim.Sym("B")
	twice := b.Mul(dim.Const(2))
	assert.Equal(t, []ParamAxes{{{Axis: 1, Size: b}, {Axis: 2, Size: twice}}, {}}, p.Params)
	assert.Equal(t, []ResultAxes{{}, {{Axis: 0, Size: twice}, {Axis: 1, Size: b}}}, p.Results)
	assert.Same(t, p.F.Params[2], p.Valid)
	assert.Equal(t, "B.valid", p.Valid.Name)
	assert.Equal(t, "i64[]", p.Valid.Type.String())
}

// TestSizesFromData: a size that elements decide is that of the true elements.
func TestSizesFromData(t *testing.T) {
	f := parse(t, `func @f(%x: f32[2,S]) -> f32[U] where S in [1, 9], U in [0, 100] {
  %0: f32[2,S] = constant() {value=0.0}
  %1: bool[2,S] = gt(%x, %0)
  %2: f32[U] = masked_select(%x, %1) {count=[U]}
  return %2
}
`)
	p, err := Rewrite(f, "S")
	require.Error(t, err, "masked_select reads [2,S] as a row")
	assert.ErrorContains(t, err, "within masked_select")
	require.Nil(t, p)

	f = parse(t, `func @f(%x: f32[S], %y: f32[2,S], %c: i64[S]) -> (f32[U], i64[V,2], f32[2,R]) where S in [1, 9], U in [0, 100], V in [0, 100], R in [0, 1000] {
  %0: f32[S] = constant() {value=0.0}
  %1: bool[S] = gt(%x, %0)
  %2: f32[U] = masked_select(%x, %1) {count=[U]}
  %3: i64[V,2] = nonzero(%y) {count=[V]}
  %4: f32[2,R] = repeat(%y, %c) {axis=1, total=[R]}
  return %2, %3, %4
}
`)
	p, err = Rewrite(f, "S")
	require.NoError(t, err)
	require.NoError(t, ir.Verify(p.F, ir.Surface))
	assert.Equal(t, []ResultAxes{{}, {}, {}}, p.Results)
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 5 {
		shape := []int{n + 1}
		args := []*tensor.Tensor{
			irgen.Tensor(rng, tensor.F32, shape), irgen.Tensor(rng, tensor.F32, []int{2, n + 1}),
			tensor.FromInts(tensor.I64, shape, []int64{2, 0, 1, 3, 1}[:n+1]),
		}
		sizes := map[string]int64{"S": int64(n) + 1}
		require.True(t, requireKept(t, rng, f, p, args, sizes, "S", 8, tensor.Exact))
	}
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := Rewrite(parse(t, strings.TrimSpace(c.body)+"\n"), c.sym)
			require.ErrorContains(t, err, c.want)
			var r *Refusal
			require.ErrorAs(t, err, &r)
			assert.Equal(t, c.sym, r.Sym)
		})
	}
}

// TestEveryPrimitiveIsDecided: each op has a rule, or is refused by name.
func TestEveryPrimitiveIsDecided(t *testing.T) {
	for op := range rules {
		assert.False(t, op.Composite() && op != ir.OpSize && op != ir.OpCumulative, "%s is decomposed", op)
	}
	// Of scalars, of regions and of parameters there is nothing to decide.
	never := []ir.Op{ir.OpParam, ir.OpFused, ir.OpSizeFrom}
	for _, op := range ir.Ops() {
		decided := ruleOf(&ir.Value{Op: op}) != nil || op.Composite() || slices.Contains(never, op)
		assert.True(t, decided, "%s would be refused wherever it meets padding", op)
	}
}
