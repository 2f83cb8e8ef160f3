package cublas_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cublas"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir/tensor"
)

func TestRegistered(t *testing.T) {
	require.Same(t, cublas.At(0), cublas.At(0))
	assert.Equal(t, [2]string{"cublas", "cublas:1"}, [2]string{cublas.At(0).Name(), cublas.At(1).Name()})
	names := map[string]int{}
	for i, e := range executors.All() {
		names[e.Name()] = i + 1
	}
	require.Positive(t, names["cublas"])
	require.Less(t, names["cublas"], names["cuda"], "it is asked first")
	require.Zero(t, names["cublas:1"])
}

// Device and queue are those of the executor cuda.
func TestSharedDevice(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{Version: 130001}, cuda.Options{})
	require.NoError(t, m.cublas.Available())
	assert.Equal(t, "cuBLASLt 13.0.1", m.cublas.Features())
	assert.Equal(t, executors.Device("cuda:0"), m.cublas.Device())
	q, err := m.device.Queue()
	require.NoError(t, err)
	require.Equal(t, q, m.queue(t))
}

// What is missing is said once it is looked for: the device first.
func TestUnavailable(t *testing.T) {
	looked := 0
	find := func(version int) error {
		looked++
		assert.Equal(t, 12040, version)
		return errors.New("no cuBLASLt: looked everywhere")
	}
	none := cublas.NewOf(cuda.New(fake.New(fake.Config{Devices: -1}), 0, cuda.Options{}), find, nil)
	require.EqualError(t, none.Available(), "no CUDA device 0: the driver sees 0 (hint: CUDA_VISIBLE_DEVICES chooses among them)")
	require.Zero(t, looked)
	e := cublas.NewOf(cuda.New(fake.New(fake.Config{}), 0, cuda.Options{}), find, nil)
	require.EqualError(t, e.Available(), "no cuBLASLt: looked everywhere")
	require.EqualError(t, e.Available(), "no cuBLASLt: looked everywhere")
	require.Equal(t, 1, looked)
	require.Empty(t, e.Features())
	product := parse(t, dot(tensor.F32, tensor.F32, "4", "4", "4"))
	require.Equal(t, "there is no library", e.Claim(product.Values[0]).Why)
	_, err := e.Compile(t.Context(), product, executors.Options{})
	require.EqualError(t, err, "no cuBLASLt: looked everywhere")
}

// The library is loaded when a product is claimed. One that cannot be loaded is refused.
func TestLibraryIsLoadedLate(t *testing.T) {
	loaded := 0
	e := cublas.NewOf(cuda.New(fake.New(fake.Config{}), 0, cuda.Options{}), func(int) error { return nil }, func() (cublaslt.API, error) {
		loaded++
		return nil, errors.New("no cuBLASLt: x.so: wrong ELF class")
	})
	require.NoError(t, e.Available())
	require.Equal(t, fusion.Refused, e.Claim(parse(t, reluText).Values[0]).Level)
	require.Equal(t, fusion.Refused, e.Claim(parse(t, dot(tensor.I8, tensor.I32, "4", "4", "4")).Values[0]).Level)
	require.Zero(t, loaded)
	product := parse(t, dot(tensor.F32, tensor.F32, "4", "4", "4"))
	require.Equal(t, fusion.Claim{Level: fusion.Refused, Why: "no cuBLASLt: x.so: wrong ELF class"}, e.Claim(product.Values[0]))
	require.Positive(t, loaded)
	require.Empty(t, e.Features())
	_, err := e.Compile(t.Context(), product, executors.Options{})
	require.EqualError(t, err, "no cuBLASLt: x.so: wrong ELF class")
}

func TestOptionsOfTheMachine(t *testing.T) {
	for value, want := range map[string]cublas.Options{"": {}, "large": {}, "all": {Any: true}} {
		o, err := cublas.OptionsOf(value)
		require.NoError(t, err)
		assert.Equal(t, want, o)
	}
	_, err := cublas.OptionsOf("some")
	require.EqualError(t, err, "JITC_CUBLAS_CLAIM=some: expected all or large")
}

// The library has one handle for a device, from the first product on to the end of the
// queue; products are given back when nobody has their launches.
func TestLives(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	f, k := m.compile(t, dot(tensor.F32, tensor.F32, "4", "N", "4"), executors.Options{})
	handles, products := m.library.Live()
	require.Equal(t, [2]int{0, 0}, [2]int{handles, products}, "compiling does not touch the device")
	for n := range int64(3) {
		m.run(t, f, k, map[string]int64{"N": n + 1})
	}
	require.Equal(t, 1, m.library.Count("NewHandle"))
	m.requireDiscarded(t)
	require.NoError(t, m.device.Close())
	handles, _ = m.library.Live()
	require.Zero(t, handles)
	_, err := k.Bind(map[string]int64{"N": 1})
	require.EqualError(t, err, "cuda:0 is closed")
}

// Where the library fails to prepare a product, the device's own kernel computes it.
func TestLibraryThatCannot(t *testing.T) {
	for name, spoil := range map[string]func(m *machine){
		"no handle":             func(m *machine) { m.library.FailNext("NewHandle", 1, cublaslt.AllocFailed) },
		"no description":        func(m *machine) { m.library.FailNext("Prepare", 1, cublaslt.NotSupported) },
		"a failing description": func(m *machine) { m.library.FailNext("Prepare", 1, cublaslt.InternalError) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
			f, k := m.compile(t, dot(tensor.F32, tensor.F32, "4", "8", "4"), executors.Options{})
			spoil(m)
			m.run(t, f, k, nil)
			require.Equal(t, [2]int{0, 1}, [2]int{m.library.Count("Multiply"), m.driver.Count("Launch")})
			m.run(t, f, k, nil) // and then the library again
			require.Equal(t, [2]int{1, 1}, [2]int{m.library.Count("Multiply"), m.driver.Count("Launch")})
		})
	}
}

// A run's failure is the library's, by name and text, with the product.
func TestLibraryThatFails(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	f, k := m.compile(t, dot(tensor.F32, tensor.F32, "4", "8", "4"), executors.Options{})
	l, err := k.Bind(nil)
	require.NoError(t, err)
	x := prepare(t, m.queue(t), f, l, nil, 1)
	m.library.FailNext("Multiply", 1, cublaslt.ExecutionFailed)
	err = l.Run(x.bufs, x.scratch, nil)
	require.EqualError(t, err, "cuda:0: a product of @dot: cublasLtMatmul: the function failed to launch on the GPU (CUBLAS_STATUS_EXECUTION_FAILED, 13): injected")
	require.ErrorIs(t, err, &cublaslt.Error{Code: cublaslt.ExecutionFailed})
	require.NoError(t, l.Run(x.bufs, x.scratch, nil))
	x.result(t, m.queue(t))
}

// An algorithm that wants more workspace than there is for it is not taken.
func TestWorkspace(t *testing.T) {
	for bytes, want := range map[int]int{0: 0, 1 << 20: 1<<20 + 256, 33 << 20: 0} {
		m := newMachine(t, fake.Config{}, ltfake.Config{Workspace: bytes}, cuda.Options{})
		_, k := m.compile(t, dot(tensor.F32, tensor.F32, "4", "8", "4"), executors.Options{})
		l, err := k.Bind(nil)
		require.NoError(t, err)
		assert.Equal(t, want, l.ScratchBytes(4))
	}
}

// Buffers that are aligned to their elements only give the same bits.
func TestUnalignedBuffers(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	f, k := m.compile(t, dot(tensor.BF16, tensor.BF16, "4", "8", "4"), executors.Options{})
	l, err := k.Bind(nil)
	require.NoError(t, err)
	q := m.queue(t)
	x := prepare(t, q, f, l, nil, 1)
	for i, b := range x.bufs {
		moved := upload(t, q, tensor.New(tensor.U8, len(b)+2))[2:]
		require.NoError(t, q.Copy(moved, b))
		x.bufs[i] = moved
	}
	require.NoError(t, l.Run(x.bufs, x.scratch, nil))
	x.result(t, q)
}
