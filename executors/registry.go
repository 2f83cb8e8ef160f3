package executors

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

var registry struct {
	sync.Mutex
	byName map[string]Executor
	ranks  map[string]int
	order  []string // best first
}

// Reference is the name of the executor that is always last in a selection:
// it computes every op.
const Reference = "reference"

// Register adds an executor under its name; rank orders the default selection,
// lowest first (0 vendor libraries, 10 accelerators, 20 native code, 100 the
// reference). A second one of the same name is a bug.
func Register(e Executor, rank int) {
	registry.Lock()
	defer registry.Unlock()
	if registry.byName == nil {
		registry.byName = map[string]Executor{}
		registry.ranks = map[string]int{}
	}
	if registry.byName[e.Name()] != nil {
		panic("BUG: executors: two executors named " + e.Name())
	}
	registry.byName[e.Name()] = e
	registry.ranks[e.Name()] = rank
	registry.order = append(registry.order, e.Name())
	slices.SortStableFunc(registry.order, func(a, b string) int { return registry.ranks[a] - registry.ranks[b] })
}

// All lists the registered executors, best first.
func All() []Executor {
	registry.Lock()
	defer registry.Unlock()
	out := make([]Executor, len(registry.order))
	for i, n := range registry.order {
		out[i] = registry.byName[n]
	}
	return out
}

// UnknownError says that a selection names an executor that is not registered.
type UnknownError struct {
	Name  string
	Known []string
}

// Error lists what is registered.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown executor %q: registered are %s", e.Name, strings.Join(e.Known, ", "))
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

// Select returns executors by name, in that order, the reference executor
// appended if it is registered and not named. Without names it returns every
// available executor, best first.
func Select(names ...string) ([]Executor, error) {
	if len(names) == 0 {
		var out []Executor
		for _, e := range All() {
			if e.Available() == nil {
				out = append(out, e)
			}
		}
		return out, nil
	}
	if !slices.Contains(names, Reference) {
		names = append(slices.Clone(names), Reference)
	}
	var out []Executor
	for i, n := range names {
		e, err := lookup(n)
		if err != nil {
			if n == Reference && i == len(names)-1 {
				continue
			}
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func lookup(name string) (Executor, error) {
	registry.Lock()
	defer registry.Unlock()
	e := registry.byName[name]
	if e == nil {
		return nil, &UnknownError{Name: name, Known: slices.Clone(registry.order)}
	}
	if err := e.Available(); err != nil {
		return nil, &UnavailableError{Name: name, Err: err}
	}
	return e, nil
}
