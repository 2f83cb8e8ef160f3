// Package golden compares the output of a stage with files that say what it
// should be.
//
// A case is a txtar archive, testdata/<stage>/<case>.txtar: a comment that
// states the claim, a file in.trace, perhaps a file flags (one word per line),
// and files want.<stage> or want.error. `make golden` rewrites the want files;
// under CI they are never rewritten.
package golden

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"jitc/internal/textdiff"
)

var update = flag.Bool("update", false, "rewrite the golden files' want sections")

// Case is one golden file.
type Case struct {
	Name    string // file name without extension
	File    string
	In      string // in.trace
	Flags   map[string]bool
	archive *txtar.Archive
	changed bool
}

// Run runs f as a subtest for every case of dir, a folder of .txtar files.
// A folder without cases fails.
func Run(t *testing.T, dir string, f func(t *testing.T, c *Case)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s (%v)", dir, err)
	}
	for _, file := range files {
		c, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.Name, func(t *testing.T) {
			f(t, c)
			c.finish(t)
		})
	}
}

func load(file string) (*Case, error) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	c := &Case{Name: strings.TrimSuffix(filepath.Base(file), ".txtar"), File: file, archive: a, Flags: map[string]bool{}}
	if strings.TrimSpace(string(a.Comment)) == "" {
		return nil, fmt.Errorf("%s: the comment that states the claim is missing", file)
	}
	for _, f := range a.Files {
		switch f.Name {
		case "in.trace":
			c.In = string(f.Data)
		case "flags":
			for _, w := range strings.Fields(string(f.Data)) {
				c.Flags[w] = true
			}
		}
	}
	if c.In == "" {
		return nil, fmt.Errorf("%s: no in.trace", file)
	}
	return c, nil
}

// Has reports whether the case has a section, such as want.fused.
func (c *Case) Has(section string) bool {
	for _, f := range c.archive.Files {
		if f.Name == section {
			return true
		}
	}
	return false
}

// Want compares got with a section of the case. Under -update it replaces the
// section instead, adding it if it is missing.
func (c *Case) Want(t *testing.T, section, got string) {
	t.Helper()
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	at := -1
	for i, f := range c.archive.Files {
		if f.Name == section {
			at = i
		}
	}
	if *update {
		if at < 0 {
			c.archive.Files = append(c.archive.Files, txtar.File{Name: section})
			at = len(c.archive.Files) - 1
		}
		c.changed = c.changed || string(c.archive.Files[at].Data) != got
		c.archive.Files[at].Data = []byte(got)
		return
	}
	if at < 0 {
		t.Fatalf("%s has no section %s; it would be:\n%s", c.File, section, got)
	}
	if want := string(c.archive.Files[at].Data); want != got {
		t.Errorf("%s: %s differs (- want, + got):\n%sto accept: go test -run '%s' -update .",
			c.File, section, textdiff.Unified(want, got), t.Name())
	}
}

func (c *Case) finish(t *testing.T) {
	t.Helper()
	if !c.changed || t.Failed() {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("golden files are not rewritten under CI")
	}
	if err := os.WriteFile(c.File, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
