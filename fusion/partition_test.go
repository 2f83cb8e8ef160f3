package fusion

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
)

// requireSameResults evaluates both functions and compares bits: fusion changes
// where values are computed, never what.
func requireSameResults(t *testing.T, f, g *ir.Func, args []*tensor.Tensor) {
	t.Helper()
	want, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	got, err := ir.Eval(g, args, nil)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		x, _ := want[i].Contiguous().Bytes()
		y, _ := got[i].Contiguous().Bytes()
		require.Equal(t, want[i].Shape(), got[i].Shape())
		require.Equal(t, x, y, "result %d\n%s\n%s", i, f, g)
	}
}

// liveValues are the values that the results need.
func liveValues(f *ir.Func) map[*ir.Value]bool {
	live := map[*ir.Value]bool{}
	for _, r := range f.Results {
		live[r] = true
	}
	for i := len(f.Values) - 1; i >= 0; i-- {
		if v := f.Values[i]; live[v] {
			for _, a := range v.Args {
				live[a] = true
			}
		}
	}
	return live
}

// cheap reports whether a region may compute a value that another computes too.
func cheap(v *ir.Value) bool {
	nothing := isAxisReduction(v) && len(v.Attrs.Ints("axes")) == 0 // folds nothing
	return v.Is(ir.View) || v.Is(ir.Source) || v.Is(ir.Pointwise) && !v.Is(ir.Approximate) || nothing
}

// requireNothingLost compares the ops of all bodies with those of the input: what
// is not cheap is there once, what is cheap at least once.
func requireNothingLost(t *testing.T, f *ir.Func, r *Result) {
	t.Helper()
	type kind struct {
		op  ir.Op
		typ string
	}
	want, got := map[kind]int{}, map[kind]int{}
	dear := map[kind]bool{}
	for v := range liveValues(f) {
		if v.Op != ir.OpParam {
			k := kind{v.Op, v.Type.String()}
			want[k]++
			dear[k] = !cheap(v)
		}
	}
	for _, v := range r.F.Values {
		if isData(v) || isBarrier(v) {
			got[kind{v.Op, v.Type.String()}]++
		}
		if v.Op == ir.OpFused {
			for _, x := range v.Bodies[0].Values {
				got[kind{x.Op, x.Type.String()}]++
			}
		}
	}
	for _, c := range r.Control {
		for i, body := range c.Bodies {
			requireNothingLost(t, c.Of.Bodies[i], body)
		}
	}
	for k, n := range want {
		if dear[k] {
			require.Equal(t, n, got[k], "%s of type %s", k.op, k.typ)
		}
		require.GreaterOrEqual(t, got[k], n, "%s of type %s", k.op, k.typ)
	}
	for k := range got {
		require.Positive(t, want[k], "%s of type %s appeared", k.op, k.typ)
	}
}

// requireOwned checks that every value of a region is one that its owner takes,
// and that those taken alone are alone.
func requireOwned(t *testing.T, r *Result, cs []Claimer) {
	t.Helper()
	for _, v := range r.F.Values {
		if v.Op != ir.OpFused {
			continue // bodies of control flow: requireForm and requireNothingLost
		}
		owner := cs[r.Owner[v.ID]]
		for _, x := range v.Bodies[0].Values {
			level := owner.Claim(x).Level
			if x.Is(ir.View) && hasStrided(owner, v.Bodies[0]) {
				continue
			}
			require.NotEqual(t, Refused, level, "%s in a region of %s", x.Op, owner.Name())
			require.True(t, level == Fusible || len(v.Bodies[0].Values) == 1 || level == Strided && onlyViewsBeside(x, v.Bodies[0]),
				"%s is not alone", x.Op)
		}
	}
}

// hasStrided reports whether the owner takes a value of a region at any strides.
func hasStrided(owner Claimer, region *ir.Func) bool {
	return slices.ContainsFunc(region.Values, func(v *ir.Value) bool { return owner.Claim(v).Level == Strided })
}

// onlyViewsBeside reports whether a region holds nothing beside x but views.
func onlyViewsBeside(x *ir.Value, region *ir.Func) bool {
	for _, v := range region.Values {
		if v != x && !v.Is(ir.View) {
			return false
		}
	}
	return true
}

func requireMembersOnce(t *testing.T, r *Result) {
	t.Helper()
	seen := map[*ir.Value]bool{}
	for _, g := range r.Regions {
		require.NotEmpty(t, g.Members)
		require.NotEmpty(t, g.Why)
		for _, m := range g.Members {
			require.False(t, seen[m], "%s is a member of two regions", r.Name(m))
			seen[m] = true
		}
	}
	for _, d := range r.Decisions {
		require.NotEmpty(t, r.Reason(d))
		require.Less(t, d.Region, len(r.Regions))
	}
}

func TestRandomFunctionsKeepTheirMeaning(t *testing.T) {
	fused, values := 0, 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 2))
		f := randomFunc(t, rng, 2+rng.IntN(40), []int{0, 4}[rng.IntN(2)], true)
		cs := randomClaimers(rng)
		o := Options{Off: seed%10 == 0, MaxOps: []int{0, 5, 12}[rng.IntN(3)], MaxOperands: []int{0, 4}[rng.IntN(2)], Budget: []int{0, 3}[rng.IntN(2)]}
		r := partition(t, f, cs, o)
		requireNothingLost(t, f, r)
		requireOwned(t, r, cs)
		requireMembersOnce(t, r)
		for _, batch := range []int64{1, 6} {
			requireSameResults(t, f, r.F, arguments(f, rng, batch))
		}
		fused, values = fused+len(r.Regions), values+len(f.Values)
	}
	assert.Less(t, fused, values*3/4, "hardly anything was merged")
}

// TestGeneratedFunctionsKeepTheirMeaning has every primitive op, element type and
// awkward size, where TestRandomFunctionsKeepTheirMeaning has more to merge.
func TestGeneratedFunctionsKeepTheirMeaning(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 12))
		f := irgen.Func(rng, irgen.Options{Values: 5 + rng.IntN(60), Static: seed%3 == 0, Control: seed%2 == 0})
		cs := randomClaimers(rng)
		r := partition(t, f, cs, Options{Off: seed%10 == 0})
		requireNothingLost(t, f, r)
		requireOwned(t, r, cs)
		requireMembersOnce(t, r)
		for _, c := range r.Control {
			for _, body := range c.Bodies {
				requireOwned(t, body, cs)
				requireMembersOnce(t, body)
			}
		}
		sizes := irgen.Sizes(rng, f)
		args := irgen.Args(rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err)
		got, err := ir.Eval(r.F, args, sizes)
		require.NoError(t, err)
		for i := range want {
			x, _ := want[i].Contiguous().Bytes()
			y, _ := got[i].Contiguous().Bytes()
			require.Equal(t, x, y, "seed %d, result %d", seed, i)
		}
		for _, g := range r.Regions {
			form := Canonical(g.Value.Bodies[0])
			require.NoError(t, ir.Verify(form.F, ir.Surface), "seed %d\n%s", seed, form.F)
		}
	}
}

func TestLargeRandomFunction(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	for _, window := range []int{0, 50} {
		f := randomFunc(t, rand.New(rand.NewPCG(3, uint64(window))), n, window, true)
		r, err := Partition(f, native, Options{})
		require.NoError(t, err)
		requireNothingLost(t, f, r)
		requireMembersOnce(t, r)
		assert.Less(t, len(r.Regions), n/2)
		for i, v := range r.F.Values { // acyclic: operands precede uses
			require.Equal(t, i+len(r.F.Params), v.ID)
			for _, a := range v.Args {
				require.Less(t, a.ID, v.ID)
			}
		}
	}
}

func TestPartitionIsDeterministic(t *testing.T) {
	make := func() *Result {
		f := randomFunc(t, rand.New(rand.NewPCG(9, 9)), 300, 10, true)
		return partition(t, f, native, Options{})
	}
	a, b := make(), make()
	assert.Equal(t, a.F.String(), b.F.String())
	assert.Equal(t, a.Report(), b.Report())
}

func TestUnclaimedValueIsAnError(t *testing.T) {
	f := parse(t, "func @f(%x: f32[4]) -> f32[4] {\n  %y = exp(%x)\n  %z = softmax(%y) {axis=0}\n  return %z\n}\n")
	_, err := Partition(f, []Claimer{fake{"a", map[ir.Op]Level{ir.OpSoftmax: Refused}}, fake{"b", map[ir.Op]Level{ir.OpSoftmax: Refused}}}, Options{})
	var unclaimed *UnclaimedError
	require.True(t, errors.As(err, &unclaimed))
	assert.Equal(t, ir.OpSoftmax, unclaimed.Value.Op)
	assert.Equal(t, []string{"a: not softmax", "b: not softmax"}, unclaimed.Refusals)
	assert.ErrorContains(t, err, "decompose it first")
	_, err = Partition(f, nil, Options{})
	assert.ErrorContains(t, err, "there are no executors")
}

func TestPartitionedFunctionIsAnError(t *testing.T) {
	f := parse(t, "func @f(%x: f32[4]) -> f32[4] {\n  %y = exp(%x)\n  return %y\n}\n")
	r := partition(t, f, native, Options{})
	_, err := Partition(r.F, native, Options{})
	assert.ErrorContains(t, err, "partitioned already")
}

func TestResultThatIsNoValueIsAnError(t *testing.T) {
	f := parse(t, "func @f(%x: f32[4]) -> f32[4] {\n  %y = exp(%x)\n  return %y\n}\n")
	f.Results[0] = &ir.Value{ID: 99, Op: ir.OpExp}
	_, err := Partition(f, native, Options{})
	assert.ErrorContains(t, err, "not a value of the function")
}

// TestEffectsStayInOrder lets an op have an effect for the time of the test,
// since no op of the table has one.
func TestEffectsStayInOrder(t *testing.T) {
	row := ir.OpCbrt.Row()
	row.Traits |= ir.Effect
	t.Cleanup(func() { row.Traits &^= ir.Effect })
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		f := randomFunc(t, rng, 30, 6, false)
		for _, v := range f.Values {
			if v.Op == ir.OpTanh || v.Op == ir.OpNeg {
				v.Op = ir.OpCbrt
			}
		}
		var want, got []string
		for i, v := range f.Values {
			if v.Op == ir.OpCbrt {
				v.Name = "effect" + string(rune('A'+i))
				want = append(want, v.Name)
			}
		}
		r := partition(t, f, native, Options{})
		for _, v := range r.F.Values {
			if v.Op == ir.OpFused {
				for _, x := range v.Bodies[0].Values {
					if x.Op == ir.OpCbrt {
						got = append(got, x.Name)
					}
				}
			}
		}
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestLimitsAreReasons(t *testing.T) {
	f := parse(t, `func @f(%a: f32[9], %b: f32[9], %c: f32[9]) -> f32[9] {
  %d = add(%a, %b)
  %e = exp(%d)
  %g = add(%e, %c)
  return %g
}
`)
	assert.Contains(t, partition(t, f, native, Options{MaxOps: 2}).Report(), "the region would hold too many values")
	assert.Contains(t, partition(t, f, native, Options{MaxOperands: 3}).Report(), "too many operands and results")
	assert.Len(t, partition(t, f, native, Options{}).Regions, 1)
	assert.Len(t, partition(t, f, native, Options{Off: true}).Regions, 3)
}
