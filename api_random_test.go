package jitc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	rt "jitc/runtime"
)

// A random program is a function of tensors x, y: f32[B,C] and w: f32[C,4], an Int
// and a Float. What it does follows from a seed, so that it traces to the same ops
// whenever it is traced at the same sizes.
type randomArgs struct {
	X, Y, W *T
	N       jitc.Int
	Rate    jitc.Float
}

type randomProgram struct {
	seed uint64
	mode *jitc.Var[int]
}

type randomMaker struct {
	rng  *rand.Rand
	in   randomArgs
	pool []*T // of shape [B,C]
}

// steps make a new tensor of shape [B,C]; each row is one.
var steps = []func(m *randomMaker) *T{
	func(m *randomMaker) *T { return m.pick().Tanh() },
	func(m *randomMaker) *T { return m.pick().Abs().Sqrt() },
	func(m *randomMaker) *T { return m.pick().Add(m.pick()).Mul(0.5) },
	func(m *randomMaker) *T { return m.pick().Maximum(m.pick()) },
	func(m *randomMaker) *T { return m.pick().Softmax(1) },
	func(m *randomMaker) *T { x := m.pick(); return x.Sub(x.MeanKeep(1)) },
	func(m *randomMaker) *T { return m.pick().MatMul(m.in.W).Tanh().MatMul(m.in.W.Permute(1, 0)).Tanh() },
	func(m *randomMaker) *T { x := m.pick(); return jitc.Where(x.Gt(m.pick()), x, 0.25) },
	func(m *randomMaker) *T { return m.pick().Mul(m.in.Rate) },
	func(m *randomMaker) *T { return m.pick().Mul(m.in.N.Tensor().To(jitc.F32)).Tanh() },
	func(m *randomMaker) *T { x := m.pick(); return x.Add(x.Size(0).Add(x.Size(1)).Tensor()).Tanh() },
	func(m *randomMaker) *T {
		x := m.pick()
		return jitc.Concat(0, x, m.pick().Neg()).Slice(0, x.Size(0), x.Size(0).Mul(2))
	},
	func(m *randomMaker) *T { return m.pick().Permute(1, 0).Flip(0).Permute(1, 0) },
	func(m *randomMaker) *T {
		x := m.pick()
		return jitc.Cond(x.Sum().Gt(0), func() *T { return x.Neg() }, func() *T { return x.Mul(0.5) })
	},
	func(m *randomMaker) *T {
		x := m.pick()
		return x.Reshape(x.NumElements()).Reshape(x.Size(0), x.Size(1)).Sin()
	},
}

func (m *randomMaker) pick() *T { return m.pool[m.rng.IntN(len(m.pool))] }

func (p *randomProgram) run(in randomArgs) map[string]*T {
	m := &randomMaker{rng: rand.New(rand.NewPCG(p.seed, 0)), in: in, pool: []*T{in.X, in.Y}}
	for range 3 + m.rng.IntN(6) {
		m.pool = append(m.pool, steps[m.rng.IntN(len(steps))](m))
	}
	if m.rng.IntN(3) == 0 && in.X.Size(0).Less(1+m.rng.IntN(4)) { // a branch that sizes decide
		m.pool = append(m.pool, m.pick().Cos())
	}
	if m.rng.IntN(3) == 0 && p.mode.Get() == 1 {
		m.pool = append(m.pool, m.pick().Exp().Tanh())
	}
	last := m.pool[len(m.pool)-1]
	return map[string]*T{"last": last, "rows": m.pick().Sum(1), "all": m.pick().Mean(0, 1), "both": last.Mul(m.pick())}
}

func TestRandomProgramsEqualTheirReference(t *testing.T) {
	e := engine(t, jitc.Options{})
	stances := []jitc.Stance{{}, {}, {}, {Mode: jitc.NoRecompile}, {Mode: jitc.EagerThenCompile}, {Mode: jitc.Differentiating, Sample: 1}}
	for seed := range uint64(60) {
		p := &randomProgram{seed, jitc.NewVar("mode", 0)}
		f := jitc.Func1(e, p.run, jitc.ArgNames("in"), jitc.Name(fmt.Sprintf("random%d", seed)))
		rng := rand.New(rand.NewPCG(seed, 1))
		var into map[string]*T
		for i := range 14 {
			b, c := rng.IntN(6), 1+rng.IntN(4)
			if i%5 == 4 {
				p.mode.Set(rng.IntN(2))
			}
			in := randomArgs{cyclic(b, c), cyclic(b, c).Neg(), cyclic(c, 4), jitc.NewInt(rng.IntN(3)), jitc.NewFloat(float64(rng.IntN(3)) / 2)}
			want, err := f.Call(reference(), in)
			require.NoError(t, err, "%d: %s", seed, f)
			ctx := jitc.InStance(context.Background(), stances[rng.IntN(len(stances))])
			got, err := f.Call(ctx, in)
			require.NoError(t, err, "%d: %s", seed, f)
			require.NoError(t, f.CallInto(ctx, &into, in))
			for k := range want {
				alike(t, want[k], got[k])
				alike(t, want[k], into[k])
			}
		}
		s := f.Traced().Stats()
		assert.EqualValues(t, 14*3, s.Calls)
		assert.Equal(t, s.Calls, s.Hits.Total()+s.Misses+s.Reference)
		// One for constants; one when sizes have changed, and again for what had not
		// changed by then or was equal by chance; the branch and the setting add theirs.
		assert.LessOrEqual(t, len(s.Entries), 7, "%d: %s", seed, whys(f.Traced().Entries()))
	}
}

func whys(entries []*rt.Entry) (out string) {
	for _, e := range entries {
		out += fmt.Sprintf("entry %d: %q\n", e.ID, e.Why)
	}
	return out
}
