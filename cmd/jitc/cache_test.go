package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"jitc/executors/diskcache"
	"jitc/internal/golden"
)

// useCache makes a cache that the command lines under test use.
func useCache(t *testing.T) *diskcache.Cache {
	t.Helper()
	t.Setenv(diskcache.EnvDir, filepath.Join(t.TempDir(), "cache"))
	t.Setenv(diskcache.EnvSwitch, "")
	c, err := diskcache.Open(diskcache.Options{})
	require.NoError(t, err)
	return c
}

// putEntry keeps an entry and says when it was used.
func putEntry(t *testing.T, c *diskcache.Cache, kind string, size int, age time.Duration) (file string) {
	t.Helper()
	k := diskcache.NewKey(kind, fmt.Sprint(size))
	require.NoError(t, c.Put(k, bytes.Repeat([]byte{1}, size)))
	file = filepath.Join(c.Dir(), k.String()[:2], k.String())
	then := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(file, then, then))
	return file
}

var timestamps = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)

// A cache session is like the others, with a cache that holds some entries; the
// flags are empty (it holds none), damaged and off.
func TestCacheSessions(t *testing.T) {
	golden.Run(t, filepath.Join("testdata", "cache"), func(t *testing.T, g *golden.Case) {
		archive, err := txtar.ParseFile(g.File)
		require.NoError(t, err)
		c := useCache(t)
		if g.Flags["off"] {
			t.Setenv(diskcache.EnvSwitch, "off")
		}
		if !g.Flags["empty"] {
			file := putEntry(t, c, "cubin", 5000, 50*time.Hour+time.Minute)
			putEntry(t, c, "cubin", 20000, 5*time.Hour+time.Minute)
			putEntry(t, c, "amd64", 300, time.Minute)
			if g.Flags["damaged"] {
				require.NoError(t, os.Truncate(file, 4000))
			}
		}
		for _, f := range archive.Files {
			if f.Name == "session" {
				got := playSession(t, t.TempDir(), string(f.Data))
				got = strings.ReplaceAll(timestamps.ReplaceAllString(got, `"WHEN"`), c.Dir(), "DIR")
				g.Want(t, "want.session", got)
			}
		}
	})
}

func TestCacheClearsOnDisk(t *testing.T) {
	c := useCache(t)
	cubin, code := putEntry(t, c, "cubin", 10, 0), putEntry(t, c, "amd64", 10, 0)
	_, errs, code1 := invoke("", "cache", "clear", "cubin")
	require.Equal(t, exitOK, code1, errs)
	assert.NoFileExists(t, cubin)
	assert.FileExists(t, code)
	_, errs, code1 = invoke("", "cache", "clear", "")
	assert.Equal(t, exitInput, code1, "an empty kind clears nothing")
	assert.Contains(t, errs, "expected a kind of entries")
	assert.FileExists(t, code)
	doc := decode(t, exitOK, "cache", "clear")
	assert.EqualValues(t, 1, doc["entries"])
	assert.NoFileExists(t, code)
}

// A directory that cannot be used is the user's mistake, with a hint.
func TestCacheDirectoryThatCannotBeUsed(t *testing.T) {
	c := useCache(t)
	if runtime.GOOS != "windows" {
		require.NoError(t, os.MkdirAll(c.Dir(), 0o700))
		require.NoError(t, os.Chmod(c.Dir(), 0o777))
		for _, command := range []string{"stat", "verify", "clear"} {
			e := decode(t, exitInput, "cache", command)["error"].(map[string]any)
			assert.Equal(t, "usage", e["kind"])
			assert.Contains(t, e["message"], "expected a directory that nobody else can write, got one of mode 0777")
			assert.Equal(t, "chmod go-w "+c.Dir(), e["hint"])
		}
		require.NoError(t, os.Remove(c.Dir()))
	}
	require.NoError(t, os.WriteFile(c.Dir(), nil, 0o600))
	_, errs, code := invoke("", "cache", "stat")
	assert.Equal(t, exitInput, code)
	assert.Contains(t, strings.Join(strings.Fields(errs), " "), "expected a directory, got a file")
}

func TestCacheInterrupted(t *testing.T) {
	putEntry(t, useCache(t), "cubin", 10, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, command := range []string{"verify", "clear"} {
		var out, errs bytes.Buffer
		assert.Equal(t, exitInterrupted, newApp(nil, &out, &errs).execute(ctx, []string{"cache", command}), command)
		assert.Equal(t, "interrupted\n", errs.String())
	}
}

func TestCacheReportsKeepToTheWidth(t *testing.T) {
	c := useCache(t)
	file := putEntry(t, c, strings.Repeat("k", 32), 10, 100*time.Hour)
	require.NoError(t, os.Truncate(file, 1))
	for _, args := range [][]string{{"stat"}, {"verify", "--remove"}, {"clear"}, {"--help"}, {"stat", "--help"}, {"verify", "--help"}, {"clear", "--help"}} {
		out, errs, code := invoke("", append([]string{"cache"}, args...)...)
		require.Equal(t, exitOK, code, errs)
		for _, l := range strings.Split(out, "\n") {
			// The directory, and a file's name, are printed in full.
			if l != c.Dir() && !strings.HasSuffix(l, filepath.Base(file)) {
				assert.LessOrEqual(t, utf8.RuneCountInString(l), columns, "%v: %s", args, l)
			}
		}
	}
}

func TestAges(t *testing.T) {
	for _, c := range [][2]string{
		{ageText(-time.Hour), "in the last hour"}, {ageText(59 * time.Minute), "in the last hour"}, {ageText(time.Hour), "1 hour ago"},
		{ageText(47 * time.Hour), "47 hours ago"}, {ageText(48 * time.Hour), "2 days ago"}, {ageText(1000 * time.Hour), "41 days ago"},
		{usedText("a", "a"), "a"}, {usedText("a", "b"), "the oldest a, the newest b"},
	} {
		assert.Equal(t, c[1], c[0])
	}
}
