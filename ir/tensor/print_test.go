package tensor

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestString(t *testing.T) {
	transposed, err := Arange(I32, 2, 3).Permute()
	require.NoError(t, err)
	for _, c := range []struct {
		x    *Tensor
		want string
	}{
		{Scalar(float32(1.5)), "f32[] 1.5"},
		{New(F32, 2, 0), "f32[2,0] []"},
		{Arange(F32, 2, 3), "f32[2,3]\n[[0 1 2]\n [3 4 5]]"},
		{transposed, "i32[3,2]\n[[0 3]\n [1 4]\n [2 5]]"},
		{Arange(U8, 1, 2, 2), "u8[1,2,2]\n[[[0 1]\n  [2 3]]]"},
		{Of([]int{2}, true, false), "bool[2]\n[ true false]"},
		{Of([]int{4}, math.NaN(), math.Inf(-1), math.Copysign(0, -1), 1.0/3), "f64[4]\n[     NaN     -Inf       -0 0.333333]"},
		{Of([]int{1}, uint64(math.MaxUint64)), "u64[1]\n[18446744073709551615]"},
		{Arange(I32, 2000), "i32[2000]\n[   0    1    2 ... 1997 1998 1999]"},
		{Arange(I32, 1000, 2), "i32[1000,2]\n[[   0    1]\n [   2    3]\n [   4    5]\n ...\n [1994 1995]\n [1996 1997]\n [1998 1999]]"},
		{nil, "<nil tensor>"},
	} {
		assert.Equal(t, c.want, c.x.String())
	}
}

func TestStringFitsTheColumns(t *testing.T) {
	for _, n := range []int{1, 17, 100, 999, 5000} {
		for _, shape := range [][]int{{n}, {1, n}, {2, 1, n}} {
			for line := range strings.Lines(Arange(F64, shape...).String()) {
				require.LessOrEqual(t, len(strings.TrimRight(line, "\n")), printColumns, "%v", shape)
			}
		}
	}
}

func TestStringOfHugeViewsIsShort(t *testing.T) {
	x, err := Scalar(1.0).View(make([]int, 60), 0, slices.Repeat([]int{2}, 60))
	require.NoError(t, err)
	assert.Less(t, len(x.String()), 300)
}
