package tensor

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// npzArchive is a .npz file: a zip archive of .npy members.
type npzArchive struct {
	src     source
	file    string
	members map[string]*zip.File // by tensor name: the member's without .npy
	names   []string

	mu      sync.Mutex
	headers map[string]*npyHeader // read on demand
}

// maxDeflateRatio bounds how much a deflate stream can grow: 1032 bytes for one
// (zlib's documentation, "Maximum Expansion Factor"). A member that claims more
// is lying about its size.
const maxDeflateRatio = 1032

func openNPZ(src source, size int64, path string) (Archive, error) {
	zr, err := zip.NewReader(src, size)
	if err != nil {
		return nil, malformed("zip directory", "a zip archive", err, "the file may be truncated")
	}
	a := &npzArchive{src: src, file: path, members: map[string]*zip.File{}, headers: map[string]*npyHeader{}}
	for _, m := range zr.File {
		if strings.HasSuffix(m.Name, "/") {
			continue
		}
		if err := checkMember(m, size); err != nil {
			return nil, inFile(err, path, m.Name)
		}
		name := strings.TrimSuffix(m.Name, ".npy")
		if _, twice := a.members[name]; twice {
			return nil, inFile(malformed("zip directory", "one member of each name", "two", ""), path, m.Name)
		}
		a.members[name] = m
	}
	a.names = slices.Sorted(maps.Keys(a.members))
	return a, nil
}

// checkMember refuses sizes that the file cannot hold, before anything of that
// size is allocated.
func checkMember(m *zip.File, size int64) error {
	stored, full := m.CompressedSize64, m.UncompressedSize64
	switch {
	case m.Method != zip.Store && m.Method != zip.Deflate:
		return malformed("compression method", "stored (0) or deflate (8)", m.Method, "save with numpy.savez")
	case m.Flags&1 != 0:
		return malformed("flags", "a member that is not encrypted", "an encrypted one", "")
	case stored > uint64(size):
		return malformed("compressed size", fmt.Sprintf("at most the file's %d bytes", size), stored, "")
	case m.Method == zip.Store && full != stored:
		return malformed("size", fmt.Sprintf("%d bytes, as stored", stored), full, "")
	case full/maxDeflateRatio > stored:
		return malformed("size", fmt.Sprintf("at most %d times the %d compressed bytes", maxDeflateRatio, stored), full, "")
	}
	return nil
}

func (a *npzArchive) Names() []string { return slices.Clone(a.names) }

// open reads a member's header and leaves the reader at its elements.
func (a *npzArchive) open(name string) (io.ReadCloser, *npyHeader, error) {
	m, ok := a.members[name]
	if !ok {
		return nil, nil, noTensor(a.file, name, a.names)
	}
	r, err := m.Open()
	if err != nil {
		return nil, nil, inFile(malformed("local header", "a zip member", err, ""), a.file, m.Name)
	}
	h, err := readNPYHeader(r, int64(m.UncompressedSize64))
	if err != nil {
		r.Close()
		return nil, nil, inFile(err, a.file, m.Name)
	}
	return r, h, nil
}

func (a *npzArchive) Info(name string) (DType, []int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.headers[name]
	if h == nil {
		r, read, err := a.open(name)
		if err != nil {
			return Invalid, nil, err
		}
		if err := r.Close(); err != nil {
			return Invalid, nil, err
		}
		h, a.headers[name] = read, read
	}
	return h.dtype, slices.Clone(h.shape), nil
}

func (a *npzArchive) Load(name string) (*Tensor, error) {
	r, h, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t, err := h.read(r)
	if err == nil {
		err = atEnd(r)
	}
	if err != nil {
		return nil, inFile(err, a.file, a.members[name].Name)
	}
	return t, nil
}

// atEnd reads past the last element, which makes zip compare the checksum.
func atEnd(r io.Reader) error {
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF {
		return malformed("end", "the end of the member with a matching checksum", fmt.Sprint(err), "the file may be damaged")
	}
	return nil
}

func (a *npzArchive) Close() error { return a.src.Close() }

// writeNPZ stores the members uncompressed, as numpy.savez does: weights do not
// compress. The zip entries carry no time, so equal tensors give equal bytes.
func writeNPZ(w io.Writer, names []string, tensors map[string]*Tensor) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	zw := zip.NewWriter(buf)
	for _, name := range names {
		member, err := zw.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		if err := writeNPY(member, tensors[name]); err != nil {
			return inFile(err, "", name)
		}
	}
	if err := zw.Close(); err != nil {
		return err
	}
	return buf.Flush()
}
