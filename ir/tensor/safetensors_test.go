package tensor

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stFile assembles a file from its parts.
func stFile(header string, elements int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, elements)...)
}

func TestSafetensorsBytes(t *testing.T) {
	got := encode(t, ".safetensors", map[string]*Tensor{"a": Scalar(uint8(7)), "w": Of([]int{1, 2}, float32(1), 2)})
	header := `{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}`
	header += strings.Repeat(" ", padTo(len(header), 8)-len(header))
	want := append(stFile(header, 0), 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 7)
	assert.Equal(t, string(want), string(got), "the widest type first: aligned elements")
}

func TestSafetensorsMetadata(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	metadata := map[string]string{"format": "pt", "author": "a \"quoted\" name"}
	tensors := map[string]*Tensor{"x": Arange(BF16, 3)}
	require.NoError(t, WriteSafetensors(path, tensors, metadata))
	a, err := OpenFile(path)
	require.NoError(t, err)
	defer a.Close()
	st, ok := a.(*SafetensorsArchive)
	require.True(t, ok)
	assert.Equal(t, metadata, st.Metadata())
	assert.Equal(t, []string{"x"}, st.Names())
	require.Error(t, WriteSafetensors(path, map[string]*Tensor{"x": nil}, nil))
}

// countingReader counts the bytes read.
type countingReader struct {
	bytes.Reader
	read int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read += n
	return n, err
}

func TestSafetensorsLoadsOnlyWhatIsAsked(t *testing.T) {
	data := encode(t, ".safetensors", map[string]*Tensor{"big": New(F32, 100_000), "small": Arange(F32, 5)})
	r := &countingReader{Reader: *bytes.NewReader(data)}
	a, err := Open("x.safetensors", r, int64(len(data)))
	require.NoError(t, err)
	x, err := a.Load("small")
	require.NoError(t, err)
	assert.Equal(t, []float32{0, 1, 2, 3, 4}, Data[float32](x))
	assert.Less(t, r.read, 300)
}

func TestSafetensorsErrors(t *testing.T) {
	for _, c := range []struct {
		name     string
		header   string
		elements int
		want     string
	}{
		{"not JSON", `hello`, 0, "a JSON object"},
		{"not an object", `[]`, 0, "a JSON object"},
		{"open", `{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}`, 1, "expected"},
		{"after the object", `{} x`, 0, "nothing after the object"},
		{"name twice", `{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1, `"a" twice`},
		{"metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, "got two"},
		{"metadata of numbers", `{"__metadata__":{"a":1}}`, 0, "strings to strings"},
		{"no dtype", `{"a":{"shape":[],"data_offsets":[0,1]}}`, 1, "got fewer"},
		{"no shape", `{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1, "got fewer"},
		{"one offset", `{"a":{"dtype":"U8","shape":[],"data_offsets":[0]}}`, 1, "got fewer"},
		{"null", `{"a":null}`, 0, "got fewer"},
		{"dtype", `{"a":{"dtype":"F6","shape":[],"data_offsets":[0,1]}}`, 1, `got "F6"`},
		{"fraction", `{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1, "dtype, shape and data_offsets"},
		{"negative size", `{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1, "negative"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0, "address space"},
		{"rank", `{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 64) + `1],"data_offsets":[0,1]}}`, 1, "at most 64"},
		{"wrong size", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, "8 bytes for f32[2], got [0 4]"},
		{"reversed", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}`, 2, "data_offsets"},
		{"negative offset", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[-2,0]}}`, 2, "data_offsets"},
		{"out of range", `{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 2, "may be truncated"},
		{"far out of range", `{"a":{"dtype":"U8","shape":[9],"data_offsets":[9223372036854775798,9223372036854775807]}}`, 2, "data_offsets"},
		{"overlap", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, "overlap"},
		{"same bytes", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, "overlap"},
		{"hole", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, "holes"},
		{"bytes left", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 3, "1 more bytes"},
	} {
		_, err := readAll("bad.safetensors", stFile(c.header, c.elements))
		var fe *FormatError
		require.ErrorAs(t, err, &fe, c.name)
		assert.Equal(t, "bad.safetensors", fe.File)
		assert.ErrorContains(t, err, c.want, c.name)
	}
	for _, prefix := range []uint64{1 << 63, 100_000_001, 1 << 20} {
		_, err := readAll("bad.safetensors", binary.LittleEndian.AppendUint64(nil, prefix))
		require.ErrorContains(t, err, "a header of at most 100000000 bytes")
	}
}

func TestSafetensorsAccepts(t *testing.T) {
	all, err := readAll("x.safetensors", stFile(`{"__metadata__":{"k":"v"},"b":{"data_offsets":[0,0],"shape":[0,5],"dtype":"I64"},`+
		`"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}   `, 2))
	require.NoError(t, err)
	assert.Equal(t, []int{0, 5}, all["b"].Shape())
	assert.Equal(t, Bool, all["a"].DType())
}

func FuzzSafetensors(f *testing.F) {
	f.Add(encode(f, ".safetensors", map[string]*Tensor{"x": Arange(F32, 2, 3), "y": New(I8), "z": New(F8E4M3, 0)}))
	f.Add(stFile(`{"__metadata__":{"k":"v"}}`, 0))
	f.Add(stFile(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzReader(t, ".safetensors", data) })
}
