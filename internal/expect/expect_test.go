package expect

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

func TestSection(t *testing.T) {
	x := tensor.Arange(tensor.F32, 4, 6)
	for _, c := range []struct {
		text  string
		shape []int
		want  []float64
	}{
		{"[1,:]", []int{6}, []float64{6, 7, 8, 9, 10, 11}},
		{"[1]", []int{6}, []float64{6, 7, 8, 9, 10, 11}},
		{"[-1, -1]", []int{}, []float64{23}},
		{"[:,5]", []int{4}, []float64{5, 11, 17, 23}},
		{"[2,3]", []int{}, []float64{15}},
		{"[1:3,0:6:4]", []int{2, 2}, []float64{6, 10, 12, 16}},
		{"[::3, 4:]", []int{2, 2}, []float64{4, 5, 22, 23}},
		{"[-2:-1,:-4]", []int{1, 2}, []float64{12, 13}},
		{"[4:4,:1]", []int{0, 1}, []float64{}},
		{"[3:1,0]", []int{0}, []float64{}},
		{"[0,4:99]", []int{2}, []float64{4, 5}},
		{"[0,7:]", []int{0}, []float64{}},
		{"[::9223372036854775807,1]", []int{1}, []float64{1}},
		{"[]", []int{4, 6}, tensor.Floats(x)},
	} {
		got, err := Section(x, c.text)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.shape, append([]int{}, got.Shape()...), c.text)
		assert.Equal(t, c.want, tensor.Floats(got), c.text)
	}
	for _, bad := range []string{"", "[", "1,2", "[1,2,3]", "[4,0]", "[-5,0]", "[0,::0]", "[0,::-1]", "[0,]", "[0,1:2:3:4]", "[0,1:2:3:]", "[a,0]", "[1][2]"} {
		_, err := Section(x, bad)
		assert.Error(t, err, bad)
	}
}

// A section of a section: the view starts where its own tensor does.
func TestSectionOfAView(t *testing.T) {
	x, err := Section(tensor.Arange(tensor.F32, 4, 6), "[1:,1::2]")
	require.NoError(t, err)
	got, err := Section(x, "[-1,1:]")
	require.NoError(t, err)
	assert.Equal(t, []float64{21, 23}, tensor.Floats(got))
}

func TestNames(t *testing.T) {
	file, err := trace.Parse("f", "func @f(%x: f32[2]) -> (f32[2], f32[2], f32[2]) {\n  %y: f32[2] = neg(%x)\n  %0: f32[2] = neg(%y)\n  return %y, %0, %y\n}\n")
	require.NoError(t, err)
	assert.Equal(t, []string{"y", "1", "2"}, Names(file.Func))
	assert.Empty(t, Names(&ir.Func{}))
}

// archive writes tensors and opens them again.
func archive(t *testing.T, tensors map[string]*tensor.Tensor) tensor.Archive {
	path := filepath.Join(t.TempDir(), "want.npz")
	require.NoError(t, tensor.WriteFile(path, tensors))
	a, err := tensor.OpenFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func TestCompare(t *testing.T) {
	x := tensor.Arange(tensor.F32, 4, 6)
	row, err := Section(x, "[1,:]")
	require.NoError(t, err)
	a := archive(t, map[string]*tensor.Tensor{"y[1,:]": row.Contiguous(), "0": x, "y[-1,-1]": tensor.FromFloats(tensor.F64, nil, []float64{23})})
	out, err := Compare(a, []string{"y"}, []*tensor.Tensor{x}, tensor.Tolerance{})
	require.NoError(t, err)
	require.Len(t, out, 3)
	for _, o := range out {
		assert.Nil(t, o.Mismatch, o.Key)
		assert.Zero(t, o.MaxAbs, o.Key)
	}
	other := x.Clone()
	tensor.Data[float32](other)[7] = 99 // in row 1
	out, err = Compare(a, []string{"y"}, []*tensor.Tensor{other}, tensor.Tolerance{})
	require.NoError(t, err)
	for _, o := range out {
		if o.Key == "y[-1,-1]" {
			assert.Nil(t, o.Mismatch)
			continue
		}
		require.NotNil(t, o.Mismatch, o.Key)
		assert.Equal(t, []int{1, 1}, o.First, o.Key)
		assert.Equal(t, 92.0, o.MaxAbs, o.Key)
	}
	_, err = Compare(a, []string{"z", "w"}, []*tensor.Tensor{x, x}, tensor.Tolerance{})
	assert.ErrorContains(t, err, `is no result of the trace, which has z, w`)
	_, err = Compare(archive(t, nil), []string{"y"}, []*tensor.Tensor{x}, tensor.Tolerance{})
	assert.ErrorIs(t, err, ErrEmpty)
}

// What passes depends on the element type: floats have the tolerance, and report
// the error they used of it; integers have none.
func TestCompareTolerates(t *testing.T) {
	wide := tensor.Tolerance{Abs: 0.5, NaNEqual: true}
	for _, c := range []struct {
		name      string
		got, want *tensor.Tensor
		ok        bool
		maxAbs    float64
	}{
		{"within", tensor.FromFloats(tensor.F32, []int{2}, []float64{1, 2}), tensor.FromFloats(tensor.F32, []int{2}, []float64{1, 2.25}), true, 0.25},
		{"beyond", tensor.FromFloats(tensor.F32, []int{2}, []float64{1, 2}), tensor.FromFloats(tensor.F32, []int{2}, []float64{1, 3}), false, 1},
		{"widths", tensor.FromFloats(tensor.BF16, []int{1}, []float64{1}), tensor.FromFloats(tensor.F64, []int{1}, []float64{1.25}), true, 0.25},
		{"integers", tensor.FromFloats(tensor.I32, []int{1}, []float64{1}), tensor.FromFloats(tensor.I32, []int{1}, []float64{2}), false, 1},
		{"kinds", tensor.FromFloats(tensor.F32, []int{1}, []float64{1}), tensor.FromFloats(tensor.I32, []int{1}, []float64{1}), false, 0},
		{"shapes", tensor.FromFloats(tensor.F32, []int{1}, []float64{1}), tensor.FromFloats(tensor.F32, nil, []float64{1}), false, 0},
		{"NaN", tensor.FromFloats(tensor.F32, []int{1}, []float64{math.NaN()}), tensor.FromFloats(tensor.F32, []int{1}, []float64{math.NaN()}), true, 0},
	} {
		out, err := Compare(archive(t, map[string]*tensor.Tensor{"y": c.want}), []string{"y"}, []*tensor.Tensor{c.got}, wide)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.ok, out[0].Mismatch == nil, c.name)
		assert.InDelta(t, c.maxAbs, out[0].MaxAbs, 1e-12, c.name)
		assert.Equal(t, 0, out[0].Result)
	}
}
