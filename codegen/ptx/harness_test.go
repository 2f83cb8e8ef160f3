package ptx

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/ptx/sim"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func sym(name string) dim.Expr { return dim.Sym(name) }
func con(n int64) dim.Expr     { return dim.Const(n) }

// small is a device on which few threads are busy, so that tests reach schedules
// meant for large sizes.
var small = Device{Arch: 80, Multiprocessors: 2, SharedBytes: 48 << 10}

// onDevice is a module parsed for the interpreter.
type onDevice struct {
	m    *Module
	text *sim.Module
}

func forDevice(t testing.TB, m *Module) *onDevice {
	t.Helper()
	text, err := sim.Parse(m.Text())
	require.NoError(t, err, m.Text())
	if *assembleAll {
		assemble(t, m, "sm_80")
	}
	return &onDevice{m, text}
}

// widths are modules of a kernel with positions of 32 and of 64 bits.
func widths(t testing.TB, k *codegen.Kernel) []*onDevice {
	t.Helper()
	legal, err := codegen.Legalize(k, Target(false, true))
	require.NoError(t, err)
	wide, err := Compile(legal, small, Options{})
	require.NoError(t, err)
	return []*onDevice{forDevice(t, compiled(t, k, small, Options{})), forDevice(t, wide)}
}

// run runs the module at concrete sizes on buffers, which it updates. Buffers lie
// align bytes behind a multiple of 256.
func (d *onDevice) run(t testing.TB, b *codegen.Bound, bufs [][]byte, align int) sim.Stats {
	t.Helper()
	bits := 256
	if align > 0 {
		bits = align
	}
	plan, err := d.m.BindAligned(b, bits)
	require.NoError(t, err)
	mem := sim.NewMemory()
	at := make([]uint64, len(bufs)+1)
	for i := range at {
		at[i] = 0x7f00_0000_0000 + uint64(i)<<32 + uint64(align)
	}
	for i, buf := range bufs {
		if len(buf) == 0 || d.m.Kernel.Bufs[i].Kind > codegen.Output {
			continue
		}
		require.NoError(t, mem.Map(at[i], len(buf)))
		if d.m.Kernel.Bufs[i].Kind == codegen.Input {
			require.NoError(t, mem.Write(at[i], buf))
		}
	}
	scratch := uint64(0x7e00_0000_0000)
	if plan.Scratch > 0 {
		require.NoError(t, mem.Map(scratch, plan.Scratch))
	}
	var total sim.Stats
	for _, l := range plan.Launches {
		params := append([]byte(nil), l.Params...)
		for _, p := range l.Pointers {
			base := scratch
			if p.Buf != Scratch {
				base = at[p.Buf]
			}
			binary.LittleEndian.PutUint64(params[p.At:], base+uint64(p.Offset))
		}
		stats, err := d.text.Run(mem, sim.Launch{Entry: l.Entry, Grid: ints(l.Grid), Block: ints(l.Block), Shared: int(l.Shared), Params: params}, sim.Options{})
		require.NoError(t, err, "%s\n%s\n%s", b.Kernel, d.m.Text(), l.Entry)
		total.Vec128 += stats.Vec128
		total.Insts += stats.Insts
		total.SharedConflicts += stats.SharedConflicts
	}
	for i, buf := range bufs {
		if len(buf) > 0 && d.m.Kernel.Bufs[i].Kind == codegen.Output {
			require.NoError(t, mem.Read(at[i], buf))
		}
	}
	return total
}

func ints(v [3]uint32) [3]int { return [3]int{int(v[0]), int(v[1]), int(v[2])} }

// check compares a kernel's outputs on the device with the interpreter's of loop
// nests, bit for bit if tol is 0.
func check(t testing.TB, k *codegen.Kernel, sizes map[string]int64, seed uint64, tol float64) {
	t.Helper()
	checkOn(t, forDevice(t, compiled(t, k, small, Options{})), sizes, seed, tol, 0)
}

func checkOn(t testing.TB, d *onDevice, sizes map[string]int64, seed uint64, tol float64, align int) sim.Stats {
	t.Helper()
	k := d.m.Kernel
	b, err := codegen.Bind(k, sizes)
	require.NoError(t, err)
	want, got := make([][]byte, len(b.Lens)), make([][]byte, len(b.Lens))
	for i, n := range b.Lens {
		if k.Bufs[i].Kind >= codegen.Row {
			continue
		}
		want[i] = randomBytes(k.Bufs[i].DType, int(n), seed+uint64(i))
		got[i] = alignedCopy(want[i])
	}
	require.NoError(t, codegen.Interpret(b, want))
	stats := d.run(t, b, got, align)
	for i := range want {
		if k.Bufs[i].Kind == codegen.Output {
			requireClose(t, k.Bufs[i].DType, want[i], got[i], tol, fmt.Sprintf("%s %v buffer %d", k.Name, sizes, i))
		}
	}
	return stats
}

func alignedCopy(b []byte) []byte {
	w := make([]uint64, len(b)/8+1)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), len(b))
	copy(out, b)
	return out
}

func requireClose(t testing.TB, dt tensor.DType, want, got []byte, tol float64, where string) {
	t.Helper()
	size := dt.Size()
	for i := 0; i < len(want); i += size {
		w, g := element(dt, want[i:]), element(dt, got[i:])
		wb, gb := bitsOf(want[i:], size), bitsOf(got[i:], size)
		same := wb == gb || w != w && g != g
		if !same && tol > 0 && dt.IsFloat() {
			same = math.Abs(w-g) <= tol*(1+math.Abs(w)) || w == g
		}
		if !same {
			require.Fail(t, "wrong element", "%s: element %d of %d: want %v (%#x), got %v (%#x)", where, i/size, len(want)/size, w, wb, g, gb)
		}
	}
}

func bitsOf(b []byte, size int) uint64 {
	v := uint64(0)
	for i := range size {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// element is an element as a number, good enough to tell NaN and measure distance.
func element(dt tensor.DType, b []byte) float64 {
	v := bitsOf(b, dt.Size())
	switch dt {
	case tensor.F64:
		return math.Float64frombits(v)
	case tensor.F32:
		return float64(math.Float32frombits(uint32(v)))
	case tensor.BF16:
		return float64(tensor.BF16ToF32(uint16(v)))
	case tensor.F16:
		return float64(tensor.F16ToF32(uint16(v)))
	case tensor.F8E4M3:
		return float64(tensor.F8E4M3ToF32(uint8(v)))
	case tensor.F8E5M2:
		return float64(tensor.F8E5M2ToF32(uint8(v)))
	}
	return float64(int64(v))
}

// moderate is the first seed of inputs without odd values, for sums that would
// cancel them in another order.
const moderate = 1 << 40

// randomBytes is n elements: mostly moderate numbers, with the type's odd values
// among them for low seeds.
func randomBytes(dt tensor.DType, n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]byte, 0, n*dt.Size())
	for range n {
		v := randomElement(r, dt, seed < moderate)
		for i := range dt.Size() {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return alignedCopy(out)
}

var oddFloats = []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e-40, -1e-42, 3e38, -3e38,
	0x1p31, -0x1p31, 0x1p32, 0x1p63, -0x1p63, 0x1p64, 2147483583, 0.5, 1.5, 2.5, -0.5, 1e300, 5e-324}

func randomElement(r *rand.Rand, dt tensor.DType, odd bool) uint64 {
	odd = r.IntN(4) == 0 && odd
	switch {
	case dt == tensor.Bool:
		return r.Uint64() & 1
	case dt == tensor.F32 && odd:
		return uint64(math.Float32bits(float32(oddFloats[r.IntN(len(oddFloats))])))
	case dt == tensor.F32:
		return uint64(math.Float32bits(float32(r.NormFloat64() * 3)))
	case dt == tensor.F64 && odd:
		return math.Float64bits(oddFloats[r.IntN(len(oddFloats))])
	case dt == tensor.F64:
		return math.Float64bits(r.NormFloat64() * 3)
	case dt.IsInt() && odd:
		return []uint64{0, 1, ^uint64(0), 1 << (8*dt.Size() - 1), 1<<(8*dt.Size()-1) - 1, 31, 32, 63, 64}[r.IntN(9)]
	case dt.IsFloat() && odd:
		return r.Uint64()
	case dt.IsFloat():
		return bitsOf(narrowed(dt, r.NormFloat64()), dt.Size())
	}
	return uint64(int64(r.IntN(40)) - 20)
}

func narrowed(dt tensor.DType, x float64) []byte {
	b, _ := tensor.FloatScalar(dt, x).Bytes()
	return b
}
