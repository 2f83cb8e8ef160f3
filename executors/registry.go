package executors

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// registry holds the executors that were imported; see Register.
var registry struct {
	sync.Mutex
	rows []registration // lowest rank first
}

type registration struct {
	Executor
	rank int
}

// Reference is the name of the executor that is always last in a selection:
// it computes every op.
const Reference = "reference"

// Register adds an executor under its name; rank orders the default selection,
// lowest first (0 vendor libraries, 10 accelerators, 20 native code, 100 the
// reference), and executors of one rank by name, so that the order of imports
// does not matter. A second one of the same name is a bug.
func Register(e Executor, rank int) {
	registry.Lock()
	defer registry.Unlock()
	for _, r := range registry.rows {
		if r.Name() == e.Name() {
			panic("BUG: executors: two executors named " + e.Name())
		}
	}
	registry.rows = append(registry.rows, registration{e, rank})
	slices.SortFunc(registry.rows, func(a, b registration) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Name(), b.Name()))
	})
}

// All lists the registered executors, best first, available or not.
func All() []Executor {
	registry.Lock()
	defer registry.Unlock()
	out := make([]Executor, len(registry.rows))
	for i, r := range registry.rows {
		out[i] = r.Executor
	}
	return out
}

// Indexed is an executor for the first of several devices of a kind. A selection
// names the others "name:N".
type Indexed interface {
	Executor
	// At is the executor for device n, from 0: the same one at each call, available or
	// not.
	At(n int) Executor
}

// UnknownError says that a selection names an executor that is not registered.
type UnknownError struct {
	Name  string
	Known []string
}

// Error lists what is registered.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown executor %q: registered are %s", e.Name, known(e.Known))
}

// UnavailableError says that a selection names an executor that cannot run here.
type UnavailableError struct {
	Name string
	Err  error
}

// Error says why.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("executor %q is not available: %v", e.Name, e.Err)
}

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Select returns executors by name, or by name and device ("cuda:1"), in that order, the reference executor
// appended if it is registered and not named. Without names it returns every
// available executor, best first.
//
// The errors are *UnknownError, *UnavailableError, and plain ones for a name
// given twice and for a name after the reference, which leaves nothing to others.
func Select(names ...string) ([]Executor, error) {
	all := All()
	if len(names) == 0 {
		return available(all)
	}
	var out []Executor
	for i, n := range names {
		if i > 0 && names[i-1] == Reference {
			return nil, fmt.Errorf("executor %q is named after %q, which leaves nothing to it: name it before", n, Reference)
		}
		e := find(all, n)
		if e == nil {
			return nil, &UnknownError{Name: n, Known: namesOf(all)}
		}
		if slices.Contains(namesOf(out), e.Name()) {
			return nil, fmt.Errorf("executor %q is named twice", n)
		}
		if err := e.Available(); err != nil {
			return nil, &UnavailableError{Name: n, Err: err}
		}
		out = append(out, e)
	}
	if e := find(all, Reference); e != nil && !slices.Contains(names, Reference) {
		out = append(out, e)
	}
	return out, nil
}

func available(all []Executor) ([]Executor, error) {
	out := slices.DeleteFunc(slices.Clone(all), func(e Executor) bool { return e.Available() != nil })
	if len(out) == 0 {
		return nil, fmt.Errorf("no executor is available: registered are %s; import one", known(namesOf(all)))
	}
	return out, nil
}

// find is the executor of a name, "name:N" being that of a device; nil if there is
// none.
func find(all []Executor, name string) Executor {
	kind, index, indexed := strings.Cut(name, ":")
	n, err := strconv.ParseUint(index, 10, 16)
	for _, e := range all {
		if e.Name() == name {
			return e
		}
	}
	for _, e := range all {
		if x, ok := e.(Indexed); ok && indexed && err == nil && e.Name() == kind {
			return x.At(int(n))
		}
	}
	return nil
}

func namesOf(all []Executor) []string {
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Name()
	}
	return names
}

func known(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
