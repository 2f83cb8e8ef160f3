package irgen

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

func TestFunctionsVerifyAndEvaluate(t *testing.T) {
	seen := map[ir.Op]int{}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(1, seed))
		f := Func(rng, Options{Surface: seed%2 == 0, Static: seed%5 == 0, Control: seed%3 == 0})
		require.NoError(t, ir.Verify(f, ir.Surface), "seed %d\n%s", seed, f)
		sizes := Sizes(rng, f)
		_, err := ir.Eval(f, Args(rng, f, sizes), sizes)
		require.NoError(t, err, "seed %d\n%s", seed, f)
		for _, v := range f.Values {
			seen[v.Op]++
		}
	}
	for _, op := range ir.Ops() {
		if tr := op.Row().Traits; !op.Composite() && (tr&(ir.Structural|ir.Approximate|ir.Dynamic) == 0 || tr&ir.Control != 0) && seen[op] == 0 {
			switch op {
			case ir.OpPatches: // like reduce_window, which is made
			default:
				assert.Fail(t, "never made", "%s", op)
			}
		}
	}
}

func TestEqualSeedsGiveEqualFunctions(t *testing.T) {
	text := func() string { return Func(rand.New(rand.NewPCG(3, 4)), Options{Surface: true}).String() }
	assert.Equal(t, text(), text())
	other := Func(rand.New(rand.NewPCG(3, 5)), Options{Surface: true}).String()
	assert.NotEqual(t, text(), other)
}

func TestSeeded(t *testing.T) {
	for seed := range uint64(20) {
		rng, f := Seeded(seed)
		_, g := Seeded(seed)
		require.Equal(t, f.String(), g.String())
		require.NoError(t, ir.Verify(f, ir.Surface))
		for turn := range 2 {
			sizes := SizesAt(rng, f, turn)
			for _, a := range Args(rng, f, sizes) {
				s := Strided(rng, a)
				require.Nil(t, tensor.Compare(s, a, tensor.Exact))
			}
			_, err := ir.Eval(f, Args(rng, f, sizes), sizes)
			require.NoError(t, err)
		}
	}
}
