package passes

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
)

// TestEveryRuleFires tries random functions until every rule has applied to one:
// of all ops, and of a few ops each, so that these meet.
func TestEveryRuleFires(t *testing.T) {
	rules := slices.Concat(foldRules(), simplifyRules(), fastRules(), canonicalRules())
	fired := make([]int, len(rules))
	for i := range rules {
		rules[i].fired = func() { fired[i]++ }
	}
	set := index(rules)
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(77, seed))
		o := irgen.Options{Values: 40, Static: seed%2 == 0}
		if seed%4 == 3 {
			few := map[ir.Op]bool{}
			for range 5 {
				few[ir.Op(rng.IntN(len(ir.Ops())))] = true
			}
			o.Keep = func(op ir.Op) bool { return few[op] }
		}
		require.NoError(t, ir.Verify(rewrite(irgen.Func(rng, o), set, true), ir.Primitive))
	}
	for i, r := range rules {
		assert.Positive(t, fired[i], "%s -> %s never applied", r.from, r.to)
	}
}
