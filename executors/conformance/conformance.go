// Package conformance is a suite of tests that any executor can run, in tree or
// not. An executor that passes it computes what the ops' definitions say.
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, myExecutor, conformance.Options{})
//	}
//
// For every op, in every element type of its row, the suite builds small regions,
// compiles, binds and runs them, and compares the results with ir.Eval:
//
//	plain        each of the row's samples: scalars, nothing, primes, ragged vectors
//	symbolic     sizes replaced by symbols; one kernel, bound at several sizes
//	views        operands that are transposed, strided, reversed, broadcast, reshaped
//	             or far apart, by a view before the op inside the region
//	special      NaN, infinities, -0, subnormals, the largest numbers; for integers
//	             the ends of the range, 0 and -1
//	fused        a pointwise op before and one behind it, two results
//
// such as this one, of the op exp, fused, in f32:
//
//	func @exp(%0: f32[7,13], %1: f32[7,13]) -> (f32[7,13], f32[7,13]) {
//	  %2: f32[] = constant() {value=0.0}
//	  %3: f32[7,13] = broadcast(%2) {axes=[]}
//	  %4: f32[7,13] = max(%0, %3)
//	  %5: f32[7,13] = exp(%4)
//	  %6: f32[7,13] = add(%5, %1)
//	  return %6, %5
//	}
//
// Every run is held to the contract of package executors: results are the same
// bits for one worker and for several, in whatever order chunks run and wherever
// buffers lie; inputs, and the bytes around results and scratch, stay as they
// are; a launch may run concurrently with itself; every element of a result is
// written. The buffers of an accelerator's launches are copied to its memory and
// back, guards included; its queue is held to the order that it promises, and its
// batches to the order that they were given. See Tolerance for how near results must
// be.
//
// An executor need not take everything. What it refuses it must refuse with a
// reason, and the suite logs those as a table; Options.MustClaim says what it may
// not refuse. Composite ops that it refuses are expanded, as the compiler does.
//
// Invariant: the suite is deterministic; it has no other inputs than the op table
// and its options.
package conformance

import (
	"slices"
	"testing"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// TB is the part of testing.TB that the suite needs, so that it can be tested
// itself.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Options say what to test. The zero Options test everything.
type Options struct {
	Ops    []ir.Op        // nil: all
	DTypes []tensor.DType // element types of first operands; nil: all
	// MustClaim, if not nil, says which values the executor may not refuse. The
	// values are those of the plain regions, one op each.
	MustClaim func(v *ir.Value) bool
	// Thin leaves out most element types and samples; Run sets it under -short.
	Thin bool
	// Compile is given to the executor's Compile. FastMath widens nothing: give a
	// Tolerance with it.
	Compile executors.Options
	// Tolerance, if not nil, replaces that of the suite where ok is true: for an
	// executor that says of itself that it is less accurate.
	Tolerance func(region *ir.Func) (tol tensor.Tolerance, ok bool)
}

// Run tests an executor; each op is a subtest that runs in parallel with others.
// An executor that is not available on this machine skips the test.
func Run(t *testing.T, e executors.Executor, o Options) {
	t.Helper()
	if err := e.Available(); err != nil {
		t.Skipf("%s is not available: %v", e.Name(), err)
	}
	o.Thin = o.Thin || testing.Short()
	s := newSuite(t, e, o)
	if s == nil {
		return
	}
	t.Run("contract", func(t *testing.T) { s.contract(t) })
	t.Run("ops", func(t *testing.T) {
		for _, op := range s.ops() {
			t.Run(op.String(), func(t *testing.T) {
				t.Parallel()
				s.op(t, op)
			})
		}
	})
	s.claims.log(t)
}

// Check is Run without subtests, and whether or not the executor says that it is
// available.
func Check(t TB, e executors.Executor, o Options) {
	t.Helper()
	s := newSuite(t, e, o)
	if s == nil {
		return
	}
	s.contract(t)
	for _, op := range s.ops() {
		s.op(t, op)
	}
	s.claims.log(t)
}

// suite is one run over one executor.
type suite struct {
	e      executors.Executor
	o      Options
	q      executors.Queue // of an accelerator, else nil
	claims claims
}

// newSuite reports an accelerator that has no queue, and returns nil.
func newSuite(t TB, e executors.Executor, o Options) *suite {
	t.Helper()
	s := &suite{e: e, o: o}
	if a, ok := e.(executors.Accelerator); ok {
		q, err := a.Queue()
		if err != nil || q == nil {
			t.Errorf("%s: no queue (%v)", e.Name(), err)
			return nil
		}
		s.q = q
	}
	return s
}

// ops lists the ops to test: all that compute, at sizes that are known beforehand.
func (s *suite) ops() []ir.Op {
	var ops []ir.Op
	for _, op := range ir.Ops() {
		row := op.Row()
		if row.Traits&(ir.Structural|ir.Effect|ir.Dynamic) != 0 || row.Samples == nil {
			continue
		}
		if s.o.Ops == nil || slices.Contains(s.o.Ops, op) {
			ops = append(ops, op)
		}
	}
	return ops
}

// thinDTypes stand for the others: a compute type, two that are widened, and
// integers of both kinds.
var thinDTypes = []tensor.DType{tensor.F32, tensor.BF16, tensor.F8E4M3, tensor.I32, tensor.U8, tensor.Bool}

// dtypes lists the element types to test an op in.
func (s *suite) dtypes(row *ir.OpRow) []tensor.DType {
	var out []tensor.DType
	for _, dt := range row.DTypes.List() {
		if s.o.DTypes != nil && !slices.Contains(s.o.DTypes, dt) || s.o.Thin && !slices.Contains(thinDTypes, dt) {
			continue
		}
		out = append(out, dt)
	}
	return out
}

// maxFailures bounds the failures reported of one op.
const maxFailures = 5

// op tests one op.
func (s *suite) op(t TB, op ir.Op) {
	t.Helper()
	failures := 0
	for _, c := range s.cases(op) {
		if err := s.run(c); err != nil {
			t.Errorf("%s: %s: %v", s.e.Name(), c.name, err)
			if failures++; failures == maxFailures {
				t.Errorf("%s: %s: too many failures, the other cases are left out", s.e.Name(), op)
				return
			}
		}
	}
}
