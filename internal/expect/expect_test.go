package expect

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func TestSection(t *testing.T) {
	x := tensor.Arange(tensor.F32, 4, 6)
	for _, c := range []struct {
		text  string
		shape []int
		want  []float64
	}{
		{"[1,:]", []int{6}, []float64{6, 7, 8, 9, 10, 11}},
		{"[:,5]", []int{4}, []float64{5, 11, 17, 23}},
		{"[2,3]", []int{}, []float64{15}},
		{"[1:3,0:6:4]", []int{2, 2}, []float64{6, 10, 12, 16}},
		{"[::3, 4:]", []int{2, 2}, []float64{4, 5, 22, 23}},
		{"[4:4,:1]", []int{0, 1}, []float64{}},
	} {
		got, err := Section(x, c.text)
		require.NoError(t, err, c.text)
		require.ElementsMatch(t, c.shape, got.Shape(), c.text)
		require.Equal(t, c.want, tensor.Floats(got), c.text)
	}
	for _, bad := range []string{"", "[", "[1]", "[1,2,3]", "[4,0]", "[0,7:]", "[0,-1]", "[0,1:0]", "[0,::0]", "[0,]", "[0,1:2:3:4]", "[a,0]", "1,2"} {
		_, err := Section(x, bad)
		require.Error(t, err, bad)
	}
}

func TestCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "want.npz")
	x := tensor.Arange(tensor.F32, 4, 6)
	row, err := Section(x, "[1,:]")
	require.NoError(t, err)
	require.NoError(t, tensor.WriteFile(file, map[string]*tensor.Tensor{"y[1,:]": row.Contiguous(), "0": x}))
	a, err := tensor.OpenFile(file)
	require.NoError(t, err)
	defer a.Close()

	out, err := Compare(a, []string{"y"}, []*tensor.Tensor{x}, tensor.Tolerance{})
	require.NoError(t, err)
	require.Len(t, out, 2)
	for _, o := range out {
		require.Nil(t, o.Mismatch, o.Key)
	}
	other := x.Clone()
	tensor.Data[float32](other)[7] = 99 // in row 1
	out, err = Compare(a, []string{"y"}, []*tensor.Tensor{other}, tensor.Tolerance{})
	require.NoError(t, err)
	for _, o := range out {
		require.NotNil(t, o.Mismatch, o.Key)
	}
	_, err = Compare(a, []string{"z", "w"}, []*tensor.Tensor{x, x}, tensor.Tolerance{})
	require.ErrorContains(t, err, `name "y"`)
}
