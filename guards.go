package jitc

import (
	"jitc/ir/call"
	"jitc/runtime/guard"
)

// Guards are the conditions under which calls run the function's program, and the
// sources of its symbols. Nothing is compiled for that. The error is a
// *guard.UnboundError where arguments do not decide a symbol. The guards of a Go
// function are those of its entries: Traced.Entries.
func (fn *Function) Guards() (*guard.Set, error) {
	gs, sources, err := fn.guards()
	if err != nil {
		return nil, err
	}
	return guard.NewSet(gs, sources), nil
}

// Schema names the parts of the function's calls, for the texts of guards. It must not
// be changed.
func (fn *Function) Schema() *call.Schema { return fn.schema }
