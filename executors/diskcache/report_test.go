package diskcache

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStat(t *testing.T) {
	c, _ := open(t, 0)
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Equal(t, Stat{Dir: c.dir, Limit: DefaultMaxBytes, Kinds: []KindStat{}}, s, "a directory that is not there")
	a := put(t, c, "cubin", "a", 100)
	put(t, c, "cubin", "b", 200)
	put(t, c, "amd64-code", "c", 50)
	then := time.Now().Add(-100 * time.Hour).Truncate(time.Second)
	require.NoError(t, os.Chtimes(fileOf(c, a), then, then))
	s, err = c.Stat()
	require.NoError(t, err)
	assert.Equal(t, []KindStat{{"amd64-code", 1, 50 + headerSize}, {"cubin", 2, 300 + 2*headerSize}}, s.Kinds)
	assert.Equal(t, 3, s.Entries)
	assert.EqualValues(t, 350+3*headerSize, s.Bytes)
	assert.True(t, s.Oldest.Equal(then), s.Oldest)
	assert.Less(t, time.Since(s.Newest), time.Minute)
}

func TestVerify(t *testing.T) {
	c, log := open(t, 0)
	r, err := c.Verify(t.Context(), VerifyOptions{})
	require.NoError(t, err)
	assert.Equal(t, Report{Dir: c.dir, Bad: []BadFile{}}, r)
	a, b := put(t, c, "cubin", "a", 100), put(t, c, "cubin", "b", 200)
	require.NoError(t, os.WriteFile(fileOf(c, b), []byte("rubbish"), 0o600))
	before, err := os.Stat(fileOf(c, a))
	require.NoError(t, err)
	for _, remove := range []bool{false, true} {
		steps := 0
		r, err = c.Verify(t.Context(), VerifyOptions{Remove: remove, Progress: func(done, total int) {
			assert.Equal(t, steps, done)
			assert.Equal(t, 2, total)
			steps++
		}})
		require.NoError(t, err)
		assert.Equal(t, 2, r.Checked)
		assert.Equal(t, []BadFile{{b.path(), "truncated: expected a header of 116 bytes, got 7", remove}}, r.Bad)
		assert.Equal(t, 2, steps)
	}
	assert.NoFileExists(t, fileOf(c, b))
	after, err := os.Stat(fileOf(c, a))
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "looking is no use")
	assert.Empty(t, log.String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Verify(ctx, VerifyOptions{})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestClear(t *testing.T) {
	c, _ := open(t, 0)
	r, err := c.Clear(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Cleared{Dir: c.dir}, r)
	a, b := put(t, c, "cubin", "a", 100), put(t, c, "code", "b", 200)
	own := []string{filepath.Join(c.dir, "notes.txt"), filepath.Join(c.dir, "ab"), filepath.Join(filepath.Dir(fileOf(c, a)), "mine")}
	for _, path := range own {
		require.NoError(t, os.WriteFile(path, []byte("not the cache's"), 0o600))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Clear(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = c.Clear(t.Context(), "no/kind")
	assert.ErrorContains(t, err, "expected a kind")
	r, err = c.Clear(t.Context(), "other")
	require.NoError(t, err)
	assert.Zero(t, r.Entries)
	r, err = c.Clear(t.Context(), "other", "code")
	require.NoError(t, err)
	assert.Equal(t, Cleared{c.dir, 1, 200 + headerSize}, r)
	_, ok := c.Get(a)
	assert.True(t, ok)
	_, ok = c.Get(b)
	assert.False(t, ok)
	put(t, c, "code", "b", 200)
	r, err = c.Clear(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Cleared{c.dir, 2, 300 + 2*headerSize}, r)
	for _, path := range own {
		assert.FileExists(t, path)
	}
	assert.ElementsMatch(t, []string{"ab", sweepLock, "notes.txt", a.shard() + "/mine"}, files(t, c.dir))
	assert.NoDirExists(t, filepath.Dir(fileOf(c, b)))
}
