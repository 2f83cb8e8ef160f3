//go:build unix

package diskcache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A directory that others can write is refused, when the cache is opened and
// later.
func TestDirectoryThatOthersCanWrite(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 10)
	for _, mode := range []os.FileMode{0o720, 0o702, 0o777, 0o1777} {
		require.NoError(t, os.Chmod(c.dir, mode))
		_, err := Open(Options{Dir: c.dir})
		var e *DirError
		require.ErrorAs(t, err, &e, mode)
		assert.Equal(t, "chmod go-w "+c.dir, e.Hint)
		assert.ErrorContains(t, err, "expected a directory that nobody else can write, got one of mode 0")
		require.ErrorAs(t, c.Put(k, nil), &e)
		_, ok := c.Get(k)
		assert.False(t, ok)
		_, err = c.Stat()
		assert.ErrorAs(t, err, &e)
	}
	assert.Equal(t, 1, log.lines(), "warned of once: %s", log)
	for _, mode := range []os.FileMode{0o755, 0o700} {
		require.NoError(t, os.Chmod(c.dir, mode))
		_, ok := c.Get(k)
		assert.True(t, ok, "reading is no harm")
	}
}

func TestDirectoryOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, checkDir(dir, info, os.Getuid()))
	err = checkDir(dir, info, os.Getuid()+1)
	var e *DirError
	require.True(t, errors.As(err, &e))
	assert.Contains(t, e.Expected, "a directory of the user")
	assert.Equal(t, "set JITC_CACHE_DIR to another directory", e.Hint)
}

// A file that others can write, or that cannot be read, is removed.
func TestFilePermissions(t *testing.T) {
	c, log := open(t, 0)
	k := put(t, c, "cubin", "x", 10)
	require.NoError(t, os.Chmod(fileOf(c, k), 0o606))
	miss(t, c, log, k)
	assert.Contains(t, log.String(), "expected a file that nobody else can write, got one of mode 0606")
	if os.Getuid() != 0 { // who can read all
		put(t, c, "cubin", "x", 10)
		require.NoError(t, os.Chmod(fileOf(c, k), 0))
		c.warned = map[string]bool{}
		miss(t, c, log, k)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(Options{Dir: path})
	assert.ErrorContains(t, err, "expected a directory, got a file")
	_, err = Open(Options{Dir: filepath.Join(path, "sub")})
	assert.Error(t, err)
}
