package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/ir"
	"jitc/ir/tensor"
)

// mappedText is a product whose operands come by tensor maps on hopper.
const mappedText = `func @mapped(%a: bf16[256,192], %b: bf16[256,192]) -> f32[256,256] {
  %0: f32[256,256] = dot_general(%a, %b) {lhs_contract=[1], rhs_contract=[1], dtype=f32}
  return %0
}`

// mapped is that product on a device, with operands on it.
type mapped struct {
	q    executors.Queue
	l    executors.Launch
	a    [2]*tensor.Tensor
	mem  [2][]byte
	want [2][2]*tensor.Tensor // of operands i and j
}

func newMapped(t *testing.T, e *cuda.Executor) *mapped {
	t.Helper()
	m := &mapped{q: queueOf(t, e)}
	k := compile(t, e, mappedText, executors.Options{Dumps: true})
	code, _ := k.Dump("ptx")
	require.Contains(t, code, "cp.async.bulk.tensor")
	m.l = bind(t, k, nil)
	for i := range m.a {
		var err error
		m.a[i], err = tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: uint64(i)}, tensor.BF16, []int{256, 192})
		require.NoError(t, err)
		host, _ := m.a[i].Bytes()
		m.mem[i] = m.alloc(t, len(host))
		require.NoError(t, m.q.Upload(m.mem[i], host))
	}
	for i := range m.a {
		for j := range m.a {
			want, err := ir.Eval(parse(t, mappedText), []*tensor.Tensor{m.a[i], m.a[j]}, nil)
			require.NoError(t, err)
			m.want[i][j] = want[0]
		}
	}
	return m
}

func (m *mapped) alloc(t *testing.T, bytes int) []byte {
	t.Helper()
	mem, err := m.q.Alloc(bytes)
	require.NoError(t, err)
	t.Cleanup(func() { m.q.Free(mem) })
	return mem
}

// check compares a result with the product of operands i and j.
func (m *mapped) check(t *testing.T, mem []byte, i, j int) {
	t.Helper()
	got := tensor.New(tensor.F32, 256, 256)
	host, _ := got.Bytes()
	require.NoError(t, m.q.Download(host, mem))
	require.Nil(t, tensor.Compare(got, m.want[i][j], tensor.Tolerance{Abs: 1e-3, Rel: 1e-3}))
}

// A node's tensor maps are made when the addresses are known, and again where they
// change; nothing else makes them, or patches the node.
func TestTensorMapsFollowAddresses(t *testing.T) {
	e, d := newExecutor(t, hopper, cuda.Options{Wgmma: true})
	m := newMapped(t, e)
	b, err := m.q.Batch([]executors.Launch{m.l, m.l}, nil)
	require.NoError(t, err)
	y := [3][]byte{}
	for i := range y {
		y[i] = m.alloc(t, 4*256*256)
	}
	for _, run := range []struct {
		i, j, k, l, y  int // operands of two products, and where the second goes
		encoded, nodes int
	}{
		{0, 1, 1, 1, 1, 4, 0},
		{0, 1, 1, 1, 1, 4, 0},
		{0, 1, 1, 1, 2, 4, 1},
		{0, 0, 1, 1, 2, 5, 2},
		{1, 1, 0, 1, 2, 8, 4},
		{1, 1, 0, 1, 2, 8, 4},
	} {
		require.NoError(t, b.Run([][][]byte{{m.mem[run.i], m.mem[run.j], y[0]}, {m.mem[run.k], m.mem[run.l], y[run.y]}}, [][]byte{nil, nil}))
		m.check(t, y[0], run.i, run.j)
		m.check(t, y[run.y], run.k, run.l)
		assert.Equal(t, run.encoded, d.Count("EncodeTensorMap"), "%+v", run)
		assert.Equal(t, run.nodes, d.Count("SetKernelNode"), "%+v", run)
	}
	require.NoError(t, b.Recorded())
}

// A driver that makes no map fails the run, in words; the next one tries again.
func TestTensorMapThatIsNotMade(t *testing.T) {
	e, d := newExecutor(t, hopper, cuda.Options{Wgmma: true})
	m := newMapped(t, e)
	y := m.alloc(t, 4*256*256)
	b, err := m.q.Batch([]executors.Launch{m.l, m.l}, nil)
	require.NoError(t, err)
	one := [][]byte{m.mem[0], m.mem[1], y}
	for name, run := range map[string]func() error{
		"a launch": func() error { return m.l.Run(one, nil, nil) },
		"a batch":  func() error { return b.Run([][][]byte{one, one}, [][]byte{nil, nil}) },
	} {
		d.FailNext("EncodeTensorMap", 1, driver.NotSupported)
		err := run()
		var failed *driver.Error
		require.ErrorAs(t, err, &failed, name)
		assert.Equal(t, driver.NotSupported, failed.Code)
		assert.ErrorContains(t, err, "of @mapped: a tensor map: ", name)
		require.NoError(t, run(), name)
		m.check(t, y, 0, 1)
	}
}

// Drivers before CUDA 12, which make no tensor maps, get other products.
func TestTensorMapsNeedTheDriver(t *testing.T) {
	old := hopper
	old.Version = 11080
	e, d := newExecutor(t, old, cuda.Options{Wgmma: true})
	k := compile(t, e, mappedText, executors.Options{Dumps: true})
	code, _ := k.Dump("ptx")
	assert.NotContains(t, code, "cp.async.bulk")
	bind(t, k, nil)
	assert.Zero(t, d.Count("EncodeTensorMap"))
}
