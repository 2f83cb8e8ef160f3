package attention

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// gradExample is an example with the backward pass's operands.
type gradExample struct {
	*example
	sizes          GradSizes
	do, dq, dk, dv *array
}

func newGradExample(p Problem, lead []int, queries, keys int, seed uint64) *gradExample {
	g := &gradExample{example: newExample(p, lead, queries, keys, seed)}
	g.sizes = GradSizes{Sizes: g.s, GradO: g.s.O, GradQ: g.s.Q, GradK: g.s.K, GradV: g.s.V}
	r := rand.New(rand.NewPCG(seed, 2))
	zero := func() float64 { return 0 }
	g.do = newArray(p.DType, lead, queries, p.ValueDim, g.s.O, normal(r, 1))
	g.dq = newArray(p.DType, lead, queries, p.HeadDim, g.s.Q, zero)
	g.dk = newArray(p.DType, lead, keys, p.HeadDim, g.s.K, zero)
	g.dv = newArray(p.DType, lead, keys, p.ValueDim, g.s.V, zero)
	return g
}

// run runs the backward pass on the exact results of the forward pass.
func (g *gradExample) run(t *testing.T) (total sim.Stats) {
	t.Helper()
	for i, x := range first(g.want()) {
		g.o.values[i] = decode(g.p.DType, encode(g.p.DType, x))
	}
	_, g.stats.values = g.want()
	m := &asm.Module{Version: "7.8", Target: "sm_80"}
	require.NoError(t, EmitBackward(m, g.p, testArch))
	module, err := sim.Parse(m.String())
	require.NoError(t, err)
	plan, err := BindBackward(g.p, testArch, g.sizes)
	require.NoError(t, err)
	mem, next := sim.NewMemory(), uint64(0x7f0000000000)
	addresses := map[Operand]uint64{}
	place := func(which Operand, bytes int) {
		require.NoError(t, mem.Map(next, max(bytes, 1)))
		addresses[which] = next
		next += uint64(roundUp(bytes, 256) + 4096)
	}
	place(Scratch, plan.Scratch)
	inputs := map[Operand]*array{Q: g.q, K: g.k, V: g.v, O: g.o, Stats: g.stats, GradO: g.do}
	if g.mask != nil {
		inputs[Mask] = g.mask
	}
	outputs := map[Operand]*array{GradQ: g.dq, GradK: g.dk, GradV: g.dv}
	for which, a := range inputs {
		place(which, a.bytes())
		a.upload(t, mem, addresses[which])
	}
	for which, a := range outputs {
		place(which, a.bytes())
	}
	for _, l := range plan.Launches {
		stats, err := launch(module, mem, l, addresses, sim.Options{Perturb: 1})
		require.NoError(t, err)
		total.Add(stats)
	}
	for which, a := range outputs {
		a.download(t, mem, addresses[which])
	}
	return total
}

func first(a, _ []float64) []float64 { return a }

// grads are those in float64.
func (g *gradExample) grads() (dq, dk, dv []float64) {
	heads, values, keys := g.p.HeadDim, g.p.ValueDim, g.s.Keys
	dq, dk, dv = make([]float64, len(g.q.values)), make([]float64, len(g.k.values)), make([]float64, len(g.v.values))
	for flat := range count(g.s.Lead) {
		for i := range g.s.Queries {
			row := flat*g.s.Queries + i
			ws, _, sum := g.weights(flat, i)
			delta := 0.0
			for c := range values {
				delta += g.do.values[row*values+c] * g.o.values[row*values+c]
			}
			for j, w := range ws {
				key, p, dp := flat*keys+j, w/sum, 0.0
				for c := range values {
					dp += g.do.values[row*values+c] * g.v.values[key*values+c]
					dv[key*values+c] += p * g.do.values[row*values+c]
				}
				for c := range heads {
					ds := p * (dp - delta) * g.s.Scale
					dq[row*heads+c] += ds * g.k.values[key*heads+c]
					dk[key*heads+c] += ds * g.q.values[row*heads+c]
				}
			}
		}
	}
	return dq, dk, dv
}

// check compares to a few units of 16 bits in the largest gradient: products are of
// rounded probabilities.
func (g *gradExample) check(t *testing.T) sim.Stats {
	t.Helper()
	stats := g.run(t)
	dq, dk, dv := g.grads()
	for _, c := range []struct{ got, want []float64 }{{g.dq.values, dq}, {g.dk.values, dk}, {g.dv.values, dv}} {
		largest := 1.0
		for _, x := range c.want {
			largest = max(largest, math.Abs(x))
		}
		compare(t, c.got, c.want, g.p.tolerance()*largest)
	}
	return stats
}

func TestGradients(t *testing.T) {
	for i, n := range [][2]int{{1, 1}, {5, 130}, {33, 33}, {64, 64}, {100, 70}, {130, 20}} {
		for j, dt := range dtypes {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: 48, Causal: (i+j)%2 == 0, Mask: MaskKind((i + j) % 3), Stats: true}
			t.Run(name(p, n[0], n[1]), func(t *testing.T) {
				g := newGradExample(p, []int{2}, n[0], n[1], uint64(i))
				if p.Mask == BoolMask { // every query attends to something
					for at := range g.mask.values {
						if at%n[1] == 0 {
							g.mask.values[at] = 1
						}
					}
				}
				g.check(t)
			})
		}
	}
}

func TestGradientsOfHeadDims(t *testing.T) {
	for i, d := range [][2]int{{2, 8}, {64, 64}, {80, 38}, {128, 128}, {128, 128}, {33, 70}} {
		p := Problem{DType: []tensor.DType{tensor.BF16, tensor.F32}[i/2%2], HeadDim: d[0], ValueDim: d[1], Causal: i%2 == 0, Mask: MaskKind(i / 3 * 2 % 3), Stats: true}
		if d[0]%2 != 0 {
			p.DType = tensor.F32
		}
		t.Run(name(p, 70, 90), func(t *testing.T) {
			g := newGradExample(p, nil, 70, 90, 3)
			g.sizes.Scale, g.s.Scale = -g.s.Scale, -g.s.Scale
			stats := g.check(t)
			if d[0]%16 == 0 && d[1]%16 == 0 { // else copies are narrower, and may conflict
				assert.Zero(t, stats.SharedConflicts)
			}
		})
	}
}

func TestGradientsWithoutKeys(t *testing.T) {
	g := newGradExample(Problem{DType: tensor.F16, HeadDim: 16, ValueDim: 16, Stats: true}, []int{2}, 7, 0, 3)
	g.run(t)
	for _, x := range g.dq.values {
		require.Zero(t, x)
	}
}

func TestBackwardUnsupported(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		want string
	}{
		{Problem{DType: tensor.F64, HeadDim: 64, ValueDim: 64}, "element type: expected f16, bf16 or f32, got f64"},
		{Problem{DType: tensor.F16, HeadDim: 64, ValueDim: 130}, "backward: expected head dimensions of at most 128, got 64 and 130"},
	} {
		assert.ErrorContains(t, SupportedBackward(c.p, 80), c.want)
		_, err := BindBackward(c.p, 80, GradSizes{})
		assert.ErrorContains(t, err, c.want)
	}
	e := newGradExample(Problem{DType: tensor.F16, HeadDim: 64, ValueDim: 64}, []int{2}, 3, 3, 1)
	e.sizes.GradK.Row = 65
	_, err := BindBackward(e.p, 80, e.sizes)
	assert.ErrorContains(t, err, "strides of dk: expected multiples of 8 elements, got 65")
	e = newGradExample(Problem{DType: tensor.F16, HeadDim: 64, ValueDim: 64}, []int{2}, 3, 3, 1)
	e.sizes.Lead[0], e.sizes.Queries = 1<<28, 10 // their numbers take 32 bits, those of tiles do not
	_, err = BindBackward(e.p, 80, e.sizes)
	assert.ErrorContains(t, err, "expected fewer than 2**31 queries")
}
