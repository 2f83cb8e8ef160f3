package runtime

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestSizesThatCannotRun are refused by Record, before a kernel is bound.
func TestSizesThatCannotRun(t *testing.T) {
	facts := dim.NewFacts()
	require.NoError(t, facts.Declare("N", 1, 1<<60))
	require.NoError(t, facts.SetDivisible("N", 2))
	f := ir.NewFunc("f", facts)
	b := &builder{t: t, f: f, b: ir.NewBuilder(f), steps: map[int]Step{}}
	n, kernel := dim.Sym("N"), addByte(1)
	x := b.param(n)
	v := b.one(kernel, x)
	for range 3 {
		v = b.one(kernel, v)
	}
	shorter := b.region(Step{Kernel: kernel}, []dim.Expr{n.Sub(dim.Const(8))}, v)
	p := b.link(shorter)
	for _, c := range []struct {
		sizes   map[string]int64
		workers int
		want    string
	}{
		{map[string]int64{"N": 16}, 0, "at least one worker"},
		{nil, 1, "N"},
		{map[string]int64{"N": 0}, 1, "N"},
		{map[string]int64{"N": 9}, 1, "N % 2"},
		{map[string]int64{"N": 4}, 1, "negative"},
		{map[string]int64{"N": 1 << 47}, 1, "too large"},
		{map[string]int64{"N": 1 << 59}, 1, "too large"},
		{map[string]int64{"N": 1 << 46}, 1, "too much memory"},
	} {
		_, err := p.Record(c.sizes, c.workers)
		assert.ErrorContains(t, err, c.want, "%v", c.sizes)
	}
	assert.Zero(t, kernel.binds.Load())
	sizes := map[string]int64{"N": 8}
	r := record(t, p, sizes)
	sizes["N"] = 2
	assert.EqualValues(t, 8, r.Sizes["N"], "the recording has its own sizes")
}

// TestTheSumOfSizesOverflows has a plan whose sizes add up to more than an int.
func TestTheSumOfSizesOverflows(t *testing.T) {
	b := newBuilder(t, "N")
	v := b.param(dim.Sym("N"))
	sizes := make([]dim.Expr, 70_000)
	for i := range sizes {
		sizes[i] = dim.Sym("N")
	}
	v = b.one(addByte(1), b.get(b.region(Step{Kernel: addByte(1)}, sizes, v), 0))
	_, err := b.link(v).Record(map[string]int64{"N": 1 << 46}, 1)
	assert.ErrorContains(t, err, "too much memory")
}

func TestKernelsThatCannotBeBound(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		step Step
		want string
	}{
		"bind":             {Step{Kernel: &fake{bindErr: refused}}, "refused"},
		"negative scratch": {Step{Kernel: &fake{scratch: -1}}, "-1 bytes of scratch"},
		"huge scratch":     {Step{Kernel: &fake{scratch: MaxBytes + 1}}, "bytes of scratch"},
		"unknown symbol":   {Step{Kernel: addByte(1), Syms: map[string]string{"a": "M"}}, "no value for the size M"},
	} {
		b := newBuilder(t, "N")
		v := b.region(c.step, []dim.Expr{dim.Sym("N")}, b.param(dim.Sym("N")))
		_, err := b.link(v).Record(map[string]int64{"N": 4}, 1)
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, "@f", name)
	}
}

func TestConstantsThatCannotBeEvaluated(t *testing.T) {
	b := newBuilder(t)
	b.f.Results = []*ir.Value{b.b.Splat(ir.T(tensor.F64, dim.Const(1<<61)), 1)}
	require.NoError(t, b.b.Err())
	_, err := Link(b.f, nil)
	assert.ErrorContains(t, err, "constant at")
}

func TestScratchStandsBesideTheArena(t *testing.T) {
	b := newBuilder(t)
	var seen [][]byte
	k := &fake{scratch: 100, run: func(_ map[string]int64, bufs [][]byte, scratch []byte) error {
		seen = append(seen, scratch[:100])
		for i := range scratch {
			scratch[i] = 0xEE
		}
		copy(bufs[1], bufs[0])
		return nil
	}}
	r := record(t, b.link(b.one(k, b.one(k, b.one(k, b.param(dim.Const(70)))))), nil)
	assert.Equal(t, []int{256, 128}, []int{r.Arena, r.Scratch})
	x := tensor.Fill(tensor.U8, []int{70}, 3)
	assert.NoError(t, tensor.Check(mustRun(t, r, x)[0], x, tensor.Exact), "scratch overlaps nothing")
	require.Len(t, seen, 3)
	assert.Zero(t, address(seen[0])%64)
	assert.Equal(t, address(seen[0]), address(seen[2]))
}
