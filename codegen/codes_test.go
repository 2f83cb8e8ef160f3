package codegen

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// Every code but those of memory and control has an interpreter row for every
// type that its signature admits, and only for these.
func TestInterpreterCoversSignatures(t *testing.T) {
	p := &Phase{Loop: true}
	n := &Nest{Axes: []Axis{{"i", con(1)}}}
	for c := Add; c < numCodes; c++ {
		for _, dt := range allTypes {
			if c == Cast || c == Bits {
				continue // every type; casts has a row per pair
			}
			in := NewInst(c, dt)
			args := []tensor.DType{dt, dt, dt}[:c.Arity()]
			switch {
			case c >= Eq && c <= Ge:
				in.Type = tensor.Bool
			case c == Select:
				args[0] = tensor.Bool
			case c == RoundTo && dt.IsFloat():
				in.Round = tensor.F16
			case c == RoundTo:
				in.Round = tensor.I8
			}
			admitted := signatures[c](n, p, &in, args) == ""
			require.Equal(t, admitted, interpTable[c].of(dt) != nil, "%s of %s", c, dt)
		}
	}
	for _, from := range allTypes {
		for _, to := range allTypes {
			require.NotNil(t, casts[from][to], "cast %s to %s", from, to)
		}
	}
}

func TestSaturatingCasts(t *testing.T) {
	a := []float64{0, -0.9, 1.9, -1.9, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 31, 1<<31 - 1, -1 << 31, -1<<31 - 1, 1 << 32, 1<<32 - 1, 1 << 63, -1 << 63, 1 << 64}
	cast := func(to tensor.DType) Inst { return NewInst(Cast, to) }
	require.Equal(t, []int32{0, 0, 1, -1, 0, math.MaxInt32, math.MinInt32, math.MaxInt32, math.MaxInt32, math.MinInt32, math.MinInt32, math.MaxInt32, math.MaxInt32, math.MaxInt32, math.MinInt32, math.MaxInt32},
		lanewise[int32](t, cast(tensor.I32), tensor.F64, tensor.I32, Target{}, a, a))
	require.Equal(t, []uint32{0, 0, 1, 0, 0, math.MaxUint32, 0, 1 << 31, 1<<31 - 1, 0, 0, math.MaxUint32, math.MaxUint32, math.MaxUint32, 0, math.MaxUint32},
		lanewise[uint32](t, cast(tensor.U32), tensor.F64, tensor.U32, Target{}, a, a))
	require.Equal(t, []int64{0, 0, 1, -1, 0, math.MaxInt64, math.MinInt64, 1 << 31, 1<<31 - 1, -1 << 31, -1<<31 - 1, 1 << 32, 1<<32 - 1, math.MaxInt64, math.MinInt64, math.MaxInt64},
		lanewise[int64](t, cast(tensor.I64), tensor.F64, tensor.I64, Target{}, a, a))
	require.Equal(t, []uint64{0, 0, 1, 0, 0, math.MaxUint64, 0, 1 << 31, 1<<31 - 1, 0, 0, 1 << 32, 1<<32 - 1, 1 << 63, 0, math.MaxUint64},
		lanewise[uint64](t, cast(tensor.U64), tensor.F64, tensor.U64, Target{}, a, a))
	require.Equal(t, []int32{-1, 5}, lanewise[int32](t, cast(tensor.I32), tensor.I64, tensor.I32, Target{}, []int64{1<<40 - 1, 1<<32 + 5}, []int64{0, 0}))
}

func TestShiftsByTheWidth(t *testing.T) {
	a, b := []int32{-8, -8, -8, -8, 5}, []int32{1, 31, 32, -1, 40}
	require.Equal(t, []int32{-16, 0, 0, 0, 0}, lanewise[int32](t, NewInst(Shl, tensor.I32), tensor.I32, tensor.I32, Target{}, a, b))
	require.Equal(t, []int32{0x7ffffffc, 1, 0, 0, 0}, lanewise[int32](t, NewInst(ShrL, tensor.I32), tensor.I32, tensor.I32, Target{}, a, b))
	require.Equal(t, []int32{-4, -1, -1, -1, 0}, lanewise[int32](t, NewInst(ShrA, tensor.I32), tensor.I32, tensor.I32, Target{}, a, b))
}

func TestMinMaxOfNaNAndZeros(t *testing.T) {
	nan, neg0 := float32(math.NaN()), float32(math.Copysign(0, -1))
	a, b := []float32{nan, 1, 0, neg0, 2}, []float32{1, nan, neg0, 0, 3}
	for i, x := range lanewise[float32](t, NewInst(Min, tensor.F32), tensor.F32, tensor.F32, Target{}, a, b) {
		require.Zero(t, ulps(x, []float64{math.NaN(), math.NaN(), math.Copysign(0, -1), math.Copysign(0, -1), 2}[i]))
	}
	for i, x := range lanewise[float32](t, NewInst(Max, tensor.F32), tensor.F32, tensor.F32, Target{}, a, b) {
		require.Zero(t, ulps(x, []float64{math.NaN(), math.NaN(), 0, 0, 3}[i]))
	}
}

// fma32 against exact arithmetic, with addends that make ties and near ties of
// float32 which float64 cannot tell apart.
func TestFMA32RoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 200_000 {
		a := float32(math.Ldexp(float64(r.IntN(1<<24)), r.IntN(60)-110))
		b := float32(math.Ldexp(float64(r.IntN(1<<24)-1<<23), r.IntN(60)-50))
		c := float32(math.Ldexp(float64(r.IntN(1<<24)), r.IntN(160)-130))
		exact := new(big.Float).SetPrec(600).Mul(big.NewFloat(float64(a)).SetPrec(600), big.NewFloat(float64(b)))
		exact.Add(exact, big.NewFloat(float64(c)))
		want, _ := exact.Float32()
		require.Equal(t, want, fma32(a, b, c), "%v*%v+%v", a, b, c)
	}
	// 1 + 2^-24 is a tie; 2^-80 more breaks it upwards, and is lost in float64.
	require.Equal(t, float32(1+0x1p-23), fma32(1+0x1p-23, 1-0x1p-24, 0x1p-47+0x1p-70))
}
