package tensor

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyType is tensors of all the types a format holds and awkward shapes.
func everyType(t *testing.T, types []DType) map[string]*Tensor {
	t.Helper()
	all := make(map[string]*Tensor)
	for i, dt := range types {
		x, err := Generate(Rule{Kind: "uniform", Seed: uint64(i), Lo: -3, Hi: 90}, dt, []int{3, 1, 5})
		require.NoError(t, err)
		all["layer."+dt.String()] = x
		all["transposed/"+dt.String()], err = x.Permute()
		require.NoError(t, err)
		all["scalar "+dt.String()] = FloatScalar(dt, 1)
		all["empty<&>\"é"+dt.String()] = New(dt, 2, 0, 3)
	}
	return all
}

func npyDTypes() []DType {
	var types []DType
	for _, row := range npyTypes {
		types = append(types, row.dtype)
	}
	return types
}

func requireSame(t *testing.T, want, got map[string]*Tensor) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for name := range want {
		require.NoError(t, Check(got[name], want[name], Exact), name)
		require.True(t, got[name].IsContiguous())
	}
}

func TestWriteFileRoundTrips(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name    string
		tensors map[string]*Tensor
	}{
		{"all.npz", everyType(t, npyDTypes())},
		{"all.safetensors", everyType(t, DTypes())},
		{"none.npz", map[string]*Tensor{}},
		{"none.safetensors", map[string]*Tensor{}},
		{"x.SafeTensors", map[string]*Tensor{"": New(F32, 3)}},
	} {
		path := filepath.Join(dir, c.name)
		require.NoError(t, WriteFile(path, c.tensors))
		got, err := LoadFile(path)
		require.NoError(t, err)
		requireSame(t, c.tensors, got)
		first, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, WriteFile(path, c.tensors), "overwrites")
		second, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(first, second), "equal tensors give equal bytes")
	}
	for _, x := range everyType(t, npyDTypes()) {
		path := filepath.Join(dir, "one.npy")
		require.NoError(t, WriteFile(path, map[string]*Tensor{"anything": x}))
		got, err := LoadFile(path)
		require.NoError(t, err)
		requireSame(t, map[string]*Tensor{"one": x}, got)
	}
}

func TestArchiveInterface(t *testing.T) {
	dir := t.TempDir()
	x, y := Arange(F32, 2, 3), Arange(I64, 4)
	for _, c := range []struct {
		file    string
		tensors map[string]*Tensor
	}{
		{"a.npy", map[string]*Tensor{"a": x}},
		{"a.npz", map[string]*Tensor{"a": x, "b": y}},
		{"a.safetensors", map[string]*Tensor{"a": x, "b": y}},
	} {
		path := filepath.Join(dir, c.file)
		require.NoError(t, WriteFile(path, c.tensors))
		a, err := OpenFile(path)
		require.NoError(t, err)
		assert.Equal(t, slices.Sorted(maps.Keys(c.tensors)), a.Names())
		for range 2 { // the second answer may come from a cache
			dt, shape, err := a.Info("a")
			require.NoError(t, err)
			assert.Equal(t, F32, dt)
			assert.Equal(t, []int{2, 3}, shape)
			shape[0] = 99 // the caller's copy
		}
		got, err := a.Load("a")
		require.NoError(t, err)
		require.NoError(t, Check(got, x, Exact))
		_, err = a.Load("zz")
		require.ErrorIs(t, err, ErrNoTensor)
		assert.ErrorContains(t, err, path)
		_, _, err = a.Info("zz")
		require.ErrorIs(t, err, ErrNoTensor)
		require.NoError(t, a.Close())
		_, err = a.Load("a")
		assert.Error(t, err, "closed")
	}
}

func TestOpenFileErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenFile(filepath.Join(dir, "missing.npy"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	var fe *FormatError
	_, err = OpenFile(filepath.Join(dir, "model.onnx"))
	require.ErrorAs(t, err, &fe)
	assert.Contains(t, err.Error(), `model.onnx: name: expected a file that ends in .npy, .npz or .safetensors, got ".onnx"`)
	sub := filepath.Join(dir, "dir.npy")
	require.NoError(t, os.Mkdir(sub, 0o755))
	_, err = OpenFile(sub)
	require.ErrorAs(t, err, &fe)
}

func TestWriteFileErrorsLeaveTheFileAlone(t *testing.T) {
	dir := t.TempDir()
	x := New(F32, 2)
	for _, c := range []struct {
		file    string
		tensors map[string]*Tensor
		want    string
	}{
		{"a.npy", map[string]*Tensor{"a": x, "b": x}, "expected one tensor for a .npy file, got 2"},
		{"a.npy", map[string]*Tensor{"a": New(BF16, 2)}, "got bf16 (hint: write a .safetensors file, or cast to f32)"},
		{"a.npz", map[string]*Tensor{"a": x, "b": New(F8E5M2, 2)}, "member b, element type: expected a type that .npy can hold, got f8e5m2"},
		{"a.npz", map[string]*Tensor{"a": nil}, "got nil"},
		{"a.npy", map[string]*Tensor{"a": New(F32, slices.Repeat([]int{1}, 65)...)}, "at most 64 dimensions, got 65"},
		{"a.safetensors", map[string]*Tensor{"a\xff": x}, "UTF-8"},
		{"a.safetensors", map[string]*Tensor{"__metadata__": x}, "reserves"},
		{"a.txt", map[string]*Tensor{"a": x}, ".safetensors"},
	} {
		path := filepath.Join(dir, c.file)
		require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
		err := WriteFile(path, c.tensors)
		require.ErrorContains(t, err, c.want)
		var fe *FormatError
		require.ErrorAs(t, err, &fe)
		assert.Equal(t, path, fe.File)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "precious", string(kept))
		require.NoError(t, os.Remove(path))
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, "no temporary file stays behind")
	}
	assert.Error(t, WriteFile(filepath.Join(dir, "nowhere", "a.npy"), map[string]*Tensor{"a": x}))
	stop := errors.New("disk full")
	err := writeAtomic(filepath.Join(dir, "half"), func(w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		return stop
	})
	require.ErrorIs(t, err, stop)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// encode is a file in memory.
func encode(t testing.TB, ext string, tensors map[string]*Tensor) []byte {
	t.Helper()
	f, err := formatOf("x" + ext)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, f.write(&b, slices.Sorted(maps.Keys(tensors)), tensors))
	return b.Bytes()
}

// readAll opens bytes and loads all they hold.
func readAll(name string, data []byte) (map[string]*Tensor, error) {
	a, err := Open(name, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	defer a.Close()
	all := make(map[string]*Tensor)
	for _, n := range a.Names() {
		if _, _, err := a.Info(n); err != nil {
			return nil, err
		}
		if all[n], err = a.Load(n); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func TestEveryTruncationIsAnError(t *testing.T) {
	x := Arange(F32, 2, 3)
	for _, ext := range []string{".npy", ".npz", ".safetensors"} {
		data := encode(t, ext, map[string]*Tensor{"x": x})
		_, err := readAll("x"+ext, data)
		require.NoError(t, err)
		for n := range data {
			_, err := readAll("x"+ext, data[:n])
			var fe *FormatError
			require.ErrorAs(t, err, &fe, "%s cut to %d of %d bytes", ext, n, len(data))
			require.Equal(t, "x"+ext, fe.File)
			require.NotEmpty(t, fe.Where)
		}
		_, err = readAll("x"+ext, append(slices.Clone(data), make([]byte, 70_000)...))
		require.Error(t, err, "%s with bytes after its end", ext)
	}
}

func TestFlippedBytesNeverPanic(t *testing.T) {
	for _, ext := range []string{".npy", ".npz", ".safetensors"} {
		data := encode(t, ext, map[string]*Tensor{"x": Arange(F32, 2, 3)})
		for i := range data {
			for _, v := range []byte{0, 0xFF, data[i] ^ 1, data[i] + 1, '9', '-'} {
				bad := slices.Clone(data)
				bad[i] = v
				if _, err := readAll("x"+ext, bad); err != nil {
					var fe *FormatError
					require.ErrorAs(t, err, &fe, "%s byte %d = %d", ext, i, v)
				}
			}
		}
	}
}

func TestNPZDeflate(t *testing.T) {
	want := map[string]*Tensor{"w": Arange(F32, 100, 7), "b": Arange(I16, 3)}
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for name, x := range want {
		w, err := zw.Create(name + ".npy") // compresses
		require.NoError(t, err)
		require.NoError(t, writeNPY(w, x))
	}
	require.NoError(t, zw.Close())
	assert.Less(t, b.Len(), 2800, "compressed")
	got, err := readAll("x.npz", b.Bytes())
	require.NoError(t, err)
	requireSame(t, want, got)
}

func TestNPZErrors(t *testing.T) {
	build := func(members ...string) []byte {
		var b bytes.Buffer
		zw := zip.NewWriter(&b)
		for _, name := range members {
			w, err := zw.Create(name)
			require.NoError(t, err)
			if !strings.HasSuffix(name, "/") {
				require.NoError(t, writeNPY(w, Arange(F32, 3)))
			}
		}
		require.NoError(t, zw.Close())
		return b.Bytes()
	}
	_, err := readAll("x.npz", build("a.npy", "a.npy"))
	require.ErrorContains(t, err, "x.npz: member a.npy, zip directory: expected one member of each name, got two")
	got, err := readAll("x.npz", build("a.npy", "folder/", "folder/b.npy"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "folder/b"}, slices.Sorted(maps.Keys(got)))

	// A wrong checksum.
	data := encode(t, ".npz", map[string]*Tensor{"x": Arange(F32, 3)})
	at := bytes.Index(data, []byte{0, 0, 0x80, 0x3F}) // the element 1
	require.Positive(t, at)
	data[at]++
	_, err = readAll("x.npz", data)
	require.ErrorContains(t, err, "checksum")
}

func TestNPZRefusesImpossibleSizes(t *testing.T) {
	for _, c := range []struct {
		name   string
		header zip.FileHeader
	}{
		{"bomb", zip.FileHeader{Method: zip.Deflate, CompressedSize64: 100, UncompressedSize64: 1 << 40}},
		{"larger than the file", zip.FileHeader{Method: zip.Store, CompressedSize64: 5000, UncompressedSize64: 5000}},
		{"stored sizes differ", zip.FileHeader{Method: zip.Store, CompressedSize64: 10, UncompressedSize64: 900}},
		{"unknown method", zip.FileHeader{Method: 99, CompressedSize64: 10, UncompressedSize64: 10}},
		{"encrypted", zip.FileHeader{Flags: 1, CompressedSize64: 10, UncompressedSize64: 10}},
	} {
		assert.Error(t, checkMember(&zip.File{FileHeader: c.header}, 1000), c.name)
	}
	assert.NoError(t, checkMember(&zip.File{FileHeader: zip.FileHeader{Method: zip.Deflate, CompressedSize64: 100, UncompressedSize64: 90_000}}, 1000))
}
