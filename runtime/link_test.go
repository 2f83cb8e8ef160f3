package runtime

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func TestAChainRunsThroughTheArena(t *testing.T) {
	b := newBuilder(t, "N")
	x := b.param(dim.Sym("N"))
	p := b.link(b.one(addByte(4), b.one(addByte(2), b.one(addByte(1), x))))
	r := record(t, p, map[string]int64{"N": 100})
	assert.Equal(t, 256, r.Arena, "two live at a time")
	assert.Equal(t, r.Arena, r.Live)
	x100 := tensor.Fill(tensor.U8, []int{100}, 10)
	assert.NoError(t, tensor.Check(mustRun(t, r, x100)[0], tensor.Fill(tensor.U8, []int{100}, 17), tensor.Exact))
	assert.NoError(t, tensor.Check(x100, tensor.Fill(tensor.U8, []int{100}, 10), tensor.Exact), "arguments stay as they are")
	empty := record(t, p, map[string]int64{"N": 0})
	assert.Zero(t, empty.Arena)
	assert.Equal(t, []int{0}, mustRun(t, empty, u8())[0].Shape())
}

// TestKernelsOfAnotherOrder has a kernel whose operands, results and symbols are
// the region's in another order and by other names.
func TestKernelsOfAnotherOrder(t *testing.T) {
	kernel := &fake{run: func(sizes map[string]int64, bufs [][]byte, _ []byte) error {
		assert.Equal(t, map[string]int64{"k0": 3, "k1": 1, "k2": 2}, sizes)
		in, out := bufs[:3], bufs[3:]
		assert.Equal(t, [][]byte{{30, 31, 32}, {10}, {20, 21}}, in)
		for i := range out {
			require.Len(t, out[i], []int{2, 3, 1}[i])
			for k := range out[i] {
				out[i][k] = byte(100*i + k)
			}
		}
		return nil
	}}
	b := newBuilder(t, "A", "B", "C")
	sa, sb, sc := dim.Sym("A"), dim.Sym("B"), dim.Sym("C")
	x, y, z := b.param(sa), b.param(sb), b.param(sc)
	v := b.region(Step{Kernel: kernel, Params: []int{2, 0, 1}, Results: []int{1, 2, 0},
		Syms: map[string]string{"k0": "C", "k1": "A", "k2": "B"}}, []dim.Expr{sa, sb, sc}, x, y, z)
	p := b.link(b.get(v, 2), b.get(v, 0), b.get(v, 1))
	out := mustRun(t, record(t, p, map[string]int64{"A": 1, "B": 2, "C": 3}), u8(10), u8(20, 21), u8(30, 31, 32))
	assert.Equal(t, []uint8{100, 101, 102}, tensor.Data[uint8](out[0]))
	assert.Equal(t, []uint8{200}, tensor.Data[uint8](out[1]))
	assert.Equal(t, []uint8{0, 1}, tensor.Data[uint8](out[2]))
}

// TestResultsFromAnywhere returns a parameter, constants, one value twice, and
// one that is read again; another result of the region is dropped.
func TestResultsFromAnywhere(t *testing.T) {
	b := newBuilder(t, "N")
	n := dim.Sym("N")
	x := b.param(n)
	two := &fake{run: func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		copy(bufs[1], bufs[0])
		clear(bufs[2]) // a dropped result must not share memory with a kept one
		return nil
	}}
	v := b.region(Step{Kernel: two}, []dim.Expr{n, n}, x)
	kept := b.get(v, 0)
	after := b.one(addByte(1), kept)
	static := b.constant(u8(7, 8))
	symbolic := b.b.Splat(bytes(n), 5)
	p := b.link(x, kept, kept, after, static, symbolic, static)
	for _, size := range []int{3, 0, 5} {
		arg := tensor.Fill(tensor.U8, []int{size}, 40)
		out := mustRun(t, record(t, p, map[string]int64{"N": int64(size)}), arg)
		for i, want := range []*tensor.Tensor{arg, arg, arg, tensor.Fill(tensor.U8, []int{size}, 41), u8(7, 8), tensor.Fill(tensor.U8, []int{size}, 5), u8(7, 8)} {
			assert.NoError(t, tensor.Check(out[i], want, tensor.Exact), "result %d", i)
		}
	}
}

func TestNothingToCompute(t *testing.T) {
	b := newBuilder(t)
	x := b.param(dim.Const(2))
	r := record(t, b.link(x), nil)
	assert.Equal(t, []uint8{1, 2}, tensor.Data[uint8](mustRun(t, r, u8(1, 2))[0]))
	assert.Empty(t, mustRun(t, record(t, newBuilder(t).link(), nil)))
}

func TestImpossibleProgramsPanic(t *testing.T) {
	for name, step := range map[string]Step{
		"no kernel":          {},
		"operand":            {Kernel: addByte(1), Params: []int{1}},
		"result":             {Kernel: addByte(1), Results: []int{-1}},
		"result twice":       {Kernel: addByte(1), Results: []int{0, 0}},
		"result not written": {Kernel: addByte(1), Results: []int{}},
	} {
		b := newBuilder(t)
		b.f.Results = []*ir.Value{b.region(step, []dim.Expr{dim.Const(1)}, b.param(dim.Const(1)))}
		assert.Panics(t, func() { _, _ = Link(b.f, b.steps) }, name)
	}
	b := newBuilder(t)
	b.f.Results = []*ir.Value{b.region(Step{Kernel: addByte(1)}, []dim.Expr{dim.Const(1), dim.Const(1)}, b.param(dim.Const(1)))}
	assert.Panics(t, func() { _, _ = Link(b.f, b.steps) }, "a tuple is no result")
	b = newBuilder(t)
	b.b.Unary(ir.OpNot, b.param(dim.Const(1)))
	assert.Panics(t, func() { _, _ = Link(b.f, b.steps) }, "an op in no region")
}
