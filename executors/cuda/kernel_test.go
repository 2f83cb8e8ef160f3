package cuda_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/executors/diskcache"
	"jitc/ir"
)

// addText is x + y; twice has two entries, as what it sums is summed before.
const (
	addText = `func @add(%x: f32[N], %y: f32[N]) -> f32[N] {
  %0: f32[N] = add(%x, %y)
  return %0
}`
	productText = `func @product(%x: f32[N,C], %w: f32[48,C], %b: f32[48]) -> f32[N,48] {
  %0: f32[N,48] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  %1: f32[N,48] = broadcast(%b) {axes=[1]}
  %2: f32[N,48] = add(%0, %1)
  return %2
}`
	paddedText = `func @padded(%x: f32[N], %v: f32[]) -> f32[N+7] {
  %0: f32[N+7] = pad(%x, %v) {low=[4], high=[3]}
  return %0
}`
)

func parse(t testing.TB, text string) *ir.Func {
	t.Helper()
	region, _, diags := ir.Parse("region", text)
	require.NoError(t, diags.Err())
	return region
}

func compile(t *testing.T, e *cuda.Executor, text string, o executors.Options) executors.Kernel {
	t.Helper()
	k, err := e.Compile(context.Background(), parse(t, text), o)
	require.NoError(t, err)
	return k
}

func bind(t *testing.T, k executors.Kernel, sizes map[string]int64) executors.Launch {
	t.Helper()
	l, err := k.Bind(sizes)
	require.NoError(t, err)
	return l
}

// vector is device memory of n floats x, x+1, ...
func vector(t *testing.T, q executors.Queue, n int, x float32) []byte {
	t.Helper()
	var host []byte
	for i := range n {
		host = binary.LittleEndian.AppendUint32(host, math.Float32bits(x+float32(i)))
	}
	mem, err := q.Alloc(4 * n)
	require.NoError(t, err)
	require.NoError(t, q.Upload(mem, host))
	t.Cleanup(func() { q.Free(mem) })
	return mem
}

func floats(t *testing.T, q executors.Queue, mem []byte) []float32 {
	t.Helper()
	host := make([]byte, len(mem))
	require.NoError(t, q.Download(host, mem))
	out := make([]float32, len(mem)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(host[4*i:]))
	}
	return out
}

func TestDescription(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	k := compile(t, e, productText, executors.Options{Dumps: true})
	info := k.Info()
	require.Equal(t, "cuda", info.Executor)
	require.Equal(t, "gemm", info.Kind)
	require.Zero(t, info.Code)
	require.Regexp(t, `^PTX, \d+ entr(y|ies), assembled by the driver$`, info.Detail)
	for stage, want := range map[string]string{"loops": "product", "ptx": ".visible .entry"} {
		text, ok := k.Dump(stage)
		require.True(t, ok)
		require.Contains(t, text, want)
	}
	_, ok := k.Dump("asm")
	require.False(t, ok, "the driver makes the code")
	require.Zero(t, d.Count("RetainContext"), "compiling does not touch the device")

	d = fake.New(fake.Config{})
	k = compile(t, cuda.New(d, 0, cuda.Options{Assembler: d.Assembler()}), productText, executors.Options{Dumps: true})
	require.Regexp(t, `^PTX, \d+ entr(y|ies), \d+ registers, 0 bytes spilled$`, k.Info().Detail)
	require.Positive(t, k.Info().Code)
	text, ok := k.Dump("asm")
	require.True(t, ok)
	require.Contains(t, text, "// ")
}

// What a real assembler says is in the description, and the machine code in the
// listing, where this machine has the tools.
func TestListing(t *testing.T) {
	a, err := driver.FindAssembler()
	if err != nil {
		t.Logf("left out: %v", err)
		return
	}
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{Assembler: a})
	for _, text := range []string{addText, productText} {
		k := compile(t, e, text, executors.Options{Dumps: true})
		require.Regexp(t, `^PTX, \d+ entr(y|ies), \d+ registers, \d+ bytes spilled$`, k.Info().Detail)
		require.Greater(t, k.Info().Code, 1000)
		listing, ok := k.Dump("asm")
		require.True(t, ok)
		if _, err := exec.LookPath("nvdisasm"); err != nil {
			require.Contains(t, listing, "// no disassembly: ")
			continue
		}
		require.Contains(t, listing, "EXIT")
	}
}

func TestRunOfBadBuffers(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	l := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 100})
	mem, err := q.Alloc(1024)
	require.NoError(t, err)
	defer q.Free(mem)
	good := mem[:400]
	for want, bufs := range map[string][][]byte{
		"2 buffers, need 3":                 {good, good},
		"4 buffers, need 3":                 {good, good, good, good},
		"buffer p1 has 399 bytes, need 400": {good, mem[:399], good},
		"need a multiple of 4":              {good, good, mem[2:402]},
	} {
		require.ErrorContains(t, l.Run(bufs, nil, nil), want)
	}
	require.Zero(t, d.Count("Launch"))
}

// Sizes beyond what 32-bit indices can count are bound to code with wide ones.
func TestWideIndices(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	k := compile(t, e, paddedText, executors.Options{})
	narrow := bind(t, k, map[string]int64{"N": 1000}).(executors.Assumer)
	require.Empty(t, narrow.Assumes())
	wide := bind(t, k, map[string]int64{"N": 1 << 32}).(executors.Assumer)
	require.Len(t, wide.Assumes(), 1)
	require.Contains(t, wide.Assumes()[0].What, "64-bit indices")
	_, err := k.Bind(map[string]int64{"N": -1})
	require.Error(t, err)
}

// Machine code is kept on disk: another process does not assemble again. What is
// damaged there is made anew.
func TestMachineCodeIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	d := fake.New(fake.Config{})
	compileAgain := func() executors.Info {
		c, err := diskcache.Open(diskcache.Options{Dir: dir})
		require.NoError(t, err)
		e := cuda.New(d, 0, cuda.Options{Assembler: d.Assembler(), Cache: c})
		defer func() { require.NoError(t, e.Close()) }()
		k := compile(t, e, addText, executors.Options{})
		runAdd(t, e, k)
		return k.Info()
	}
	first := compileAgain()
	require.Equal(t, 1, d.Count("Assemble"))
	require.Equal(t, first, compileAgain(), "what the assembler said is kept too")
	require.Equal(t, 1, d.Count("Assemble"))
	for _, damage := range []func(data []byte) []byte{
		func(data []byte) []byte { data[len(data)-1] ^= 1; return data },
		func(data []byte) []byte { return data[:len(data)/2] },
		func([]byte) []byte { return nil },
	} {
		before := d.Count("Assemble")
		require.Equal(t, 1, rewrite(t, dir, damage))
		require.Equal(t, first, compileAgain())
		require.Equal(t, before+1, d.Count("Assemble"))
	}
	require.Equal(t, fake.Live{}, d.Live())
}

// rewrite changes the cache's files of machine code, and counts them.
func rewrite(t *testing.T, dir string, f func([]byte) []byte) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, x os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".cubin") {
			return err
		}
		n++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, f(data), 0o600)
	}))
	return n
}

func runAdd(t *testing.T, e *cuda.Executor, k executors.Kernel) {
	t.Helper()
	q := queueOf(t, e)
	l := bind(t, k, map[string]int64{"N": 5})
	host := make([]byte, 20)
	for i := range 5 {
		binary.LittleEndian.PutUint32(host[4*i:], math.Float32bits(float32(i)))
	}
	x, err := q.Alloc(20)
	require.NoError(t, err)
	z, err := q.Alloc(20)
	require.NoError(t, err)
	require.NoError(t, q.Upload(x, host))
	require.NoError(t, l.Run([][]byte{x, x, z}, nil, nil))
	require.Equal(t, []float32{0, 2, 4, 6, 8}, floats(t, q, z))
	q.Free(x)
	q.Free(z)
}

// assembler is one that goes wrong.
type assembler struct {
	cubin []byte
	err   error
}

func (a assembler) Assemble(string, string) ([]byte, string, error) { return a.cubin, "", a.err }

func (assembler) Version() string { return "test 1" }

// Machine code that cannot be made, or that the driver does not take, is the
// driver's to make.
func TestDriverAssembles(t *testing.T) {
	for _, a := range []assembler{{err: errors.New("arch sm_80 is not known\nmore")}, {cubin: []byte("\x7fELF of another device")}, {}} {
		e, _ := newExecutor(t, fake.Config{}, cuda.Options{Assembler: a})
		k := compile(t, e, addText, executors.Options{})
		if a.err != nil {
			require.Contains(t, k.Info().Detail, "assembled by the driver (arch sm_80 is not known)")
		}
		runAdd(t, e, k)
	}
}

func TestLoadFails(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	k := compile(t, e, addText, executors.Options{})
	queueOf(t, e)
	for _, fail := range []struct { // in order: a module that is loaded is not loaded again
		call  string
		times int
	}{{"LoadModule", 2}, {"Function", 1}} {
		for n := range fail.times { // loading is tried again when idle memory is given back
			d.FailNext(fail.call, n+1, driver.OutOfMemory)
		}
		_, err := k.Bind(map[string]int64{"N": 4})
		require.ErrorContains(t, err, "out of memory")
	}
	runAdd(t, e, k)
}

// Goroutines that bind one kernel load its code once.
func TestConcurrentBind(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	k := compile(t, e, addText, executors.Options{})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			_, err := k.Bind(map[string]int64{"N": int64(100 * n)})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	require.Equal(t, 1, d.Count("LoadModule"))
}

// Modules of kernels that nobody has any more are unloaded, when the device has
// been waited for.
func TestModulesAreUnloaded(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	func() {
		k := compile(t, e, addText, executors.Options{})
		runAdd(t, e, k)
		require.Equal(t, 1, d.Live().Modules)
	}()
	q := queueOf(t, e)
	require.Eventually(t, func() bool {
		runtime.GC()
		require.NoError(t, q.Sync())
		return d.Live().Modules == 0
	}, 10*time.Second, time.Millisecond)
}

// What runs on memory that is no longer there ends the device's use, told with the
// launches that may be at fault.
func TestFaultOfAKernel(t *testing.T) {
	for _, blocking := range []bool{false, true} {
		e, _ := newExecutor(t, fake.Config{}, cuda.Options{NoReuse: true, Blocking: blocking})
		q := queueOf(t, e)
		l := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 8})
		x := vector(t, q, 8, 1)
		gone, err := q.Alloc(32)
		require.NoError(t, err)
		require.NoError(t, l.Run([][]byte{x, x, gone}, nil, nil))
		require.NoError(t, q.Sync())
		q.Free(gone)
		require.NoError(t, q.Sync())
		err = l.Run([][]byte{x, x, gone}, nil, nil)
		if !blocking {
			require.NoError(t, err, "the fault is later")
			err = q.Sync()
		}
		var lost *cuda.LostError
		require.ErrorAs(t, err, &lost)
		require.Regexp(t, `^entry \w+ of @add$`, lost.At)
		require.ErrorContains(t, err, "device cuda:0 lost: ")
		require.Equal(t, err, l.Run([][]byte{x, x, gone}, nil, nil))
		_, err = compile(t, e, addText, executors.Options{}).Bind(map[string]int64{"N": 8})
		require.ErrorAs(t, err, &lost)
	}
}

func TestFaultAmongMany(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	l := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 8})
	x, z := vector(t, q, 8, 1), vector(t, q, 8, 1)
	for range 20 {
		require.NoError(t, l.Run([][]byte{x, x, z}, nil, nil))
	}
	d.FailNext("SyncStream", 1, driver.LaunchFailed)
	err := q.Sync()
	require.ErrorContains(t, err, "one of entry ")
	require.ErrorContains(t, err, "or 12 launches before (JITC_CUDA_BLOCKING=on tells which)")
}
