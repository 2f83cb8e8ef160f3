//go:build unix && amd64

package x64

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/executors/native/exec"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// targets are the processors that this machine can play.
func targets(t testing.TB) map[string]asm.Features {
	f := asm.Detect()
	out := map[string]asm.Features{}
	if !Supported(f) || !exec.Supported() {
		t.Log("no target: the processor lacks AVX2")
		return out
	}
	if f.AVX512 {
		out["avx512"] = f
	}
	f.AVX512 = false
	out["avx2"] = f
	return out
}

func sym(name string) dim.Expr { return dim.Sym(name) }
func con(n int64) dim.Expr     { return dim.Const(n) }

// guarded is memory between two pages that fault when touched.
type guarded struct {
	pages []byte
	body  []byte
}

func newGuarded(t testing.TB, n int) *guarded {
	const page = 4096
	body := (n + page) &^ (page - 1)
	m, err := unix.Mmap(-1, 0, body+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	require.NoError(t, unix.Mprotect(m[:page], unix.PROT_NONE))
	require.NoError(t, unix.Mprotect(m[page+body:], unix.PROT_NONE))
	return &guarded{m, m[page : page+body]}
}

func (g *guarded) free() { _ = unix.Munmap(g.pages) }

// slice is n bytes that touch the guard page at the end, or at the start, with
// canary bytes on the other side.
func (g *guarded) slice(n int, atEnd bool) []byte {
	for i := range g.body {
		g.body[i] = 0xa5
	}
	if atEnd {
		return g.body[len(g.body)-n:]
	}
	return g.body[:n]
}

func (g *guarded) intact(n int, atEnd bool) bool {
	rest := g.body[n:]
	if atEnd {
		rest = g.body[:len(g.body)-n]
	}
	for _, b := range rest {
		if b != 0xa5 {
			return false
		}
	}
	return true
}

// compiled is a kernel's steps as machine code.
type compiled struct {
	k     *codegen.Kernel
	codes []*Code
	execs []*exec.Code
}

func compileKernel(t testing.TB, k *codegen.Kernel, f asm.Features, o Options) *compiled {
	legal, err := codegen.Legalize(k, Target(f, o.FastMath))
	require.NoError(t, err)
	c := &compiled{k: legal}
	for _, s := range legal.Steps {
		code, err := Compile(legal, s.Nest, f, o)
		require.NoError(t, err, "%s", legal)
		e, err := exec.Load(code.Bytes)
		require.NoError(t, err)
		t.Cleanup(e.Free)
		c.codes, c.execs = append(c.codes, code), append(c.execs, e)
	}
	return c
}

// newArgs is an argument block at a multiple of 64.
func newArgs(c *Code) unsafe.Pointer {
	b := make([]byte, c.ArgsSize()+64)
	p := unsafe.Pointer(&b[0])
	return unsafe.Add(p, -uintptr(p)&63)
}

// run runs the kernel over chunks of about points points; 0: all at once.
func (c *compiled) run(b *codegen.Bound, bufs [][]byte, points int64) {
	bases := make([]uintptr, len(bufs))
	for i := range bufs {
		bases[i] = uintptr(unsafe.Pointer(unsafe.SliceData(bufs[i])))
	}
	for i, s := range b.Steps {
		args := newArgs(c.codes[i])
		c.codes[i].Fill(args, s.Nest, bases)
		if points == 0 {
			c.codes[i].Place(args, s.Nest.FullBox())
			c.execs[i].Call(args)
			continue
		}
		chunks := codegen.Chunks(s.Nest, points)
		box := codegen.NewBox(len(s.Nest.Nest.Outer))
		for j := range chunks.Count {
			chunks.At(j, &box)
			c.codes[i].Place(args, box)
			c.execs[i].Call(args)
		}
	}
}

// check runs k on every target and compares all outputs with the interpreter's,
// bit for bit if tol is 0. Memory beyond the buffers faults or holds canaries.
func check(t *testing.T, k *codegen.Kernel, sizes map[string]int64, seed uint64, tol float64, o Options) {
	t.Helper()
	for name, f := range targets(t) {
		checkTarget(t, name, compileKernel(t, k, f, o), sizes, seed, tol)
	}
}

func checkTarget(t *testing.T, name string, c *compiled, sizes map[string]int64, seed uint64, tol float64) {
	t.Helper()
	b, err := codegen.Bind(c.k, sizes)
	require.NoError(t, err)
	inputs := make([][]byte, len(b.Lens))
	want := make([][]byte, len(b.Lens))
	for i, n := range b.Lens {
		dt := c.k.Bufs[i].DType
		inputs[i] = randomBytes(dt, int(n), seed+uint64(i))
		want[i] = alignedCopy(inputs[i])
	}
	require.NoError(t, codegen.Interpret(b, want))
	for _, atEnd := range []bool{true, false} {
		for _, points := range []int64{0, 50, 700} {
			bufs := make([][]byte, len(b.Lens))
			mem := make([]*guarded, len(b.Lens))
			for i := range bufs {
				mem[i] = newGuarded(t, len(inputs[i]))
				bufs[i] = mem[i].slice(len(inputs[i]), atEnd)
				copy(bufs[i], inputs[i])
			}
			c.run(b, bufs, points)
			for i := range bufs {
				where := fmt.Sprintf("%s %s %v end=%v chunk=%d", c.k.Name, name, sizes, atEnd, points)
				require.True(t, mem[i].intact(len(inputs[i]), atEnd), "%s: canary of buffer %d overwritten", where, i)
				if kind := c.k.Bufs[i].Kind; kind == codegen.Output || kind == codegen.Input {
					requireClose(t, c.k.Bufs[i].DType, want[i], bufs[i], tol, where)
				}
			}
			for i := range mem {
				mem[i].free()
			}
		}
	}
}

func alignedCopy(b []byte) []byte {
	w := make([]uint64, len(b)/8+1)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), len(b))
	copy(out, b)
	return out
}

func requireClose(t *testing.T, dt tensor.DType, want, got []byte, tol float64, where string) {
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
	case dt.IsFloat() || odd:
		if odd && dt.IsInt() {
			return []uint64{0, 1, ^uint64(0), 1 << (8*dt.Size() - 1), 1<<(8*dt.Size()-1) - 1, 31, 32, 63, 64}[r.IntN(9)]
		}
		return r.Uint64()
	}
	return uint64(int64(r.IntN(40)) - 20)
}
