//go:build unix && amd64

package x64

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/codegen/x64/asm"
	"jitc/executors/native/exec"
	"jitc/ir/dim"
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
		inputs[i] = elements.Random(dt, int(n), seed+uint64(i))
		want[i] = elements.Copy(inputs[i])
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
					elements.RequireClose(t, c.k.Bufs[i].DType, want[i], bufs[i], tol, where)
				}
			}
			for i := range mem {
				mem[i].free()
			}
		}
	}
}
