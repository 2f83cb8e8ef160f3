package fusion

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
)

// fake claims by op; ops without a row are fusible.
type fake struct {
	name   string
	levels map[ir.Op]Level
}

func (f fake) Name() string { return f.name }

func (f fake) Claim(v *ir.Value) Claim {
	if l, ok := f.levels[v.Op]; ok {
		return Claim{Level: l, Why: "not " + v.Op.String()}
	}
	return Claim{Level: Fusible}
}

var native = []Claimer{fake{name: "native"}}

// parse reads a trace.
func parse(t testing.TB, src string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", src)
	require.NoError(t, diags.Err())
	return f
}

// primitive expands composites down to primitives, but for those in keep.
func primitive(t testing.TB, f *ir.Func, keep map[ir.Op]bool) *ir.Func {
	t.Helper()
	out := ir.NewFunc(f.Name, f.Facts)
	b := ir.NewBuilder(out)
	env := map[*ir.Value]*ir.Value{}
	for _, p := range f.Params {
		env[p] = out.AddParam(p.Name, p.Type, p.Attrs)
	}
	again := false
	for _, v := range f.Values {
		args := make([]*ir.Value, len(v.Args))
		for i, a := range v.Args {
			args[i] = env[a]
		}
		b.Pos = v.Pos
		if v.Op.Composite() && !keep[v.Op] {
			env[v] = v.Row().Decompose(b, &ir.Value{Op: v.Op, Type: v.Type, Attrs: v.Attrs, Args: args})
			if env[v].Name == "" {
				env[v].Name = v.Name
			}
			again = true
		} else {
			env[v] = b.Clone(v, args)
		}
		require.NoError(t, b.Err())
	}
	for _, r := range f.Results {
		out.Results = append(out.Results, env[r])
	}
	if again {
		return primitive(t, out, keep)
	}
	return out
}

// partition partitions and checks what every partition must satisfy.
func partition(t testing.TB, f *ir.Func, cs []Claimer, o Options) *Result {
	t.Helper()
	before := f.String()
	r, err := Partition(f, cs, o)
	require.NoError(t, err)
	require.Equal(t, before, f.String(), "the input was modified")
	require.NoError(t, ir.Verify(r.F, ir.Fused))
	requireForm(t, r, cs, o.withDefaults())
	return r
}

// requireForm checks the form of a partition, and of those of bodies.
func requireForm(t testing.TB, r *Result, cs []Claimer, o Options) {
	t.Helper()
	require.Len(t, r.Owner, r.F.NumIDs)
	at, control := 0, 0
	for _, v := range r.F.Values {
		switch v.Op {
		case ir.OpFused:
			require.Same(t, v, r.Regions[at].Value)
			require.Equal(t, r.Regions[at].Owner, cs[r.Owner[v.ID]].Name())
			if n := len(r.Regions[at].Members); n > 1 {
				require.LessOrEqual(t, len(v.Bodies[0].Values), o.MaxOps)
				require.LessOrEqual(t, len(v.Bodies[0].Params)+len(v.Bodies[0].Results), o.MaxOperands)
			}
			at++
		case ir.OpGet:
			require.Equal(t, -1, r.Owner[v.ID])
		case ir.OpCond, ir.OpWhile, ir.OpScan:
			require.Equal(t, -1, r.Owner[v.ID])
			c := r.Control[control]
			require.Same(t, v, c.Value)
			for i, body := range c.Bodies {
				require.Same(t, v.Bodies[i], body.F)
				requireForm(t, body, cs, o)
			}
			control++
		default:
			require.True(t, isData(v), "%s outside of regions", v.Op)
		}
	}
	require.Len(t, r.Regions, at)
	require.Len(t, r.Control, control)
}
