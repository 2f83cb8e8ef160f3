package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"jitc/ir/diag"
	"jitc/ir/tensor"
	"jitc/trace"
)

// inputFlags say where a program's parameters come from.
type inputFlags struct {
	input   []string
	inputs  []string
	weights []string
}

func (f *inputFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.input, "input", nil, "tensor of one parameter, `NAME=FILE[:KEY]`; may be repeated")
	fl.StringArrayVar(&f.inputs, "inputs", nil, "tensors of parameters by name, from an .npz or .safetensors `FILE`")
	fl.StringArrayVar(&f.weights, "weights", nil, "`FILE` with weights, searched before the one that the trace names; may be repeated")
}

// arguments makes the tensors of a trace's parameters, and the sizes they imply.
func (a *app) arguments(file *trace.File, f *inputFlags, sizes map[string]int64) ([]*tensor.Tensor, map[string]int64, error) {
	a.progress.start("reading inputs")
	defer a.progress.stop()
	inputs, err := f.load()
	if err != nil {
		return nil, nil, err
	}
	if err := checkInputs(file, inputs); err != nil {
		return nil, nil, err
	}
	if err := a.checkParameters(file, inputs, sizes); err != nil {
		return nil, nil, err
	}
	archives, err := f.archives(file)
	defer func() {
		for _, x := range archives {
			x.Close()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	return file.Arguments(trace.Sources{Inputs: inputs, Weights: archives, Sizes: sizes,
		Progress: func(done, total int, name string) {
			a.progress.update("parameter %d of %d: %%%s", done+1, total, name)
		}})
}

// checkInputs refuses tensors of parameters that the trace does not have.
func checkInputs(file *trace.File, inputs map[string]*tensor.Tensor) error {
	var known []string
	for i, p := range file.Func.Params {
		known = append(known, orText(p.Name, strconv.Itoa(i)))
	}
	for _, name := range sortedKeys(inputs) {
		if !slices.Contains(known, name) {
			return diag.List{{Pos: diag.Pos{File: file.Path}, Msg: "the trace has no parameter %" + name,
				Expected: orText(listNames(known), "none"), Got: name}}
		}
	}
	return nil
}

// load reads what --inputs and --input name; --input comes before --inputs.
func (f *inputFlags) load() (map[string]*tensor.Tensor, error) {
	all := map[string]*tensor.Tensor{}
	for _, path := range f.inputs {
		if err := loadAll(path, all); err != nil {
			return nil, err
		}
	}
	for _, in := range f.input {
		name, where, ok := strings.Cut(in, "=")
		if name = strings.TrimPrefix(name, "%"); !ok || name == "" || where == "" {
			return nil, badFlag("input", in, "NAME=FILE or NAME=FILE:KEY")
		}
		t, err := loadOne(name, where)
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// loadOne reads one tensor of a file: the one of the given key, else the one
// that has the parameter's name, else the only one.
func loadOne(name, where string) (*tensor.Tensor, error) {
	path, key := splitKey(where)
	a, err := openTensors("input", path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	names := a.Names()
	switch {
	case key != "":
	case slices.Contains(names, name):
		key = name
	case len(names) == 1:
		key = names[0]
	default:
		return nil, fmt.Errorf("%s holds %s: say which one is %%%s, --input %s=%s:KEY (%s)",
			path, plural(len(names), "tensor"), name, name, path, listNames(names))
	}
	return a.Load(key)
}

// splitKey splits FILE:KEY. A path may hold colons itself: if all of it is a
// file, there is no key.
func splitKey(where string) (path, key string) {
	at := strings.LastIndexByte(where, ':')
	if at < 0 {
		return where, ""
	}
	if _, err := os.Stat(where); err == nil {
		return where, ""
	}
	return where[:at], where[at+1:]
}

// archives opens the files of weights that a trace needs.
func (f *inputFlags) archives(file *trace.File) ([]tensor.Archive, error) {
	paths := slices.Clone(f.weights)
	if own := file.WeightsPath(); own != "" {
		if _, err := os.Stat(own); err == nil || len(paths) == 0 {
			paths = append(paths, own)
		}
	}
	var out []tensor.Archive
	for _, p := range paths {
		a, err := openTensors("weights", p)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}

// loadAll reads every tensor of a file.
func loadAll(path string, into map[string]*tensor.Tensor) error {
	a, err := openTensors("inputs", path)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, name := range a.Names() {
		if into[name], err = a.Load(name); err != nil {
			return err
		}
	}
	return nil
}

// openTensors opens a file of tensors; what says what it is to us.
func openTensors(what, path string) (tensor.Archive, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fileError(what, path, &fs.PathError{Err: syscall.EISDIR})
	}
	a, err := tensor.OpenFile(path)
	if err != nil {
		return nil, fileError(what, path, err)
	}
	return a, nil
}

// fileError says which file could not be read, and as what.
func fileError(what, path string, err error) error { return fileFault("read", what, path, err) }

// outError says which file could not be written. A disk that is full or broken is
// no mistake of the user.
func outError(path string, err error) error {
	told := fileFault("write", "output", path, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) {
		return fault{told}
	}
	return told
}

func fileFault(verb, what, path string, err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		err = pe.Err
	case errors.As(err, &le):
		err = le.Err
	default:
		return err
	}
	return fmt.Errorf("cannot %s the %s %s: %w", verb, what, path, err)
}

// listNames prints at most eight names.
func listNames(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
