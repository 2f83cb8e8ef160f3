package cumulative

import (
	"encoding/binary"
	"fmt"
	"math"
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

const testArch = 80

var races = sim.Options{GlobalRaces: true}

// operand has random small integers, so that sums are exact in any order as long as
// they are, and for products 1, -1 and, of integers, other odd numbers.
func operand(p Problem, s Sizes, seed uint64) *tensor.Tensor {
	r := rand.New(rand.NewPCG(seed, 5))
	xs := make([]float64, s.Outer*s.Axis*s.Inner)
	for i := range xs {
		switch {
		case p.Combine == "mul" && (p.DType.IsFloat() || r.IntN(3) > 0):
			xs[i] = []float64{1, 1, -1}[r.IntN(3)]
		case p.Combine == "mul":
			xs[i] = float64(3 + 2*r.IntN(3)) // odd: products wrap, and do not vanish
		default:
			xs[i] = float64(r.IntN(7) - 3)
		}
		if p.DType.IsUnsigned() {
			xs[i] = math.Abs(xs[i])
		}
	}
	return tensor.FromFloats(p.DType, []int{s.Outer, s.Axis, s.Inner}, xs)
}

// evaluated is the op's evaluation.
func evaluated(t testing.TB, p Problem, s Sizes, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	b := ir.NewBuilder(ir.NewFunc("f", nil))
	v := b.Emit(ir.OpCumulative, []*ir.Value{b.F.AddParam("", ir.TConst(x.DType(), x.Shape()...), nil)},
		ir.Attr{Name: "axis", Value: int64(1)}, ir.Attr{Name: "combine", Value: p.Combine}, ir.Attr{Name: "reverse", Value: s.Reverse})
	require.NoError(t, b.Err())
	out, err := ir.EvalValue(v, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	return out[0]
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

// memory has buffers of exactly their sizes.
type memory struct {
	*sim.Memory
	next uint64
}

func (m *memory) add(t testing.TB, data []byte) (at uint64) {
	t.Helper()
	at = m.next
	if len(data) > 0 {
		require.NoError(t, m.Map(at, len(data)))
		require.NoError(t, m.Write(at, data))
	}
	m.next += uint64(len(data)+8191) &^ 4095
	return at
}

// launched runs the plan for so many multiprocessors, and returns the result and what was
// launched. Scratch memory begins as ones.
func launched(t testing.TB, m *sim.Module, p Problem, s Sizes, x *tensor.Tensor, multiprocessors int, o sim.Options) (result *tensor.Tensor, entries []string, err error) {
	t.Helper()
	plan, err := Bind(p, testArch, s, multiprocessors)
	require.NoError(t, err)
	mem := &memory{sim.NewMemory(), 0x7f0000000000}
	before, _ := x.Bytes()
	at := map[int]uint64{0: mem.add(t, before), 1: mem.add(t, make([]byte, len(before)))}
	if plan.Scratch > 0 {
		at[ptx.Scratch] = mem.add(t, slices.Repeat([]byte{0xFF}, plan.Scratch))
	}
	for _, l := range plan.Launches {
		params := slices.Clone(l.Params)
		for _, q := range l.Pointers {
			require.Contains(t, at, q.Buf)
			binary.LittleEndian.PutUint64(params[q.At:], at[q.Buf]+uint64(q.Offset))
		}
		three := func(n [3]uint32) [3]int { return [3]int{int(n[0]), int(n[1]), int(n[2])} }
		entries = append(entries, l.Entry)
		if _, err := m.Run(mem.Memory, sim.Launch{Entry: l.Entry, Grid: three(l.Grid), Block: three(l.Block), Shared: int(l.Shared), Params: params}, o); err != nil {
			return nil, entries, err
		}
	}
	result = tensor.New(p.DType, x.Shape()...)
	after, _ := result.Bytes()
	if len(after) > 0 {
		require.NoError(t, mem.Read(at[1], after))
		same := make([]byte, len(before))
		require.NoError(t, mem.Read(at[0], same))
		require.Equal(t, before, same)
	}
	return result, entries, nil
}
