package cuda_test

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// doubling is a library that doubles 8 floats, in two pieces of work with the scratch
// memory between them.
type doubling struct {
	d      *fake.Driver
	more   func(at driver.Ptr) int // how many more pieces, by the operand's address
	refuse error                   // what it fails with, having queued nothing
	spoils bool                    // it makes a call that cannot be captured
	queued int                     // how often it was called
	mu     sync.Mutex
}

const doubledBytes = 32

func (x *doubling) queue(s driver.Stream, at cuda.Addresses) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queued++
	if x.refuse != nil {
		return x.refuse
	}
	if x.spoils {
		x.d.SpoilCapture(s)
	}
	from, to, between := at.Buffer(0), at.Buffer(1), at.Scratch()
	if between%256 != 0 || from%16 != 0 || to%16 != 0 {
		return errors.New("not aligned")
	}
	pieces := []func(fake.Memory) error{
		func(m fake.Memory) error { return doubled(m, between, from, 2) },
		func(m fake.Memory) error { return doubled(m, to, between, 1) },
	}
	for n := 0; x.more != nil && n < x.more(from); n++ {
		pieces = append(pieces, func(fake.Memory) error { return nil })
	}
	for _, p := range pieces {
		if err := x.d.Enqueue("double", s, p); err != nil {
			return err
		}
	}
	return nil
}

// doubled writes the floats at from, times a factor, to an address.
func doubled(m fake.Memory, to, from driver.Ptr, factor float32) error {
	mem := make([]byte, doubledBytes)
	if err := m.Read(mem, from); err != nil {
		return err
	}
	for i := 0; i < doubledBytes; i += 4 {
		f := math.Float32frombits(binary.LittleEndian.Uint32(mem[i:]))
		binary.LittleEndian.PutUint32(mem[i:], math.Float32bits(factor*f))
	}
	return m.Write(to, mem)
}

func (x *doubling) launch(t *testing.T, e *cuda.Executor) executors.Launch {
	t.Helper()
	l, err := e.NewLaunch(cuda.Work{Label: "a doubling", Scratch: doubledBytes, Queue: x.queue,
		Buffers: []cuda.Buffer{{Name: "x", Bytes: doubledBytes, Align: 4}, {Name: "y", Bytes: doubledBytes, Align: 4, Result: true}}})
	require.NoError(t, err)
	return l
}

// shared is a batch of kernels and a library's work: r0 = x + y, r1 = 2 r0, r2 = 2 x, r3 = r1 + r2, r1 and r2 by a library.
type shared struct {
	*doubling
	q       executors.Queue
	b       executors.Batch
	x, y    []byte
	results [4][]byte
	scratch [4][]byte
}

func newShared(t *testing.T, e *cuda.Executor, d *fake.Driver) *shared {
	t.Helper()
	s := &shared{doubling: &doubling{d: d}, q: queueOf(t, e)}
	add := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 8})
	double := s.launch(t, e)
	launches := []executors.Launch{add, double, double, add}
	var err error
	s.b, err = s.q.Batch(launches, [][]int{nil, {0}, nil, {1, 2}})
	require.NoError(t, err)
	s.x, s.y = vector(t, s.q, 8, 1), vector(t, s.q, 8, 10)
	for i, l := range launches {
		s.results[i] = vector(t, s.q, 8, 0)
		if n := l.ScratchBytes(1); n > 0 {
			mem, err := s.q.Alloc(n + 64)
			require.NoError(t, err)
			t.Cleanup(func() { s.q.Free(mem) })
			s.scratch[i] = mem[64:] // as much as is promised of its alignment
		}
	}
	return s
}

func (s *shared) try() error {
	r := &s.results
	return s.b.Run([][][]byte{{s.x, s.y, r[0]}, {r[0], r[1]}, {s.x, r[2]}, {r[1], r[2], r[3]}}, s.scratch[:])
}

// run runs the batch and checks its last result.
func (s *shared) run(t *testing.T) {
	t.Helper()
	require.NoError(t, s.try())
	s.check(t)
}

func (s *shared) check(t *testing.T) {
	t.Helper()
	x, y, got := floats(t, s.q, s.x), floats(t, s.q, s.y), floats(t, s.q, s.results[3])
	for i := range got {
		require.Equal(t, 4*x[i]+2*y[i], got[i], "element %d", i)
	}
}

func TestWorkOfALibraryAlone(t *testing.T) {
	for _, o := range []cuda.Options{{}, {Blocking: true}} {
		e, d := newExecutor(t, fake.Config{}, o)
		s := newShared(t, e, d)
		l := s.launch(t, e)
		run := func(x, y []byte) { require.NoError(t, l.Run([][]byte{x, y}, s.scratch[1], nil)) }
		run(s.x, s.y)
		assert.Equal(t, []float32{2, 4, 6, 8, 10, 12, 14, 16}, floats(t, s.q, s.y))
		x, y := vector(t, s.q, 9, 5)[4:], vector(t, s.q, 9, 0)[4:] // aligned to their elements: copies
		run(x, y)
		assert.Equal(t, []float32{12, 14, 16, 18, 20, 22, 24, 26}, floats(t, s.q, y))
		require.ErrorContains(t, l.Run([][]byte{x[:28], y}, s.scratch[1], nil), "buffer x has 28 bytes, need 32")
		require.ErrorContains(t, l.Run([][]byte{x, y}, nil, nil), "scratch of 0 bytes")
		require.Zero(t, d.Count("BeginCapture"))
	}
}

func TestNoWork(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	l, err := e.NewLaunch(cuda.Work{Label: "nothing", Buffers: []cuda.Buffer{{Name: "x"}}})
	require.NoError(t, err)
	require.Zero(t, l.ScratchBytes(1))
	require.NoError(t, l.Run([][]byte{nil}, nil, nil))
	b, err := queueOf(t, e).Batch([]executors.Launch{l, l}, nil)
	require.NoError(t, err)
	require.NoError(t, b.Run([][][]byte{{nil}, {nil}}, make([][]byte, 2)))
	require.EqualError(t, b.Recorded(), "nothing to launch")
	require.Zero(t, d.Count("Launch")+d.Count("BeginCapture"))
}

// The work of a library is captured when the graph is made, and replayed with it, in
// whatever order the device runs what does not wait for each other.
func TestWorkInABatchIsCaptured(t *testing.T) {
	for seed := range int64(6) {
		e, d := newExecutor(t, fake.Config{Seed: seed}, cuda.Options{})
		s := newShared(t, e, d)
		streams := d.Count("NewStream")
		require.NoError(t, s.try())
		require.Equal(t, streams+1, d.Count("NewStream"), "one for all captures")
		for range 3 {
			s.run(t)
		}
		require.NoError(t, s.b.Recorded())
		require.Equal(t, 2, s.queued)
		require.Equal(t, [6]int{2, 2, 2, 1, 4, 0}, [6]int{d.Count("BeginCapture"), d.Count("AddChildNode"), d.Count("AddKernelNode"),
			d.Count("Instantiate"), d.Count("LaunchGraph"), d.Count("SetChildNode")})
		require.Equal(t, 1, d.Live().Graphs, "what was captured is destroyed")
	}
}

// Where an address has changed, the work is captured again, and only there.
func TestWorkInABatchIsPatched(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	s.run(t)
	s.y = vector(t, s.q, 8, 100) // of the first addition
	s.run(t)
	require.Equal(t, 2, s.queued)
	s.results[2] = vector(t, s.q, 8, 0)
	s.run(t)
	require.Equal(t, [2]int{3, 1}, [2]int{s.queued, d.Count("SetChildNode")})
	mem, err := s.q.Alloc(len(s.scratch[1]))
	require.NoError(t, err)
	s.scratch[1] = mem
	s.run(t)
	s.run(t)
	require.Equal(t, [2]int{4, 2}, [2]int{s.queued, d.Count("SetChildNode")})
	require.NoError(t, s.b.Recorded())
	require.Equal(t, 1, d.Count("Instantiate"))
	require.Equal(t, 1, d.Live().Graphs)
	s.q.Free(mem)
}

// Work that is made of other pieces at other addresses needs another graph; a batch
// that needs one time and again is launched instead.
func TestWorkThatChangesItsShape(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	pieces := 0
	s.more = func(driver.Ptr) int { return pieces }
	for range 12 {
		s.results[2] = vector(t, s.q, 8, 0)
		s.run(t)
		s.run(t)
		pieces++
	}
	require.ErrorContains(t, s.b.Recorded(), "the graph could not be changed: cuda:0: cuGraphExecChildGraphNodeSetParams: ")
	require.Equal(t, 1+8, d.Count("Instantiate"))
	require.Equal(t, 2*(1+8), d.Count("LaunchGraph"))
	requireGraphsEnd(t, s.q, d)
}

// Work that moves in every run is better launched than captured each time.
func TestRestlessWork(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	for range 12 {
		s.results[2] = vector(t, s.q, 8, 0)
		s.run(t)
	}
	require.EqualError(t, s.b.Recorded(), "the graph could not be changed: 2 of 4 kernels had other addresses in each of 8 runs")
	require.Equal(t, 8, d.Count("LaunchGraph"))
	require.Equal(t, 2+7+2*4, s.queued)
}

func requireGraphsEnd(t *testing.T, q executors.Queue, d *fake.Driver) {
	t.Helper()
	graphsEnd(t, &sums{q: q, d: d})
}

// failing lets the next calls of a method fail.
func failing(d *fake.Driver, call string, n int) {
	for i := range n {
		d.FailNext(call, i+1, driver.NotSupported)
	}
}

// Where nothing can be captured, the launches run one by one, and the reason is told.
func TestWorkThatIsNotCaptured(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *shared)
		tries int
		want  string
	}{
		"begin":   {func(s *shared) { failing(s.d, "BeginCapture", 99) }, 4, "no graph could be made: cuda:0: a doubling: cuStreamBeginCapture: "},
		"end":     {func(s *shared) { failing(s.d, "EndCapture", 99) }, 4, "no graph could be made: cuda:0: a doubling: cuStreamEndCapture: "},
		"stream":  {func(s *shared) { failing(s.d, "NewStream", 4) }, 4, "no graph could be made: cuda:0: a doubling: cuStreamCreate: "},
		"library": {func(s *shared) { s.spoils = true }, 4, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
		"child":   {func(s *shared) { failing(s.d, "AddChildNode", 99) }, 1, "no graph could be made: cuda:0: a doubling: cuGraphAddChildGraphNode: "},
	} {
		t.Run(name, func(t *testing.T) {
			e, d := newExecutor(t, fake.Config{}, cuda.Options{})
			s := newShared(t, e, d)
			c.spoil(s)
			for range 6 {
				require.NoError(t, s.try())
				require.ErrorContains(t, s.b.Recorded(), c.want)
			}
			require.Equal(t, c.tries, d.Count("NewGraph"))
			s.spoils = false
			s.check(t)
		})
	}
}

// What a library cannot do in the first capture, it may be able to do in the next.
func TestCaptureThatFailsOnce(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	s.spoils = true
	s.run(t)
	require.ErrorContains(t, s.b.Recorded(), "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
	s.spoils = false
	s.run(t)
	s.run(t)
	require.NoError(t, s.b.Recorded())
	require.Equal(t, 2, d.Count("LaunchGraph"))
	require.Equal(t, 1, d.Live().Graphs, "what was begun in vain is destroyed")
}

// An error of a library's is the run's; later runs are as if it had not been.
func TestLibraryError(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	full := errors.New("library: no room")
	s.refuse = full
	err := s.try()
	require.ErrorIs(t, err, full)
	require.EqualError(t, err, "cuda:0: a doubling: library: no room")
	require.ErrorContains(t, s.b.Recorded(), "no room")
	s.refuse = nil
	s.run(t)
	require.NoError(t, e.Within(func() error { return nil }))
	require.ErrorIs(t, e.Within(func() error { return full }), full)
}

// Where the device is lost, a library's error is what it was lost with.
func TestLibraryErrorOfALostDevice(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	closed := false
	require.NoError(t, e.Keep(closer(func() error { closed = true; return nil })))
	s.run(t)
	s.refuse = errors.New("library: execution failed")
	d.FailNext("MemoryInfo", 1, driver.IllegalAddress)
	s.results[2] = vector(t, s.q, 8, 0)
	err := s.try()
	var lost *cuda.LostError
	require.ErrorAs(t, err, &lost)
	require.ErrorIs(t, err, s.refuse)
	require.ErrorAs(t, s.try(), &lost)
	require.ErrorAs(t, e.Within(func() error { return nil }), &lost)
	_, err = e.NewLaunch(cuda.Work{})
	require.ErrorAs(t, err, &lost)
	require.ErrorAs(t, e.Keep(closer(nil)), &lost)
	require.NoError(t, e.Close())
	require.False(t, closed, "it went with the context")
}

// A fault of a library's work is told by what waits for it, with its name.
func TestFaultOfALibrary(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	l, err := e.NewLaunch(cuda.Work{Label: "a wild write", Queue: func(st driver.Stream, _ cuda.Addresses) error {
		return d.Enqueue("wild", st, func(m fake.Memory) error { return m.Write(12, []byte{1}) })
	}})
	require.NoError(t, err)
	require.NoError(t, l.Run(nil, nil, nil))
	var lost *cuda.LostError
	require.ErrorAs(t, s.q.Sync(), &lost)
	require.Equal(t, "a wild write", lost.At)
}
