package jitc

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"strings"
	"sync"
	"unsafe"

	"jitc/ir"
	rt "jitc/runtime"
	"jitc/trace/pytree"
)

// Traced is a Go function that is traced and compiled when it is called: the part
// of F1, F2, ... that does not depend on its types. Safe for concurrent use.
type Traced struct {
	engine *Engine
	name   string
	pos    ir.Pos // of the Go function
	invoke func(args []unsafe.Pointer, result unsafe.Pointer)
	types  []reflect.Type
	result reflect.Type
	opts   funcOptions
	plans  []*pytree.Plan
	into   *pytree.Plan // of the result
	names  []string     // of the arguments, for paths
	err    error        // why it cannot be called
	cache  *rt.Cache
	calls  sync.Pool // of *activation
}

// newTraced prepares a function; what is wrong with its types and options is found
// here and told by every call.
func newTraced(e *Engine, fn any, types []reflect.Type, result reflect.Type,
	invoke func(args []unsafe.Pointer, result unsafe.Pointer), opts []FuncOption) *Traced {
	e, unusable := e.usable()
	f := &Traced{engine: e, name: "nil", types: types, result: result, invoke: invoke, opts: chosen(opts)}
	f.opts.wrong(unusable)
	if pc := reflect.ValueOf(fn).Pointer(); pc != 0 {
		f.name, f.pos = functionName(pc), functionPos(pc)
	} else {
		f.opts.wrong(errors.New("expected a Go function, got nil"))
	}
	f.names = f.opts.check(len(types))
	if f.opts.name != "" {
		f.name = plainName(f.opts.name)
	}
	f.wrong("", f.opts.err)
	for i, t := range types {
		p, err := pytree.For(t, leaves)
		f.wrong("argument "+f.names[i]+": ", err)
		f.plans = append(f.plans, p)
	}
	var err error
	f.into, err = pytree.For(result, leaves)
	f.wrong("result: ", err)
	f.cache = e.newCache(f.name, f.opts)
	f.calls.New = func() any { return newActivation(f) }
	return f
}

// wrong notes why the function cannot be called.
func (f *Traced) wrong(what string, err error) {
	if err != nil {
		f.err = errors.Join(f.err, fmt.Errorf("@%s: %s%w", f.name, what, err))
	}
}

// functionName is the name of a Go function, fit for the text form.
func functionName(pc uintptr) string {
	name := goruntime.FuncForPC(pc).Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	return plainName(strings.NewReplacer(".func", "_", "(*", "", ")", "", "[...]", "", ".", "_", "-fm", "").Replace(name))
}

// functionPos is the line on which a Go function begins.
func functionPos(pc uintptr) ir.Pos {
	file, line := goruntime.FuncForPC(pc).FileLine(pc)
	return ir.Pos{File: filepath.Base(file), Line: line}
}

// Name is the function's name.
func (f *Traced) Name() string { return f.name }

// Stats counts what happened to the function's entries.
func (f *Traced) Stats() rt.CacheStats { return f.cache.Stats() }

// SetStance is the stance of calls whose context has none.
func (f *Traced) SetStance(s Stance) { f.cache.SetStance(s) }

// Entries are the live entries, oldest first. What their fields refer to must not be
// changed.
func (f *Traced) Entries() []*rt.Entry { return f.cache.Entries() }

// String prints the traces of the live entries, or why there are none.
func (f *Traced) String() string {
	if f == nil {
		return errUnmade.Error()
	}
	if f.err != nil {
		return f.err.Error()
	}
	var b strings.Builder
	for i, e := range f.cache.Entries() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# entry %d\n%s", e.ID, e.Traced.F)
	}
	if b.Len() == 0 {
		return "@" + f.name + " is not traced yet: call it"
	}
	return b.String()
}
