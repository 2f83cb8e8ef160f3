package tensor_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/testdevice"
	"jitc/ir/tensor"
)

// far is a copy of x on a device.
func far(t *testing.T, d *testdevice.Device, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	mem, err := d.Alloc(x.NumBytes())
	require.NoError(t, err)
	y, err := tensor.OnDevice(d, x.DType(), x.Shape(), mem, nil)
	require.NoError(t, err)
	require.NoError(t, y.CopyFrom(x))
	return y
}

// The memory of the device cannot be touched: a function that does ends the test.
func TestEverythingReadsTensorsOfDevices(t *testing.T) {
	d := testdevice.New("test:0", 1)
	x := tensor.FromFloats(tensor.F32, []int{2, 3}, []float64{1, -2, 3, 4, 5.5, 6})
	y := far(t, d, x)

	assert.Equal(t, tensor.F32, y.DType())
	assert.Equal(t, []int{2, 3}, y.Shape())
	assert.Equal(t, []int{3, 1}, y.Strides())
	assert.Equal(t, 6, y.NumElements())
	assert.Equal(t, 24, y.NumBytes())
	assert.True(t, y.IsContiguous())
	assert.Equal(t, "test:0", y.Device().Name())
	assert.Len(t, y.DeviceBytes(), 24)
	assert.Nil(t, y.Base())
	b, ok := y.Bytes()
	assert.False(t, ok)
	assert.Nil(t, b)
	_, ok = tensor.TryData[float32](y)
	assert.False(t, ok)

	for what, got := range map[string]*tensor.Tensor{"Clone": y.Clone(), "Contiguous": y.Contiguous(), "Cast": tensor.Cast(tensor.Cast(y, tensor.F64), tensor.F32)} {
		assert.Nil(t, got.Device(), what)
		assert.NoError(t, tensor.Check(got, x, tensor.Exact), what)
	}
	h, err := y.ToHost()
	require.NoError(t, err)
	assert.NoError(t, tensor.Check(h, x, tensor.Exact))
	assert.Equal(t, tensor.Floats(x), tensor.Floats(y))
	assert.Equal(t, tensor.Ints(x), tensor.Ints(y))
	assert.NoError(t, tensor.Check(y, x, tensor.Exact))
	assert.NoError(t, tensor.Check(x, y, tensor.Exact))
	assert.Error(t, tensor.Check(y, tensor.New(tensor.F32, 2, 3), tensor.Exact))
	assert.Equal(t, "f32[2,3] on test:0\n[[  1  -2   3]\n [  4 5.5   6]]", y.String())

	again, err := x.ToHost()
	require.NoError(t, err)
	assert.Same(t, x, again)
	assert.Nil(t, x.Device())
	assert.Nil(t, x.DeviceBytes())
}

func TestCopiesBetweenPlaces(t *testing.T) {
	d, other := testdevice.New("test:0", 2), testdevice.New("test:1", 2)
	x := tensor.Arange(tensor.I16, 3, 4)
	strided, err := tensor.Arange(tensor.I16, 4, 3).Permute()
	require.NoError(t, err)
	for _, dst := range []*tensor.Tensor{tensor.New(tensor.I16, 3, 4), far(t, d, x), far(t, other, x)} {
		for _, src := range []*tensor.Tensor{x, strided, far(t, d, strided), far(t, other, x)} {
			want, err := src.ToHost()
			require.NoError(t, err)
			require.NoError(t, dst.CopyFrom(src))
			require.NoError(t, tensor.Check(dst, want, tensor.Exact))
		}
	}
	assert.Error(t, far(t, d, x).CopyFrom(tensor.New(tensor.I16, 4, 3)))
}

func TestViewsOfTensorsOnDevices(t *testing.T) {
	y := far(t, testdevice.New("test:0", 3), tensor.Arange(tensor.U8, 2, 6))
	_, err := y.View([]int{1}, 0, []int{3})
	assert.EqualError(t, err, "tensor: view: expected a tensor on the host, got one on test:0 (hint: ToHost)")
	_, err = y.Permute(1, 0)
	assert.ErrorContains(t, err, "tensor: permute: expected a tensor on the host")
	z, err := y.Reshape(3, -1)
	require.NoError(t, err)
	assert.Equal(t, "test:0", z.Device().Name())
	assert.Same(t, &y.DeviceBytes()[:1:1][0], &z.DeviceBytes()[:1:1][0], "it shares the memory")
	assert.NoError(t, tensor.Check(z, tensor.Arange(tensor.U8, 3, 4), tensor.Exact))
}

func TestFilesOfTensorsOnDevices(t *testing.T) {
	d := testdevice.New("test:0", 4)
	x := tensor.Arange(tensor.F32, 3, 2)
	for _, name := range []string{"x.npy", "x.npz", "x.safetensors"} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, tensor.WriteFile(path, map[string]*tensor.Tensor{"x": far(t, d, x)}))
		got, err := tensor.LoadFile(path)
		require.NoError(t, err)
		assert.NoError(t, tensor.Check(got["x"], x, tensor.Exact), name)
	}
}

func TestLayoutsTellDevicesApart(t *testing.T) {
	d, other := testdevice.New("test:0", 5), testdevice.New("test:1", 5)
	x := tensor.Arange(tensor.F32, 3, 2)
	a, b, c := far(t, d, x), far(t, d, x), far(t, other, x)
	assert.Same(t, a.Layout(), b.Layout())
	assert.NotSame(t, a.Layout(), c.Layout())
	assert.NotSame(t, a.Layout(), x.Layout())
	assert.Equal(t, tensor.Layout{DType: tensor.F32, Shape: []int{3, 2}, Strides: []int{2, 1}, Contiguous: true, Device: "test:0"}, *a.Layout())
	assert.Empty(t, x.Layout().Device)
}

func TestMisuseOfDevices(t *testing.T) {
	d := testdevice.New("test:0", 6)
	mem, err := d.Alloc(16)
	require.NoError(t, err)
	for want, f := range map[string]func() (*tensor.Tensor, error){
		"expected a device, got nil":              func() (*tensor.Tensor, error) { return tensor.OnDevice(nil, tensor.F32, []int{4}, mem, nil) },
		"f32[5] on test:0 needs 20 bytes, got 16": func() (*tensor.Tensor, error) { return tensor.OnDevice(d, tensor.F32, []int{5}, mem, nil) },
		"is not an element type":                  func() (*tensor.Tensor, error) { return tensor.OnDevice(d, tensor.Invalid, []int{4}, mem, nil) },
		"negative":                                func() (*tensor.Tensor, error) { return tensor.OnDevice(d, tensor.F32, []int{-4}, mem, nil) },
	} {
		x, err := f()
		assert.ErrorContains(t, err, want)
		assert.Nil(t, x)
	}
	empty, err := tensor.OnDevice(d, tensor.F32, []int{0, 3}, nil, nil)
	require.NoError(t, err)
	assert.Equal(t, "f32[0,3] on test:0 []", empty.String())
	assert.NoError(t, tensor.Check(empty, tensor.New(tensor.F32, 0, 3), tensor.Exact))
	assert.NoError(t, empty.CopyFrom(tensor.New(tensor.F32, 0, 3)))

	// A device that only gives can not be written.
	ro, err := tensor.OnDevice(readOnly{d}, tensor.F32, []int{4}, mem, nil)
	require.NoError(t, err)
	assert.EqualError(t, ro.CopyFrom(tensor.New(tensor.F32, 4)), "tensor: copy: test:0 cannot be written")
}

type readOnly struct{ d *testdevice.Device }

func (r readOnly) Name() string { return r.d.Name() }

func (r readOnly) Download(dst, src []byte) error { return r.d.Download(dst, src) }

func TestADeviceThatFailed(t *testing.T) {
	boom := errors.New("boom")
	x, err := tensor.OnDevice(failing{boom}, tensor.F32, []int{2}, make([]byte, 8), nil)
	require.NoError(t, err)
	_, err = x.ToHost()
	assert.ErrorIs(t, err, boom)
	assert.EqualError(t, err, "tensor: f32[2] on broken: boom")
	assert.Equal(t, "f32[2] on broken that cannot be read: tensor: f32[2] on broken: boom", x.String())
	assert.ErrorIs(t, tensor.New(tensor.F32, 2).CopyFrom(x), boom)
	assert.ErrorIs(t, tensor.WriteFile(filepath.Join(t.TempDir(), "x.npy"), map[string]*tensor.Tensor{"x": x}), boom)
	assert.ErrorContains(t, tensor.Check(x, tensor.New(tensor.F32, 2), tensor.Exact), "boom")
	assert.PanicsWithValue(t, "BUG: tensor: f32[2] on broken: boom (who reads tensors of a device that may fail asks ToHost)", func() { tensor.Floats(x) })
}

type failing struct{ err error }

func (failing) Name() string { return "broken" }

func (f failing) Download([]byte, []byte) error { return f.err }
