package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"jitc/internal/golden"
)

// Sessions do not compare durations, with the spaces that align them, nor the
// keys of kernels.
var (
	durations = regexp.MustCompile(` *\b\d+(\.\d+)? (ns|us|ms|s)\b *`)
	timed     = regexp.MustCompile(`(?m)^(stage| +sizes +record|.*\bTIME\b).*$`)
	arenas    = regexp.MustCompile(`(?m)^  arenas .*$(\n  cuda:\d .*$)*`) // those of the process
	spaces    = regexp.MustCompile(` {2,}`)
	keys      = regexp.MustCompile(`\b([0-9a-f]{16}|[0-9a-f]{8}|[0-9a-f]{6})(=?)(\W)`)
)

// testMemory is what the machine has, for command lines under test.
const testMemory = 4 << 30

// invoke runs a command line and returns what it printed and its exit code.
func invoke(stdin string, args ...string) (stdout, stderr string, code int) {
	var out, err strings.Builder
	a := newApp(strings.NewReader(stdin), &out, &err)
	a.memory = func() int64 { return testMemory }
	a.preferred = []string{"native"} // whatever devices there are
	code = a.execute(context.Background(), args)
	return out.String(), err.String(), code
}

// A session is a golden file with a list of command lines, which are run in a
// folder that holds the file's other sections. A line "< file args" has a file
// as its standard input.
func TestSessions(t *testing.T) {
	golden.Run(t, filepath.Join("testdata", "sessions"), func(t *testing.T, c *golden.Case) {
		archive, err := txtar.ParseFile(c.File)
		require.NoError(t, err)
		c.Want(t, "want.session", playArchive(t, archive))
	})
}

// playArchive runs the session of a golden file in a folder with its other sections.
func playArchive(t *testing.T, archive *txtar.Archive) string {
	dir, session := t.TempDir(), ""
	for _, f := range archive.Files {
		if f.Name == "session" {
			session = string(f.Data)
		} else if !strings.HasPrefix(f.Name, "want.") {
			require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644))
		}
	}
	require.NotEmpty(t, session, "no section named session")
	return playSession(t, dir, session)
}

// playSession runs a session in a folder. The golden file's path is relative to
// the test's own, so it goes back there.
func playSession(t *testing.T, dir, session string) string {
	home, err := os.Getwd()
	require.NoError(t, err)
	require.NoError(t, os.Chdir(dir))
	defer func() { require.NoError(t, os.Chdir(home)) }()
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(session), "\n") {
		words, stdin := strings.Fields(line), ""
		if words[0] == "<" {
			data, err := os.ReadFile(words[1])
			require.NoError(t, err)
			words, stdin = words[2:], string(data)
		}
		if words[0] == "cat" {
			data, err := os.ReadFile(words[1])
			require.NoError(t, err)
			fmt.Fprintf(&b, "$ %s\n%s\n", line, data)
			continue
		}
		require.Equal(t, "jitc", words[0], "sessions know jitc and cat")
		out, errs, code := invoke(stdin, words[1:]...)
		fmt.Fprintf(&b, "$ %s\n%s%sexit %d\n\n", line, out, errs, code)
	}
	return stable(b.String())
}

// stable replaces what differs from run to run.
func stable(text string) string {
	text = durations.ReplaceAllString(text, " TIME ")
	text = timed.ReplaceAllStringFunc(text, func(line string) string {
		return strings.TrimSpace(spaces.ReplaceAllString(line, " "))
	})
	text = arenas.ReplaceAllString(text, "  arenas")
	return keys.ReplaceAllString(text, "KEY$2$3")
}
