package runtime

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// fake is a kernel that a test writes in Go.
type fake struct {
	run     func(sizes map[string]int64, bufs [][]byte, scratch []byte) error
	scratch int
	bindErr error
	binds   atomic.Int64
}

func (k *fake) Bind(sizes map[string]int64) (executors.Launch, error) {
	k.binds.Add(1)
	return &fakeLaunch{k, sizes}, k.bindErr
}

func (*fake) Info() executors.Info { return executors.Info{Executor: "fake"} }

func (*fake) Dump(string) (string, bool) { return "", false }

type fakeLaunch struct {
	k     *fake
	sizes map[string]int64
}

func (l *fakeLaunch) ScratchBytes(int) int { return l.k.scratch }

func (l *fakeLaunch) Run(bufs [][]byte, scratch []byte, _ executors.Workers) error {
	return l.k.run(l.sizes, bufs, scratch)
}

// serial is one worker.
type serial struct{}

func (serial) Workers() int { return 1 }

func (serial) Run(chunks int, f func(chunk, worker int)) {
	for i := range chunks {
		f(i, 0)
	}
}

// addByte is a kernel of one operand and one result: every byte plus n.
func addByte(n byte) *fake {
	return &fake{run: func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		for i, x := range bufs[0] {
			bufs[1][i] = x + n
		}
		return nil
	}}
}

// builder makes fused functions of u8 tensors whose regions have any body of the
// right types: their kernels are fakes.
type builder struct {
	t     testing.TB
	f     *ir.Func
	b     *ir.Builder
	steps map[int]Step
}

func newBuilder(t testing.TB, syms ...string) *builder {
	facts := dim.NewFacts()
	for _, s := range syms {
		require.NoError(t, facts.Declare(s, 0, 1<<60))
	}
	f := ir.NewFunc("f", facts)
	return &builder{t: t, f: f, b: ir.NewBuilder(f), steps: map[int]Step{}}
}

// bytes is the type of n bytes.
func bytes(n dim.Expr) ir.Type { return ir.T(tensor.U8, n) }

func (b *builder) param(n dim.Expr) *ir.Value { return b.f.AddParam("", bytes(n), nil) }

// region appends a region that gives one result per size.
func (b *builder) region(step Step, sizes []dim.Expr, args ...*ir.Value) *ir.Value {
	body := ir.NewFunc("", b.f.Facts)
	bb := ir.NewBuilder(body)
	for _, a := range args {
		body.AddParam("", a.Type, nil)
	}
	for _, n := range sizes {
		body.Results = append(body.Results, bb.Splat(bytes(n), 1))
	}
	require.NoError(b.t, bb.Err())
	v := b.b.EmitRegion(body, args)
	require.NoError(b.t, b.b.Err())
	b.steps[v.ID] = step
	return v
}

// one is a region of one operand and one result, both of a size.
func (b *builder) one(k *fake, x *ir.Value) *ir.Value {
	return b.region(Step{Kernel: k}, x.Type.Shape, x)
}

func (b *builder) get(v *ir.Value, i int) *ir.Value {
	return b.b.Emit(ir.OpGet, []*ir.Value{v}, ir.Attr{Name: "index", Value: int64(i)})
}

// constant is a constant outside every region.
func (b *builder) constant(t *tensor.Tensor) *ir.Value {
	return b.b.Emit(ir.OpConstant, nil, ir.Attr{Name: "dtype", Value: t.DType()},
		ir.Attr{Name: "shape", Value: ir.Dims(t.Shape()...)}, ir.Attr{Name: "data", Value: t})
}

// link returns the program that gives the results, with an arena of its own.
func (b *builder) link(results ...*ir.Value) *Program {
	b.f.Results = results
	require.NoError(b.t, b.b.Err())
	p, err := Link(b.f, b.steps)
	require.NoError(b.t, err)
	p.memory = &arenas{}
	return p
}

func record(t testing.TB, p *Program, sizes map[string]int64) *Recording {
	r, err := p.Record(sizes, 1)
	require.NoError(t, err)
	return r
}

func u8(xs ...uint8) *tensor.Tensor {
	x, err := tensor.FromBytes(tensor.U8, []int{len(xs)}, xs)
	if err != nil {
		panic(err)
	}
	return x
}

// mustRun runs a recording into new results.
func mustRun(t *testing.T, r *Recording, args ...*tensor.Tensor) []*tensor.Tensor {
	results := r.Results()
	require.NoError(t, r.Run(args, results, serial{}))
	return results
}

// assertNoAllocs calls f many times; see raceEnabled.
func assertNoAllocs(t *testing.T, f func()) {
	t.Helper()
	if allocs := testing.AllocsPerRun(200, f); !raceEnabled {
		assert.Zero(t, allocs)
	}
}
