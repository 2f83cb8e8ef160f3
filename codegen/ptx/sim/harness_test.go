package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The registers of every kernel of these tests: %h (16 bits), %r, %f, %d (64 bits),
// %g (f64) and %p.
const declarations = `
	.reg .pred %p<10>; .reg .b16 %h<20>; .reg .b32 %r<40>; .reg .f32 %f<40>; .reg .b64 %d<20>; .reg .f64 %g<20>;
`

// module wraps a body into the entry f(.b64 in, .b64 out, .b32 n) for sm_90.
func module(body string) string {
	return `.version 8.4
.target sm_90
.address_size 64
.visible .entry f(.param .b64 in, .param .b64 out, .param .b32 n)
{` + declarations + body + `
	ret;
}
`
}

const (
	inAddr  = uint64(0x7f0000000000)
	outAddr = uint64(0x7f0000100000)
)

func params(in, out uint64, n uint32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, in)
	b = binary.LittleEndian.AppendUint64(b, out)
	return binary.LittleEndian.AppendUint32(b, n)
}

// bench is a parsed body with mapped inputs and outputs.
type bench struct {
	m    *Module
	mem  *Memory
	l    Launch
	text string
}

// newBench parses a body for a launch of some threads, with in, and room for out.
func newBench(t testing.TB, body string, threads int, in []byte, out int) *bench {
	t.Helper()
	return benchOf(t, module(body), threads, in, out)
}

func benchOf(t testing.TB, text string, threads int, in []byte, out int) *bench {
	t.Helper()
	m, err := Parse(text)
	require.NoError(t, err)
	mem := NewMemory()
	if len(in) > 0 {
		require.NoError(t, mem.Map(inAddr, len(in)))
		require.NoError(t, mem.Write(inAddr, in))
	}
	if out > 0 {
		require.NoError(t, mem.Map(outAddr, out))
	}
	return &bench{m, mem, Launch{Entry: "f", Grid: [3]int{1, 1, 1}, Block: [3]int{threads, 1, 1}, Params: params(inAddr, outAddr, uint32(threads))}, text}
}

// run launches and returns n bytes of the output.
func (b *bench) run(t testing.TB, n int) []byte {
	t.Helper()
	_, err := b.m.Run(b.mem, b.l, Options{})
	require.NoError(t, err)
	return b.read(t, n)
}

// fault launches and returns the fault that there must be.
func (b *bench) fault(t testing.TB, o Options) *Fault {
	t.Helper()
	_, err := b.m.Run(b.mem, b.l, o)
	var f *Fault
	require.ErrorAs(t, err, &f)
	return f
}

func words(xs ...uint32) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// class is a register class of the lane tests: its letter, and how to load it.
var classes = map[byte]struct {
	typ   string
	bytes int
}{'h': {"b16", 2}, 'r': {"b32", 4}, 'f': {"f32", 4}, 'd': {"b64", 8}, 'g': {"f64", 8}}

// laneCount is the number of inputs of a lane test.
const laneCount = 1024

// onLanes carries an instruction out on rows of inputs. classes names the registers
// 0 (the result), 1, 2 and 3: "rrr" is %r0, %r1 and %r2.
func onLanes(t testing.TB, code, regs string, in [][3]uint64) []uint64 {
	t.Helper()
	var b strings.Builder
	b.WriteString(`
	mov.u32 %r30, %tid.x; mov.u32 %r31, %ctaid.x; mad.lo.u32 %r30, %r31, 128, %r30;
	ld.param.u64 %d18, [in]; ld.param.u64 %d19, [out];
	mad.wide.u32 %d18, %r30, 24, %d18; mad.wide.u32 %d19, %r30, 8, %d19;
`)
	for i := 1; i < len(regs); i++ {
		c := classes[regs[i]]
		fmt.Fprintf(&b, "\tld.global.%s %%%c%d, [%%d18+%d];\n", c.typ, regs[i], i, 8*(i-1))
	}
	c := classes[regs[0]]
	fmt.Fprintf(&b, "\t%s\n\tst.global.%s [%%d19], %%%c0;\n", code, c.typ, regs[0])
	data := make([]byte, 0, 24*len(in))
	for _, row := range in {
		for _, x := range row {
			data = binary.LittleEndian.AppendUint64(data, x)
		}
	}
	bench := newBench(t, b.String(), 128, data, 8*len(in))
	bench.l.Grid[0] = len(in) / 128
	out := bench.run(t, 8*len(in))
	got := make([]uint64, len(in))
	for i := range got {
		got[i] = load(out[8*i:], c.bytes)
	}
	return got
}

// interesting are bit patterns that are special in some type.
var interesting = []uint64{
	0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
	0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 1 << 63, 1<<63 - 1, ^uint64(0), 0x3FF0000000000000,
	0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0x00800000, 0x007FFFFF, 0x80000001, 0x3C003C00, 0x7C00FC00,
	0x3F80BF80, 0x4B000000, 0x4F000000, 0x41E0000000000000, 0xC1E0000000200000, 0x43E0000000000000, 0x3E800000, 0x3F000000, 0x40200000,
}

// someInputs are random rows, of numbers that are close and far, with special ones.
func someInputs(regs string) [][3]uint64 {
	r := rand.New(rand.NewPCG(uint64(len(regs)), uint64(regs[0])))
	in := make([][3]uint64, laneCount)
	for i := range in {
		for k := range in[i] {
			class := byte('d')
			if k+1 < len(regs) {
				class = regs[k+1]
			}
			in[i][k] = someBits(r, class, i)
		}
	}
	return in
}

func someBits(r *rand.Rand, class byte, i int) uint64 {
	switch {
	case i%4 == 0:
		return interesting[r.IntN(len(interesting))]
	case i%4 == 1:
		return r.Uint64()
	case class == 'f':
		return uint64(math.Float32bits(float32(r.NormFloat64() * math.Exp2(float64(r.IntN(40)-20)))))
	case class == 'g':
		return math.Float64bits(r.NormFloat64() * math.Exp2(float64(r.IntN(40)-20)))
	case class == 'r':
		return uint64(r.Uint32() >> r.IntN(32))
	}
	return r.Uint64() >> r.IntN(64)
}

// fill replaces words of a body: fill("add.T %r1, N;", "T", "u32", "N", "7").
func fill(body string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(body) }

// read returns n bytes of the output.
func (b *bench) read(t testing.TB, n int) []byte {
	t.Helper()
	out := make([]byte, n)
	require.NoError(t, b.mem.Read(outAddr, out))
	return out
}

// replaceOnce replaces what must be there.
func replaceOnce(t testing.TB, text, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, old), old)
	return strings.Replace(text, old, with, 1)
}
