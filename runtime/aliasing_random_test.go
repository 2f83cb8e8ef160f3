package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"jitc/executors"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// loopWriter makes functions of control flow that do little but hand tensors of two
// types around: rows, and tables of S of them. So carries change places, are given
// back, are results twice, are slices' tables and invariants too, and are updated.
type loopWriter struct {
	rng        *rand.Rand
	f          *ir.Func
	b          *ir.Builder
	row, table ir.Type
	pool       []*ir.Value
	depth      int
}

const maxLoopDepth = 3

func writeLoops(rng *rand.Rand) *ir.Func {
	facts := dim.NewFacts()
	if err := facts.Declare("S", 0, 6); err != nil {
		panic(err)
	}
	n := []int64{3, 4, 64}[rng.IntN(3)]
	w := &loopWriter{rng: rng, f: ir.NewFunc("loops", facts), row: ir.T(tensor.I32, dim.Const(n)), table: ir.T(tensor.I32, dim.Sym("S"), dim.Const(n))}
	w.b = ir.NewBuilder(w.f)
	for i, t := range []ir.Type{w.table, w.row, w.row, w.table} {
		w.pool = append(w.pool, w.f.AddParam(fmt.Sprintf("p%d", i), t, nil))
	}
	w.values(3 + rng.IntN(4))
	for range 1 + rng.IntN(4) {
		w.f.Results = append(w.f.Results, w.pick())
	}
	w.f.Results = append(w.f.Results, w.pool[len(w.pool)-1])
	if err := w.b.Err(); err != nil {
		panic(err)
	}
	return w.f
}

func (w *loopWriter) values(n int) {
	for range n {
		switch k := w.rng.IntN(8); {
		case k < 4 || w.depth == maxLoopDepth:
			w.compute()
		case k == 4:
			w.cond()
		case k == 5:
			w.while()
		default:
			w.scan()
		}
	}
}

// pick prefers what is recent.
func (w *loopWriter) pick() *ir.Value {
	n := len(w.pool)
	if w.rng.IntN(2) == 0 {
		return w.pool[n-1-w.rng.IntN(min(n, 3))]
	}
	return w.pool[w.rng.IntN(n)]
}

func (w *loopWriter) of(t ir.Type) *ir.Value {
	var of []*ir.Value
	for _, v := range w.pool {
		if v.Type.Equal(t) {
			of = append(of, v)
		}
	}
	if len(of) == 0 {
		return w.b.Splat(t, float64(w.rng.IntN(5)))
	}
	return of[max(w.rng.IntN(len(of)), w.rng.IntN(len(of)))]
}

var loopOps = []ir.Op{ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpXor, ir.OpMax, ir.OpMin, ir.OpAnd, ir.OpOr}

func (w *loopWriter) compute() {
	x := w.pick()
	w.pool = append(w.pool, w.b.Emit(loopOps[w.rng.IntN(len(loopOps))], []*ir.Value{x, w.of(x.Type)}))
}

// predicate depends on a row.
func (w *loopWriter) predicate() *ir.Value {
	sum := w.b.Emit(ir.OpReduceSum, []*ir.Value{w.of(w.row)}, ir.Attr{Name: "axes", Value: []int64{0}})
	two := w.b.Emit(ir.OpAnd, []*ir.Value{sum, w.b.Splat(sum.Type, float64(2))})
	return w.b.Emit(ir.OpEq, []*ir.Value{two, w.b.Splat(sum.Type, float64(0))})
}

func (w *loopWriter) body(params []ir.Type) *loopWriter {
	b := &loopWriter{rng: w.rng, f: ir.NewFunc("", w.f.Facts), row: w.row, table: w.table, depth: w.depth + 1}
	b.b = ir.NewBuilder(b.f)
	for _, t := range params {
		v := b.f.AddParam("", t, nil)
		if t.DType == tensor.I32 {
			b.pool = append(b.pool, v)
		}
	}
	if len(b.pool) > 0 {
		b.values(w.rng.IntN(4))
	}
	return b
}

// give makes results of the types, those given or others.
func (w *loopWriter) give(ts []ir.Type) {
	for _, t := range ts {
		w.f.Results = append(w.f.Results, w.of(t))
	}
}

func (w *loopWriter) picks(lo, hi int) (vs []*ir.Value) {
	for range lo + w.rng.IntN(hi-lo+1) {
		vs = append(vs, w.pick())
	}
	return vs
}

func (w *loopWriter) apply(op ir.Op, args []*ir.Value, bodies []*ir.Func, attrs ...ir.Attr) {
	v := w.b.EmitControl(op, args, bodies, attrs...)
	if v == nil {
		panic(w.b.Err())
	}
	for i, t := range v.ResultTypes() {
		x := v
		if v.Type.IsTuple() {
			x = w.b.Emit(ir.OpGet, []*ir.Value{v}, ir.Attr{Name: "index", Value: int64(i)})
		}
		if t.DType == tensor.I32 {
			w.pool = append(w.pool, x)
		}
	}
}

func kindsOf(vs []*ir.Value) (ts []ir.Type) {
	for _, v := range vs {
		ts = append(ts, v.Type)
	}
	return ts
}

func (w *loopWriter) cond() {
	args := w.picks(1, 3)
	ts := kindsOf(args)
	results := slices.Clone(ts[:1+w.rng.IntN(len(ts))])
	var bodies []*ir.Func
	for range 2 {
		b := w.body(ts)
		b.give(results)
		bodies = append(bodies, b.f)
	}
	w.apply(ir.OpCond, append([]*ir.Value{w.predicate()}, args...), bodies)
}

// while counts in its first carry.
func (w *loopWriter) while() {
	count := ir.T(tensor.I64)
	args := append([]*ir.Value{w.b.Splat(count, float64(0))}, w.picks(1, 4)...)
	carries := 2 + w.rng.IntN(len(args)-1)
	ts := kindsOf(args)
	more, next := w.body(ts), w.body(ts)
	more.f.Results = []*ir.Value{more.b.Emit(ir.OpLt, []*ir.Value{more.f.Params[0], more.b.Splat(count, float64(w.rng.IntN(5)))})}
	next.f.Results = []*ir.Value{next.b.Emit(ir.OpAdd, []*ir.Value{next.f.Params[0], next.b.Splat(count, float64(1))})}
	next.give(ts[1:carries])
	w.apply(ir.OpWhile, args, []*ir.Func{more.f, next.f}, ir.Attr{Name: "carries", Value: int64(carries)})
}

// scan runs along tables.
func (w *loopWriter) scan() {
	var inputs []*ir.Value
	for range w.rng.IntN(3) {
		inputs = append(inputs, w.of(w.table))
	}
	carries := w.picks(0, 4)
	args := slices.Concat(carries, inputs, w.picks(0, 2))
	ts := kindsOf(args)
	for i := range inputs {
		ts[len(carries)+i] = w.row
	}
	if len(ts) == 0 {
		return
	}
	b := w.body(ts)
	b.give(ts[:len(carries)])
	for range 1 + w.rng.IntN(2) {
		b.give([]ir.Type{w.row})
	}
	w.apply(ir.OpScan, args, []*ir.Func{b.f}, ir.Attr{Name: "carries", Value: int64(len(carries))},
		ir.Attr{Name: "inputs", Value: int64(len(inputs))}, ir.Attr{Name: "length", Value: []dim.Expr{dim.Sym("S")}})
}

// TestRandomLoopsInPlace runs loops whose kernels can compute nearly everything in
// place, on devices and on the host.
func TestRandomLoopsInPlace(t *testing.T) {
	seen, seeds := map[string]int{}, uint64(250)
	if raceEnabled || testing.Short() {
		seeds = 80
	}
	for seed := range seeds {
		checkLoopsInPlace(t, seed, seen)
	}
	t.Log(seen)
	for _, what := range []string{"at home on the host", "at home on a device", "work on two devices", "in place", "two places",
		"slices moved", "donated", "ended", "kernels in place", "kernels apart", "donated to another"} {
		assert.Positive(t, seen[what], what)
	}
}

func checkLoopsInPlace(t *testing.T, seed uint64, seen map[string]int) {
	rng := rand.New(rand.NewPCG(seed, 37))
	f := writeLoops(rng)
	require.NoError(t, ir.Verify(f, ir.Surface), "seed %d\n%s", seed, f)
	host := aliasing{salt: rng.Uint64(), spare: &placeCounts{}}
	var xs []executors.Executor
	share := 1 + rng.Uint64N(4)
	for i := range rng.IntN(3) {
		q := &aliasingQueue{spied: testdevice.New(fmt.Sprintf("test:%d", i), rng.Uint64()), rng: rand.New(rand.NewPCG(seed, 41))}
		shift := 13 + 8*i
		xs = append(xs, aliasingOn(q, host, func(v *ir.Value) bool { return (uint64(v.Op)*0x9E3779B97F4A7C15^host.salt)>>shift%(share+1) != 0 }))
	}
	p := partedAmong(t, f, append(xs, host))
	about := fmt.Sprintf("seed %d\n%s", seed, p.F)
	p = p.Donate(rng.Perm(len(f.Params))[:rng.IntN(len(f.Params)+1)])
	for range 2 {
		sizes := map[string]int64{"S": int64(rng.IntN(7))}
		r, err := p.Record(sizes, 1)
		require.NoError(t, err, about)
		note(r, seen)
		require.NoError(t, runLoopsInPlace(rng, r, xs, seen), about)
		runSideBySide(t, seed, r, xs, about)
		seen["ended"] += endEarly(t, rng, r, xs)
		require.NoError(t, runLoopsInPlace(rng, r, xs, seen), "after runs that were ended, %s", about)
	}
	for _, x := range xs {
		require.Zero(t, deviceOf(x.(*aliasingDevice).queue).arenas.stats().Lent, about)
	}
	seen["kernels in place"] += host.spare.inPlace
	seen["kernels apart"] += host.spare.copied
}

// runSideBySide runs a recording twice at one time.
func runSideBySide(t *testing.T, seed uint64, r *Recording, xs []executors.Executor, about string) {
	var runs errgroup.Group
	for i := range uint64(2) {
		runs.Go(func() error { return runLoopsInPlace(rand.New(rand.NewPCG(seed, i)), r, xs, map[string]int{}) })
	}
	require.NoError(t, runs.Wait(), about)
}

// endEarly runs a recording that a context ends after some iterations, and one of
// which a launch fails. It counts the runs that did not come to their end.
func endEarly(t *testing.T, rng *rand.Rand, r *Recording, xs []executors.Executor) (ended int) {
	args, err := smallArgs(rng, r)
	require.NoError(t, err)
	if err := r.run(&inputs{leaves: args, ctx: &fewTurns{t.Context(), rng.IntN(6)}}, r.Results(), serial{}, nil); err != nil {
		require.ErrorIs(t, err, context.Canceled)
		ended++
	}
	for _, x := range xs {
		q := x.(*aliasingDevice).queue.(*aliasingQueue)
		q.Fail(rng.IntN(20), false, errFault)
		err := r.Run(args, r.Results(), serial{})
		if late := q.Sync(); err == nil {
			err = late
		}
		if err != nil {
			require.ErrorIs(t, err, errFault)
			ended++
		}
		q.Fail(math.MaxInt, false, nil)
	}
	return ended
}

var errFault = errors.New("the kernel divided by zero")

// fewTurns is a context that ends when it was asked a few times.
type fewTurns struct {
	context.Context
	left int
}

func (c *fewTurns) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// runLoopsInPlace compares a run with the evaluation; arguments that are not donated
// stay as they were.
func runLoopsInPlace(rng *rand.Rand, r *Recording, xs []executors.Executor, seen map[string]int) error {
	queues := []executors.Queue{nil}
	for _, x := range xs {
		queues = append(queues, x.(*aliasingDevice).queue)
	}
	before, err := smallArgs(rng, r)
	if err != nil {
		return err
	}
	want, err := ir.Eval(r.p.F, before, r.Sizes)
	if err != nil {
		return err
	}
	args, err := spreadOut(rng, before, queues)
	if err != nil {
		return err
	}
	got, err := spreadOut(rng, r.Results(), queues)
	if err != nil {
		return err
	}
	taken := make([]bool, len(args))
	for i, d := range r.Donated() {
		if d >= 0 && rng.IntN(4) > 0 {
			got[i], taken[d] = args[d], true
			seen["donated"]++
			if i != d {
				seen["donated to another"]++
			}
		}
	}
	if err := r.Run(args, got, serial{}); err != nil {
		return fmt.Errorf("sizes %v: %w", r.Sizes, err)
	}
	if bad := tensor.CompareAll(got, want, tensor.Exact); bad != nil {
		return fmt.Errorf("sizes %v: %w", r.Sizes, bad)
	}
	for i := range args {
		if bad := tensor.Compare(args[i], before[i], tensor.Exact); bad != nil && !taken[i] {
			return fmt.Errorf("sizes %v: argument %d is not what it was: %w", r.Sizes, i, bad)
		}
	}
	return nil
}

func smallArgs(rng *rand.Rand, r *Recording) (args []*tensor.Tensor, err error) {
	for i, n := range r.p.params {
		a, err := tensor.Generate(tensor.Rule{Kind: "ints", Seed: rng.Uint64(), Lo: -9, Hi: 9}, r.p.F.Params[i].Type.DType, r.shapes[n])
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	return args, nil
}

// spreadOut copies tensors to queues.
func spreadOut(rng *rand.Rand, ts []*tensor.Tensor, queues []executors.Queue) (out []*tensor.Tensor, err error) {
	for _, t := range ts {
		c, err := ToQueue(t.Clone(), queues[rng.IntN(len(queues))])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func FuzzLoopsInPlace(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkLoopsInPlace(t, seed, map[string]int{}) })
}
