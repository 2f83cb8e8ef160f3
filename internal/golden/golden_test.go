package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const dce = `What no result depends on goes.
-- flags --
alone
fast
-- in.trace --
in
-- want.dce --
one
two
`

// file writes a case into a folder of its own.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dce.txtar")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func open(t *testing.T, path string) *Case {
	t.Helper()
	c, err := load(path)
	require.NoError(t, err)
	return c
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func TestLoad(t *testing.T) {
	c := open(t, file(t, dce))
	assert.Equal(t, "dce", c.Name)
	assert.Equal(t, "in\n", c.In)
	assert.Equal(t, map[string]bool{"alone": true, "fast": true}, c.Flags)
	assert.True(t, c.Has("want.dce"))
	assert.False(t, c.Has("want.cse"))

	_, err := load(file(t, "-- in.trace --\nin\n"))
	require.ErrorContains(t, err, "the comment that states the claim is missing")
	_, err = load(file(t, "A claim.\n-- want.dce --\none\n"))
	require.ErrorContains(t, err, "no in.trace")
	_, err = load(filepath.Join(t.TempDir(), "none.txtar"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestCompare(t *testing.T) {
	c := open(t, file(t, dce))
	require.NoError(t, c.compare("want.dce", "one\ntwo\n"))
	require.NoError(t, c.compare("want.dce", "one\ntwo"), "a section ends with a newline")
	require.ErrorContains(t, c.compare("want.dce", "one\n2\n"), "want.dce differs (- want, + got):\n@@ -1,2 +1,2 @@\n one\n-two\n+2")
	require.ErrorContains(t, c.compare("want.dce", "one\ntwo\n\n"), "differs")
	require.ErrorContains(t, c.compare("want.dce", ""), "differs")
	require.ErrorContains(t, c.compare("want.cse", "three"), "there is no section want.cse; it would be:\nthree\n")
}

// A section is replaced where it stands or added at the end; the rest of the file
// stays as it is.
func TestUpdate(t *testing.T) {
	path := file(t, dce)
	c := open(t, path)
	c.replace("want.dce", "three")
	c.replace("want.cse", "four\n")
	assert.Equal(t, dce, read(t, path), "nothing is written before save")
	require.NoError(t, c.save(false))
	assert.Equal(t, "What no result depends on goes.\n-- flags --\nalone\nfast\n-- in.trace --\nin\n"+
		"-- want.dce --\nthree\n-- want.cse --\nfour\n", read(t, path))

	again := open(t, path)
	require.NoError(t, again.compare("want.dce", "three"))
	require.NoError(t, again.compare("want.cse", "four"))
}

// Under CI a file that would change is an error and stays; one that would not
// change is none.
func TestUpdateUnderCI(t *testing.T) {
	path := file(t, dce)
	c := open(t, path)
	c.replace("want.dce", "one\ntwo")
	require.NoError(t, c.save(true))
	c.replace("want.dce", "three")
	require.ErrorContains(t, c.save(true), "dce.txtar: golden files are not rewritten under CI")
	assert.Equal(t, dce, read(t, path))
}

// An empty section that was missing is written too.
func TestUpdateAddsEmptySections(t *testing.T) {
	path := file(t, dce)
	c := open(t, path)
	c.replace("want.error", "")
	require.NoError(t, c.save(false))
	assert.True(t, open(t, path).Has("want.error"))
}

// Run gives every case its subtest, with what its file holds.
func TestRun(t *testing.T) {
	dir := filepath.Dir(file(t, dce))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other.txtar"), []byte("Another.\n-- in.trace --\nx\n"), 0o644))
	var names []string
	Run(t, dir, func(t *testing.T, c *Case) {
		names = append(names, c.Name+" "+c.In)
		if c.Has("want.dce") {
			c.Want(t, "want.dce", "one\ntwo")
		}
	})
	assert.Equal(t, []string{"dce in\n", "other x\n"}, names)
}
