package tensor

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// npyFile assembles a file from its parts.
func npyFile(version byte, header string, elements []byte) []byte {
	b := append([]byte(npyMagic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	return append(append(b, header...), elements...)
}

func npyDict(descr, fortran, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, fortran, shape)
}

func TestNPYBytesAreThoseOfNumPy(t *testing.T) {
	// numpy.save of numpy.arange(6, dtype="<f4").reshape(2, 3)
	header := "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
	want := "\x93NUMPY\x01\x00\x76\x00" + header + strings.Repeat(" ", 117-len(header)) + "\n" +
		"\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40\x00\x00\xa0\x40"
	assert.Equal(t, want, string(encode(t, ".npy", map[string]*Tensor{"x": Arange(F32, 2, 3)})))
}

func TestNPYReadsVersionsOrdersAndByteOrders(t *testing.T) {
	little, big := []byte{1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0}, []byte{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}
	rows, columns := []int64{1, 2, 3, 4, 5, 6}, []int64{1, 3, 5, 2, 4, 6}
	for _, c := range []struct {
		version  byte
		header   string
		elements []byte
		want     []int64
	}{
		{1, npyDict("<i2", "False", "(2, 3)"), little, rows},
		{2, npyDict("<i2", "False", "(2, 3)"), little, rows},
		{3, npyDict("<u2", "False", "(2,3,)"), little, rows},
		{1, npyDict(">i2", "False", "(2, 3)"), big, rows},
		{1, npyDict("<i2", "True", "(2, 3)"), little, columns},
		{1, npyDict(">u2", "True", "(2L, 3L)"), big, columns},
		{1, `{"shape":(2,3),"fortran_order":False,"descr":"<i2"}`, little, rows},
	} {
		all, err := readAll("m.npy", npyFile(c.version, c.header, c.elements))
		require.NoError(t, err, c.header)
		assert.Equal(t, []int{2, 3}, all["m"].Shape())
		assert.Equal(t, c.want, Ints(all["m"]), c.header)
		assert.True(t, all["m"].IsContiguous())
	}
	all, err := readAll("m.npy", npyFile(1, npyDict(">f8", "False", "(1,)"), []byte{0x3F, 0xF8, 0, 0, 0, 0, 0, 0}))
	require.NoError(t, err)
	assert.Equal(t, []float64{1.5}, Floats(all["m"]))
	all, err = readAll("m.npy", npyFile(1, npyDict(">u4", "False", "()"), []byte{1, 2, 3, 4}))
	require.NoError(t, err)
	assert.Equal(t, []uint32{0x01020304}, Data[uint32](all["m"]))
	all, err = readAll("m.npy", npyFile(1, npyDict("|b1", "False", "(3,)"), []byte{0, 1, 77}))
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 1, 1}, all["m"].Base(), "bools become 0 or 1")
}

func TestNPYErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"magic", []byte("\x93NUMPX\x01\x00\x00\x00"), "is this a .npy file?"},
		{"version", npyFile(4, npyDict("<f4", "False", "(1,)"), make([]byte, 4)), "version 1, 2 or 3"},
		{"bf16", npyFile(1, npyDict("<V2", "False", "(1,)"), make([]byte, 2)), "save as safetensors, or as f32"},
		{"complex", npyFile(1, npyDict("<c8", "False", "(1,)"), make([]byte, 8)), `got "<c8"`},
		{"structured", npyFile(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", make([]byte, 4)), "a header like"},
		{"no byte order", npyFile(1, npyDict("|f4", "False", "(1,)"), make([]byte, 4)), `got "|f4"`},
		{"empty descr", npyFile(1, npyDict("", "False", "(1,)"), make([]byte, 4)), `got ""`},
		{"descr is a number", npyFile(1, "{'descr': 4, 'fortran_order': False, 'shape': (1,)}", make([]byte, 4)), "simple element type"},
		{"order is a number", npyFile(1, "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", make([]byte, 4)), "True or False"},
		{"shape is a number", npyFile(1, npyDict("<f4", "False", "1"), make([]byte, 4)), "a tuple of sizes"},
		{"missing key", npyFile(1, "{'descr': '<f4', 'shape': (1,)}", make([]byte, 4)), "key fortran_order"},
		{"extra key", npyFile(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", make([]byte, 4)), "4 keys"},
		{"key twice", npyFile(1, "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", make([]byte, 4)), "twice"},
		{"after the dict", npyFile(1, npyDict("<f4", "False", "(1,)")+"x", make([]byte, 4)), "after the dict"},
		{"open string", npyFile(1, "{'descr", nil), "without end"},
		{"escape", npyFile(1, npyDict(`\x3cf4`, "False", "(1,)"), make([]byte, 4)), "escape"},
		{"negative size", npyFile(1, npyDict("<f4", "False", "(-1,)"), nil), "negative"},
		{"odd integer", npyFile(1, npyDict("<f4", "False", "(1-2,)"), nil), "an integer"},
		{"overflow", npyFile(1, npyDict("<f4", "False", "(9223372036854775807, 3)"), nil), "fits the address space"},
		{"too large an integer", npyFile(1, npyDict("<f4", "False", "(99999999999999999999,)"), nil), "an integer"},
		{"too large for the file", npyFile(1, npyDict("<f4", "False", "(1000000000000,)"), make([]byte, 4)), "may be truncated"},
		{"two arrays", npyFile(1, npyDict("<f4", "False", "(1,)"), make([]byte, 8)), "use .npz for several"},
		{"rank", npyFile(1, npyDict("<f4", "False", "("+strings.Repeat("1,", 65)+")"), make([]byte, 4)), "more than 64"},
		{"header length", append([]byte(npyMagic), 2, 0, 0xFF, 0xFF, 0xFF, 0xFF), "truncated"},
	} {
		_, err := readAll("bad.npy", c.data)
		var fe *FormatError
		require.ErrorAs(t, err, &fe, c.name)
		assert.Equal(t, "bad.npy", fe.File)
		assert.ErrorContains(t, err, c.want, c.name)
	}
}

func TestNPYHighestRank(t *testing.T) {
	shape := make([]int, maxRank)
	for i := range shape {
		shape[i] = 1
	}
	all, err := readAll("x.npy", encode(t, ".npy", map[string]*Tensor{"x": New(I8, shape...)}))
	require.NoError(t, err)
	assert.Equal(t, shape, all["x"].Shape())
}

func FuzzNPY(f *testing.F) {
	f.Add(encode(f, ".npy", map[string]*Tensor{"x": Arange(F32, 2, 3)}))
	f.Add(npyFile(2, npyDict(">i2", "True", "(2, 1)"), make([]byte, 4)))
	f.Add(npyFile(1, npyDict("|b1", "False", "()"), []byte{3}))
	f.Add(npyFile(3, npyDict("<f8", "False", "(0, 4611686018427387904)"), nil))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzReader(t, ".npy", data) })
}

func FuzzNPZ(f *testing.F) {
	f.Add(encode(f, ".npz", map[string]*Tensor{"x": Arange(F32, 2, 3), "y": New(I8)}))
	f.Add(encode(f, ".npz", map[string]*Tensor{}))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzReader(t, ".npz", data) })
}

// fuzzReader checks that bytes are refused with a FormatError, or read, and then
// survive being written and read again.
func fuzzReader(t *testing.T, ext string, data []byte) {
	all, err := readAll("fuzz"+ext, data)
	if err != nil {
		var fe *FormatError
		require.ErrorAs(t, err, &fe)
		return
	}
	total := 0
	for _, x := range all {
		total += x.NumBytes()
	}
	require.LessOrEqual(t, total, maxDeflateRatio*len(data)*max(len(all), 1), "more elements than bytes")
	if _, err := sortedNames(all); err != nil {
		return // a zip member may have a name that is not UTF-8
	}
	again, err := readAll("fuzz"+ext, encode(t, ext, all))
	require.NoError(t, err)
	requireSame(t, all, again)
}
