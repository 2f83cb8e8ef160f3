package passes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// TestEveryRuleFires counts, over the golden cases and random functions, how often
// each rule applies.
func TestEveryRuleFires(t *testing.T) {
	rules := slices.Concat(foldRules(), simplifyRules(), fastRules(), canonicalRules())
	fired := make([]int, len(rules))
	for i := range rules {
		rules[i].fired = func() { fired[i]++ }
	}
	all, byTheirOwn := index(rules), make([]ruleSet, len(rules))
	for i := range rules {
		byTheirOwn[i] = index(rules[i : i+1])
	}
	golden.Run(t, "../testdata/passes", func(t *testing.T, c *golden.Case) {
		f, err := decompose(parse(t, c.In), Options{})
		require.NoError(t, err)
		for _, set := range byTheirOwn {
			require.NoError(t, ir.Verify(rewrite(f, set, false), ir.Primitive))
		}
	})
	for seed := range uint64(600) {
		f := irgen.Func(rand.New(rand.NewPCG(77, seed)), irgen.Options{Values: 60, Static: seed%2 == 0})
		require.NoError(t, ir.Verify(rewrite(f, all, true), ir.Primitive))
	}
	for i, r := range rules {
		assert.Positive(t, fired[i], "%s -> %s never applied", r.from, r.to)
		assert.NotEmpty(t, r.ops)
	}
}

// TestLongChains: chains that need all kinds of rules in turn vanish in a few
// walks, however long they are.
func TestLongChains(t *testing.T) {
	var b strings.Builder
	b.WriteString("func @f(%x0: i32[B,3]) -> i32[B,3]\n    where B in [1, 9] {\n")
	const links = 3000
	for i := range links {
		fmt.Fprintf(&b, "  %%t%d: i32[3,B] = transpose(%%x%d) {perm=[1, 0]}\n", i, i)
		fmt.Fprintf(&b, "  %%c%d: i32[3,B] = constant() {value=7}\n", i)
		fmt.Fprintf(&b, "  %%z%d: i32[3,B] = sub(%%c%d, 7)\n", i, i)
		fmt.Fprintf(&b, "  %%a%d: i32[3,B] = add(%%z%d, %%t%d)\n", i, i, i)
		fmt.Fprintf(&b, "  %%x%d: i32[B,3] = transpose(%%a%d) {perm=[1, 0]}\n", i+1, i)
	}
	fmt.Fprintf(&b, "  return %%x%d\n}\n", links)
	g, err := Run(parse(t, b.String()), Options{Verify: true}, nil)
	require.NoError(t, err)
	assert.Empty(t, g.Values)
	assert.Equal(t, g.Params[0], g.Results[0])
}

// TestWideConcats: a concat of many parts of one value is that value, and a chain
// of concats does not grow without bound.
func TestWideConcats(t *testing.T) {
	f := ir.NewFunc("wide", nil)
	x := f.AddParam("x", ir.TConst(tensor.F32, 1000), nil)
	b := ir.NewBuilder(f)
	var parts []*ir.Value
	for i := range 1000 {
		parts = append(parts, b.Emit(ir.OpSlice, []*ir.Value{x}, ir.Attr{Name: "starts", Value: ir.Dims(i)}, ir.Attr{Name: "limits", Value: ir.Dims(i + 1)}))
	}
	f.Results = []*ir.Value{b.Emit(ir.OpConcat, parts, ir.Attr{Name: "axis", Value: int64(0)})}
	y := x
	for range 1000 {
		y = b.Emit(ir.OpConcat, []*ir.Value{y, x}, ir.Attr{Name: "axis", Value: int64(0)})
	}
	f.Results = append(f.Results, y)
	require.NoError(t, b.Err())
	g, err := Run(f, Options{Verify: true}, nil)
	require.NoError(t, err)
	assert.Equal(t, g.Params[0], g.Results[0])
	for _, v := range g.Values {
		assert.LessOrEqual(t, len(v.Args), maxJoined)
	}
	assert.Less(t, len(g.Values), 10)
}

// TestPrograms: real programs verify after every pass and settle.
func TestPrograms(t *testing.T) {
	for _, file := range programs(t) {
		f, err := trace.Read(file)
		require.NoError(t, err)
		g, err := Run(f.Func, Options{Verify: true}, nil)
		require.NoError(t, err)
		requireSettled(t, g)
		assert.Equal(t, f.Func.ResultTypes(), g.ResultTypes())
		for i, r := range f.Func.Results {
			assert.Equal(t, r.Name, g.Results[i].Name)
			assert.Equal(t, r.Pos, g.Results[i].Pos)
		}
	}
}

// TestProgramsEvaluate compares small programs before and after, on their own
// generated tensors.
func TestProgramsEvaluate(t *testing.T) {
	for _, name := range []string{"mlp", "lstm"} {
		f, err := trace.Read("../testdata/programs/" + name + ".trace")
		require.NoError(t, err)
		g, err := Run(f.Func, Options{}, nil)
		require.NoError(t, err)
		args, sizes, err := f.Arguments(trace.Sources{Sizes: map[string]int64{"B": 2}})
		require.NoError(t, err)
		want, err := ir.Eval(f.Func, args, sizes)
		require.NoError(t, err)
		got, err := ir.Eval(g, args, sizes)
		require.NoError(t, err)
		require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	}
}

// TestConcurrentRuns: one function, many goroutines, one result.
func TestConcurrentRuns(t *testing.T) {
	f := irgen.Func(rand.New(rand.NewPCG(3, 3)), irgen.Options{Values: 200, Surface: true})
	texts := make([]string, 8)
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() {
			if g, err := Run(f, Options{FastMath: i%2 == 1}, nil); err == nil {
				texts[i] = g.String()
			}
		})
	}
	wg.Wait()
	for i := range texts {
		assert.NotEmpty(t, texts[i])
		assert.Equal(t, texts[i%2], texts[i])
	}
}
