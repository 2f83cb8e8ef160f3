package diskcache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// miss checks that an entry cannot be used, that its file was removed, and that
// this was warned of, once.
func miss(t *testing.T, c *Cache, log *logged, k Key, msg ...any) {
	t.Helper()
	before := log.lines()
	_, ok := c.Get(k)
	require.False(t, ok, msg...)
	_, err := os.Lstat(fileOf(c, k))
	require.ErrorIs(t, err, os.ErrNotExist, msg...)
	_, ok = c.Get(k)
	require.False(t, ok, msg...)
	require.Equal(t, before+1, log.lines(), msg...)
}

// Every byte of a file matters.
func TestEveryByteIsChecked(t *testing.T) {
	c, log := open(t, 0)
	data := []byte("code that will run")
	k := NewKey("cubin", "x")
	require.NoError(t, c.Put(k, data))
	file, err := os.ReadFile(fileOf(c, k))
	require.NoError(t, err)
	require.Len(t, file, headerSize+len(data))
	for i := range file {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(file)
			bad[i] ^= flip
			require.NoError(t, os.WriteFile(fileOf(c, k), bad, 0o600))
			c.warned = map[string]bool{}
			miss(t, c, log, k, "byte %d", i)
			require.NoError(t, c.Put(k, data))
		}
	}
	got, ok := c.Get(k)
	assert.True(t, ok && bytes.Equal(data, got))
	assert.EqualValues(t, 3*len(file), c.Counts().Damaged)
}

func TestTruncatedAndExtended(t *testing.T) {
	c, log := open(t, 0)
	k := NewKey("cubin", "x")
	require.NoError(t, c.Put(k, []byte("code that will run")))
	file, err := os.ReadFile(fileOf(c, k))
	require.NoError(t, err)
	for n := range file {
		require.NoError(t, os.WriteFile(fileOf(c, k), file[:n], 0o600))
		c.warned = map[string]bool{}
		miss(t, c, log, k, n)
	}
	require.NoError(t, os.WriteFile(fileOf(c, k), append(bytes.Clone(file), 0), 0o600))
	c.warned = map[string]bool{}
	miss(t, c, log, k)
}

// A file under the name of another key is not that key's.
func TestMovedFile(t *testing.T) {
	c, log := open(t, 0)
	a, b := put(t, c, "cubin", "a", 10), put(t, c, "cubin", "b", 10)
	require.NoError(t, os.Rename(fileOf(c, a), fileOf(c, b)))
	miss(t, c, log, b)
	assert.Contains(t, log.String(), "it holds another entry")
}

// Nothing is read through a link, out of a folder, or from what is no file.
func TestNoLinksAreFollowed(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 10)
	outside := t.TempDir()
	good := filepath.Join(outside, k.String())
	require.NoError(t, os.Rename(fileOf(c, k), good))
	if err := os.Symlink(good, fileOf(c, k)); err != nil {
		require.Equal(t, "windows", runtime.GOOS, err) // where links need a privilege
		return
	}
	miss(t, c, log, k)
	assert.FileExists(t, good)

	shard := filepath.Dir(fileOf(c, k))
	require.NoError(t, os.Remove(shard))
	require.NoError(t, os.Symlink(outside, shard))
	_, ok := c.Get(k)
	assert.False(t, ok)
	assert.Error(t, c.Put(k, []byte("x")))
	_, err := c.Clear(t.Context())
	require.NoError(t, err)
	assert.FileExists(t, good)
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Zero(t, s.Entries)

	require.NoError(t, os.Remove(shard))
	require.NoError(t, os.MkdirAll(fileOf(c, k), 0o700))
	c.warned = map[string]bool{}
	miss(t, c, log, k)
}

// writer fails when it has taken so many bytes, or when it is closed.
type writer struct {
	io.WriteCloser
	left  int
	close error
}

func (w *writer) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n, _ := w.WriteCloser.Write(p[:w.left])
		w.left = 0
		return n, syscall.ENOSPC
	}
	w.left -= len(p)
	return w.WriteCloser.Write(p)
}

func (w *writer) Close() error { return errors.Join(w.WriteCloser.Close(), w.close) }

// A full disk is an error that leaves no trace, wherever it is met.
func TestFullDisk(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 100)
	before := files(t, c.dir)
	for _, left := range []int{0, 1, headerSize - 1, headerSize, headerSize + 50, 1 << 20} {
		c.create = func(dir *os.Root, name string) (io.WriteCloser, error) {
			f, err := createFile(dir, name)
			return &writer{WriteCloser: f, left: left, close: map[bool]error{true: syscall.ENOSPC}[left == 1<<20]}, err
		}
		err := c.Put(k, make([]byte, 200))
		require.ErrorIs(t, err, syscall.ENOSPC, left)
		assert.ErrorContains(t, err, "is not kept")
		require.ErrorIs(t, c.Put(NewKey("cubin", "new"), make([]byte, 200)), syscall.ENOSPC)
		assert.Equal(t, before, files(t, c.dir), left)
		got, ok := c.Get(k)
		assert.True(t, ok && len(got) == 100, "the entry as it was")
	}
	assert.Empty(t, log.String())
	c.create = createFile
	put(t, c, "cubin", "new", 100)
}

// A directory that cannot be written still serves.
func TestReadOnlyDirectory(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 100)
	c.create = func(*os.Root, string) (io.WriteCloser, error) { return nil, syscall.EROFS }
	require.ErrorIs(t, c.Put(NewKey("cubin", "y"), nil), syscall.EROFS)
	_, ok := c.Get(k)
	assert.True(t, ok)
	assert.Empty(t, log.String())
	if runtime.GOOS == "windows" {
		return
	}
	c.create = createFile
	for _, dir := range []string{c.dir, filepath.Dir(fileOf(c, k))} {
		require.NoError(t, os.Chmod(dir, 0o500))
	}
	err := c.Put(k, make([]byte, 7))
	want := 100
	if os.Getuid() == 0 { // whom modes do not hold back
		require.NoError(t, err)
		want = 7
	} else {
		require.ErrorIs(t, err, os.ErrPermission)
	}
	got, ok := c.Get(k)
	assert.True(t, ok && len(got) == want)
	for _, dir := range []string{c.dir, filepath.Dir(fileOf(c, k))} {
		require.NoError(t, os.Chmod(dir, 0o700))
	}
}

// Whatever the file of sizes holds, the bound is kept.
func TestDamagedSizes(t *testing.T) {
	const size = 1000
	for _, content := range []string{"", "x", "12345678", strings.Repeat("\xff", 16), strings.Repeat("\x00", maxSizes+8)} {
		c, log := open(t, 5*(size+headerSize))
		for i := range 20 {
			put(t, c, "cubin", string(rune('a'+i)), size)
			require.NoError(t, os.WriteFile(filepath.Join(c.dir, sizesName), []byte(content), 0o600))
		}
		s, err := c.Stat()
		require.NoError(t, err)
		assert.LessOrEqual(t, s.Bytes, c.limit, "%.10q", content)
		assert.Empty(t, log.String())
	}
}

// A base without the rest, and numbers that overflow, say nothing.
func TestSumSizes(t *testing.T) {
	number := func(bs ...byte) string { return string(append(bs, make([]byte, 8-len(bs))...)) }
	base := func(low byte) string { return string([]byte{low, 0, 0, 0, 0, 0, 0, 0x80}) }
	huge := string([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	for _, c := range []struct {
		file  string
		total int64
		known bool
	}{
		{base(5), 5, true}, {base(5) + number(7) + number(0, 1), 268, true},
		{"", 0, false}, {number(5), 0, false}, {base(5) + base(5), 0, false}, {base(5) + number(1)[:7], 0, false}, {base(5) + huge, 0, false},
	} {
		total, known := sumSizes([]byte(c.file))
		assert.Equal(t, c.known, known, "%q", c.file)
		assert.Equal(t, c.total, total, "%q", c.file)
	}
}

func FuzzParseHeader(f *testing.F) {
	k := NewKey("cubin", "x")
	good := append(headerOf(k, []byte("data")).encode(), "data"...)
	f.Add(good)
	f.Add(good[:headerSize])
	f.Add([]byte(magic))
	f.Add(bytes.Repeat([]byte{0xff}, headerSize))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := parseHeader(file)
		if err != nil {
			require.True(t, errors.As(err, new(*badFile)))
			return
		}
		require.Equal(t, file[:headerSize], h.encode(), "what is read is what would be written")
		require.True(t, ValidKind(h.key.kind))
		data, err := decode(file, h.key)
		if err == nil {
			require.Equal(t, h.sum, sha256.Sum256(data))
			require.EqualValues(t, h.length, len(data))
		}
	})
}
