package update

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir"
	"jitc/ir/tensor"
)

const testArch, testMultiprocessors = 90, 3

// example is an update, as a value of the IR, with operands.
type example struct {
	p    Problem
	v    *ir.Value
	args []*tensor.Tensor
	bind func(p Problem) (*ptx.Plan, error)
}

// scatterExample has indices that meet, and some beyond both ends.
func scatterExample(t testing.TB, p Problem, s ScatterSizes, seed uint64) *example {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	x, at, u := []int{s.Lead / s.Outer, s.Outer, s.Size, s.Row}, []int{s.Lead / s.Outer, s.Picks}, []int{s.Lead / s.Outer, s.Outer, s.Picks, s.Row}
	s.Indices.Buf, s.Updates.Buf, s.Result.Buf = 1, 2, 3
	s.PickStride, s.LeadStride = s.Row, s.Picks*s.Row
	e := &example{p: p, bind: func(p Problem) (*ptx.Plan, error) { return BindScatter(p, testArch, s, testMultiprocessors) }}
	e.args = []*tensor.Tensor{random(r, p.DType, x, -3, 3), random(r, p.Index, at, -2, float64(s.Size)+2), random(r, p.DType, u, -3, 3)}
	e.apply(t, ir.OpScatter, ir.Attr{Name: "axis", Value: int64(2)}, ir.Attr{Name: "batch_dims", Value: int64(1)}, ir.Attr{Name: "combine", Value: p.Combine})
	return e
}

// boxExample updates a part of x at starts.
func boxExample(t testing.TB, p Problem, x, u []int, starts []int64, seed uint64) *example {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 4))
	e := &example{p: p, args: []*tensor.Tensor{random(r, p.DType, x, -3, 3), random(r, p.DType, u, -3, 3)}}
	result := len(starts) + 2
	whole := Move{To: Place{Buf: result}, Sizes: []int{e.args[0].NumElements()}, FromStrides: []int{1}, ToStrides: []int{1}, Whole: true}
	box := Move{From: Place{Buf: 1}, To: Place{Buf: result}, Sizes: u, FromStrides: tensor.RowMajor(u), ToStrides: tensor.RowMajor(x)}
	for i, at := range starts {
		e.args = append(e.args, tensor.FromInts(p.Index, nil, []int64{at}))
		box.Starts = append(box.Starts, Start{Place{Buf: 2 + i}, x[i] - u[i], box.ToStrides[i]})
	}
	if len(u) == 0 {
		box.Sizes, box.FromStrides, box.ToStrides = []int{1}, []int{1}, []int{1}
	}
	e.bind = func(p Problem) (*ptx.Plan, error) {
		return BindMoves(p, testArch, []Move{whole, box}, testMultiprocessors)
	}
	e.apply(t, ir.OpDynamicUpdateSlice)
	return e
}

func (e *example) apply(t testing.TB, op ir.Op, attrs ...ir.Attr) {
	t.Helper()
	b := ir.NewBuilder(ir.NewFunc("f", nil))
	params := make([]*ir.Value, len(e.args))
	for i, a := range e.args {
		params[i] = b.F.AddParam("", ir.TConst(a.DType(), a.Shape()...), nil)
	}
	e.v = b.Emit(op, params, attrs...)
	require.NoError(t, b.Err())
}

func random(r *rand.Rand, dt tensor.DType, shape []int, lo, hi float64) *tensor.Tensor {
	n, _ := tensor.CheckedElements(shape)
	xs := make([]float64, n)
	for i := range xs {
		if xs[i] = lo + r.Float64()*(hi-lo); dt.IsUnsigned() {
			xs[i] = max(xs[i], 0)
		}
	}
	return tensor.FromFloats(dt, shape, xs)
}

func (e *example) want(t testing.TB) []byte {
	t.Helper()
	out, err := ir.EvalValue(e.v, e.args, nil)
	require.NoError(t, err)
	b, _ := out[0].Contiguous().Bytes()
	return b
}

var parsed sync.Map // of a problem's modules

func moduleOf(t testing.TB, p Problem) *sim.Module {
	t.Helper()
	if m, ok := parsed.Load(p); ok {
		return m.(*sim.Module)
	}
	m, err := sim.Parse(textOf(t, p))
	require.NoError(t, err)
	parsed.Store(p, m)
	return m
}

func textOf(t testing.TB, p Problem) string {
	t.Helper()
	m := &asm.Module{Version: "7.8", Target: fmt.Sprintf("sm_%d", testArch)}
	require.NoError(t, Emit(m, p, testArch))
	return m.String()
}

// run runs the plan on buffers of exactly their sizes, the result in the operand's or
// in one of its own, and returns the result and what was launched.
func (e *example) run(t testing.TB, m *sim.Module, inPlace bool, o sim.Options) (result []byte, entries []string, err error) {
	t.Helper()
	plan, err := e.bind(e.p)
	require.NoError(t, err)
	require.Zero(t, plan.Scratch)
	mem, next := sim.NewMemory(), uint64(0x7f0000000000)
	var at []uint64
	for i := range len(e.args) + 1 {
		var data []byte
		if i < len(e.args) {
			data, _ = e.args[i].Contiguous().Bytes()
		} else if inPlace {
			at = append(at, at[0])
			continue
		} else {
			data = make([]byte, e.args[0].NumBytes())
		}
		if at = append(at, next); len(data) > 0 {
			require.NoError(t, mem.Map(next, len(data)))
			if i < len(e.args) {
				require.NoError(t, mem.Write(next, data))
			}
		}
		next += uint64(len(data)+8191) &^ 4095
	}
	for _, l := range plan.Launches {
		params := slices.Clone(l.Params)
		for _, p := range l.Pointers {
			binary.LittleEndian.PutUint64(params[p.At:], at[p.Buf]+uint64(p.Offset))
		}
		three := func(n [3]uint32) [3]int { return [3]int{int(n[0]), int(n[1]), int(n[2])} }
		_, err := m.Run(mem, sim.Launch{Entry: l.Entry, Grid: three(l.Grid), Block: three(l.Block), Shared: int(l.Shared), Params: params}, o)
		if entries = append(entries, l.Entry); err != nil {
			return nil, entries, err
		}
	}
	for i, a := range e.args {
		if i == 0 && inPlace {
			continue
		}
		before, _ := a.Contiguous().Bytes()
		after := make([]byte, len(before))
		if len(before) > 0 {
			require.NoError(t, mem.Read(at[i], after))
		}
		require.Equal(t, before, after, "operand %d", i)
	}
	result = make([]byte, e.args[0].NumBytes())
	if len(result) > 0 {
		require.NoError(t, mem.Read(at[len(e.args)], result))
	}
	return result, entries, nil
}

// check runs the example in place and apart, and compares every bit; it returns the
// last entry.
func (e *example) check(t testing.TB, o sim.Options) string {
	t.Helper()
	want, last := e.want(t), ""
	for _, inPlace := range []bool{false, true} {
		got, entries, err := e.run(t, moduleOf(t, e.p), inPlace, o)
		require.NoError(t, err, "%+v in place: %v", e.p, inPlace)
		require.Equal(t, want, got, "%+v in place: %v", e.p, inPlace)
		if last = ""; len(entries) > 0 {
			last = entries[len(entries)-1]
		}
	}
	return last
}

// replaced is the module with every occurrence of a text replaced, of which there is
// at least one.
func replaced(t testing.TB, p Problem, old, new string) *sim.Module {
	t.Helper()
	text := textOf(t, p)
	require.Contains(t, text, old)
	m, err := sim.Parse(strings.ReplaceAll(text, old, new))
	require.NoError(t, err)
	return m
}
