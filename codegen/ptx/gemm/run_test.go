package gemm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// encode appends an element.
func encode(b []byte, d tensor.DType, v float64) []byte {
	switch d {
	case tensor.BF16:
		return binary.LittleEndian.AppendUint16(b, tensor.F64ToBF16(v))
	case tensor.F16:
		return binary.LittleEndian.AppendUint16(b, tensor.F64ToF16(v))
	case tensor.F64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	case tensor.I32:
		return binary.LittleEndian.AppendUint32(b, uint32(int32(v)))
	}
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
}

// decode is the element at the beginning of b.
func decode(b []byte, d tensor.DType) float64 {
	switch d {
	case tensor.BF16:
		return float64(tensor.BF16ToF32(binary.LittleEndian.Uint16(b)))
	case tensor.F16:
		return float64(tensor.F16ToF32(binary.LittleEndian.Uint16(b)))
	case tensor.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case tensor.I32:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
}

// shape is what the sizes of a case are made from.
type shape struct {
	M, N, K   int64
	Batch     []int64
	Pad       int64 // elements between rows
	Offset    int64
	Broadcast bool // B has no batch stride
	Align     int  // of buffers; 0 is 256
}

// stridesOf lays an operand out with rows pad apart.
func (sh shape) stridesOf(mn int64, m Major, broadcast bool) Operand {
	o := Operand{Offset: sh.Offset, Align: 256}
	if sh.Align != 0 {
		o.Align = sh.Align
	}
	size := int64(0)
	switch m {
	case KMajor:
		o.K, o.MN, size = 1, sh.K+sh.Pad, mn*(sh.K+sh.Pad)
	case MNMajor:
		o.MN, o.K, size = 1, mn+sh.Pad, sh.K*(mn+sh.Pad)
	case Strided:
		o.K, o.MN, size = 2, 2*sh.K+sh.Pad, mn*(2*sh.K+sh.Pad)
	}
	o.Batch = make([]int64, len(sh.Batch))
	for i := len(sh.Batch) - 1; i >= 0 && !broadcast; i-- {
		o.Batch[i] = size
		size *= sh.Batch[i]
	}
	return o
}

func (sh shape) sizes(p Problem) Sizes {
	return Sizes{
		M: sh.M, N: sh.N, K: sh.K, Batch: sh.Batch,
		A: sh.stridesOf(sh.M, p.AContract, false),
		B: sh.stridesOf(sh.N, p.BContract, sh.Broadcast),
	}
}

// each visits all batch indices.
func each(extents []int64, visit func(at []int64)) {
	at := make([]int64, len(extents))
	var walk func(i int)
	walk = func(i int) {
		if i == len(extents) {
			visit(at)
			return
		}
		for at[i] = range extents[i] {
			walk(i + 1)
		}
	}
	walk(0)
}

// at is the place of an element in its buffer.
func (o Operand) at(batch []int64, mn, k int64) int64 {
	n := o.Offset + mn*o.MN + k*o.K
	for i, b := range batch {
		n += b * o.Batch[i]
	}
	return n
}

// matrix is an operand with values, in memory.
type matrix struct {
	Operand
	values []float64 // by place, as rounded to the type; NaN where there is no element
}

// fill writes values to an operand's elements; what lies between stays unwritten.
func fill(t *testing.T, mem *sim.Memory, addr uint64, o Operand, d tensor.DType, mn, k int64, batch []int64, value func() float64) matrix {
	size, m := int64(d.Size()), matrix{Operand: o}
	each(batch, func(b []int64) {
		for i := range mn {
			for j := range k {
				place := o.at(b, i, j)
				for int64(len(m.values)) <= place {
					m.values = append(m.values, math.NaN())
				}
				m.values[place] = 0
			}
		}
	})
	require.NoError(t, mem.Map(addr, max(len(m.values), 1)*int(size)))
	var run []byte // of neighbours
	for place, v := range append(m.values, math.NaN()) {
		if v == 0 {
			run = encode(run, d, value())
			m.values[place] = decode(run[len(run)-int(size):], d)
			continue
		}
		if err := mem.Write(addr+uint64(place)*uint64(size)-uint64(len(run)), run); err != nil {
			require.NoError(t, err)
		}
		run = run[:0]
	}
	return m
}

// integers are small whole numbers: their products are exact in every type.
func integers(r *rand.Rand) func() float64 {
	return func() float64 { return float64(r.IntN(9) - 4) }
}

// reals are from -1 to 1.
func reals(r *rand.Rand) func() float64 { return func() float64 { return 2*r.Float64() - 1 } }

const (
	addrA   = 0x7000_0000_0000
	addrB   = 0x7100_0000_0000
	addrOut = 0x7200_0000_0000
	scratch = 0x7300_0000_0000
	zeros   = 0x7400_0000_0000
)

// built is a parsed module of all candidates.
type built struct {
	p       Problem
	cs      []Config
	at      map[string]int
	kernels map[string]*asm.Kernel
	module  *sim.Module
}

func build(t *testing.T, p Problem) *built {
	return buildOf(t, p, Candidates(p, archOf(p)), nil)
}

// archOf is what a problem is emitted for.
func archOf(p Problem) int {
	if p.Wgmma {
		return 90
	}
	return 80
}

// buildKind is a parsed module of the candidates of a kind.
func buildKind(t *testing.T, p Problem, kind Kind, edit func(string) string) *built {
	cs := slices.DeleteFunc(Candidates(p, archOf(p)), func(c Config) bool { return c.Kind != kind })
	require.NotEmpty(t, cs)
	return buildOf(t, p, cs, edit)
}

// buildOf is a parsed module of configurations, whose text is as edit leaves it.
func buildOf(t *testing.T, p Problem, cs []Config, edit func(string) string) *built {
	m, at := moduleOf(p, archOf(p), cs)
	code := m.String()
	if edit != nil {
		code = edit(code)
	}
	parsed, err := sim.Parse(code)
	require.NoError(t, err, text(p))
	b := &built{p, cs, at, map[string]*asm.Kernel{}, parsed}
	for _, k := range m.Kernels {
		b.kernels[k.Name] = k
	}
	return b
}

// params is the parameter block of an entry.
func (b *built) params(name string, l Launch, s Sizes) []byte {
	k := b.kernels[name]
	p := make([]byte, k.ParamBytes())
	copy(p[b.at[name]:], l.Params)
	addr := map[What]uint64{OperandA: addrA, OperandB: addrB, Scratch: scratch, Counters: zeros}
	for _, q := range l.Pointers {
		binary.LittleEndian.PutUint64(p[b.at[name]+q.At:], addr[q.What]+uint64(q.Offset))
	}
	size := int64(arithmetic[b.p.Acc].bytes)
	for _, m := range l.Maps {
		slot := p[b.at[name]+m.At:][:tensormap.Bytes]
		if err := sim.EncodeTensorMap(slot, &m.Tensor, addr[m.What]+uint64(m.Offset)); err != nil {
			panic(err)
		}
	}
	value := map[string]int64{"out": addrOut, "out_n": size, "out_m": s.N * size}
	stride := s.M * s.N * size
	for i := len(s.Batch) - 1; i >= 0; i-- {
		value["out_b"+string(rune('0'+i))] = stride
		stride *= s.Batch[i]
	}
	for _, q := range k.Params {
		if v, ok := value[q.Name]; ok {
			binary.LittleEndian.PutUint64(p[q.Offset:], uint64(v))
		}
	}
	return p
}

// run runs a choice, and returns the product less one and what was counted. Counters,
// which it maps if nobody has, must be zero again.
func (b *built) run(t *testing.T, mem *sim.Memory, ch *Choice, s Sizes, seed int64) ([]float64, sim.Stats) {
	size := arithmetic[b.p.Acc].bytes
	n := int(s.M * s.N * s.batches())
	require.NoError(t, mem.Map(addrOut, max(1, n)*size))
	if ch.Scratch > 0 {
		require.NoError(t, mem.Map(scratch, int(ch.Scratch)))
		defer func() { require.NoError(t, mem.Unmap(scratch)) }()
	}
	counters := make([]byte, ch.Counters)
	if ch.Counters > 0 && mem.Read(zeros, counters[:1]) != nil {
		require.NoError(t, mem.Map(zeros, len(counters)))
		require.NoError(t, mem.Fill(zeros, 0, len(counters)))
	}
	stats := b.launch(t, mem, entryName(ch.Config), ch.Main, s, seed)
	if ch.Sum != nil {
		more := b.launch(t, mem, "sum", *ch.Sum, s, seed)
		stats.Add(more)
	}
	if ch.Counters > 0 {
		require.NoError(t, mem.Read(zeros, counters))
		require.Equal(t, make([]byte, ch.Counters), counters, "counters")
	}
	raw := make([]byte, n*size)
	if n > 0 {
		require.NoError(t, mem.Read(addrOut, raw))
	}
	require.NoError(t, mem.Unmap(addrOut))
	out := make([]float64, n)
	for i := range out {
		out[i] = decode(raw[i*size:], b.p.Acc) - 1
	}
	return out, stats
}

func (b *built) launch(t *testing.T, mem *sim.Memory, name string, l Launch, s Sizes, seed int64) sim.Stats {
	st, err := b.try(mem, name, l, s, seed)
	require.NoError(t, err, "%s of %s at %+v", name, text(b.p), s)
	return st
}

func (b *built) try(mem *sim.Memory, name string, l Launch, s Sizes, seed int64) (sim.Stats, error) {
	if l.Grid[0] == 0 {
		return sim.Stats{}, nil
	}
	triple := func(v [3]uint32) [3]int { return [3]int{int(v[0]), int(v[1]), int(v[2])} }
	return b.module.Run(mem, sim.Launch{
		Entry: name, Grid: triple(l.Grid), Block: triple(l.Block),
		Shared: int(l.Shared), Params: b.params(name, l, s),
	}, sim.Options{Perturb: seed, GlobalRaces: slices.ContainsFunc(l.Pointers, func(p Pointer) bool { return p.What == Scratch })})
}

// reference is the product in float64, and the sum of the absolute values of its
// terms.
func reference(s Sizes, a, b matrix) (out, size []float64) {
	each(s.Batch, func(batch []int64) {
		for m := range s.M {
			for n := range s.N {
				sum, all := 0.0, 0.0
				i, j := a.at(batch, m, 0), b.at(batch, n, 0)
				for range s.K {
					v := a.values[i] * b.values[j]
					sum, all = sum+v, all+math.Abs(v)
					i, j = i+a.K, j+b.K
				}
				out, size = append(out, sum), append(size, all)
			}
		}
	})
	return out, size
}
