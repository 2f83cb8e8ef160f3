package codegen

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func legal(t *testing.T, k *Kernel, target Target) *Kernel {
	t.Helper()
	before := k.String()
	out, err := Legalize(k, target)
	require.NoError(t, err)
	require.Equal(t, before, k.String(), "Legalize changed its operand")
	return out
}

// The interpreter ignores the masks and limits of a legal kernel, so these runs
// see the generated predicates and clamps.
func TestLegalizeMasksAndClamps(t *testing.T) {
	for _, target := range []Target{{}, {Spells: primitive}, {WideIndex: true}} {
		pad, pool := legal(t, padKernel(t), target), legal(t, maxPoolKernel(t), target)
		checkPad(t, pad, 3, 4)
		checkPad(t, pad, 2, 200)
		checkPad(t, pad, 0, 3)
		checkMaxPool(t, pool)
		checkGather(t, legal(t, gatherKernel(t, tensor.I64), target))
	}
}

// A legal softmax, with its exponential expanded, stays a softmax.
func TestLegalizeReductions(t *testing.T) {
	k := legal(t, softmaxKernel(t), Target{Spells: primitive})
	x, y := floats(300, 1), make([]float32, 300)
	interpret(t, k, map[string]int64{"N": 2, "C": 150}, memOf(x), memOf(y))
	for i := range 2 {
		sum := 0.0
		for _, v := range x[i*150 : (i+1)*150] {
			sum += math.Exp(float64(v))
		}
		for j := range 150 {
			require.InEpsilon(t, math.Exp(float64(x[i*150+j]))/sum, float64(y[i*150+j]), 1e-5)
		}
	}
}

func TestLegalizeHoistsOuterMasks(t *testing.T) {
	h := sym("H")
	b := NewKernel("hoist")
	x := b.Buffer(Input, "x", tensor.F32, h.Mul(con(8)))
	y := b.Buffer(Output, "y", tensor.F32, h.Add(con(1)))
	s := b.Nest([]Axis{{"i", h.Add(con(1))}, {"j", con(8)}}, 1)
	a := AtExpr(x, con(-8), con(8), con(1))
	a.Masks = []Mask{{Offset: con(-1), Coef: []dim.Expr{con(1)}, Limit: h, Stride: con(8)}}
	s.Loop()
	sum := s.Reduce(Add, s.Load(a))
	s.Once()
	s.Store(At(y, 1), sum)
	k, err := b.Build()
	require.NoError(t, err)
	n := legal(t, k, Target{}).Steps[0].Nest
	require.False(t, n.Phases[0].Loop)
	for i := n.Phases[1].From; i < n.Phases[1].To; i++ {
		assert.Equal(t, Load, n.Insts[i].Op, "the looping phase should only load")
	}
	in, out := floats(24, 2), make([]float32, 4)
	interpret(t, legal(t, k, Target{}), map[string]int64{"H": 3}, memOf(in), memOf(out))
	assert.Zero(t, out[0])
	assert.InDelta(t, in[0]+in[1]+in[2]+in[3]+in[4]+in[5]+in[6]+in[7], out[1], 1e-5)
}

// A mask that the facts prove disappears.
func TestLegalizeDropsProvenMasks(t *testing.T) {
	facts := dim.NewFacts()
	require.NoError(t, facts.ParseFact("N in [1, 100]"))
	b := NewKernel("proven").WithFacts(facts)
	x := b.Buffer(Input, "x", tensor.F32, sym("N"))
	y := b.Buffer(Output, "y", tensor.F32, sym("N"))
	s := b.Nest([]Axis{{"i", sym("N")}}, 1)
	s.Once()
	a := At(x, 1)
	a.Masks = []Mask{{Coef: []dim.Expr{con(1)}, Limit: sym("N"), Stride: con(1)}}
	s.Store(At(y, 1), s.Load(a))
	k, err := b.Build()
	require.NoError(t, err)
	assert.Len(t, legal(t, k, Target{}).Steps[0].Nest.Insts, 2)
}

func TestNarrowIndexOverflowIsReported(t *testing.T) {
	n := sym("N")
	b := NewKernel("wide")
	x := b.Buffer(Input, "x", tensor.U8, n)
	y := b.Buffer(Output, "y", tensor.U8, n.Add(con(1)))
	s := b.Nest([]Axis{{"i", n.Add(con(1))}}, 1)
	s.Once()
	a := At(x, 1)
	a.Masks = []Mask{{Coef: []dim.Expr{con(1)}, Limit: n, Stride: con(1)}}
	s.Store(At(y, 1), s.Load(a))
	k, err := b.Build()
	require.NoError(t, err)
	sizes := map[string]int64{"N": 1 << 32}
	_, err = Bind(legal(t, k, Target{}), sizes)
	require.ErrorIs(t, err, ErrIndexWidth)
	_, err = Bind(legal(t, k, Target{WideIndex: true}), sizes)
	require.NoError(t, err)
}

// lanewise runs one instruction over operand lanes, as it is and expanded.
func lanewise[D, S any](t *testing.T, in Inst, from, to tensor.DType, target Target, a, b []S) []D {
	t.Helper()
	n := con(int64(len(a)))
	kb := NewKernel("lanes")
	x, z := kb.Buffer(Input, "a", from, n), kb.Buffer(Input, "b", from, n)
	y := kb.Buffer(Output, "y", to, n)
	s := kb.Nest([]Axis{{"i", n}}, 1)
	s.Once()
	in.A = s.Load(At(x, 1))
	if in.Op.Arity() > 1 {
		in.B = s.Load(At(z, 1))
	}
	s.Store(At(y, 1), s.Emit(in))
	k, err := kb.Build()
	require.NoError(t, err)
	out := make([]D, len(a))
	interpret(t, legal(t, k, target), nil, memOf(a), memOf(b), memOf(out))
	return out
}

// Every expansion of a primitive gives the bits of the primitive itself.
func TestPrimitiveExpansions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a, b := make([]float32, 4096), make([]float32, 4096)
	fillSamples(a, r)
	copyF32(a, specials)
	for i := range b {
		b[i] = float32(int(r.NormFloat64() * 100))
	}
	copy(b, []float32{1000, -1000, 149, -149, 278, -278})
	bare := Target{Spells: primitive}
	for _, op := range []Code{Floor, Ceil, Trunc, Scale2} {
		in := NewInst(op, tensor.F32)
		sameF32(t, op.String(), lanewise[float32](t, in, tensor.F32, tensor.F32, Target{}, a, b), lanewise[float32](t, in, tensor.F32, tensor.F32, bare, a, b), a)
	}
	for _, narrow := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2} {
		in := NewInst(RoundTo, tensor.F32)
		in.Round = narrow
		c := append([]float32(nil), a...)
		copyF32(c[100:], []float64{65519.99, 65520, 448, 463.9, 464, 464.1, 61439, 61440, 57344, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-9, 0x1p-10, 0x1.8p-10, 0x1p-17, 0x1.fep127, 0x1.ffp127})
		sameF32(t, narrow.String(), lanewise[float32](t, in, tensor.F32, tensor.F32, Target{}, c, b), lanewise[float32](t, in, tensor.F32, tensor.F32, bare, c, b), c)
	}
}

func TestPrimitiveExpansionsF64(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	a, b := make([]float64, 4096), make([]float64, 4096)
	fillSamples(a, r)
	copy(a, specials)
	for i := range b {
		b[i] = float64(int(r.NormFloat64() * 800))
	}
	bare := Target{Spells: primitive}
	for _, op := range []Code{Floor, Ceil, Trunc, Scale2} {
		in := NewInst(op, tensor.F64)
		want := lanewise[float64](t, in, tensor.F64, tensor.F64, Target{}, a, b)
		got := lanewise[float64](t, in, tensor.F64, tensor.F64, bare, a, b)
		for i := range want {
			require.Zero(t, ulps(got[i], want[i]), "%s(%v, %v) = %v, want %v", op, a[i], b[i], got[i], want[i])
		}
	}
	for _, narrow := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2} {
		in := NewInst(RoundTo, tensor.F64)
		in.Round = narrow
		want := lanewise[float64](t, in, tensor.F64, tensor.F64, Target{}, a, b)
		got := lanewise[float64](t, in, tensor.F64, tensor.F64, bare, a, b)
		for i := range want {
			require.Zero(t, ulps(got[i], want[i]), "%s of %v = %v, want %v", narrow, a[i], got[i], want[i])
		}
	}
}

func copyF32(dst []float32, src []float64) {
	for i, x := range src {
		dst[i] = float32(x)
	}
}

func sameF32(t *testing.T, what string, want, got, at []float32) {
	t.Helper()
	for i := range want {
		require.Zero(t, ulps(got[i], float64(want[i])), "%s of %v = %v, want %v", what, at[i], got[i], want[i])
	}
}

func TestIntegerDivision(t *testing.T) {
	edge := []int32{0, 1, -1, 2, -2, 3, 7, -7, math.MaxInt32, math.MinInt32, math.MinInt32 + 1, 1 << 20, 12345}
	var a, b []int32
	for _, x := range edge {
		for _, y := range edge {
			a, b = append(a, x), append(b, y)
		}
	}
	bare := Target{Spells: primitive}
	for _, target := range []Target{{}, bare} {
		q := lanewise[int32](t, NewInst(Div, tensor.I32), tensor.I32, tensor.I32, target, a, b)
		m := lanewise[int32](t, NewInst(Rem, tensor.I32), tensor.I32, tensor.I32, target, a, b)
		for i, x := range a {
			wantQ, wantM := int64(-1), int64(x)
			if b[i] != 0 {
				wantQ, wantM = int64(x)/int64(b[i]), int64(x)%int64(b[i])
			}
			require.Equal(t, int32(wantQ), q[i], "%d / %d", x, b[i])
			require.Equal(t, int32(wantM), m[i], "%d %% %d", x, b[i])
		}
		ua, ub := make([]uint32, len(a)), make([]uint32, len(b))
		for i := range a {
			ua[i], ub[i] = uint32(a[i]), uint32(b[i])
		}
		uq := lanewise[uint32](t, NewInst(Div, tensor.U32), tensor.U32, tensor.U32, target, ua, ub)
		for i, x := range ua {
			want := uint32(math.MaxUint32)
			if ub[i] != 0 {
				want = x / ub[i]
			}
			require.Equal(t, want, uq[i], "%d / %d", x, ub[i])
		}
	}
}

func TestIntRounding(t *testing.T) {
	a := []int32{0, 1, -1, 127, 128, 255, 256, -128, -129, 32767, 32768, 65535, 65536, math.MaxInt32, math.MinInt32}
	for _, narrow := range []tensor.DType{tensor.I8, tensor.U8, tensor.I16, tensor.U16} {
		in := NewInst(RoundTo, tensor.I32)
		in.Round = narrow
		want := lanewise[int32](t, in, tensor.I32, tensor.I32, Target{}, a, a)
		got := lanewise[int32](t, in, tensor.I32, tensor.I32, Target{Spells: primitive}, a, a)
		require.Equal(t, want, got, narrow)
	}
}

// FastMath may use the reciprocal estimate; it stays within 2^-20.
func TestFastSigmoid(t *testing.T) {
	fast := Target{FastMath: true, Spells: func(c Code, _ tensor.DType) bool { return !c.Elementary() }}
	a := floats(1000, 9)
	for _, op := range []Code{Sigmoid, Tanh} {
		y := lanewise[float32](t, NewInst(op, tensor.F32), tensor.F32, tensor.F32, fast, a, a)
		for i, x := range a {
			require.InEpsilon(t, reference(op, float64(x), 0), float64(y[i]), 0x1p-20, "%s(%v)", op, x)
		}
	}
}
