package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"jitc/internal/textdiff"
)

// fmtFlags are the flags of jitc fmt.
type fmtFlags struct{ write, diff, list bool }

// fmtReport is what jitc fmt did to one file.
type fmtReport struct {
	File    string `json:"file"`
	Changed bool   `json:"changed"`
	Text    string `json:"text,omitempty"` // the canonical form, unless it was written or listed
}

const fmtLong = `Fmt brings traces into canonical form: one value per line, types printed,
attributes in order; comments stay. "-" is standard input.

Without flags the canonical form goes to standard output. With -d or -l the exit
code is 1 if a file is not in canonical form. A file that is rewritten appears
complete or not at all.`

const fmtExample = `  jitc fmt mlp.trace
  jitc fmt -w *.trace
  jitc fmt -l *.trace
  jitc fmt - < mlp.trace`

func (a *app) fmtCommand() *cobra.Command {
	f := &fmtFlags{}
	cmd := &cobra.Command{
		Use: "fmt FILE...", Short: "Bring traces into canonical form", Long: fmtLong, Example: fmtExample, Args: files(1, -1),
		RunE: func(_ *cobra.Command, args []string) error { return a.format(args, f) },
	}
	fl := cmd.Flags()
	fl.BoolVarP(&f.write, "write", "w", false, "write the canonical form back to the file")
	fl.BoolVarP(&f.diff, "diff", "d", false, "print what would change")
	fl.BoolVarP(&f.list, "list", "l", false, "print the names of files that would change")
	return cmd
}

func (a *app) format(paths []string, f *fmtFlags) error {
	var errs []error
	reports := []fmtReport{}
	differs := false
	for _, p := range paths {
		r, err := a.formatFile(p, f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		differs = differs || r.Changed
		reports = append(reports, r)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if a.json {
		a.writeJSON(map[string]any{"files": reports})
	}
	if differs && (f.diff || f.list) {
		return verdict{exitDiffers}
	}
	return nil
}

func (a *app) formatFile(path string, f *fmtFlags) (fmtReport, error) {
	if f.write && path == "-" {
		return fmtReport{}, &usageError{msg: "-w cannot write to standard input", hint: "leave -w out: the result goes to standard output"}
	}
	src, err := a.source(path)
	if err != nil {
		return fmtReport{}, err
	}
	file, err := parseSource(path, src)
	if err != nil {
		return fmtReport{}, err
	}
	text := file.Format()
	r := fmtReport{File: path, Changed: text != src}
	if f.write && r.Changed {
		if err := replaceFile(path, []byte(text)); err != nil {
			return r, outError(path, err)
		}
	}
	if !f.write && !f.list && !f.diff {
		r.Text = text
	}
	if !a.json {
		a.writeFormatted(r, f, src, text)
	}
	return r, nil
}

func (a *app) writeFormatted(r fmtReport, f *fmtFlags, src, text string) {
	if r.Changed && f.list {
		fmt.Fprintln(a.out, r.File)
	}
	if r.Changed && f.diff {
		fmt.Fprintf(a.out, "--- %s\n+++ %s, formatted\n%s", r.File, r.File, textdiff.Unified(src, text))
	}
	a.out.WriteString(r.Text)
}

// replaceFile gives a file new contents, all or nothing; its permissions stay,
// and a symbolic link stays one.
func replaceFile(path string, data []byte) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeFile(path, data, info.Mode().Perm())
}

// writeFile writes a file beside its place and renames it there.
func writeFile(path string, data []byte, mode os.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(data); err != nil {
		return err
	}
	if err = tmp.Chmod(mode); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
