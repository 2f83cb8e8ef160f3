package attention

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// array is an operand in memory: elements at strides in a buffer with a gap, never
// written, behind each row where strides leave one.
type array struct {
	dtype  tensor.DType
	lead   []int
	rows   int
	cols   int
	at     Strides
	values []float64 // [lead..., rows, cols]
}

// newArray draws values from draw, rounded to the element type.
func newArray(dt tensor.DType, lead []int, rows, cols int, at Strides, draw func() float64) *array {
	a := &array{dtype: dt, lead: lead, rows: rows, cols: cols, at: at}
	a.values = make([]float64, count(lead)*rows*cols)
	for i := range a.values {
		a.values[i] = decode(dt, encode(dt, draw()))
	}
	return a
}

func count(lead []int) int {
	n := 1
	for _, l := range lead {
		n *= l
	}
	return n
}

// each visits elements: their number in values and their place in memory. Where
// strides of 0 give a place to several, values are those of the last.
func (a *array) each(visit func(i, place int)) {
	i := 0
	for flat := range count(a.lead) {
		base, rest := 0, flat
		for axis := len(a.lead) - 1; axis >= 0; axis-- {
			base += rest % a.lead[axis] * a.at.Lead[axis]
			rest /= a.lead[axis]
		}
		for r := range a.rows {
			for c := range a.cols {
				visit(i, base+r*a.at.Row+c*a.at.Col)
				i++
			}
		}
	}
}

func (a *array) bytes() int {
	end := 0
	a.each(func(_, place int) { end = max(end, place+1) })
	return end * a.dtype.Size()
}

// settle makes values those that memory will hold.
func (a *array) settle() {
	held := map[int]float64{}
	a.each(func(i, place int) { held[place] = a.values[i] })
	a.each(func(i, place int) { a.values[i] = held[place] })
}

func (a *array) upload(t *testing.T, mem *sim.Memory, addr uint64) {
	a.settle()
	a.each(func(i, place int) {
		require.NoError(t, mem.Write(addr+uint64(place*a.dtype.Size()), encode(a.dtype, a.values[i])))
	})
}

func (a *array) download(t *testing.T, mem *sim.Memory, addr uint64) {
	b := make([]byte, a.bytes())
	require.NoError(t, mem.Read(addr, b))
	a.each(func(i, place int) { a.values[i] = decode(a.dtype, b[place*a.dtype.Size():]) })
}

func encode(dt tensor.DType, x float64) []byte {
	switch dt {
	case tensor.Bool:
		return []byte{byte(x)}
	case tensor.F16:
		return binary.LittleEndian.AppendUint16(nil, tensor.F64ToF16(x))
	case tensor.BF16:
		return binary.LittleEndian.AppendUint16(nil, tensor.F64ToBF16(x))
	}
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(x)))
}

func decode(dt tensor.DType, b []byte) float64 {
	switch dt {
	case tensor.Bool:
		return float64(b[0])
	case tensor.F16:
		return float64(tensor.F16ToF32(binary.LittleEndian.Uint16(b)))
	case tensor.BF16:
		return float64(tensor.BF16ToF32(binary.LittleEndian.Uint16(b)))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
}

// modules are parsed once per problem.
var modules sync.Map

func moduleOf(t *testing.T, p Problem, arch int) *sim.Module {
	key := fmt.Sprint(p, arch)
	if m, ok := modules.Load(key); ok {
		return m.(*sim.Module)
	}
	m := &asm.Module{Version: "7.8", Target: fmt.Sprintf("sm_%d", arch)}
	require.NoError(t, Emit(m, p, arch))
	parsed, err := sim.Parse(m.String())
	require.NoError(t, err)
	modules.Store(key, parsed)
	return parsed
}

// example is a problem with its operands.
type example struct {
	p          Problem
	arch       int
	s          Sizes
	q, k, v, o *array
	mask       *array
	stats      *array
	joins      func(*binding) bool
	runs       int // of the plan; 0 is 1
}

// drawn are distributions of elements.
func normal(r *rand.Rand, scale float64) func() float64 {
	return func() float64 { return scale * r.NormFloat64() }
}

// newExample has contiguous operands with normally distributed elements.
func newExample(p Problem, lead []int, queries, keys int, seed uint64) *example {
	s := Sizes{
		Lead: lead, Queries: queries, Keys: keys, Scale: 1 / math.Sqrt(float64(p.HeadDim)),
		Q: Contiguous(lead, queries, p.HeadDim), K: Contiguous(lead, keys, p.HeadDim),
		V: Contiguous(lead, keys, p.ValueDim), O: Contiguous(lead, queries, p.ValueDim), Mask: Contiguous(lead, queries, keys),
	}
	return stridedExample(p, s, seed)
}

func stridedExample(p Problem, s Sizes, seed uint64) *example {
	r := rand.New(rand.NewPCG(seed, 1))
	e := &example{p: p, arch: testArch, s: s, joins: (*binding).joins}
	e.q = newArray(p.DType, s.Lead, s.Queries, p.HeadDim, s.Q, normal(r, 1))
	e.k = newArray(p.DType, s.Lead, s.Keys, p.HeadDim, s.K, normal(r, 1))
	e.v = newArray(p.DType, s.Lead, s.Keys, p.ValueDim, s.V, normal(r, 1))
	e.o = newArray(p.DType, s.Lead, s.Queries, p.ValueDim, s.O, func() float64 { return 0 })
	switch p.Mask {
	case BoolMask:
		e.mask = newArray(tensor.Bool, s.Lead, s.Queries, s.Keys, s.Mask, func() float64 { return float64(r.IntN(4) / 3) })
	case AddMask:
		e.mask = newArray(p.DType, s.Lead, s.Queries, s.Keys, s.Mask, normal(r, 2))
	}
	e.stats = newArray(tensor.F32, s.Lead, s.Queries, 1, Contiguous(s.Lead, s.Queries, 1), func() float64 { return 0 })
	return e
}

const testArch, testMultiprocessors = 80, 4

// run binds and runs the example; it returns what the launches of the last run did.
func (e *example) run(t *testing.T, o sim.Options) []sim.Stats {
	t.Helper()
	plan, err := bind(e.p, e.arch, e.s, testMultiprocessors, e.joins)
	require.NoError(t, err)
	mem, next := sim.NewMemory(), uint64(0x7f0000000000)
	place := func(bytes int) uint64 {
		at := next
		if bytes > 0 {
			require.NoError(t, mem.Map(at, bytes))
		}
		next += uint64(roundUp(bytes, 256) + 4096)
		return at
	}
	addresses := map[Operand]uint64{Scratch: place(plan.Scratch), Counters: place(plan.Counters)}
	require.NoError(t, mem.Fill(addresses[Counters], 0, plan.Counters))
	for which, a := range map[Operand]*array{Q: e.q, K: e.k, V: e.v, Mask: e.mask, O: e.o, Stats: e.stats} {
		if a != nil {
			addresses[which] = place(a.bytes())
			if which != O && which != Stats {
				a.upload(t, mem, addresses[which])
			}
		}
	}
	var stats []sim.Stats
	for range max(1, e.runs) {
		stats = stats[:0]
		for _, l := range plan.Launches {
			st, err := launch(moduleOf(t, e.p, e.arch), mem, l, addresses, o)
			require.NoError(t, err)
			stats = append(stats, st)
		}
	}
	counters := make([]byte, plan.Counters)
	require.NoError(t, mem.Read(addresses[Counters], counters))
	require.Equal(t, make([]byte, plan.Counters), counters, "counters")
	e.o.download(t, mem, addresses[O])
	if e.p.Stats {
		e.stats.download(t, mem, addresses[Stats])
	}
	return stats
}

func launch(m *sim.Module, mem *sim.Memory, l Launch, addresses map[Operand]uint64, o sim.Options) (sim.Stats, error) {
	params := append([]byte(nil), l.Params...)
	for _, p := range l.Pointers {
		binary.LittleEndian.PutUint64(params[p.At:], addresses[p.Operand]+uint64(p.Offset))
	}
	three := func(n [3]uint32) [3]int { return [3]int{int(n[0]), int(n[1]), int(n[2])} }
	return m.Run(mem, sim.Launch{Entry: l.Entry, Grid: three(l.Grid), Block: three(l.Block), Shared: int(l.Shared), Params: params}, o)
}

// want is the result in float64, and log of the sums.
func (e *example) want() (o, stats []float64) {
	for flat := range count(e.s.Lead) {
		for i := range e.s.Queries {
			row, lse := e.wantRow(flat, i)
			o, stats = append(o, row...), append(stats, lse)
		}
	}
	return o, stats
}

// weights are exp(score - top) of a query's keys, and their sum.
func (e *example) weights(flat, i int) (ws []float64, top, sum float64) {
	n, cols := e.s.Keys, e.p.HeadDim
	ws = make([]float64, n)
	top = math.Inf(-1)
	for j := range ws {
		dot := 0.0
		for c := range cols {
			dot += e.q.values[(flat*e.s.Queries+i)*cols+c] * e.k.values[(flat*n+j)*cols+c]
		}
		ws[j] = dot * e.s.Scale
		if e.mask != nil {
			m := e.mask.values[(flat*e.s.Queries+i)*n+j]
			switch {
			case e.p.Mask == AddMask:
				ws[j] += m
			case m == 0:
				ws[j] = math.Inf(-1)
			}
		}
		if e.p.Causal && j > i {
			ws[j] = math.Inf(-1)
		}
		top = math.Max(top, ws[j])
	}
	for j := range ws {
		ws[j] = math.Exp(ws[j] - top)
		sum += ws[j]
	}
	return ws, top, sum
}

func (e *example) wantRow(flat, i int) (row []float64, lse float64) {
	ws, top, sum := e.weights(flat, i)
	row = make([]float64, e.p.ValueDim)
	for j, w := range ws {
		for c := range row {
			row[c] += w / sum * e.v.values[(flat*e.s.Keys+j)*e.p.ValueDim+c]
		}
	}
	if math.IsInf(top, -1) { // of nothing
		return row, top
	}
	return row, top + math.Log(sum)
}

// tolerance is the greatest error for values of magnitude 1: of 16 bits, half an
// ulp of the weights (which may all err alike) and half one of the result.
func (p Problem) tolerance() float64 {
	switch p.DType {
	case tensor.BF16:
		return 0x1p-8
	case tensor.F16:
		return 0x1p-11
	}
	return 0x1p-18
}

// check runs the example and compares.
func (e *example) check(t *testing.T, o sim.Options) []sim.Stats {
	t.Helper()
	stats := e.run(t, o)
	want, logs := e.want()
	compare(t, e.o.values, want, e.p.tolerance())
	if e.p.Stats {
		compare(t, e.stats.values, logs, 0x1p-19)
	}
	return stats
}

// compare fails at the first element that is off by more than the tolerance times
// 1 + its magnitude; NaN is as good as any NaN.
func compare(t *testing.T, got, want []float64, tolerance float64) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		same := got[i] == w || math.IsNaN(w) && math.IsNaN(got[i])
		if !same && !(math.Abs(got[i]-w) <= tolerance*(1+math.Abs(w))) {
			require.Failf(t, "wrong", "element %d of %d: expected %g, got %g", i, len(want), w, got[i])
		}
	}
}
