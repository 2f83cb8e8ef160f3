// Package fusion partitions a function into regions: groups of values that one
// executor computes with one kernel.
//
//	%0 = neg(%x)                        %0 = fused(%x) func(%x) {
//	%1 = exp(%0)                          %0 = neg(%x)
//	%2 = reduce_sum(%1) {axes=[1]}   =>   %1 = exp(%0)
//	                                      %2 = reduce_sum(%1) {axes=[1]}
//	                                      return %2
//	                                    }
//
// Values that have a kernel to themselves or share one are the members of
// regions. Sources (splat constants, iota) and views at affine addresses cost
// nothing where they are read, so they belong to no region: each region that
// reads through them holds its own copy. Control flow belongs to none either: its
// bodies are partitioned each on its own. Members are merged greedily along the
// edges between them, a producer with its consumer first, siblings that read
// the same data afterwards; at the end a cheap producer is recomputed by its
// readers where that saves memory traffic.
//
// Invariants: the graph of regions is acyclic after every merge, decided exactly
// (digraph.go); every effect happens once, in order; the values of a region have
// one owner; the same function and claimers give the same result, whatever the
// names of values are.
package fusion

import (
	"fmt"
	"strings"

	"jitc/ir"
)

// Options bound what a region may hold. The zero value of a field stands for
// its default.
type Options struct {
	Off         bool // every value a region of its own; sources stay with their readers
	MaxOps      int  // values in a region's body; default 64
	MaxOperands int  // operands and results of a region together; default 24
	Budget      int  // edges that one search for a cycle may look at; default 512
}

func (o Options) withDefaults() Options {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.MaxOps, 64)
	def(&o.MaxOperands, 24)
	def(&o.Budget, 512)
	return o
}

// Result is a partitioned function and the reasons for its form.
type Result struct {
	// F is in the Fused dialect: regions, control flow whose bodies are partitioned
	// too, projections of those with several results, and constants with data,
	// which are operands.
	F *ir.Func
	// Owner gives, by value ID of F, the index of the claimer that computes a
	// region; -1 for parameters and for values that are no region.
	Owner []int
	// Regions are in the order in which F lists them.
	Regions []Region
	// Decisions are in the order of the input's values; see Decision.
	Decisions []Decision
	// Control is the control flow outside of F's regions, with the partitions of
	// its bodies, in the order in which F lists it.
	Control []Control

	names func() []string // of the input's values, by ID; made when a report asks
}

// Region sums up one region of the result.
type Region struct {
	Value   *ir.Value   // the region, in Result.F
	Kind    Kind        // what the members are to each other
	Owner   string      // name of the claimer
	Members []*ir.Value // values of the input that the region computes, in order
	Why     string      // why the members are together
}

// UnclaimedError says that no claimer takes a value.
type UnclaimedError struct {
	Value    *ir.Value
	Refusals []string // "name: why", one for each claimer
}

// Error lists the refusals.
func (e *UnclaimedError) Error() string {
	s := fmt.Sprintf("%s: no executor computes %s of type %s", e.Value.Pos, e.Value.Op, e.Value.Type)
	if len(e.Refusals) == 0 {
		return s + ": there are no executors"
	}
	s += " (" + strings.Join(e.Refusals, "; ") + ")"
	if e.Value.Op.Composite() {
		s += "; hint: decompose it first"
	}
	return s
}

// Partition divides f's values among the claimers, the first that takes a value
// owning it, and merges them into regions. f is in the primitive dialect, but
// may hold composites that a claimer takes as they stand; it is not modified.
// Values that no result or effect needs are dropped. The error is an
// *UnclaimedError for a value that nobody takes.
func Partition(f *ir.Func, cs []Claimer, o Options) (*Result, error) {
	g, err := newGraph(f, cs, o.withDefaults())
	if err != nil {
		return nil, err
	}
	if !o.Off {
		g.mergeVertically()
		g.mergeSiblings()
		g.arrangeResults()
		g.recompute()
	}
	return g.emit(), nil
}
