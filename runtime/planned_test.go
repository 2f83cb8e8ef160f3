package runtime

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func TestPlanListsTheIntermediates(t *testing.T) {
	b := newBuilder(t, "N")
	n := dim.Sym("N")
	x := b.param(n)
	swapped := &fake{run: func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		for i, v := range bufs[0] {
			bufs[1][2*i], bufs[1][2*i+1], bufs[2][i] = v, v, v+1
		}
		return nil
	}}
	pair := b.region(Step{Kernel: swapped, Results: []int{1, 0}}, []dim.Expr{n, n.Mul(dim.Const(2))}, x)
	next := b.one(addByte(1), b.get(pair, 0))
	last := b.one(addByte(1), next)
	p := b.link(last, b.constant(u8(1)))

	r := record(t, p, map[string]int64{"N": 100})
	plan := r.Plan()
	require.Len(t, plan, 3, "the last region's result is the program's")
	for i, want := range []PlannedBlock{
		{Region: pair, Result: 0, Bytes: 100, First: 0, Last: 1},
		{Region: pair, Result: 1, Bytes: 200, First: 0, Last: 0},
		{Region: next, Result: 0, Bytes: 100, First: 1, Last: 2},
	} {
		want.Offset = plan[i].Offset
		assert.Equal(t, want, plan[i])
		assert.Zero(t, want.Offset%align)
		assert.LessOrEqual(t, want.Offset+want.Bytes, r.Arena)
	}
	assert.Equal(t, []uint8{9}, tensor.Data[uint8](mustRun(t, record(t, p, map[string]int64{"N": 1}), u8(6))[0]))

	assert.Empty(t, record(t, p, map[string]int64{"N": 0}).Plan(), "no elements, no place")
	assert.Empty(t, record(t, newBuilder(t).link(), nil).Plan())
}

// The plan is what a run uses: blocks that live at one time lie apart.
func TestPlannedBlocksLieApart(t *testing.T) {
	b := newBuilder(t)
	x := b.param(dim.Const(1000))
	live := []*ir.Value{x}
	for i := range 40 {
		live = append(live, b.one(addByte(1), live[i/3*2]))
	}
	r := record(t, b.link(live[40], live[39]), nil)
	plan := r.Plan()
	require.Len(t, plan, 38)
	top := 0
	for i, p := range plan {
		top = max(top, p.Offset+alignUp(p.Bytes))
		for _, q := range plan[:i] {
			apart := p.Last < q.First || q.Last < p.First || p.Offset+p.Bytes <= q.Offset || q.Offset+q.Bytes <= p.Offset
			assert.True(t, apart, "%+v and %+v", p, q)
		}
	}
	assert.Equal(t, r.Arena, top)
}
