package jitc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"jitc/ir/call"
	rt "jitc/runtime"
	"jitc/trace/pytree"
)

// LoadReport says what a file gave a function.
type LoadReport struct {
	Function   string        `json:"function"`
	Entries    int           `json:"entries"`    // that the function has now
	Known      int           `json:"known"`      // entries that it had already
	Recordings int           `json:"recordings"` // made again
	Dynamism   int           `json:"dynamism"`   // sizes and scalars of which the file knows the past
	Skipped    []string      `json:"skipped"`    // entries that could not be saved or have no room, and why
	Took       time.Duration `json:"took"`       // ns
}

// String is one line, and one for each entry that was skipped.
func (r LoadReport) String() string {
	s := fmt.Sprintf("@%s: loaded %d entries with %d recordings in %s", r.Function, r.Entries, r.Recordings, r.Took.Round(time.Microsecond))
	if r.Known > 0 {
		s += fmt.Sprintf("; %d were there already", r.Known)
	}
	for _, why := range r.Skipped {
		s += "\n  skipped " + why
	}
	return s
}

// savedFunction is the body of a file.
type savedFunction struct {
	Dynamism []rt.Dynamism `json:"dynamism"`
	Entries  []savedEntry  `json:"entries"`
	Skipped  []string      `json:"skipped"`
}

// savedEntry is an entry of a Go function, with what it returns.
type savedEntry struct {
	*rt.SavedEntry
	Result savedResult `json:"result"`
}

// savedResult is a value in which only the tensors are left open.
type savedResult struct {
	Consts  []rt.SavedConst `json:"consts"`
	Nils    []bool          `json:"nils"` // of its slices and maps
	Tensors int             `json:"tensors"`
}

// Save writes what the function's calls have taught: which sizes and scalars are
// dynamic, and the entries with their guards and the sizes they ran at. A process
// of the same program that loads it answers its first call without tracing.
//
// Left out are entries that hold on to what only this process has: tensors that
// the function found outside its arguments, variables that it read. Load reports
// them. What else the function closes over is as little looked at as it is in
// calls: give it the same where the file is loaded.
func (f *Traced) Save(w io.Writer) error {
	if f.err != nil {
		return f.err
	}
	header, err := f.header()
	if err != nil {
		return fmt.Errorf("@%s: cannot save: %w", f.name, err)
	}
	body := savedFunction{Dynamism: f.cache.Dynamism()}
	for _, e := range f.cache.Entries() {
		s, err := f.saveEntry(e)
		if err != nil {
			body.Skipped = append(body.Skipped, fmt.Sprintf("entry %d: %v", e.ID, err))
			continue
		}
		body.Entries = append(body.Entries, *s)
	}
	return writeFile(w, header, body)
}

func (f *Traced) saveEntry(e *rt.Entry) (*savedEntry, error) {
	s, err := e.Save()
	if err != nil {
		return nil, err
	}
	out := e.Traced.Data.(*returned)
	nils, err := f.into.Nils(out.template)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	r := savedResult{Nils: nils, Tensors: len(e.Traced.F.Results)}
	for _, c := range out.consts {
		r.Consts = append(r.Consts, rt.SaveConst(c))
	}
	if _, err := f.template(r); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return &savedEntry{s, r}, nil
}

// template is the value that a trace returned, without tensors.
func (f *Traced) template(r savedResult) (*returned, error) {
	out := &returned{consts: make([]call.Const, len(r.Consts))}
	for i, c := range r.Consts {
		out.consts[i] = c.Const()
	}
	var err error
	if out.template, err = f.into.Unflatten(out.consts, r.Nils, r.Tensors); err != nil {
		return nil, err
	}
	var sink pytree.Sink
	if err := f.into.Flatten(out.template, &sink); err != nil {
		return nil, err
	}
	if !slices.Equal(sink.Consts, out.consts) {
		return nil, errors.New("its constants do not come back")
	}
	return out, nil
}

// Load takes what Save wrote. The kernels are compiled and the recordings made
// before Load returns. A file of another program, version, machine or function is
// a *FileError, and so is a damaged one; whatever the error, or where ctx ends it, the
// function is as it was. What the function has learned itself is kept.
func (f *Traced) Load(ctx context.Context, r io.Reader) (LoadReport, error) {
	start := time.Now()
	if f.err != nil {
		return LoadReport{}, f.err
	}
	header, err := f.header()
	if err != nil {
		return LoadReport{}, fmt.Errorf("@%s: cannot load: %w", f.name, err)
	}
	var body savedFunction
	if err := readFile(r, f.name, header, &body); err != nil {
		return LoadReport{}, err
	}
	entries := make([]rt.Restored, len(body.Entries))
	for i, s := range body.Entries {
		if entries[i], err = f.restore(s); err != nil {
			return LoadReport{}, damaged(f.name, fmt.Errorf("entry %d: %w", i, err))
		}
	}
	done, err := f.cache.Install(ctx, entries, body.Dynamism, &tracing{f: f})
	if ctx.Err() != nil {
		return LoadReport{}, ctx.Err()
	}
	if err != nil {
		return LoadReport{}, damaged(f.name, err)
	}
	return LoadReport{Function: f.name, Entries: done.Entries, Known: done.Known, Recordings: done.Recordings,
		Dynamism: len(body.Dynamism), Skipped: append(body.Skipped, done.Skipped...), Took: time.Since(start)}, nil
}

// restore makes a trace of a saved entry, as the tracer would have.
func (f *Traced) restore(s savedEntry) (rt.Restored, error) {
	start := time.Now()
	if s.SavedEntry == nil {
		return rt.Restored{}, errors.New("it is empty")
	}
	t, err := s.Restore()
	if err != nil {
		return rt.Restored{}, err
	}
	if s.Result.Tensors != len(t.F.Results) {
		return rt.Restored{}, fmt.Errorf("result: expected %d tensors, got %d", len(t.F.Results), s.Result.Tensors)
	}
	out, err := f.template(s.Result)
	if err != nil {
		return rt.Restored{}, fmt.Errorf("result: %w", err)
	}
	t.Data = out
	if err := pad(t, f.opts.buckets); err != nil {
		return rt.Restored{}, err
	}
	t.Cost = []rt.StageCost{{Stage: "load", Time: time.Since(start)}}
	return rt.Restored{Traced: t, Sizes: s.Sizes, LastUse: s.LastUse}, nil
}

// header says whose file it is.
func (f *Traced) header() (fileHeader, error) {
	program, err := programHash()
	if err != nil {
		return nil, err
	}
	types := make([]string, len(f.types))
	for i, t := range f.types {
		types[i] = t.String()
	}
	h := append(f.engine.header(), fileLine{"function", f.name},
		fileLine{"types", fmt.Sprintf("func(%s) %s", strings.Join(types, ", "), f.result)})
	return append(h, fileLine{"options", f.opts.text()}, fileLine{"program", program}), nil
}

// text is what of the options entries depend on.
func (o *funcOptions) text() string {
	var parts []string
	for _, m := range o.marks {
		parts = append(parts, m.String())
	}
	for _, d := range o.donate {
		parts = append(parts, "donate "+d)
	}
	for _, b := range o.buckets {
		parts = append(parts, "bucket "+b.Sym+" to "+b.Buckets.String())
	}
	if len(o.argNames) > 0 {
		parts = append(parts, "arguments "+strings.Join(o.argNames, " "))
	}
	if o.separate {
		parts = append(parts, "separate sizes")
	}
	return strings.Join(parts, "; ")
}

// SaveFile is Save to a file, which is replaced at once or stays as it was. Only
// its owner can read it.
func (f *Traced) SaveFile(path string) error { return saveFile(path, f.Save) }

// LoadFile is Load from a file. Where there is none the error is fs.ErrNotExist.
func (f *Traced) LoadFile(ctx context.Context, path string) (LoadReport, error) {
	return loadFile(ctx, path, f.Load)
}

// saveFile writes beside the file and renames: whoever reads sees all or nothing.
func saveFile(path string, save func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // of mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(save(tmp), tmp.Sync())
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

func loadFile(ctx context.Context, path string, load func(context.Context, io.Reader) (LoadReport, error)) (LoadReport, error) {
	file, err := os.Open(path)
	if err != nil {
		return LoadReport{}, err
	}
	defer file.Close()
	r, err := load(ctx, file)
	var bad *FileError
	if errors.As(err, &bad) {
		bad.Path = path
	}
	return r, err
}

// savedSizes is the body of the file of a Function, whose one trace needs no saving.
type savedSizes struct {
	Sizes []map[string]int64 `json:"sizes"`
}

// Save writes the sizes that the function ran at, so that another process can make
// its recordings before the first call.
func (fn *Function) Save(w io.Writer) error {
	var body savedSizes
	for _, e := range fn.cache.Entries() {
		body.Sizes = append(body.Sizes, e.Sizes()...)
	}
	return writeFile(w, fn.header(), body)
}

// Load compiles the function and makes the recordings of the sizes that Save wrote.
// Its errors are those of Traced.Load.
func (fn *Function) Load(ctx context.Context, r io.Reader) (LoadReport, error) {
	start := time.Now()
	name := fn.trace.Name
	var body savedSizes
	if err := readFile(r, name, fn.header(), &body); err != nil {
		return LoadReport{}, err
	}
	t, err := fromTrace{fn}.traced()
	if err != nil {
		return LoadReport{}, fmt.Errorf("@%s: cannot load: %w", name, err)
	}
	entries := []rt.Restored{{Traced: t, Sizes: body.Sizes, LastUse: start}}
	done, err := fn.cache.Install(ctx, entries, nil, fromTrace{fn})
	if ctx.Err() != nil {
		return LoadReport{}, ctx.Err()
	}
	if err != nil {
		return LoadReport{}, damaged(name, err)
	}
	return LoadReport{Function: name, Entries: done.Entries, Known: done.Known, Recordings: done.Recordings,
		Skipped: done.Skipped, Took: time.Since(start)}, nil
}

// SaveFile is Save to a file, which is replaced at once or stays as it was.
func (fn *Function) SaveFile(path string) error { return saveFile(path, fn.Save) }

// LoadFile is Load from a file. Where there is none the error is fs.ErrNotExist.
func (fn *Function) LoadFile(ctx context.Context, path string) (LoadReport, error) {
	return loadFile(ctx, path, fn.Load)
}

// header says whose file it is: a trace is data, so that the program that runs it
// does not matter.
func (fn *Function) header() fileHeader {
	sizes := make([]string, len(fn.consts))
	for i, p := range fn.schema.Consts {
		sizes[i] = p.Path + "=" + fn.consts[i].Format(p.Kind)
	}
	o := funcOptions{buckets: fn.buckets}
	return append(fn.engine.header(), fileLine{"function", fn.trace.Name}, fileLine{"options", o.text()},
		fileLine{"sizes", strings.Join(sizes, " ")}, fileLine{"trace", hashOf([]byte(fn.trace.String()))})
}
