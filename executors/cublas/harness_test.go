package cublas_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cublas"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir"
	"jitc/ir/tensor"
)

// machine is a device that is not there, with the library.
type machine struct {
	driver  *fake.Driver
	library *ltfake.Library
	device  *cuda.Executor
	cublas  *cublas.Executor
}

// newMachine must be left as it was.
func newMachine(t *testing.T, d fake.Config, c ltfake.Config, o cuda.Options) *machine {
	t.Helper()
	m := &machine{driver: fake.New(d)}
	m.library = ltfake.New(m.driver, c)
	m.device = cuda.New(m.driver, 0, o)
	m.cublas = cublas.New(m.device, m.library, cublas.Options{Any: true})
	t.Cleanup(func() {
		require.NoError(t, m.device.Close())
		require.Equal(t, fake.Live{}, m.driver.Live())
		handles, _ := m.library.Live()
		require.Zero(t, handles)
	})
	return m
}

func (m *machine) queue(t *testing.T) executors.Queue {
	t.Helper()
	q, err := m.cublas.Queue()
	require.NoError(t, err)
	return q
}

func parse(t testing.TB, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("test", text)
	require.NoError(t, diags.Err())
	return f
}

// compile compiles a region for the library.
func (m *machine) compile(t *testing.T, text string, o executors.Options) (*ir.Func, executors.Kernel) {
	t.Helper()
	f := parse(t, text)
	k, err := m.cublas.Compile(context.Background(), f, o)
	require.NoError(t, err)
	return f, k
}

// upload brings a tensor to the device.
func upload(t *testing.T, q executors.Queue, x *tensor.Tensor) []byte {
	t.Helper()
	data, _ := x.Contiguous().Bytes()
	mem, err := q.Alloc(len(data))
	require.NoError(t, err)
	t.Cleanup(func() { q.Free(mem) })
	require.NoError(t, q.Upload(mem, data))
	return mem
}

// download brings a tensor back.
func download(t *testing.T, q executors.Queue, like *tensor.Tensor, mem []byte) *tensor.Tensor {
	t.Helper()
	data := make([]byte, len(mem))
	require.NoError(t, q.Download(data, mem))
	out, err := tensor.FromBytes(like.DType(), like.Shape(), data)
	require.NoError(t, err)
	return out
}

// memory is the device memory of a launch.
type memory struct {
	bufs    [][]byte
	scratch []byte
	want    *tensor.Tensor
}

// prepare brings random operands of a region to the device, and computes what its
// result must be.
func prepare(t *testing.T, q executors.Queue, f *ir.Func, l executors.Launch, sizes map[string]int64, seed uint64) *memory {
	t.Helper()
	args := numbers(t, f, sizes, seed)
	want, err := ir.Eval(f, args, sizes)
	require.NoError(t, err)
	x := &memory{want: want[0]}
	for _, a := range args {
		x.bufs = append(x.bufs, upload(t, q, a))
	}
	x.bufs = append(x.bufs, upload(t, q, tensor.New(want[0].DType(), want[0].Shape()...)))
	if n := l.ScratchBytes(1); n > 0 {
		x.scratch = upload(t, q, tensor.New(tensor.U8, n))
	}
	return x
}

// numbers are operands whose products and sums are exact, in any order, so that results
// differ from the reference's if they are rounded twice, or are something else.
func numbers(t *testing.T, f *ir.Func, sizes map[string]int64, seed uint64) (args []*tensor.Tensor) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	for _, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		require.NoError(t, err)
		n, err := tensor.CheckedElements(shape)
		require.NoError(t, err)
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = float64(rng.IntN(255)-127) / 16
		}
		args = append(args, tensor.FromFloats(p.Type.DType, shape, xs))
	}
	return args
}

// result compares what was computed.
func (x *memory) result(t *testing.T, q executors.Queue, what ...any) {
	t.Helper()
	got := download(t, q, x.want, x.bufs[len(x.bufs)-1])
	require.Nil(t, tensor.Compare(got, x.want, tensor.Exact), what...)
}

// run binds a kernel, runs it once and compares its result.
func (m *machine) run(t *testing.T, f *ir.Func, k executors.Kernel, sizes map[string]int64) {
	t.Helper()
	l, err := k.Bind(sizes)
	require.NoError(t, err)
	q := m.queue(t)
	x := prepare(t, q, f, l, sizes, 1)
	require.NoError(t, l.Run(x.bufs, x.scratch, nil))
	x.result(t, q, "%s at %v", f, sizes)
}

// requireDiscarded waits until the collector has ended the products that nobody has.
func (m *machine) requireDiscarded(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		require.NoError(t, m.queue(t).Sync())
		_, products := m.library.Live()
		return products == 0
	}, 10*time.Second, time.Millisecond)
}

// dot is the text of a region that is one product.
func dot(in, out tensor.DType, m, n, k string) string {
	dtype := ""
	if in != out {
		dtype = fmt.Sprintf(", dtype=%s", out)
	}
	return fmt.Sprintf(`func @dot(%%x: %s[%s,%s], %%y: %s[%s,%s]) -> %s[%s,%s] {
  %%0: %s[%s,%s] = dot_general(%%x, %%y) {lhs_contract=[1], rhs_contract=[0]%s}
  return %%0
}`, in, m, k, in, k, n, out, m, n, out, m, n, dtype)
}

// quietLibrary queues nothing.
type quietLibrary struct{ *ltfake.Library }

func (quietLibrary) Multiply(cublaslt.Handle, *cublaslt.Product, *cublaslt.Algorithm, cublaslt.Operands, driver.Stream) error {
	return nil
}
