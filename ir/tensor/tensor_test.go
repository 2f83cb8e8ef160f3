package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func TestNewIsZeroedAlignedRowMajor(t *testing.T) {
	for _, dt := range DTypes() {
		for _, shape := range [][]int{nil, {0}, {1}, {7}, {3, 0, 2}, {2, 3, 5}} {
			x := New(dt, shape...)
			n, err := CheckedElements(shape)
			require.NoError(t, err)
			assert.Equal(t, n, x.NumElements())
			assert.Len(t, x.Base(), n*dt.Size())
			assert.Zero(t, address(x.Base())%Alignment)
			assert.True(t, x.IsContiguous())
			assert.NotNil(t, x.Shape(), "the scalar shape is empty, not nil")
			for _, b := range x.Base() {
				require.Zero(t, b)
			}
		}
	}
	assert.Equal(t, []int{15, 5, 1}, New(F32, 2, 3, 5).Strides())
	assert.Panics(t, func() { New(F32, -1) })
}

func TestNewOwnsItsShape(t *testing.T) {
	shape := []int{2, 3}
	x := New(F32, shape...)
	shape[0] = 9
	assert.Equal(t, []int{2, 3}, x.Shape())
}

func TestCheckedElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{2, 3}, 6, true},
		{[]int{5, 0}, 0, true},
		{[]int{-1}, 0, false},
		{[]int{0, -1}, 0, false},
		{[]int{math.MaxInt, 1}, math.MaxInt, true},
		{[]int{math.MaxInt, 2}, 0, false},
		{[]int{1 << 32, 1 << 32}, 0, false},
		{[]int{0, 1 << 32, 1 << 32}, 0, false},
	} {
		n, err := CheckedElements(c.shape)
		assert.Equal(t, c.ok, err == nil, "%v: %v", c.shape, err)
		assert.Equal(t, c.n, n, "%v", c.shape)
	}
	_, err := Make(F64, []int{math.MaxInt / 2})
	require.ErrorContains(t, err, "address space")
	_, err = Make(Invalid, nil)
	require.Error(t, err)
}

func TestFromSliceSharesMemory(t *testing.T) {
	data := []float32{1, 2, 3, 4}
	x, err := FromSlice([]int{2, 2}, data)
	require.NoError(t, err)
	data[3] = 9
	assert.Equal(t, []float32{1, 2, 3, 9}, Data[float32](x))
	_, err = FromSlice([]int{3}, data)
	require.ErrorContains(t, err, "needs 3 elements, got 4")
	_, err = FromSlice([]int{-1}, data)
	require.Error(t, err)
	assert.Panics(t, func() { Of([]int{2}, 1.0) })
}

func TestElementTypes(t *testing.T) {
	for _, x := range []*Tensor{
		Scalar(float32(1)), Scalar(1.0), Scalar(int64(1)), Scalar(int32(1)), Scalar(int16(1)), Scalar(int8(1)),
		Scalar(uint64(1)), Scalar(uint32(1)), Scalar(uint16(1)), Scalar(uint8(1)), Scalar(true),
	} {
		assert.Equal(t, []int64{1}, Ints(x), x.DType())
		assert.Equal(t, []int{}, x.Shape())
		assert.Equal(t, x.DType().Size(), len(x.Base()))
	}
	assert.Equal(t, I16, DTypeOf[int16]())
}

func TestFromBytes(t *testing.T) {
	raw := allocate(17)
	for i := range raw {
		raw[i] = byte(i)
	}
	shared, err := FromBytes(U32, []int{4}, raw[:16])
	require.NoError(t, err)
	assert.Equal(t, address(raw), address(shared.Base()))
	copied, err := FromBytes(U32, []int{4}, raw[1:17])
	require.NoError(t, err)
	assert.Zero(t, address(copied.Base())%4)
	assert.Equal(t, raw[1:17], copied.Base())
	_, err = FromBytes(U32, []int{4}, raw)
	require.ErrorContains(t, err, "needs 16 bytes, got 17")
	_, err = FromBytes(Invalid, []int{4}, raw)
	require.Error(t, err)
}

func TestData(t *testing.T) {
	x := Of([]int{2, 2}, 1.0, 2, 3, 4)
	_, ok := TryData[float32](x)
	assert.False(t, ok)
	transposed, err := x.Permute()
	require.NoError(t, err)
	_, ok = TryData[float64](transposed)
	assert.False(t, ok)
	assert.PanicsWithValue(t, "BUG: tensor: Data[f32] of f64[2 2] with strides [2 1]", func() { Data[float32](x) })
	assert.Equal(t, []uint16{0x3F80}, Data[uint16](FloatScalar(BF16, 1)))
	assert.Equal(t, []uint8{0x38}, Data[uint8](FloatScalar(F8E4M3, 1)))
}

func TestViewBounds(t *testing.T) {
	x := Arange(I32, 12)
	for _, c := range []struct {
		name           string
		strides, shape []int
		offset         int
		ok             bool
	}{
		{"whole", []int{4, 1}, []int{3, 4}, 0, true},
		{"last element", []int{1}, []int{1}, 11, true},
		{"one past", []int{1}, []int{1}, 12, false},
		{"empty at the end", []int{1}, []int{0}, 12, true},
		{"empty past the end", []int{1}, []int{0}, 13, false},
		{"reversed", []int{-1}, []int{12}, 11, true},
		{"reversed below 0", []int{-1}, []int{12}, 10, false},
		{"broadcast", []int{0, 1}, []int{1000, 12}, 0, true},
		{"negative offset", []int{1}, []int{1}, -1, false},
		{"too far", []int{4, 1}, []int{3, 5}, 0, false},
		{"ranks differ", []int{1}, []int{3, 4}, 0, false},
		{"negative size", []int{1}, []int{-3}, 0, false},
		{"stride overflow", []int{math.MaxInt, math.MaxInt}, []int{3, 3}, 0, false},
		{"lowest stride", []int{math.MinInt}, []int{2}, 0, false},
		{"offset overflow", []int{1}, []int{2}, math.MaxInt, false},
		{"huge stride unused", []int{math.MaxInt}, []int{1}, 3, true},
	} {
		v, err := x.View(c.strides, c.offset, c.shape)
		assert.Equal(t, c.ok, err == nil, "%s: %v", c.name, err)
		if err == nil && v.NumElements() < 100 {
			Ints(v) // must not panic
		}
	}
	v, err := x.View([]int{-3, 2}, 7, []int{3, 2})
	require.NoError(t, err)
	assert.Equal(t, []int64{7, 9, 4, 6, 1, 3}, Ints(v))
	assert.Equal(t, 7, v.Offset())
}

func TestContiguity(t *testing.T) {
	x := Arange(I32, 3, 4)
	row, err := x.View([]int{1}, 4, []int{4})
	require.NoError(t, err)
	assert.True(t, row.IsContiguous(), "an offset does not matter")
	b, ok := row.Bytes()
	require.True(t, ok)
	assert.Equal(t, address(x.Base())+16, address(b))
	assert.Equal(t, []int32{4, 5, 6, 7}, Data[int32](row))
	assert.Same(t, row, row.Contiguous())
	odd, err := x.View([]int{77, 1}, 0, []int{1, 4})
	require.NoError(t, err)
	assert.True(t, odd.IsContiguous(), "the stride of a dimension of size 1 does not matter")
	column, err := x.View([]int{4}, 1, []int{3})
	require.NoError(t, err)
	assert.False(t, column.IsContiguous())
	_, ok = column.Bytes()
	assert.False(t, ok)
	assert.Equal(t, []int32{1, 5, 9}, Data[int32](column.Contiguous()))
}

func TestReshape(t *testing.T) {
	x := Arange(F32, 2, 6)
	for _, c := range []struct{ in, want []int }{
		{[]int{12}, []int{12}}, {[]int{3, -1}, []int{3, 4}}, {[]int{-1}, []int{12}}, {[]int{2, 1, 6}, []int{2, 1, 6}},
	} {
		y, err := x.Reshape(c.in...)
		require.NoError(t, err)
		assert.Equal(t, c.want, y.Shape())
		assert.Equal(t, address(x.Base()), address(y.Base()))
		assert.Equal(t, Floats(x), Floats(y))
	}
	for _, shape := range [][]int{{5}, {-1, 5}, {-1, -1}, {-2, 6}, {0, -1}} {
		_, err := x.Reshape(shape...)
		assert.Error(t, err, "%v", shape)
	}
	transposed, err := x.Permute(1, 0)
	require.NoError(t, err)
	y, err := transposed.Reshape(12)
	require.NoError(t, err)
	assert.Equal(t, []float64{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11}, Floats(y))
}

func TestPermute(t *testing.T) {
	x := Arange(U8, 2, 3, 4)
	y, err := x.Permute(2, 0, 1)
	require.NoError(t, err)
	assert.Equal(t, []int{4, 2, 3}, y.Shape())
	assert.Equal(t, []int{1, 12, 4}, y.Strides())
	for _, axes := range [][]int{{0, 1}, {0, 1, 1}, {0, 1, 3}, {-1, 0, 1}, {0, 1, 2, 3}} {
		_, err := x.Permute(axes...)
		assert.Error(t, err, "%v", axes)
	}
}

func TestStrided(t *testing.T) {
	for _, c := range []struct{ shape, strides []int }{
		{[]int{3, 4}, []int{1, 3}}, {[]int{3, 4}, []int{10, 2}}, {[]int{3, 4}, []int{-4, -1}},
		{[]int{3, 0}, []int{5, 5}}, {nil, nil}, {[]int{2, 3}, []int{0, 1}},
	} {
		x, err := Strided(F16, c.shape, c.strides)
		require.NoError(t, err)
		assert.Equal(t, own(c.shape), x.Shape())
		assert.Equal(t, own(c.strides), x.Strides())
		if !slices.Contains(c.strides, 0) {
			src := Arange(F16, c.shape...)
			require.NoError(t, x.CopyFrom(src))
			assert.Equal(t, Floats(src), Floats(x))
		}
	}
	_, err := Strided(F32, []int{2}, nil)
	require.Error(t, err)
	_, err = Strided(F32, []int{2, 2}, []int{math.MaxInt, math.MaxInt})
	require.Error(t, err)
	_, err = Strided(Invalid, []int{2}, []int{1})
	require.Error(t, err)
}

// slowInts is the definition of the logical order, element by element.
func slowInts(x *Tensor) []int64 {
	out := make([]int64, x.NumElements())
	for i := range out {
		at := x.Offset()
		for axis, k := range unravel(i, x.Shape()) {
			at += k * x.Strides()[axis]
		}
		size := x.DType().Size()
		codecs[x.DType()].ints(out[i:i+1], x.Base()[at*size:(at+1)*size])
	}
	return out
}

// randomView is a random strided view of random integers.
func randomView(r *rand.Rand, dt DType) *Tensor {
	store := New(dt, 200)
	values := make([]int64, 200)
	for i := range values {
		values[i] = int64(r.IntN(100))
	}
	codecs[dt].putInts(store.Base(), values)
	for {
		rank := r.IntN(5)
		shape, strides := make([]int, rank), make([]int, rank)
		for i := range shape {
			shape[i], strides[i] = r.IntN(5), r.IntN(25)-8
			if r.IntN(8) != 0 {
				shape[i] = max(shape[i], 1)
			}
		}
		if rank > 0 && r.IntN(2) == 0 {
			copy(strides, RowMajor(shape)) // long merged runs
			strides[0] += r.IntN(2)
		}
		if v, err := store.View(strides, r.IntN(200), shape); err == nil {
			return v
		}
	}
}

func TestStridedAccessFollowsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		dt := []DType{U8, I16, BF16, F32, I64}[r.IntN(5)]
		x := randomView(r, dt)
		want := slowInts(x)
		require.Equal(t, want, Ints(x), "%v %v", x.Shape(), x.Strides())
		require.Equal(t, want, Ints(x.Clone()))
		require.True(t, x.Clone().IsContiguous())
		// IsContiguous must agree with where the elements lie.
		if b, ok := x.Bytes(); ok {
			flat, err := FromBytes(dt, x.Shape(), b)
			require.NoError(t, err)
			require.Equal(t, want, Ints(flat))
		}
		back, err := Strided(dt, x.Shape(), permutedStrides(r, x.Shape()))
		require.NoError(t, err)
		require.NoError(t, back.CopyFrom(x))
		require.Equal(t, want, slowInts(back))
	}
}

// permutedStrides lays the dimensions out in a random order with gaps.
func permutedStrides(r *rand.Rand, shape []int) []int {
	strides, step := make([]int, len(shape)), 1
	for _, axis := range r.Perm(len(shape)) {
		strides[axis] = step * (1 - 2*r.IntN(2))
		step *= max(shape[axis], 1) + r.IntN(2)
	}
	return strides
}

func TestCopyFromOverlapAndErrors(t *testing.T) {
	x := Arange(I32, 5)
	head, err := x.View([]int{1}, 0, []int{5})
	require.NoError(t, err)
	reversed, err := x.View([]int{-1}, 4, []int{5})
	require.NoError(t, err)
	require.NoError(t, head.CopyFrom(reversed))
	assert.Equal(t, []int32{4, 3, 2, 1, 0}, Data[int32](x))
	require.Error(t, x.CopyFrom(New(I32, 4)))
	require.Error(t, x.CopyFrom(New(F32, 5)))
}

func TestCloneIsIndependent(t *testing.T) {
	x := Arange(F32, 3)
	y := x.Clone()
	Data[float32](x)[0] = 42
	assert.Equal(t, []float32{0, 1, 2}, Data[float32](y))
}

func TestFillAndArange(t *testing.T) {
	for _, dt := range DTypes() {
		want := 3.0
		if dt == Bool {
			want = 1
		}
		assert.Equal(t, slices.Repeat([]float64{want}, 7), Floats(Fill(dt, []int{7}, 3)), dt)
		assert.Equal(t, Floats(Fill(dt, []int{7}, 3)), Floats(FillInt(dt, []int{7}, 3)), dt)
		assert.Zero(t, Fill(dt, []int{0}, 3).NumElements())
		assert.Equal(t, min(2, want), Floats(Arange(dt, 3))[2], dt)
	}
	assert.Equal(t, []int64{1<<62 + 1}, Ints(FillInt(I64, []int{1}, 1<<62+1)))
}

func TestDTypeTable(t *testing.T) {
	for _, dt := range DTypes() {
		back, ok := ParseDType(dt.String())
		require.True(t, ok)
		assert.Equal(t, dt, back)
		assert.NotNil(t, codecs[dt].floats, "codec of %s", dt)
		assert.NotNil(t, codecs[dt].ints)
		assert.NotNil(t, codecs[dt].putFloats)
		assert.NotNil(t, codecs[dt].putInts)
		assert.Equal(t, dt.IsFloat(), codecs[dt].putUints != nil)
	}
	_, ok := ParseDType("invalid")
	assert.False(t, ok)
	assert.Equal(t, "dtype(200)", DType(200).String())
}
