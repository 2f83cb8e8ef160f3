package codegen

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
	"jitc/ir"
)

// primitives decomposes every composite op.
func primitives(t *testing.T, f *ir.Func) *ir.Func {
	t.Helper()
	for composite := true; composite; {
		composite = false
		out := ir.NewFunc(f.Name, f.Facts)
		b, to := ir.NewBuilder(out), map[*ir.Value]*ir.Value{}
		for _, p := range f.Params {
			to[p] = out.AddParam(p.Name, p.Type, p.Attrs)
		}
		for _, v := range f.Values {
			args := make([]*ir.Value, len(v.Args))
			for i, a := range v.Args {
				args[i] = to[a]
			}
			if v.Row().Decompose == nil {
				to[v] = b.EmitAttrs(v.Op, args, v.Attrs)
			} else {
				composite = true
				to[v] = v.Row().Decompose(b, &ir.Value{Op: v.Op, Type: v.Type, Args: args, Attrs: v.Attrs})
			}
			require.NoError(t, b.Err())
		}
		for _, r := range f.Results {
			out.Results = append(out.Results, to[r])
		}
		f = out
	}
	return f
}

// TestLowerGolden shows the nests of regions that matter.
func TestLowerGolden(t *testing.T) {
	golden.Run(t, "../testdata/loops", func(t *testing.T, c *golden.Case) {
		k, err := Lower(primitives(t, parseFunc(t, c.In)), Options{})
		require.NoError(t, err)
		c.Want(t, "want.loops", k.String())
	})
}
