package cublas_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir"
	"jitc/ir/tensor"
)

const (
	reluText = `func @relu(%x: bf16[16,16]) -> bf16[16,16] {
  %0: bf16[] = constant() {value=0.0}
  %1: bf16[16,16] = broadcast(%0) {axes=[]}
  %2: bf16[16,16] = max(%1, %x)
  return %2
}`
	// layerText is what a batch computes: two products, and what is theirs between.
	layerText = `func @layers(%x: bf16[16,16], %w: bf16[16,16], %u: bf16[16,16]) -> bf16[16,16] {
  %0: bf16[16,16] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[0]}
  %1: bf16[] = constant() {value=0.0}
  %2: bf16[16,16] = broadcast(%1) {axes=[]}
  %3: bf16[16,16] = max(%2, %0)
  %4: bf16[16,16] = dot_general(%3, %u) {lhs_contract=[1], rhs_contract=[0]}
  return %4
}`
)

// layers is a batch of a product of the library's, a kernel, and another product.
type layers struct {
	*machine
	q       executors.Queue
	b       executors.Batch
	x, w, u []byte
	between [2][]byte
	out     []byte
	scratch [3][]byte
	want    *tensor.Tensor
}

func newLayers(t *testing.T, m *machine) *layers {
	t.Helper()
	l := &layers{machine: m, q: m.queue(t)}
	_, k := m.compile(t, dot(tensor.BF16, tensor.BF16, "16", "16", "16"), executors.Options{})
	product, err := k.Bind(nil)
	require.NoError(t, err)
	k, err = m.device.Compile(context.Background(), parse(t, reluText), executors.Options{})
	require.NoError(t, err)
	relu, err := k.Bind(nil)
	require.NoError(t, err)
	l.b, err = l.q.Batch([]executors.Launch{product, relu, product}, [][]int{nil, {0}, {1}})
	require.NoError(t, err)
	f := parse(t, layerText)
	args := numbers(t, f, nil, 3)
	want, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	l.want = want[0]
	l.x, l.w, l.u = upload(t, l.q, args[0]), upload(t, l.q, args[1]), upload(t, l.q, args[2])
	l.between = [2][]byte{l.memory(t), l.memory(t)}
	l.out = l.memory(t)
	if n := product.ScratchBytes(1); n > 0 {
		l.scratch[0], l.scratch[2] = upload(t, l.q, tensor.New(tensor.U8, n)), upload(t, l.q, tensor.New(tensor.U8, n))
	}
	return l
}

func (l *layers) memory(t *testing.T) []byte {
	return upload(t, l.q, tensor.New(tensor.BF16, 16, 16))
}

func (l *layers) try() error {
	return l.b.Run([][][]byte{{l.x, l.w, l.between[0]}, {l.between[0], l.between[1]}, {l.between[1], l.u, l.out}}, l.scratch[:])
}

// run runs the batch and compares its result; the first product's sums are exact, the
// second's are of numbers rounded to bf16.
func (l *layers) run(t *testing.T) {
	t.Helper()
	require.NoError(t, l.try())
	got := download(t, l.q, l.want, l.out)
	require.Nil(t, tensor.Compare(got, l.want, tensor.Tolerance{Abs: 1e-3, Rel: 8e-3}))
}

// The library's products are captured once and replayed with the kernels; where an
// address moves they are captured again, and where that gives other nodes the graph is
// made anew.
func TestBatches(t *testing.T) {
	for seed := range int64(4) {
		nodes := 1
		m := newMachine(t, fake.Config{Seed: seed}, ltfake.Config{Workspace: 768, Nodes: func(cublaslt.Operands) int { return nodes }}, cuda.Options{})
		l := newLayers(t, m)
		for range 3 {
			l.run(t)
		}
		require.NoError(t, l.b.Recorded())
		require.Equal(t, [4]int{2, 2, 1, 3}, [4]int{m.library.Count("Multiply"), m.driver.Count("AddChildNode"),
			m.driver.Count("Instantiate"), m.driver.Count("LaunchGraph")})
		l.out = l.memory(t)
		l.run(t)
		require.Equal(t, [3]int{3, 1, 1}, [3]int{m.library.Count("Multiply"), m.driver.Count("SetChildNode"), m.driver.Count("Instantiate")})
		l.between[0] = l.memory(t)
		l.run(t)
		require.Equal(t, [3]int{4, 2, 1}, [3]int{m.library.Count("Multiply"), m.driver.Count("SetChildNode"), m.driver.Count("Instantiate")})
		nodes = 5
		l.out = l.memory(t)
		l.run(t)
		l.run(t)
		require.NoError(t, l.b.Recorded())
		require.Equal(t, 2, m.driver.Count("Instantiate"))
		require.Zero(t, m.driver.Count("Launch"))
	}
}

// Where the library cannot be captured, it is launched.
func TestBatchesWithoutCapture(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{Uncapturable: true}, cuda.Options{})
	l := newLayers(t, m)
	for range 6 {
		l.run(t)
	}
	require.ErrorContains(t, l.b.Recorded(), "no graph could be made: cuda:0: a product of @dot: cuStreamEndCapture: ")
	require.Equal(t, 4+6*2, m.library.Count("Multiply"), "captures, and products")
}

// What the library cannot do while it is captured is launched, and captured later.
// What it cannot do at all is the run's error; later runs are as if it had not been.
func TestBatchesOfAFailingLibrary(t *testing.T) {
	for _, nth := range []int{1, 2} {
		m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
		l := newLayers(t, m)
		m.library.FailNext("Multiply", nth, cublaslt.NotSupported)
		l.run(t)
		require.ErrorContains(t, l.b.Recorded(), "CUBLAS_STATUS_NOT_SUPPORTED")
		l.run(t)
		require.NoError(t, l.b.Recorded())
		l.out = l.memory(t)
		for n := range 3 { // it is captured for the node, then for another graph, and launched
			m.library.FailNext("Multiply", n+1, cublaslt.ExecutionFailed)
		}
		var e *cublaslt.Error
		require.ErrorAs(t, l.try(), &e)
		require.Equal(t, cublaslt.ExecutionFailed, e.Code)
		l.run(t)
		l.run(t)
		require.NoError(t, l.b.Recorded())
	}
}

// A graph that there is too little memory for is made at a later run.
func TestBatchesShortOfMemory(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	l := newLayers(t, m)
	m.driver.FailNext("Instantiate", 1, driver.OutOfMemory)
	for range 3 {
		l.run(t)
	}
	require.NoError(t, l.b.Recorded())
	require.Equal(t, 2, m.driver.Count("LaunchGraph"))
}

// A lost device ends the batch, and the executor.
func TestLostDevice(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	l := newLayers(t, m)
	l.run(t)
	m.driver.FailNext("LaunchGraph", 1, driver.IllegalAddress)
	var lost *cuda.LostError
	require.ErrorAs(t, l.try(), &lost)
	require.ErrorAs(t, l.try(), &lost)
	_, k := m.compile(t, dot(tensor.F32, tensor.F32, "4", "4", "4"), executors.Options{})
	_, err := k.Bind(nil)
	require.ErrorAs(t, err, &lost)
	_, err = m.cublas.Queue()
	require.ErrorAs(t, err, &lost)
	require.NoError(t, m.device.Close())
	handles, _ := m.library.Live()
	require.Equal(t, 1, handles, "it went with the context")
	m.library = ltfake.New(m.driver, ltfake.Config{})
}

// Products of several goroutines, alone and in batches, are computed side by side.
func TestGoroutines(t *testing.T) {
	m := newMachine(t, fake.Config{Seed: 9}, ltfake.Config{Workspace: 300}, cuda.Options{})
	q := m.queue(t)
	f, k := m.compile(t, dot(tensor.F16, tensor.F32, "9", "5", "N"), executors.Options{})
	var all sync.WaitGroup
	var batches []*layers
	for g := range 4 {
		batches = append(batches, newLayers(t, m))
		sizes := map[string]int64{"N": int64(g + 3)}
		l, err := k.Bind(sizes)
		require.NoError(t, err)
		x := prepare(t, q, f, l, sizes, uint64(g))
		all.Go(func() {
			for range 5 {
				assert.NoError(t, l.Run(x.bufs, x.scratch, nil))
				assert.NoError(t, batches[g].try())
				_, err := k.Bind(sizes)
				assert.NoError(t, err)
			}
		})
		defer x.result(t, q)
	}
	all.Wait()
	for _, l := range batches {
		l.run(t)
		require.NoError(t, l.b.Recorded())
	}
}
