package cuda_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/executors/diskcache"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
)

// idle is a driver whose device has nothing to do: it loads and launches nothing,
// so that what is left is the time of the host.
type idle struct{ *fake.Driver }

func (d idle) LoadModule([]byte) (driver.Module, string, error)        { return 1, "", nil }
func (d idle) UnloadModule(driver.Module) error                        { return nil }
func (d idle) Function(driver.Module, string) (driver.Function, error) { return 1, nil }
func (d idle) FunctionAttribute(driver.Function, driver.FunctionAttribute) (int, error) {
	return 0, nil
}
func (d idle) SetFunctionAttribute(driver.Function, driver.FunctionAttribute, int) error { return nil }
func (d idle) CopyToDevice(driver.Ptr, []byte, driver.Stream) error                      { return nil }
func (d idle) CopyToHost([]byte, driver.Ptr, driver.Stream) error                        { return nil }
func (d idle) CopyOnDevice(_, _ driver.Ptr, _ int, _ driver.Stream) error                { return nil }
func (d idle) Launch(driver.Function, *driver.LaunchConfig, driver.Stream) error         { return nil }
func (d idle) NewGraph() (driver.Graph, error)                                           { return 1, nil }
func (d idle) DestroyGraph(driver.Graph) error                                           { return nil }
func (d idle) AddKernelNode(driver.Graph, []driver.Node, driver.Function, *driver.LaunchConfig) (driver.Node, error) {
	return 1, nil
}
func (d idle) Instantiate(driver.Graph) (driver.GraphExec, error) { return 1, nil }
func (d idle) DestroyGraphExec(driver.GraphExec) error            { return nil }
func (d idle) SetKernelNode(driver.GraphExec, driver.Node, driver.Function, *driver.LaunchConfig) error {
	return nil
}
func (d idle) LaunchGraph(driver.GraphExec, driver.Stream) error { return nil }

// stubAssembler takes no time, and makes code of the size that entries have.
type stubAssembler struct{}

func (stubAssembler) Assemble(string, string) ([]byte, string, error) {
	return make([]byte, 20<<10), "ptxas info    : Compiling entry function 'f' for 'sm_80'\n", nil
}
func (stubAssembler) Version() string { return "stub 1" }

// BenchmarkColdStart is the first call of the GPT-2 program in a process that has
// compiled nothing, weights on the device, without what the device does: parsed,
// compiled, linked, recorded and queued. The code comes from the disk, from an
// assembler that takes no time, or from ptxas where there is one.
func BenchmarkColdStart(b *testing.B) {
	src, err := os.ReadFile(filepath.Join("..", "..", "testdata", "programs", "gpt2.trace"))
	require.NoError(b, err)
	cache, err := diskcache.Open(diskcache.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	d := idle{fake.New(fake.Config{Devices: 4, Memory: 4 << 30})}
	ptxas, missing := driver.FindProgram()
	for i, row := range []struct {
		name      string
		assembler driver.Assembler
		cache     *diskcache.Cache
	}{
		{"from disk", stubAssembler{}, cache},
		{"assembled in no time", stubAssembler{}, nil},
		{"assembled by ptxas", ptxas, nil},
	} {
		b.Run(row.name, func(b *testing.B) {
			if row.assembler == nil {
				b.Skip("left out: ", missing)
			}
			x := cuda.New(d, i, cuda.Options{Assembler: row.assembler, Cache: row.cache})
			name := fmt.Sprintf("cold:%d", coldStarts.Add(1))
			executors.Register(renamed{x, name}, 10)
			args := weights(b, string(src), x)
			coldCall(b, string(src), name, args) // fills the cache
			for b.Loop() {
				coldCall(b, string(src), name, args)
			}
		})
	}
}

// coldStarts are those of the process: each registers an executor.
var coldStarts atomic.Int64

// renamed is an executor of another name.
type renamed struct {
	*cuda.Executor
	name string
}

func (r renamed) Name() string { return r.name }

// weights are zeros for the program's arguments, on the device.
func weights(b *testing.B, src string, x *cuda.Executor) []*tensor.Tensor {
	f, err := trace.Parse("gpt2.trace", src)
	require.NoError(b, err)
	q, err := x.Queue()
	require.NoError(b, err)
	var args []*tensor.Tensor
	for _, p := range f.Func.Params {
		var shape []int
		for _, d := range p.Type.Shape {
			n, ok := d.Const()
			require.True(b, ok)
			shape = append(shape, int(n))
		}
		host, err := tensor.Make(p.Type.DType, shape)
		require.NoError(b, err)
		there, err := rt.ToQueue(host, q)
		require.NoError(b, err)
		args = append(args, there)
	}
	return args
}

// coldCall is a first call.
func coldCall(b *testing.B, src, name string, args []*tensor.Tensor) {
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{name}})
	require.NoError(b, err)
	defer e.Close()
	f, err := trace.Parse("gpt2.trace", src)
	require.NoError(b, err)
	_, err = e.Function(f.Func).Call(b.Context(), args...)
	require.NoError(b, err)
}
