package tensor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompareTolerances(t *testing.T) {
	nan, inf, negZero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	up := math.Nextafter(1, 2)
	for _, c := range []struct {
		name      string
		got, want float64
		tol       Tolerance
		equal     bool
	}{
		{"equal", 1, 1, Tolerance{}, true},
		{"not equal", up, 1, Tolerance{}, false},
		{"abs within", 1.5, 1, Tolerance{Abs: 0.5}, true},
		{"abs beyond", 1.5, 1, Tolerance{Abs: 0.4}, false},
		{"rel within", 11, 10, Tolerance{Rel: 0.1}, true},
		{"rel beyond", 11, 10, Tolerance{Rel: 0.09}, false},
		{"rel is of want", 10, 11, Tolerance{Rel: 0.0909}, false},
		{"rel of zero", 1e-300, 0, Tolerance{Rel: 0.5}, false},
		{"abs and rel add up", 12, 10, Tolerance{Abs: 1, Rel: 0.1}, true},
		{"one ulp", up, 1, Tolerance{ULP: 1}, true},
		{"two ulp", math.Nextafter(up, 2), 1, Tolerance{ULP: 1}, false},
		{"ulp of subnormals", 3 * math.SmallestNonzeroFloat64, 0, Tolerance{ULP: 3}, true},
		{"ulp of subnormals beyond", 4 * math.SmallestNonzeroFloat64, 0, Tolerance{ULP: 3}, false},
		{"ulp across zero", math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, Tolerance{ULP: 2}, true},
		{"nan one side", nan, 1, Tolerance{Abs: inf, NaNEqual: true}, false},
		{"nan other side", 1, nan, Tolerance{Abs: inf, NaNEqual: true}, false},
		{"nan both", nan, nan, Tolerance{NaNEqual: true}, true},
		{"nan both, not equal", nan, nan, Tolerance{Abs: 1e9}, false},
		{"infinities", inf, inf, Tolerance{}, true},
		{"opposite infinities", inf, -inf, Tolerance{Abs: inf}, false},
		{"infinity for a number", inf, math.MaxFloat64, Tolerance{Abs: 1e300, Rel: 1, ULP: 10}, false},
		{"number for infinity", math.MaxFloat64, inf, Tolerance{Rel: 0.5}, false},
		{"signs of zero", negZero, 0, Tolerance{}, true},
		{"signs of zero, exact", negZero, 0, Exact, false},
		{"signs of zero, flag with a tolerance", negZero, 0, Tolerance{SignZero: true, Abs: 1}, true},
	} {
		m := Compare(Scalar(c.got), Scalar(c.want), c.tol)
		assert.Equal(t, c.equal, m == nil, "%s: %v", c.name, m)
		assert.Equal(t, c.equal, Check(Scalar(c.got), Scalar(c.want), c.tol) == nil, c.name)
	}
}

func TestCompareULPOfNarrowTypes(t *testing.T) {
	for dt, spacing := range map[DType]float64{F8E4M3: 0x1p-3, F8E5M2: 0x1p-2, F16: 0x1p-10, BF16: 0x1p-7, F32: 0x1p-23} {
		one, next, further := FloatScalar(dt, 1), FloatScalar(dt, 1+spacing), FloatScalar(dt, 1+2*spacing)
		assert.Nil(t, Compare(next, one, Tolerance{ULP: 1}), dt)
		assert.NotNil(t, Compare(next, one, Tolerance{}), dt)
		assert.NotNil(t, Compare(further, one, Tolerance{ULP: 1}), dt)
	}
}

func TestCompareReport(t *testing.T) {
	want := Arange(F32, 2, 3)
	got := want.Clone()
	Data[float32](got)[1] = 1.25
	Data[float32](got)[5] = 7
	m := Compare(got, want, Tolerance{Abs: 1e-3})
	require.NotNil(t, m)
	assert.Equal(t, 2, m.Bad)
	assert.Equal(t, 6, m.Total)
	assert.Equal(t, []int{0, 1}, m.First)
	assert.Equal(t, []int{1, 2}, m.Worst)
	assert.Equal(t, 2.0, m.MaxAbs)
	assert.Equal(t, 0.4, m.MaxRel)
	assert.Equal(t, `tensors differ: 2 of 6 elements out of tolerance (abs 0.001)
  first at [0 1]: got 1.25, want 1 (off by 0.25)
  worst at [1 2]: got 7, want 5 (off by 2)
  max abs error 2, max rel error 0.4`, m.Error())
}

func TestCompareNaNIsWorst(t *testing.T) {
	got, want := Of([]int{3}, 9.0, math.NaN(), 1e30), New(F64, 3)
	m := Compare(got, want, Tolerance{Abs: 1})
	require.NotNil(t, m)
	assert.Equal(t, 3, m.Bad)
	assert.Equal(t, []int{1}, m.Worst)
	assert.Equal(t, 1e30, m.MaxAbs, "the largest finite error")
	assert.Contains(t, m.Error(), "worst at [1]: got NaN, want 0\n")
}

func TestCompareTypesAndShapes(t *testing.T) {
	m := Compare(New(F32, 2, 3), New(F32, 3, 2), Tolerance{Abs: 1})
	require.NotNil(t, m)
	assert.Equal(t, "tensors differ: got f32[2 3], want f32[3 2]", m.Error())
	assert.NotNil(t, Compare(New(F32, 2), New(F64, 2), Tolerance{}))
	assert.NotNil(t, Compare(New(F32), New(F32, 1), Tolerance{}))
	assert.NotNil(t, Compare(New(F32, 0, 2), New(F32, 0, 3), Tolerance{}))
	assert.NotNil(t, Compare(nil, New(F32, 2), Tolerance{}))
	assert.NotNil(t, Compare(New(F32, 2), nil, Tolerance{}))
	assert.Nil(t, Compare(nil, nil, Tolerance{}))
	assert.Nil(t, Compare(New(F32, 0, 2), New(F32, 0, 2), Tolerance{}))
}

func TestCompareIntegers(t *testing.T) {
	got, want := Of([]int{2}, int64(1<<60+1), 5), Of([]int{2}, int64(1<<60), 5)
	m := Compare(got, want, Tolerance{ULP: 100})
	require.NotNil(t, m, "float64 cannot tell these apart")
	assert.Contains(t, m.Error(), "got 1152921504606846977, want 1152921504606846976")
	assert.Nil(t, Compare(got, want, Tolerance{Abs: 1}))
	assert.Nil(t, Compare(Of([]int{1}, uint64(math.MaxUint64)), Of([]int{1}, uint64(math.MaxUint64-2)), Tolerance{Abs: 2}))
	assert.NotNil(t, Compare(Of([]int{1}, uint64(0)), Of([]int{1}, uint64(math.MaxUint64)), Tolerance{Abs: 2}))
	assert.NotNil(t, Compare(Of([]int{1}, int64(math.MinInt64)), Of([]int{1}, int64(math.MaxInt64)), Tolerance{Abs: 1e9}))
	assert.NotNil(t, Compare(Scalar(true), Scalar(false), Tolerance{}))
	assert.Nil(t, Compare(Scalar(true), Scalar(true), Exact))
}

func TestCompareStrided(t *testing.T) {
	x, err := Arange(F32, 3, 4).Permute()
	require.NoError(t, err)
	y, err := Strided(F32, []int{4, 3}, []int{7, 2})
	require.NoError(t, err)
	require.NoError(t, y.CopyFrom(x))
	assert.Nil(t, Compare(x, y, Exact))
}

func TestCompareAll(t *testing.T) {
	a, b := []*Tensor{Scalar(1.0), Scalar(2.0)}, []*Tensor{Scalar(1.0), Scalar(3.0)}
	assert.Nil(t, CompareAll(a, a, Exact))
	require.ErrorContains(t, CompareAll(a, b, Exact), "tensor 1: 1 of 1 elements")
	require.ErrorContains(t, CompareAll(a[:1], b, Exact), "got 1 tensors, want 2")
}
