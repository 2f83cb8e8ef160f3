package fusion

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// disguise is a function that computes the same as f: other names, IDs and symbol
// names, parameters, results and independent values in another order, operands of
// commutative ops exchanged.
func disguise(t testing.TB, f *ir.Func, rng *rand.Rand) *ir.Func {
	t.Helper()
	g := ir.NewFunc("disguise", nil)
	for _, fact := range f.Facts.Strings() {
		require.NoError(t, g.Facts.ParseFact(strings.Replace(fact, "B", "Zeta", 1)))
	}
	sizes := func(es []dim.Expr) []dim.Expr {
		out := make([]dim.Expr, len(es))
		for i, e := range es {
			out[i] = e.Subst(map[string]dim.Expr{"B": dim.Sym("Zeta")})
		}
		return out
	}
	g.NumIDs = f.NumIDs + 5
	ids := rng.Perm(g.NumIDs)
	image := map[*ir.Value]*ir.Value{}
	add := func(v *ir.Value) *ir.Value {
		w := &ir.Value{ID: ids[len(image)], Op: v.Op, Name: fmt.Sprint("v", ids[len(image)])}
		w.Type = v.Type.WithShape(sizes(v.Type.Shape))
		for _, a := range v.Args {
			w.Args = append(w.Args, image[a])
		}
		if v.Is(ir.Commutative) && rng.IntN(2) == 0 {
			w.Args[0], w.Args[1] = w.Args[1], w.Args[0]
		}
		for _, a := range v.Attrs {
			if es, ok := a.Value.([]dim.Expr); ok {
				a.Value = sizes(es)
			}
			w.Attrs = append(w.Attrs, a)
		}
		image[v] = w
		return w
	}
	for _, i := range rng.Perm(len(f.Params)) {
		g.Params = append(g.Params, add(f.Params[i]))
	}
	left := append([]*ir.Value{}, f.Values...)
	for len(left) > 0 {
		i := rng.IntN(len(left))
		ready := true
		for _, a := range left[i].Args {
			ready = ready && image[a] != nil
		}
		if ready {
			g.Values = append(g.Values, add(left[i]))
			left = append(left[:i:i], left[i+1:]...)
		}
	}
	for _, i := range rng.Perm(len(f.Results)) {
		g.Results = append(g.Results, image[f.Results[i]])
	}
	require.NoError(t, ir.Verify(g, ir.Primitive))
	return g
}

// bodies are the regions of random functions.
func bodies(t testing.TB, seed uint64) []*ir.Func {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 4))
	f := randomFunc(t, rng, 5+rng.IntN(40), 6, true)
	var out []*ir.Func
	for _, v := range partition(t, f, native, Options{}).F.Values {
		if v.Op == ir.OpFused {
			out = append(out, v.Bodies[0])
		}
	}
	return out
}

func TestKeyIsTheSameInDisguise(t *testing.T) {
	same, total := 0, 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 6))
		for _, region := range bodies(t, seed) {
			want := Canonical(region)
			require.NoError(t, ir.Verify(want.F, ir.Primitive))
			for range 3 {
				total++
				got := Canonical(disguise(t, region, rng))
				if got.Key("t") == want.Key("t") {
					same++
					require.Equal(t, want.F.String(), got.F.String())
				}
			}
		}
	}
	// Colours do not tell all values apart that differ; a miss is allowed, but rare.
	assert.Greater(t, total, 500)
	assert.GreaterOrEqual(t, same, total*99/100, "of %d", total)
}

func TestCanonicalFormComputesTheRegion(t *testing.T) {
	for seed := range uint64(40) {
		for _, region := range bodies(t, seed) {
			rng := rand.New(rand.NewPCG(seed, 8))
			const batch = 5
			args := arguments(region, rng, batch)
			want, err := ir.Eval(region, args, map[string]int64{"B": batch})
			require.NoError(t, err)
			form := Canonical(region)
			permuted := make([]*tensor.Tensor, len(args))
			for i, p := range form.Params {
				permuted[i] = args[p]
			}
			preset := map[string]int64{}
			for i, s := range form.Syms {
				require.Equal(t, "B", s)
				preset[fmt.Sprint("d", i)] = batch
			}
			got, err := ir.Eval(form.F, permuted, preset)
			require.NoError(t, err)
			require.Len(t, got, len(want))
			for i, r := range form.Results {
				x, _ := want[r].Contiguous().Bytes()
				y, _ := got[i].Contiguous().Bytes()
				require.Equal(t, x, y)
			}
		}
	}
}

// variants are one region and what differs from it in a way that matters.
var variants = []struct{ name, src string }{
	{"base", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"element type", region("f16[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"size", region("f32[B,9]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"static size", region("f32[8,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"one symbol twice", region("f32[B,B]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"rank", region("f32[B,8,1]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"op", region("f32[B,8]", "reduce_max(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"attribute", region("f32[B,8]", "reduce_sum(%a) {axes=[0]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s")},
	{"operands exchanged", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%y, %x)", "2.0", "B in [1, 64]", "%c, %s")},
	{"operand twice", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %x)", "2.0", "B in [1, 64]", "%c, %s")},
	{"constant", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "-2.0", "B in [1, 64]", "%c, %s")},
	{"negative zero", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "-0.0", "B in [1, 64]", "%c, %s")},
	{"zero", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "0.0", "B in [1, 64]", "%c, %s")},
	{"range", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 65]", "%c, %s")},
	{"divisibility", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64], B % 2 == 0", "%c, %s")},
	{"another result", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%a, %s")},
	{"one more result", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s, %a")},
	{"a result twice", region("f32[B,8]", "reduce_sum(%a) {axes=[1]}", "sub(%x, %y)", "2.0", "B in [1, 64]", "%c, %s, %s")},
}

func region(typ, reduce, sub, constant, facts, results string) string {
	s := fmt.Sprintf(`func @f(%%x: %[1]s, %%y: %[1]s) -> RESULTS
    where %[5]s {
  %%k: %[1]s = constant() {value=%[4]s}
  %%b = %[3]s
  %%a = mul(%%b, %%k)
  %%s = %[2]s
  %%c = max(%%a, %%x)
  return %[6]s
}
`, typ, reduce, sub, constant, facts, results)
	return s
}

// parseRegion fills in the result types.
func parseRegion(t *testing.T, src string) *ir.Func {
	t.Helper()
	probe := strings.Replace(src, "RESULTS", "f32[77]", 1)
	lines := strings.Split(probe, "\n")
	names := strings.Split(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-3]), "return "), ", ")
	types := map[string]string{}
	body := strings.Join(lines[:len(lines)-3], "\n")
	for _, n := range names {
		_, _, diags := ir.Parse("probe", body+"\n  return "+n+"\n}\n")
		require.Len(t, diags, 1)
		types[n] = diags[0].Got
	}
	var ts []string
	for _, n := range names {
		ts = append(ts, types[n])
	}
	return parse(t, strings.Replace(src, "RESULTS", "("+strings.Join(ts, ", ")+")", 1))
}

func TestKeyDiffersWithTheMeaning(t *testing.T) {
	seen := map[Key]string{}
	for _, v := range variants {
		k := KeyOf(parseRegion(t, v.src), "avx512")
		require.Empty(t, seen[k], "%s has the key of %s", v.name, seen[k])
		seen[k] = v.name
	}
	k := KeyOf(parseRegion(t, variants[0].src), "avx2")
	require.Empty(t, seen[k], "the target makes no difference")
}

func TestSymbolsOfDifferentAxesDiffer(t *testing.T) {
	key := func(shape string) Key {
		return KeyOf(parse(t, "func @f(%x: f32[A,B], %y: f32["+shape+"]) -> (f32[A,B], f32["+shape+"]) {\n"+
			"  %a = exp(%x)\n  %b = exp(%y)\n  return %a, %b\n}\n"), "")
	}
	assert.Equal(t, key("C,D"), key("D,C"))
	assert.Equal(t, key("A,C"), key("A,D"))
	assert.NotEqual(t, key("A,C"), key("C,B"))
	assert.NotEqual(t, key("A,B"), key("B,A"))
	assert.NotEqual(t, key("A,B"), key("C,D"))
	assert.NotEqual(t, key("2*A,B"), key("2*B,A"))
	assert.NotEqual(t, key("A,A"), key("B,B"))
}

func TestEqualSymbolsAreOne(t *testing.T) {
	src := "func @f(%%x: f32[A,T]) -> f32[A,T]\n    where %s {\n  %%a = exp(%%x)\n  return %%a\n}\n"
	plain := KeyOf(parse(t, "func @f(%x: f32[A,2*A]) -> f32[A,2*A]\n    where A in [1, 9] {\n  %a = exp(%x)\n  return %a\n}\n"), "")
	assert.Equal(t, plain, KeyOf(parse(t, fmt.Sprintf(src, "A in [1, 9], T == 2*A")), ""))
	assert.NotEqual(t, plain, KeyOf(parse(t, fmt.Sprintf(src, "A in [1, 9], T in [2, 18]")), ""))
}

func TestLayersOfOneTraceShareKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString("func @layers(%h0: f32[B,64]")
	for i := range 4 {
		fmt.Fprintf(&b, ", %%w%d: f32[64,64], %%b%d: f32[64], %%g%d: f32[64]", i, i, i)
	}
	b.WriteString(") -> f32[B,64] {\n")
	for i := range 4 {
		fmt.Fprintf(&b, "  %%n%[1]d = rms_norm(%%h%[1]d, %%g%[1]d)\n  %%l%[1]d = linear(%%n%[1]d, %%w%[1]d, %%b%[1]d)\n"+
			"  %%r%[1]d = silu(%%l%[1]d)\n  %%h%[2]d = add(%%h%[1]d, %%r%[1]d)\n", i, i+1)
	}
	b.WriteString("  return %h4\n}\n")
	r := partition(t, primitive(t, parse(t, b.String()), nil), native, Options{})
	keys := map[Key]int{}
	for _, g := range r.Regions {
		keys[KeyOf(g.Value.Bodies[0], "")]++
	}
	assert.Len(t, r.Regions, 8)
	assert.Len(t, keys, 2)
}
