package tensor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRank bounds the dimensions of a tensor in a file, as NumPy does.
const maxRank = 64

// FormatError says where a tensor file does not follow its format.
type FormatError struct {
	File     string // path or name of the file
	Where    string // byte offset or member: "byte 8", "member w.npy"
	Expected string
	Got      string
	Hint     string // what to do about it; may be empty
	Err      error  // the cause, where another package found it; may be nil
}

// Error is one line: file, place, expectation, finding and hint.
func (e *FormatError) Error() string {
	s := fmt.Sprintf("%s: %s: expected %s, got %s", e.File, e.Where, e.Expected, e.Got)
	if e.Hint != "" {
		s += " (hint: " + e.Hint + ")"
	}
	return s
}

// Unwrap is the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// malformed builds a FormatError; got may be any value, an error becomes the cause.
func malformed(where, expected string, got any, hint string) *FormatError {
	cause, _ := got.(error)
	return &FormatError{Where: where, Expected: expected, Got: fmt.Sprint(got), Hint: hint, Err: cause}
}

// inFile names the file in the FormatError inside err, if it names none yet, and
// puts the member's name in front of the place.
func inFile(err error, file, member string) error {
	var fe *FormatError
	if !errors.As(err, &fe) {
		return err
	}
	if fe.File == "" {
		fe.File = file
	}
	if member != "" {
		fe.Where = "member " + member + ", " + fe.Where
	}
	return err
}

// ErrNoTensor is returned, wrapped, by Archive.Info and Archive.Load for a name
// the archive does not hold.
var ErrNoTensor = errors.New("no such tensor")

func noTensor(file, name string, have []string) error {
	return fmt.Errorf("%s: %w: %q (it holds %d: %s)", file, ErrNoTensor, name, len(have), abbreviate(have, 8))
}

func abbreviate(names []string, limit int) string {
	if len(names) > limit {
		return strings.Join(names[:limit], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// Archive is a file of named tensors, opened lazily: Load reads one tensor's
// bytes only. All methods but Close are safe for concurrent use.
type Archive interface {
	// Names lists the tensors, sorted.
	Names() []string
	// Info is a tensor's type and shape, without reading its elements.
	Info(name string) (DType, []int, error)
	// Load reads a tensor into new, row-major storage.
	Load(name string) (*Tensor, error)
	// Close closes the file. Tensors already loaded stay valid.
	Close() error
}

// source is an opened file of known size.
type source interface {
	io.ReaderAt
	io.Closer
}

// format is one row of the table of file formats.
type format struct {
	ext   string
	open  func(src source, size int64, path string) (Archive, error)
	write func(w io.Writer, names []string, tensors map[string]*Tensor) error
}

var formats = []format{
	{".npy", openNPY, writeNPYFile},
	{".npz", openNPZ, writeNPZ},
	{".safetensors", openSafetensors, writeSafetensors},
}

func formatOf(path string) (format, error) {
	ext := strings.ToLower(filepath.Ext(path))
	for _, f := range formats {
		if f.ext == ext {
			return f, nil
		}
	}
	return format{}, malformed("name", "a file that ends in .npy, .npz or .safetensors", fmt.Sprintf("%q", ext), "").named(path)
}

func (e *FormatError) named(file string) *FormatError { e.File = file; return e }

// OpenFile opens a .npy, .npz or .safetensors file; the extension decides. A
// .npy file holds one tensor, named after the file without its extension.
// A file that does not follow its format gives a *FormatError.
func OpenFile(path string) (Archive, error) {
	f, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a, err := openSource(f, file, path)
	if err != nil {
		file.Close()
		return nil, err
	}
	return a, nil
}

func openSource(f format, file *os.File, path string) (Archive, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, malformed("name", "a regular file", info.Mode().Type(), "").named(path)
	}
	a, err := f.open(file, info.Size(), path)
	return a, inFile(err, path, "")
}

// Open is OpenFile for size bytes that lie elsewhere, as in memory. The name's
// extension decides the format. Close does not close r.
func Open(name string, r io.ReaderAt, size int64) (Archive, error) {
	f, err := formatOf(name)
	if err != nil {
		return nil, err
	}
	a, err := f.open(struct {
		io.ReaderAt
		io.Closer
	}{r, io.NopCloser(nil)}, size, name)
	if err != nil {
		return nil, inFile(err, name, "")
	}
	return a, nil
}

// LoadFile reads every tensor of a file.
func LoadFile(path string) (map[string]*Tensor, error) {
	a, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	all := make(map[string]*Tensor)
	for _, name := range a.Names() {
		if all[name], err = a.Load(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// WriteFile writes tensors to a .npy, .npz or .safetensors file; the extension
// decides. The bytes depend on names and tensors only. The file appears complete
// or not at all: it is written beside its place, flushed to disk and renamed.
func WriteFile(path string, tensors map[string]*Tensor) error {
	f, err := formatOf(path)
	if err != nil {
		return err
	}
	names, err := sortedNames(tensors)
	if err != nil {
		return inFile(err, path, "")
	}
	return writeAtomic(path, func(w io.Writer) error { return inFile(f.write(w, names, tensors), path, "") })
}

// sortedNames lists the tensors to write and refuses what no format can hold.
func sortedNames(tensors map[string]*Tensor) ([]string, error) {
	names := slices.Sorted(maps.Keys(tensors))
	for _, name := range names {
		if tensors[name] == nil {
			return nil, malformed("member "+name, "a tensor", "nil", "")
		}
		if rank := tensors[name].Rank(); rank > maxRank {
			return nil, malformed("member "+name, fmt.Sprintf("at most %d dimensions", maxRank), rank, "")
		}
		if !utf8.ValidString(name) {
			return nil, malformed("tensors", "names in UTF-8", fmt.Sprintf("%q", name), "")
		}
	}
	return names, nil
}

// writeAtomic replaces path by what write writes, or leaves it as it was.
func writeAtomic(path string, write func(io.Writer) error) (err error) {
	tmp, err := createBeside(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := write(tmp); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// createBeside creates a file in path's folder with the permissions of the file
// it will replace. (os.CreateTemp would make it private to the user.)
func createBeside(path string) (*os.File, error) {
	for range 100 {
		name := fmt.Sprintf(".%s.%08x.tmp", filepath.Base(path), rand.Uint32())
		tmp, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if old, err := os.Stat(path); err == nil {
			if err := tmp.Chmod(old.Mode().Perm()); err != nil {
				tmp.Close()
				os.Remove(tmp.Name())
				return nil, err
			}
		}
		return tmp, nil
	}
	return nil, fmt.Errorf("no free temporary name beside %s", path)
}
