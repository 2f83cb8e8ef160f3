// Package golden compares the output of a stage with files that say what it
// should be.
//
// A case is a txtar archive, testdata/<stage>/<case>.txtar: a comment that
// states the claim, a file in.trace, perhaps a file flags (one word per line),
// and files want.<stage> or want.error:
//
//	What no result depends on goes; parameters stay.
//	-- in.trace --
//	func @f(%x: f32[4]) -> f32[4] {
//	  %a: f32[4] = exp(%x)
//	  return %x
//	}
//	-- want.dce --
//	func @f(%x: f32[4]) -> f32[4] {
//	  return %x
//	}
//
// `make golden` rewrites the want files. Invariants: a case that failed is not
// rewritten, and under CI none is.
package golden

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"jitc/internal/textdiff"
)

var update = flag.Bool("update", false, "rewrite the golden files' want sections")

// Case is one golden file.
type Case struct {
	Name    string          // file name without extension
	File    string          // path, from the test's folder
	In      string          // section in.trace
	Flags   map[string]bool // words of the section flags
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
			if t.Failed() {
				return
			}
			if err := c.save(os.Getenv("CI") != ""); err != nil {
				t.Fatal(err)
			}
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
func (c *Case) Has(section string) bool { return c.section(section) >= 0 }

func (c *Case) section(name string) int {
	return slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
}

// Want compares got with a section of the case. Under -update it replaces the
// section instead, adding it if it is missing.
func (c *Case) Want(t *testing.T, section, got string) {
	t.Helper()
	if *update {
		c.replace(section, got)
		return
	}
	if err := c.compare(section, got); err != nil {
		t.Errorf("%s: %v\nto accept: go test -run '%s' -update .", c.File, err, t.Name())
	}
}

// compare gives an error that shows how a section differs from got.
func (c *Case) compare(section, got string) error {
	got = lines(got)
	at := c.section(section)
	if at < 0 {
		return fmt.Errorf("there is no section %s; it would be:\n%s", section, got)
	}
	if want := string(c.archive.Files[at].Data); want != got {
		return fmt.Errorf("%s differs (- want, + got):\n%s", section, strings.TrimSuffix(textdiff.Unified(want, got), "\n"))
	}
	return nil
}

// replace makes got the section's text, until save writes it.
func (c *Case) replace(section, got string) {
	got = lines(got)
	at := c.section(section)
	if at < 0 {
		at = len(c.archive.Files)
		c.archive.Files = append(c.archive.Files, txtar.File{Name: section})
		c.changed = true
	}
	c.changed = c.changed || string(c.archive.Files[at].Data) != got
	c.archive.Files[at].Data = []byte(got)
}

// save writes what replace changed; under CI that is an error.
func (c *Case) save(ci bool) error {
	switch {
	case !c.changed:
		return nil
	case ci:
		return errors.New(c.File + ": golden files are not rewritten under CI")
	}
	return os.WriteFile(c.File, txtar.Format(c.archive), 0o644)
}

// lines is text that ends with a newline, as sections of an archive do.
func lines(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
