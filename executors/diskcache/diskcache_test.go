package diskcache

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open returns a cache in a folder of the test's own, and what it logs.
func open(t *testing.T, maxBytes int64) (*Cache, *logged) {
	t.Helper()
	l := &logged{}
	c, err := Open(Options{Dir: filepath.Join(t.TempDir(), "cache"), MaxBytes: maxBytes, Log: slog.New(slog.NewTextHandler(l, nil))})
	require.NoError(t, err)
	return c, l
}

// logged collects log lines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "\n")
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fileOf is the path of an entry's file.
func fileOf(c *Cache, k Key) string { return filepath.Join(c.dir, filepath.FromSlash(k.path())) }

// put keeps data that is known from the key's part.
func put(t *testing.T, c *Cache, kind, part string, size int) Key {
	t.Helper()
	k := NewKey(kind, part)
	require.NoError(t, c.Put(k, bytes.Repeat([]byte(part[:1]), size)))
	return k
}

// files lists all files of a folder, below it too.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	}))
	return out
}

func TestPutGet(t *testing.T) {
	c, log := open(t, 0)
	assert.NoDirExists(t, c.Dir(), "Open makes nothing")
	_, ok := c.Get(NewKey("cubin", "a"))
	assert.False(t, ok)
	assert.NoDirExists(t, c.Dir(), "nor does Get")

	for _, data := range [][]byte{nil, {0}, []byte("a cubin"), bytes.Repeat([]byte{1, 2, 3}, 1<<16)} {
		k := NewKey("cubin", "a", string(data))
		require.NoError(t, c.Put(k, data))
		got, ok := c.Get(k)
		require.True(t, ok)
		assert.True(t, bytes.Equal(data, got))
		other, err := Open(Options{Dir: c.Dir()})
		require.NoError(t, err)
		got, ok = other.Get(k)
		assert.True(t, ok && bytes.Equal(data, got), "by another Cache of the directory")
	}
	assert.Equal(t, Counts{Hits: 4, Misses: 1, Puts: 4}, c.Counts())
	assert.Empty(t, log.String())
	if runtime.GOOS != "windows" {
		k := NewKey("cubin", "a", "")
		for path, mode := range map[string]fs.FileMode{c.dir: 0o700, filepath.Dir(fileOf(c, k)): 0o700, fileOf(c, k): 0o600} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode().Perm(), path)
		}
	}
}

func TestPutReplaces(t *testing.T) {
	c, _ := open(t, 0)
	k := NewKey("cubin", "x")
	require.NoError(t, c.Put(k, []byte("first")))
	require.NoError(t, c.Put(k, []byte("second, longer")))
	got, ok := c.Get(k)
	require.True(t, ok)
	assert.Equal(t, "second, longer", string(got))
	got[0] = 'X'
	again, _ := c.Get(k)
	assert.Equal(t, "second, longer", string(again), "what Get returned is the caller's")
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Equal(t, 1, s.Entries)
}

func TestKeys(t *testing.T) {
	keys := []Key{NewKey("cubin"), NewKey("code"), NewKey("cubin", ""), NewKey("cubin", "", ""), NewKey("cubin", "ab", "c"),
		NewKey("cubin", "a", "bc"), NewKey("cubin", "abc"), NewKey("cubina", "bc")}
	for i, a := range keys {
		for j, b := range keys {
			assert.Equal(t, i == j, a == b, "%d %d", i, j)
			assert.Equal(t, i == j, a.sum == b.sum, "%d %d: files do not differ by kind alone", i, j)
		}
		back, ok := parseName(a.shard(), a.String())
		assert.True(t, ok)
		assert.Equal(t, a, back)
	}
	assert.Equal(t, "cubin", keys[0].Kind())
	k := keys[0]
	for _, c := range [][2]string{{"00", "x"}, {k.shard(), strings.ToUpper(k.String())}, {k.shard(), k.String() + "."}, {"zz", k.String()},
		{k.shard(), k.String()[2:]}, {k.shard(), strings.Replace(k.String(), "cubin", "", 1)}, {k.shard(), tempName()}} {
		_, ok := parseName(c[0], c[1])
		assert.False(t, ok, c)
	}
}

func TestUnusableKeysAndData(t *testing.T) {
	c, _ := open(t, 1000)
	for _, kind := range []string{"", "Cubin", "a/b", "..", "a.b", "a\x00b", "ä", strings.Repeat("k", maxKind+1)} {
		k := NewKey(kind, "x")
		assert.ErrorContains(t, c.Put(k, nil), "expected a kind of 1 to 32 characters", kind)
		_, ok := c.Get(k)
		assert.False(t, ok)
	}
	assert.Error(t, c.Put(Key{}, nil))
	err := c.Put(NewKey("cubin", "x"), make([]byte, 1001-headerSize))
	require.ErrorIs(t, err, ErrTooLarge)
	assert.ErrorContains(t, err, "expected at most 1000 bytes, got 1001")
	require.NoError(t, c.Put(NewKey("cubin", "x"), make([]byte, 1000-headerSize)))
	_, ok := c.Get(NewKey("cubin", "x"))
	assert.True(t, ok, "an entry as large as the cache")
}

func TestLeastRecentlyUsedGoFirst(t *testing.T) {
	const size = 1000
	c, log := open(t, 20*(size+headerSize))
	var keys []Key
	for i := range 20 {
		k := put(t, c, "cubin", fmt.Sprint(i), size)
		old := time.Now().Add(time.Duration(i-100) * time.Hour)
		require.NoError(t, os.Chtimes(fileOf(c, k), old, old))
		keys = append(keys, k)
	}
	_, ok := c.Get(keys[0]) // now the one used last
	require.True(t, ok)
	require.Zero(t, c.Counts().Evicted)
	last := put(t, c, "cubin", "over", size)
	assert.EqualValues(t, 3, c.Counts().Evicted, "down to nine tenths")
	for i, k := range append(keys, last) {
		_, ok := c.Get(k)
		assert.Equal(t, i == 0 || i > 3, ok, "entry %d", i)
	}
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Equal(t, 18, s.Entries)
	assert.EqualValues(t, 18*(size+headerSize), s.Bytes)
	assert.Empty(t, log.String())
}

// Uses are noted at most once an hour.
func TestTouch(t *testing.T) {
	c, _ := open(t, 0)
	k := put(t, c, "cubin", "x", 1)
	for _, x := range []struct {
		age     time.Duration
		touched bool
	}{{50 * time.Minute, false}, {70 * time.Minute, true}, {-30 * time.Minute, false}, {-48 * time.Hour, true}} {
		then := time.Now().Add(-x.age)
		require.NoError(t, os.Chtimes(fileOf(c, k), then, then))
		_, ok := c.Get(k)
		require.True(t, ok)
		info, err := os.Stat(fileOf(c, k))
		require.NoError(t, err)
		assert.Equal(t, x.touched, time.Since(info.ModTime()).Abs() < time.Minute, x.age)
	}
}

// Entries whose time is in the future, by a clock that was wrong, are evicted
// before those whose time is believable; a clock that is wrong now breaks nothing.
func TestClockSkew(t *testing.T) {
	const size = 1000
	c, log := open(t, 10*(size+headerSize))
	var keys []Key
	for i := range 10 {
		keys = append(keys, put(t, c, "cubin", fmt.Sprint(i), size))
	}
	future := time.Now().Add(365 * 24 * time.Hour)
	require.NoError(t, os.Chtimes(fileOf(c, keys[7]), future, future))
	require.NoError(t, os.Chtimes(fileOf(c, keys[8]), future, future))
	put(t, c, "cubin", "over", size)
	for i, k := range keys {
		_, err := os.Stat(fileOf(c, k))
		assert.Equal(t, i == 7 || i == 8, os.IsNotExist(err), "entry %d", i)
	}
	c.now = func() time.Time { return time.Unix(0, 0) }
	for i := range 10 {
		k := put(t, c, "cubin", fmt.Sprint("later", i), size)
		_, ok := c.Get(k)
		require.True(t, ok)
	}
	s, err := c.Stat()
	require.NoError(t, err)
	assert.LessOrEqual(t, s.Bytes, c.limit)
	assert.Empty(t, log.String())
}

func TestAbandonedFilesAreSwept(t *testing.T) {
	c, _ := open(t, 0)
	k := put(t, c, "cubin", "x", 1)
	temp := func(age time.Duration, dir string) string {
		path := filepath.Join(dir, tempName())
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, then, then))
		return path
	}
	shard := filepath.Dir(fileOf(c, k))
	old, fresh, above := temp(2*time.Hour, shard), temp(time.Minute, shard), temp(-48*time.Hour, c.dir)
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Equal(t, 3, s.Unfinished)
	put(t, c, "cubin", "y", 1)
	assert.FileExists(t, old, "not looked for at every Put")
	c.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	then := time.Now().Add(25 * time.Hour)
	require.NoError(t, os.Chtimes(fresh, then, then))
	put(t, c, "cubin", "z", 1)
	assert.NoFileExists(t, old)
	assert.NoFileExists(t, above)
	assert.FileExists(t, fresh)
}

// A directory that goes away under the program is made again.
func TestDirectoryRemovedMeanwhile(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 10)
	require.NoError(t, os.RemoveAll(c.dir))
	_, ok := c.Get(k)
	assert.False(t, ok)
	put(t, c, "cubin", "x", 10)
	_, ok = c.Get(k)
	assert.True(t, ok)
	assert.Empty(t, log.String())
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvDir, dir)
	c, err := Open(Options{})
	require.NoError(t, err)
	assert.Equal(t, dir, c.Dir())
	assert.EqualValues(t, DefaultMaxBytes, c.limit)

	t.Chdir(dir)
	t.Setenv(EnvDir, "sub")
	c, err = Open(Options{})
	require.NoError(t, err)
	assert.True(t, filepath.IsAbs(c.Dir()) && filepath.Base(c.Dir()) == "sub", c.Dir())

	t.Setenv(EnvDir, "")
	if runtime.GOOS == "linux" {
		t.Setenv("XDG_CACHE_HOME", dir)
		c, err = Open(Options{})
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(dir, "jitc"), c.Dir())
		t.Setenv("XDG_CACHE_HOME", "")
		t.Setenv("HOME", "")
		_, err = Open(Options{})
		assert.ErrorContains(t, err, "hint: set "+EnvDir)
	}
}

func TestDefaultCache(t *testing.T) {
	dir, l := t.TempDir(), &logged{}
	log := slog.New(slog.NewTextHandler(l, nil))
	t.Setenv(EnvDir, filepath.Join(dir, "on"))
	for value, off := range map[string]bool{"": false, "on": false, "off": true, "Yes": false, "OFF": true, "0": true, "false": true} {
		t.Setenv(EnvSwitch, value)
		c := openDefault(log)
		k := NewKey("cubin", "x", value)
		require.NoError(t, c.Put(k, []byte("x")))
		_, ok := c.Get(k)
		assert.Equal(t, !off, ok, value)
		assert.Equal(t, off, c.Off() != nil, value)
	}
	assert.Empty(t, l.String())

	t.Setenv(EnvSwitch, "maybe")
	assert.NoError(t, openDefault(log).Off())
	assert.Contains(t, l.String(), `expected="on or off" got=maybe`)

	t.Setenv(EnvSwitch, "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	t.Setenv(EnvDir, filepath.Join(dir, "file"))
	c := openDefault(log)
	assert.Error(t, c.Off())
	assert.NoError(t, c.Put(NewKey("cubin", "x"), []byte("x")))
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Zero(t, s.Entries)
	assert.Contains(t, l.String(), "expected a directory, got a file")
	t.Setenv(EnvDir, filepath.Join(dir, "on"))
	assert.Same(t, Default(), Default())
}

func BenchmarkGet(b *testing.B) {
	c, err := Open(Options{Dir: b.TempDir()})
	require.NoError(b, err)
	k := NewKey("cubin", "x")
	require.NoError(b, c.Put(k, make([]byte, 20<<10)))
	for b.Loop() {
		if _, ok := c.Get(k); !ok {
			b.Fatal("a miss")
		}
	}
}

func BenchmarkPut(b *testing.B) {
	c, err := Open(Options{Dir: b.TempDir()})
	require.NoError(b, err)
	data := make([]byte, 20<<10)
	for i := 0; b.Loop(); i++ {
		if err := c.Put(NewKey("cubin", fmt.Sprint(i%1000)), data); err != nil {
			b.Fatal(err)
		}
	}
}
