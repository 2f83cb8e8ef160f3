package exec

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// increment is: mov rax, [rdi]; inc rax; mov [rdi], rax; ret.
var increment = []byte{0x48, 0x8B, 0x07, 0x48, 0xFF, 0xC0, 0x48, 0x89, 0x07, 0xC3}

// setTo is: mov eax, v; mov [rdi], rax; ret.
func setTo(v byte) []byte { return []byte{0xB8, v, 0, 0, 0, 0x48, 0x89, 0x07, 0xC3} }

// clobber overwrites every register a kernel may: the general ones but RSP and RBP, and with AVX the vectors.
// It ends by storing the count at [rdi+8] down to zero into [rdi], so that it takes a while.
var clobber = []byte{
	0x48, 0x8B, 0x4F, 0x08, // mov rcx, [rdi+8]
	0x48, 0xC7, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF, // mov rax, -1
	0x48, 0x89, 0xC3, 0x48, 0x89, 0xC2, 0x48, 0x89, 0xC6, // mov rbx, rdx, rsi
	0x49, 0x89, 0xC0, 0x49, 0x89, 0xC1, 0x49, 0x89, 0xC2, 0x49, 0x89, 0xC3, // r8..r11
	0x49, 0x89, 0xC4, 0x49, 0x89, 0xC5, 0x49, 0x89, 0xC6, 0x49, 0x89, 0xC7, // r12..r15
	0x66, 0x48, 0x0F, 0x6E, 0xC0, // movq xmm0, rax
	0x66, 0x4C, 0x0F, 0x6E, 0xF8, // movq xmm15, rax
	0x48, 0xFF, 0xC9, // loop: dec rcx
	0x75, 0xFB, // jnz loop
	0x48, 0x89, 0x07, // mov [rdi], rax
	0xC3,
}

func load(t testing.TB, code []byte) *Code {
	t.Helper()
	c, err := Load(code)
	if !Supported() {
		require.ErrorIs(t, err, ErrUnsupported)
		t.Skip("no machine code on this system")
	}
	require.NoError(t, err)
	return c
}

func TestSupported(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		assert.False(t, Supported())
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		assert.True(t, Supported())
	}
	_, err := Load(setTo(1))
	assert.Equal(t, Supported(), err == nil)
	if !Supported() {
		assert.ErrorIs(t, err, ErrUnsupported)
	}
}

func TestCall(t *testing.T) {
	c := load(t, increment)
	defer c.Free()
	n := uint64(41)
	c.Call(unsafe.Pointer(&n))
	c.Call(unsafe.Pointer(&n))
	assert.Equal(t, uint64(43), n)
	assert.Equal(t, len(increment), c.Size())
	assert.Zero(t, c.Addr()%64)
	assert.Zero(t, testing.AllocsPerRun(100, func() { n := uint64(1); c.Call(unsafe.Pointer(&n)) }))
}

func TestFree(t *testing.T) {
	c := load(t, increment)
	c.Free()
	c.Free()
	assert.Zero(t, c.Addr())
	assert.PanicsWithValue(t, "BUG: exec: call of freed code", func() { c.Call(nil) })
	_, err := Load(nil)
	assert.Error(t, err)
}

// TestDroppedCodeIsFreed checks that the collector returns the memory of code nobody refers to.
func TestDroppedCodeIsFreed(t *testing.T) {
	load(t, increment).Free()
	m := &countingMemory{}
	c, err := loadInto(m, increment)
	require.NoError(t, err)
	runtime.GC()
	assert.Zero(t, m.count(), "still referred to")
	runtime.KeepAlive(c)
	require.Eventually(t, func() bool { runtime.GC(); return m.count() == 1 }, 5*time.Second, time.Millisecond)

	c, err = loadInto(m, increment)
	require.NoError(t, err)
	c.Free()
	for range 3 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	assert.Equal(t, 2, m.count(), "freed once, not again by the collector")
}

// countingMemory counts removals.
type countingMemory struct {
	mu      sync.Mutex
	removed int
}

func (m *countingMemory) install(code []byte) (region, error) { return region{64, len(code)}, nil }

func (m *countingMemory) remove(region) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed++
}

func (m *countingMemory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removed
}

// TestFaultIsAPanic checks the promise that a wild access in a kernel can be recovered.
func TestFaultIsAPanic(t *testing.T) {
	c := load(t, []byte{0x31, 0xC0, 0x48, 0x8B, 0x00, 0xC3}) // xor eax, eax; mov rax, [rax]; ret
	defer c.Free()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var err runtime.Error
	func() {
		defer func() { err, _ = recover().(runtime.Error) }()
		c.Call(nil)
	}()
	require.Error(t, err)
	var fault runtime.Error
	assert.True(t, errors.As(err, &fault))
}

// TestStress calls kernels that clobber everything they may from many goroutines, while the collector runs,
// stacks grow and move, the profiler interrupts, and kernels are loaded and freed.
func TestStress(t *testing.T) {
	load(t, increment).Free()
	spin := load(t, clobber)
	defer spin.Free()
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err == nil { // else go test -cpuprofile profiles already
		defer pprof.StopCPUProfile()
	}
	end := time.Now().Add(1500 * time.Millisecond)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for round := 0; time.Now().Before(end); round++ {
				if !callDeep(spin, 1+round%40) {
					t.Error("a kernel's result or a local variable is wrong")
					return
				}
				if !loadAndFree(t, byte(g*40+round%40)) {
					return
				}
			}
		})
	}
	cycles := 0
	for ; time.Now().Before(end); cycles++ {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
	wg.Wait()
	assert.Positive(t, cycles)
}

// callDeep calls a kernel at the bottom of a recursion that makes the stack grow, and holds float, pointer
// and integer locals across the call.
func callDeep(c *Code, depth int) bool {
	var pad [64]float64
	pad[depth] = float64(depth)
	p := &struct{ n int }{depth}
	if depth > 1 {
		return callDeep(c, depth-1) && pad[depth] == float64(depth) && p.n == depth
	}
	args := [2]uint64{0, 2000}
	c.Call(unsafe.Pointer(&args))
	var cleared [256]byte // with X15, which must be zero again
	return args[0] == ^uint64(0) && p.n == depth && bytes.Count(cleared[:], []byte{0}) == len(cleared)
}

func loadAndFree(t *testing.T, v byte) bool {
	c, err := Load(setTo(v))
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.Free()
	got := uint64(0xBAD)
	c.Call(unsafe.Pointer(&got))
	if got != uint64(v) {
		t.Errorf("kernel returned %d, expected %d", got, v)
	}
	return got == uint64(v)
}

func TestRaceAnnotations(t *testing.T) {
	// Ordered accesses must not be reported; the detector's own tests hold the rest.
	buf := make([]float32, 8)
	RaceWrite(unsafe.Pointer(&buf[0]), 32)
	RaceRead(unsafe.Pointer(&buf[0]), 32)
	RaceRead(nil, 0)
	assert.Zero(t, testing.AllocsPerRun(10, func() { RaceRead(unsafe.Pointer(&buf[0]), 32) }))
}

func BenchmarkCall(b *testing.B) {
	c := load(b, increment)
	defer c.Free()
	n := uint64(0)
	for b.Loop() {
		c.Call(unsafe.Pointer(&n))
	}
}

func BenchmarkLoadFree(b *testing.B) {
	code := bytes.Repeat([]byte{0x90}, 1500)
	load(b, code).Free()
	for b.Loop() {
		c, err := Load(code)
		if err != nil {
			b.Fatal(err)
		}
		c.Free()
	}
}

func BenchmarkLoad(b *testing.B) {
	code := bytes.Repeat([]byte{0x90}, 1500)
	load(b, code).Free()
	var keep []*Code
	for b.Loop() {
		c, err := Load(code)
		if err != nil {
			b.Fatal(err)
		}
		keep = append(keep, c)
	}
	for _, c := range keep {
		c.Free()
	}
}
