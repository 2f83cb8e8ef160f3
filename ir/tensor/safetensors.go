package tensor

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// The .safetensors format (github.com/huggingface/safetensors, README "Format"):
//
//	0      N, the header's length: 8 bytes, little-endian
//	8      JSON: {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]}, ...,
//	              "__metadata__": {"key": "value"}}
//	8+N    the elements, little-endian, row-major; offsets count from here and
//	       leave no holes
const (
	stMaxHeader   = 100_000_000
	stMetadataKey = "__metadata__"
)

// stRow maps the format's type names.
type stRow struct {
	code  string
	dtype DType
}

var stTypes = []stRow{
	{"BOOL", Bool},
	{"U8", U8}, {"U16", U16}, {"U32", U32}, {"U64", U64},
	{"I8", I8}, {"I16", I16}, {"I32", I32}, {"I64", I64},
	{"F8_E4M3", F8E4M3}, {"F8_E5M2", F8E5M2},
	{"F16", F16}, {"BF16", BF16}, {"F32", F32}, {"F64", F64},
}

// stEntry is one tensor of the header.
type stEntry struct {
	dtype      DType
	shape      []int
	begin, end int64 // in the file
}

// SafetensorsArchive is an opened .safetensors file.
type SafetensorsArchive struct {
	src      source
	file     string
	names    []string
	entries  map[string]stEntry
	metadata map[string]string
}

var _ Archive = (*SafetensorsArchive)(nil)

func openSafetensors(src source, size int64, path string) (Archive, error) {
	var prefix [8]byte
	if n, err := src.ReadAt(prefix[:], 0); n < len(prefix) {
		return nil, malformed("byte 0", "an 8-byte header length", fmt.Sprintf("a file of %d bytes (%v)", size, err), "")
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > stMaxHeader || int64(length) > size-8 {
		return nil, malformed("byte 0", fmt.Sprintf("a header of at most %d bytes within the file of %d", stMaxHeader, size), length, "the file may be truncated")
	}
	text := make([]byte, length)
	if n, err := src.ReadAt(text, 8); n < len(text) {
		return nil, malformed("byte 8", "the header", err, "")
	}
	a := &SafetensorsArchive{src: src, file: path, entries: map[string]stEntry{}, metadata: map[string]string{}}
	if err := a.parse(text, 8+int64(length)); err != nil {
		return nil, err
	}
	a.names = slices.Sorted(maps.Keys(a.entries))
	return a, a.checkCoverage(8+int64(length), size)
}

// parse reads the header token by token, because encoding/json would silently
// keep the last of two equal keys.
func (a *SafetensorsArchive) parse(text []byte, start int64) error {
	d := json.NewDecoder(bytes.NewReader(text))
	bad := func(expected string, got any) error {
		return malformed(fmt.Sprintf("byte %d", 8+d.InputOffset()), expected, got, "")
	}
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return bad("a JSON object", firstOf(err, tok))
	}
	metadataSeen := false
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return bad("a tensor's name", err)
		}
		name, _ := tok.(string) // keys of an object are strings
		if name == stMetadataKey {
			if metadataSeen {
				return bad("one "+stMetadataKey, "two")
			}
			metadataSeen = true
			if err := d.Decode(&a.metadata); err != nil {
				return bad(stMetadataKey+" that maps strings to strings", err)
			}
			continue
		}
		var raw stRaw
		if err := d.Decode(&raw); err != nil {
			return bad(fmt.Sprintf("dtype, shape and data_offsets of %q", name), err)
		}
		if _, twice := a.entries[name]; twice {
			return bad("one tensor of each name", fmt.Sprintf("%q twice", name))
		}
		entry, err := raw.entry(start)
		if err != nil {
			return inFile(err, "", name)
		}
		a.entries[name] = entry
	}
	if _, err := d.Token(); err != nil {
		return bad("the end of the object", err)
	}
	if rest := bytes.TrimRight(text[d.InputOffset():], " \t\r\n\x00"); len(rest) > 0 {
		return bad("nothing after the object", fmt.Sprintf("%.20q", rest))
	}
	return nil
}

func firstOf(err error, v any) any {
	if err != nil {
		return err
	}
	return v
}

// stRaw is an entry as JSON. Pointers tell a missing field from a zero one.
type stRaw struct {
	DType   *string `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// entry checks one tensor on its own: its type, shape and size.
func (raw stRaw) entry(start int64) (stEntry, error) {
	if raw.DType == nil || raw.Shape == nil || len(raw.Offsets) != 2 {
		return stEntry{}, malformed("header", "dtype, shape and two data_offsets", "fewer", "")
	}
	if len(raw.Shape) > maxRank {
		return stEntry{}, malformed("shape", fmt.Sprintf("at most %d dimensions", maxRank), len(raw.Shape), "")
	}
	e := stEntry{shape: make([]int, len(raw.Shape))}
	for i, d := range raw.Shape {
		if e.shape[i] = int(d); int64(e.shape[i]) != d {
			return stEntry{}, malformed("shape", "sizes that fit an int", d, "")
		}
	}
	for _, row := range stTypes {
		if row.code == *raw.DType {
			e.dtype = row.dtype
		}
	}
	if e.dtype == Invalid {
		return stEntry{}, malformed("dtype", "a type such as F32, BF16 or I64", fmt.Sprintf("%q", *raw.DType), "")
	}
	n, err := CheckedBytes(e.dtype, e.shape)
	if err != nil {
		return stEntry{}, malformed("shape", "a shape that fits the address space", err, "")
	}
	begin, end := raw.Offsets[0], raw.Offsets[1]
	if begin < 0 || end < begin || end-begin != int64(n) || end > 1<<62 {
		return stEntry{}, malformed("data_offsets", fmt.Sprintf("%d bytes for %s%v", n, e.dtype, e.shape), fmt.Sprint(raw.Offsets), "")
	}
	e.begin, e.end = start+begin, start+end
	return e, nil
}

// checkCoverage checks that the tensors fill the rest of the file without
// overlaps or holes, as the format demands.
func (a *SafetensorsArchive) checkCoverage(start, size int64) error {
	order := slices.Clone(a.names)
	slices.SortStableFunc(order, func(x, y string) int {
		ex, ey := a.entries[x], a.entries[y]
		return cmp.Or(cmp.Compare(ex.begin, ey.begin), cmp.Compare(ex.end, ey.end))
	})
	at := start
	for _, name := range order {
		e := a.entries[name]
		if e.begin != at || e.end > size {
			return inFile(malformed("data_offsets", fmt.Sprintf("elements from byte %d on, within the file of %d bytes", at, size),
				fmt.Sprintf("bytes %d to %d", e.begin, e.end), "tensors must not overlap or leave holes; the file may be truncated"), "", name)
		}
		at = e.end
	}
	if at != size {
		return malformed(fmt.Sprintf("byte %d", at), "the end of the file", fmt.Sprintf("%d more bytes", size-at), "")
	}
	return nil
}

// Names lists the tensors, sorted.
func (a *SafetensorsArchive) Names() []string { return slices.Clone(a.names) }

// Metadata is the file's own key-value pairs; empty if it has none.
func (a *SafetensorsArchive) Metadata() map[string]string { return maps.Clone(a.metadata) }

// Info is a tensor's type and shape.
func (a *SafetensorsArchive) Info(name string) (DType, []int, error) {
	e, ok := a.entries[name]
	if !ok {
		return Invalid, nil, noTensor(a.file, name, a.names)
	}
	return e.dtype, slices.Clone(e.shape), nil
}

// Load reads one tensor's bytes.
func (a *SafetensorsArchive) Load(name string) (*Tensor, error) {
	e, ok := a.entries[name]
	if !ok {
		return nil, noTensor(a.file, name, a.names)
	}
	t, err := Make(e.dtype, e.shape)
	if err != nil {
		return nil, err
	}
	if n, err := a.src.ReadAt(t.data, e.begin); n < len(t.data) {
		return nil, inFile(malformed(fmt.Sprintf("byte %d", e.begin+int64(n)), "more elements", err, ""), a.file, name)
	}
	if hostBigEndian {
		swapBytes(t.data, e.dtype.Size())
	}
	normalizeBools(t)
	return t, nil
}

// Close closes the file.
func (a *SafetensorsArchive) Close() error { return a.src.Close() }

// WriteSafetensors is WriteFile for .safetensors with metadata.
func WriteSafetensors(path string, tensors map[string]*Tensor, metadata map[string]string) error {
	names, err := sortedNames(tensors)
	if err != nil {
		return inFile(err, path, "")
	}
	return writeAtomic(path, func(w io.Writer) error {
		return inFile(writeSafetensorsMetadata(w, names, tensors, metadata), path, "")
	})
}

func writeSafetensors(w io.Writer, names []string, tensors map[string]*Tensor) error {
	return writeSafetensorsMetadata(w, names, tensors, nil)
}

// writeSafetensorsMetadata lays tensors out widest type first, then by name, as
// the format's own library does: so every tensor is aligned to its element size.
func writeSafetensorsMetadata(w io.Writer, names []string, tensors map[string]*Tensor, metadata map[string]string) error {
	order := slices.Clone(names)
	slices.SortStableFunc(order, func(x, y string) int {
		return cmp.Compare(tensors[y].dtype.Size(), tensors[x].dtype.Size())
	})
	header, err := safetensorsHeader(order, tensors, metadata)
	if err != nil {
		return err
	}
	prefix := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	if _, err := w.Write(append(prefix, header...)); err != nil {
		return err
	}
	for _, name := range order {
		if err := writeElements(w, tensors[name]); err != nil {
			return err
		}
	}
	return nil
}

// safetensorsHeader is the JSON header, in order, padded with spaces to 8 bytes.
func safetensorsHeader(order []string, tensors map[string]*Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	field := func(name string, value any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(append(append(key, ':'), text...))
		return nil
	}
	if len(metadata) > 0 {
		if err := field(stMetadataKey, metadata); err != nil {
			return nil, err
		}
	}
	at := 0
	for _, name := range order {
		t := tensors[name]
		if name == stMetadataKey {
			return nil, malformed("tensors", "a name other than "+stMetadataKey, name, "the format reserves it")
		}
		i := slices.IndexFunc(stTypes, func(r stRow) bool { return r.dtype == t.dtype })
		entry := struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{stTypes[i].code, t.shape, [2]int{at, at + t.NumBytes()}}
		if err := field(name, entry); err != nil {
			return nil, err
		}
		at += t.NumBytes()
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > stMaxHeader {
		return nil, malformed("header", fmt.Sprintf("at most %d bytes", stMaxHeader), b.Len(), "")
	}
	return b.Bytes(), nil
}
