package fake

import (
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/cublaslt"
	"jitc/executors/cuda/driver"
	driverfake "jitc/executors/cuda/driver/fake"
)

// gpu is a library with a handle, and a stream.
type gpu struct {
	*Library
	d      *driverfake.Driver
	handle cublaslt.Handle
	stream driver.Stream
}

func newGPU(t *testing.T, c Config) *gpu {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	d := driverfake.New(driverfake.Config{})
	ctx, err := d.RetainContext(0)
	require.NoError(t, err)
	require.NoError(t, d.SetContext(ctx))
	g := &gpu{Library: New(d, c), d: d}
	g.stream, err = d.NewStream()
	require.NoError(t, err)
	g.handle, err = g.NewHandle()
	require.NoError(t, err)
	return g
}

// square is a product of matrices of 2 x 2.
func square() *cublaslt.Problem {
	m := cublaslt.Matrix{Type: cublaslt.F32, Rows: 2, Cols: 2, LD: 2, Batch: 1, Alignment: 16}
	return &cublaslt.Problem{Compute: cublaslt.ComputeF32, Scale: cublaslt.F32, A: m, B: m, D: m,
		Workspace: 1 << 20, Reductions: cublaslt.InCompute, Choices: 4}
}

// memory is pinned memory with floats, and device memory with the same.
func (g *gpu) memory(t *testing.T, xs ...float32) (at driver.Ptr, host []byte) {
	t.Helper()
	host, err := g.d.AllocHost(16)
	require.NoError(t, err)
	for i, x := range xs {
		binary.LittleEndian.PutUint32(host[4*i:], math.Float32bits(x))
	}
	at, err = g.d.Alloc(16)
	require.NoError(t, err)
	require.NoError(t, g.d.CopyToDevice(at, host, g.stream))
	require.NoError(t, g.d.SyncStream(g.stream))
	return at, host
}

func TestMultiply(t *testing.T) {
	const eleven = 1 + 1.0/2048 // one bit more than TF32 has
	for _, c := range []struct {
		name   string
		change func(p *cublaslt.Problem)
		want   []float32 // in columns
	}{
		{"plain", func(p *cublaslt.Problem) {}, []float32{1*5 + 3*6, 2*5 + 4*6, 1*7 + 3*eleven, 2*7 + 4*eleven}},
		{"A transposed", func(p *cublaslt.Problem) { p.TransA = true }, []float32{1*5 + 2*6, 3*5 + 4*6, 1*7 + 2*eleven, 3*7 + 4*eleven}},
		{"B transposed", func(p *cublaslt.Problem) { p.TransB = true }, []float32{1*5 + 3*7, 2*5 + 4*7, 1*6 + 3*eleven, 2*6 + 4*eleven}},
		{"TF32", func(p *cublaslt.Problem) { p.Compute = cublaslt.ComputeTF32 }, []float32{23, 34, 7 + 3*(1+1.0/1024), 14 + 4*(1+1.0/1024)}},
		{"of columns", func(p *cublaslt.Problem) { p.B.Cols, p.D.Cols = 1, 1 }, []float32{23, 34, 9, 9}},
		{"a bias", func(p *cublaslt.Problem) { p.Bias = 16 }, []float32{1*5 + 3*6 + 1, 2*5 + 4*6 + 2, 1*7 + 3*eleven + 1, 2*7 + 4*eleven + 2}},
		{"batches", func(p *cublaslt.Problem) { // of 1 x 1: 1*5, 2*6, 3*7, 4*eleven
			for _, m := range []*cublaslt.Matrix{&p.A, &p.B, &p.D} {
				m.Rows, m.Cols, m.LD, m.Batch, m.Stride = 1, 1, 1, 4, 1
			}
		}, []float32{5, 12, 21, 4 * eleven}},
	} {
		for _, workspace := range []int{0, 512} {
			g := newGPU(t, Config{Workspace: workspace})
			p := square()
			c.change(p)
			x, ways, err := g.Prepare(g.handle, p)
			require.NoError(t, err)
			require.NotEmpty(t, ways)
			assert.Equal(t, workspace, ways[0].Workspace)
			a, _ := g.memory(t, 1, 2, 3, 4)
			b, _ := g.memory(t, 5, 6, 7, eleven)
			d, host := g.memory(t, 9, 9, 9, 9)
			w, err := g.d.Alloc(512)
			require.NoError(t, err)
			require.NoError(t, g.Multiply(g.handle, x, &ways[0], cublaslt.Operands{A: a, B: b, D: d, Bias: a, Workspace: w}, g.stream))
			require.NoError(t, g.d.CopyToHost(host, d, g.stream))
			assert.Equal(t, float32(9), math.Float32frombits(binary.LittleEndian.Uint32(host)), "it is queued")
			require.NoError(t, g.d.SyncStream(g.stream))
			for i, want := range c.want {
				assert.Equal(t, want, math.Float32frombits(binary.LittleEndian.Uint32(host[4*i:])), "%s, element %d", c.name, i)
			}
			g.Discard(x)
		}
	}
}

// What adds up in another type is offered first, where it is not forbidden; what needs
// more workspace than there is, is not.
func TestAlgorithms(t *testing.T) {
	g := newGPU(t, Config{Workspace: 512})
	for _, c := range []struct {
		reductions cublaslt.Reduction
		workspace  int
		want       []uint64
	}{{7, 512, []uint64{4, 1, 2, 0}}, {cublaslt.InCompute, 512, []uint64{2, 0}}, {7, 511, []uint64{0}}} {
		p := square()
		p.Reductions, p.Workspace = c.reductions, c.workspace
		x, ways, err := g.Prepare(g.handle, p)
		require.NoError(t, err)
		var got []uint64
		for _, w := range ways {
			got = append(got, w.Words[1])
		}
		assert.Equal(t, c.want, got)
		g.Discard(x)
	}
	p := square()
	p.A.Type, p.B.Type = cublaslt.F16, cublaslt.BF16
	_, ways, err := g.Prepare(g.handle, p)
	require.NoError(t, err)
	assert.Empty(t, ways, "of types that there is no kernel for")
}

func TestProblemsThatAreRefused(t *testing.T) {
	g := newGPU(t, Config{})
	for what, change := range map[string]func(p *cublaslt.Problem){
		"a matrix of 0 x 2":                              func(p *cublaslt.Problem) { p.A.Rows = 0 },
		"a leading dimension of 1 for 2 rows":            func(p *cublaslt.Problem) { p.B.LD = 1 },
		"batches of 3 and 1":                             func(p *cublaslt.Problem) { p.A.Batch = 3 },
		"an alignment of 8 of the bias":                  func(p *cublaslt.Problem) { p.Bias = 8 },
		"an alignment of 24 of the bias":                 func(p *cublaslt.Problem) { p.Bias = 24 },
		"an alignment of -16 of the bias":                func(p *cublaslt.Problem) { p.Bias = -16 },
		"an alignment of 3":                              func(p *cublaslt.Problem) { p.D.Alignment = 3 },
		"a product of 2 x 2 and 3 x 2 into 2 x 2":        func(p *cublaslt.Problem) { p.B.Rows, p.B.LD = 3, 3 },
		"results 3 apart overlap":                        func(p *cublaslt.Problem) { p.A.Batch, p.B.Batch, p.D.Batch, p.D.Stride = 2, 2, 2, 3 },
		"a product of 2 x 1 and 2 x 2 into 2 x 2":        func(p *cublaslt.Problem) { p.A.Cols = 1 },
		"a product of 2 x 2 and 2 x 2 into 1 x 2":        func(p *cublaslt.Problem) { p.D.Rows = 1 },
		"a product of 2 x 2 and 2 x 5000 into 2 x 70000": func(p *cublaslt.Problem) { p.B.Cols, p.D.Cols = 5000, 70000 },
	} {
		p := square()
		change(p)
		_, _, err := g.Prepare(g.handle, p)
		require.ErrorIs(t, err, &cublaslt.Error{Code: cublaslt.InvalidValue}, what)
		require.ErrorContains(t, err, what)
	}
}

func TestRunsThatAreRefused(t *testing.T) {
	g := newGPU(t, Config{Workspace: 512})
	x, ways, err := g.Prepare(g.handle, square())
	require.NoError(t, err)
	good := cublaslt.Operands{A: 256, B: 512, D: 1024, Workspace: 2048}
	for what, o := range map[string]cublaslt.Operands{
		"an operand at 0x0":    {B: 512, D: 1024, Workspace: 2048},
		"an operand at 0x208":  {A: 256, B: 0x208, D: 1024, Workspace: 2048},
		"a workspace at 0x0":   {A: 256, B: 512, D: 1024},
		"a workspace at 0x810": {A: 256, B: 512, D: 1024, Workspace: 0x810},
	} {
		require.ErrorContains(t, g.Multiply(g.handle, x, &ways[0], o, g.stream), what)
	}
	require.ErrorContains(t, g.Multiply(g.handle, x, &cublaslt.Algorithm{}, good, g.stream), "the algorithm is none")
	require.ErrorContains(t, g.Multiply(g.handle+16, x, &ways[0], good, g.stream), "is no handle")
	require.ErrorContains(t, g.Multiply(g.handle, x, &ways[0], good, 77), "is no stream")
	g.Discard(x)
	require.ErrorContains(t, g.Multiply(g.handle, x, &ways[0], good, g.stream), "discarded")
	require.Panics(t, func() { g.Discard(x) })
	require.NoError(t, g.CloseHandle(g.handle))
	require.ErrorContains(t, g.CloseHandle(g.handle), "is no handle")
	require.NoError(t, g.d.SetContext(0))
	_, err = g.NewHandle()
	require.ErrorIs(t, err, &cublaslt.Error{Code: cublaslt.NotInitialized})
	require.Panics(t, func() { g.FailNext("Divide", 1, 1) })
}

// Others must not write the workspace while a product is computed.
func TestSpoiledWorkspace(t *testing.T) {
	g := newGPU(t, Config{Workspace: 256})
	x, ways, err := g.Prepare(g.handle, square())
	require.NoError(t, err)
	a, _ := g.memory(t)
	w, err := g.d.Alloc(512)
	require.NoError(t, err)
	require.NoError(t, g.Multiply(g.handle, x, &ways[0], cublaslt.Operands{A: a, B: a, D: a, Workspace: w}, g.stream))
	require.Equal(t, 1, g.d.Advance(1))
	other, err := g.d.NewStream()
	require.NoError(t, err)
	require.NoError(t, g.d.CopyOnDevice(w+9, a+1, 3, other))
	require.NoError(t, g.d.SyncStream(other))
	require.ErrorContains(t, g.d.SyncStream(g.stream), "the workspace was written by others")
}
