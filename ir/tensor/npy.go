package tensor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The .npy format (NumPy Enhancement Proposal 1, numpy/lib/format.py):
//
//	0   "\x93NUMPY"
//	6   major, minor version
//	8   header length: 2 bytes in version 1, 4 in 2 and 3; little-endian
//	    header: a Python dict literal with the keys descr, fortran_order, shape
//	    the elements
const (
	npyMagic     = "\x93NUMPY"
	npyMaxHeader = 1 << 20 // a header of 64 dimensions takes about 1500 bytes
)

// npyRow maps the type letter and size of a descr to an element type.
type npyRow struct {
	code  string
	dtype DType
}

var npyTypes = []npyRow{
	{"b1", Bool},
	{"u1", U8}, {"u2", U16}, {"u4", U32}, {"u8", U64},
	{"i1", I8}, {"i2", I16}, {"i4", I32}, {"i8", I64},
	{"f2", F16}, {"f4", F32}, {"f8", F64},
}

// npyHeader is what a .npy file says about its elements.
type npyHeader struct {
	dtype     DType
	shape     []int
	fortran   bool // column-major
	bigEndian bool
	start     int64 // byte offset of the first element
}

// readNPYHeader reads the header of a stream that holds size bytes in total and
// checks that the elements fill the rest of it.
func readNPYHeader(r io.Reader, size int64) (*npyHeader, error) {
	var prefix [12]byte
	if _, err := io.ReadFull(r, prefix[:10]); err != nil {
		return nil, malformed("byte 0", "the 10 bytes of a .npy prefix", fmt.Sprintf("a file of %d bytes", size), "")
	}
	if string(prefix[:6]) != npyMagic {
		return nil, malformed("byte 0", fmt.Sprintf("%q", npyMagic), fmt.Sprintf("%q", prefix[:6]), "is this a .npy file?")
	}
	length, start := int64(binary.LittleEndian.Uint16(prefix[8:])), int64(10)
	switch prefix[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, prefix[10:]); err != nil {
			return nil, malformed("byte 10", "a header length", err, "")
		}
		length, start = int64(binary.LittleEndian.Uint32(prefix[8:])), 12
	default:
		return nil, malformed("byte 6", "format version 1, 2 or 3", prefix[6], "")
	}
	if length > npyMaxHeader || length > size-start {
		return nil, malformed("byte 8", fmt.Sprintf("a header within the file of %d bytes and below 1 MiB", size),
			fmt.Sprintf("%d bytes", length), "the file may be truncated")
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, malformed(fmt.Sprintf("byte %d", start), "the header", err, "")
	}
	h, err := parseNPYHeader(string(text), start)
	if err != nil {
		return nil, err
	}
	h.start = start + length
	return h, h.checkSize(size)
}

func (h *npyHeader) checkSize(size int64) error {
	n, err := CheckedBytes(h.dtype, h.shape)
	if err != nil {
		return malformed("header, shape", "a shape that fits the address space", err, "")
	}
	if got := size - h.start; got != int64(n) {
		hint := "the file may be truncated"
		if got > int64(n) {
			hint = "one file holds one array; use .npz for several"
		}
		return malformed(fmt.Sprintf("byte %d", h.start), fmt.Sprintf("%d bytes for %s%v", n, h.dtype, h.shape), got, hint)
	}
	return nil
}

// parseNPYHeader reads the dict literal.
func parseNPYHeader(text string, start int64) (*npyHeader, error) {
	s := &pyScanner{text: text}
	fields, err := s.dict()
	if err != nil {
		return nil, malformed(fmt.Sprintf("byte %d", start+int64(s.pos)), "a header like {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", err, "")
	}
	h := &npyHeader{}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if _, ok := fields[key]; !ok {
			return nil, malformed("header", "key "+key, "none", "")
		}
	}
	if len(fields) != 3 {
		return nil, malformed("header", "the keys descr, fortran_order and shape", fmt.Sprintf("%d keys", len(fields)), "")
	}
	descr, ok := fields["descr"].(string)
	if !ok {
		return nil, malformed("header, descr", "a simple element type", fmt.Sprintf("%v", fields["descr"]), "structured arrays are not supported; save one array per field")
	}
	if h.dtype, h.bigEndian, err = parseDescr(descr); err != nil {
		return nil, err
	}
	if h.fortran, ok = fields["fortran_order"].(bool); !ok {
		return nil, malformed("header, fortran_order", "True or False", fmt.Sprintf("%v", fields["fortran_order"]), "")
	}
	if h.shape, ok = fields["shape"].([]int); !ok {
		return nil, malformed("header, shape", "a tuple of sizes", fmt.Sprintf("%v", fields["shape"]), "")
	}
	return h, nil
}

// parseDescr reads an element type such as "<f4", "|b1" or ">i8".
func parseDescr(descr string) (dt DType, bigEndian bool, err error) {
	if len(descr) > 1 && strings.ContainsRune("<>|=", rune(descr[0])) {
		for _, row := range npyTypes {
			if row.code == descr[1:] && (row.dtype.Size() == 1 || descr[0] == '<' || descr[0] == '>') {
				return row.dtype, descr[0] == '>', nil
			}
		}
	}
	hint := "convert the array with .astype before saving"
	if strings.HasPrefix(descr, "|V") || strings.HasPrefix(descr, "<V") || strings.HasPrefix(descr, "bfloat") || strings.HasPrefix(descr, "float8") {
		hint = ".npy has no bf16 or f8 type: save as safetensors, or as f32"
	}
	return Invalid, false, malformed("header, descr", "an element type such as <f4, <i8 or |b1", fmt.Sprintf("%q", descr), hint)
}

// descrOf is the descr of a type, little-endian.
func descrOf(dt DType) (string, error) {
	for _, row := range npyTypes {
		if row.dtype == dt {
			if dt.Size() == 1 {
				return "|" + row.code, nil
			}
			return "<" + row.code, nil
		}
	}
	return "", malformed("element type", "a type that .npy can hold", dt, "write a .safetensors file, or cast to f32")
}

// read reads the elements that follow a header.
func (h *npyHeader) read(r io.Reader) (*Tensor, error) {
	shape := slices.Clone(h.shape)
	if h.fortran {
		slices.Reverse(shape)
	}
	t, err := Make(h.dtype, shape)
	if err != nil {
		return nil, err
	}
	if got, err := io.ReadFull(r, t.data); err != nil {
		return nil, malformed(fmt.Sprintf("byte %d", h.start+int64(got)), fmt.Sprintf("%d bytes of elements", len(t.data)), err, "")
	}
	if h.bigEndian != hostBigEndian {
		swapBytes(t.data, h.dtype.Size())
	}
	normalizeBools(t)
	if h.fortran {
		if t, err = t.Permute(); err != nil {
			return nil, err
		}
	}
	return t.Contiguous(), nil
}

// normalizeBools makes every byte of a bool tensor from outside 0 or 1.
func normalizeBools(t *Tensor) {
	if t.dtype != Bool {
		return
	}
	for i, v := range t.data {
		if v > 1 {
			t.data[i] = 1
		}
	}
}

// writeNPY writes one tensor as format version 1, whose header holds any shape of
// at most maxRank dimensions, padded so that the elements start at a multiple of
// 64 bytes.
func writeNPY(w io.Writer, t *Tensor) error {
	descr, err := descrOf(t.dtype)
	if err != nil {
		return err
	}
	dims := make([]string, len(t.shape))
	for i, d := range t.shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	total := padTo(10+len(dict)+1, 64)
	var b bytes.Buffer
	b.WriteString(npyMagic + "\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(total-10)))
	fmt.Fprintf(&b, "%-*s\n", total-11, dict)
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return writeElements(w, t)
}

func padTo(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// npyArchive is a .npy file: one tensor named after the file.
type npyArchive struct {
	src    source
	size   int64
	file   string
	name   string
	header *npyHeader
}

func openNPY(src source, size int64, path string) (Archive, error) {
	h, err := readNPYHeader(io.NewSectionReader(src, 0, size), size)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	return &npyArchive{src, size, path, strings.TrimSuffix(base, filepath.Ext(base)), h}, nil
}

func (a *npyArchive) Names() []string { return []string{a.name} }

func (a *npyArchive) Info(name string) (DType, []int, error) {
	if name != a.name {
		return Invalid, nil, noTensor(a.file, name, a.Names())
	}
	return a.header.dtype, slices.Clone(a.header.shape), nil
}

func (a *npyArchive) Load(name string) (*Tensor, error) {
	if name != a.name {
		return nil, noTensor(a.file, name, a.Names())
	}
	t, err := a.header.read(io.NewSectionReader(a.src, a.header.start, a.size-a.header.start))
	return t, inFile(err, a.file, "")
}

func (a *npyArchive) Close() error { return a.src.Close() }

func writeNPYFile(w io.Writer, names []string, tensors map[string]*Tensor) error {
	if len(names) != 1 {
		return malformed("tensors", "one tensor for a .npy file", fmt.Sprintf("%d", len(names)), "write a .npz or .safetensors file")
	}
	return writeNPY(w, tensors[names[0]])
}
