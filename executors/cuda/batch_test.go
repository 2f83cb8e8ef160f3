package cuda_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// sums is a batch of three additions of 8 floats, a = x + y, b = a + x, c = a + b.
type sums struct {
	q       executors.Queue
	d       *fake.Driver
	b       executors.Batch
	x, y    []byte
	results [3][]byte
}

func newSums(t *testing.T, e *cuda.Executor, d *fake.Driver) *sums {
	t.Helper()
	s := &sums{q: queueOf(t, e), d: d}
	l := bind(t, compile(t, e, addText, executors.Options{}), map[string]int64{"N": 8})
	var err error
	s.b, err = s.q.Batch([]executors.Launch{l, l, l}, [][]int{nil, {0}, {0, 1}})
	require.NoError(t, err)
	s.x, s.y = vector(t, s.q, 8, 1), vector(t, s.q, 8, 10)
	for i := range s.results {
		s.results[i] = vector(t, s.q, 8, 0)
	}
	return s
}

// run runs the batch and checks its last result.
func (s *sums) run(t *testing.T) {
	t.Helper()
	r := &s.results
	err := s.b.Run([][][]byte{{s.x, s.y, r[0]}, {r[0], s.x, r[1]}, {r[0], r[1], r[2]}}, make([][]byte, 3))
	require.NoError(t, err)
	x, y, got := floats(t, s.q, s.x), floats(t, s.q, s.y), floats(t, s.q, r[2])
	for i := range got {
		require.Equal(t, 3*x[i]+2*y[i], got[i], "element %d", i)
	}
}

func TestBatchIsRecorded(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	require.Zero(t, d.Count("NewGraph"), "the first run has the addresses")
	for range 3 {
		s.run(t)
	}
	require.NoError(t, s.b.Recorded())
	require.Equal(t, [5]int{1, 3, 1, 3, 0}, [5]int{d.Count("NewGraph"), d.Count("AddKernelNode"), d.Count("Instantiate"),
		d.Count("LaunchGraph"), d.Count("Launch")})
	require.Zero(t, d.Count("SetKernelNode"))
}

// Only nodes whose addresses differ from the last run's are patched.
func TestBatchIsPatched(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	s.run(t)
	s.y = vector(t, s.q, 8, 100)
	s.run(t)
	require.Equal(t, 1, d.Count("SetKernelNode"))
	s.results[1] = vector(t, s.q, 8, 0)
	s.run(t)
	require.Equal(t, 3, d.Count("SetKernelNode"))
	s.run(t)
	require.Equal(t, 3, d.Count("SetKernelNode"))
	require.NoError(t, s.b.Recorded())
}

// A batch that is patched throughout each time is launched instead.
func TestRestlessBatch(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	for range 12 {
		s.x, s.results[0] = vector(t, s.q, 8, 3), vector(t, s.q, 8, 0)
		s.run(t)
	}
	require.EqualError(t, s.b.Recorded(), "the graph could not be changed: 3 of 3 kernels had other addresses in each of 8 runs")
	require.Equal(t, 8, d.Count("LaunchGraph"))
	require.Equal(t, 4*3, d.Count("Launch"))
}

// Where there can be no graph, the launches run one by one, and the reason is told.
func TestBatchWithoutGraph(t *testing.T) {
	for call, want := range map[string]string{
		"NewGraph":      "no graph could be made: ",
		"AddKernelNode": "no graph could be made: ",
		"Instantiate":   "no graph could be made: ",
		"LaunchGraph":   "the graph could not be launched: ",
		"SetKernelNode": "the graph could not be changed: ",
	} {
		t.Run(call, func(t *testing.T) {
			e, d := newExecutor(t, fake.Config{}, cuda.Options{})
			s := newSums(t, e, d)
			d.FailNext(call, 1, driver.NotSupported)
			s.run(t)
			s.x = vector(t, s.q, 8, 50)
			s.run(t)
			s.run(t)
			require.ErrorContains(t, s.b.Recorded(), want)
			require.ErrorContains(t, s.b.Recorded(), "operation not supported")
			require.Positive(t, d.Count("Launch"))
			graphsEnd(t, s)
		})
	}
}

// A graph that there was too little memory for is made when there is more, unless
// that goes on.
func TestBatchShortOfMemory(t *testing.T) {
	for _, call := range []string{"NewGraph", "AddKernelNode", "Instantiate", "LaunchGraph"} {
		for failing, recorded := range map[int]bool{1: true, 3: true, 4: false} {
			e, d := newExecutor(t, fake.Config{}, cuda.Options{})
			s := newSums(t, e, d)
			for range failing {
				d.FailNext(call, 1, driver.OutOfMemory)
				launched := d.Count("Launch")
				s.run(t)
				require.Equal(t, launched+3, d.Count("Launch"), call)
				require.ErrorContains(t, s.b.Recorded(), "out of memory", call)
			}
			replayed := d.Count("LaunchGraph")
			s.run(t)
			if recorded {
				require.NoError(t, s.b.Recorded(), call)
				require.Equal(t, replayed+1, d.Count("LaunchGraph"), call)
				continue
			}
			require.ErrorContains(t, s.b.Recorded(), "out of memory", call)
			require.Equal(t, replayed, d.Count("LaunchGraph"), call)
			graphsEnd(t, s)
		}
	}
}

// graphsEnd waits until the collector has ended the graphs that nobody has.
func graphsEnd(t *testing.T, s *sums) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		require.NoError(t, s.q.Sync())
		return s.d.Live().Graphs == 0 && s.d.Live().GraphExecs == 0
	}, 10*time.Second, time.Millisecond)
}

// Batches are ended when nobody has them any more.
func TestBatchEnds(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	s.run(t)
	require.Equal(t, 1, d.Live().GraphExecs)
	s.b = nil
	graphsEnd(t, s)
}

func TestBatchRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		o    cuda.Options
		n    []int64
		want string
	}{
		{"option", cuda.Options{NoGraphs: "JITC_CUDA_GRAPHS is off"}, []int64{8, 8}, "JITC_CUDA_GRAPHS is off"},
		{"blocking", cuda.Options{Blocking: true}, []int64{8, 8}, "JITC_CUDA_BLOCKING waits for each launch"},
		{"one", cuda.Options{}, []int64{0, 8}, "one kernel: its launch costs less than a graph's"},
		{"none", cuda.Options{}, []int64{0, 0}, "nothing to launch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, d := newExecutor(t, fake.Config{}, c.o)
			q := queueOf(t, e)
			k := compile(t, e, addText, executors.Options{})
			x, z := vector(t, q, 8, 1), vector(t, q, 8, 0)
			var launches []executors.Launch
			var args [][][]byte
			for _, n := range c.n {
				launches = append(launches, bind(t, k, map[string]int64{"N": n}))
				args = append(args, [][]byte{x[:4*n], x[:4*n], z[:4*n]})
			}
			b, err := q.Batch(launches, nil)
			require.NoError(t, err)
			require.EqualError(t, b.Recorded(), c.want)
			require.NoError(t, b.Run(args, make([][]byte, len(args))))
			if c.n[1] > 0 {
				require.Equal(t, float32(2), floats(t, q, z)[0])
			}
			require.Zero(t, d.Count("NewGraph"))
		})
	}
}

// Buffers that are aligned to their elements only run other code, which a graph of
// the usual one does not hold.
func TestBatchOfUnalignedBuffers(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	s.run(t)
	aligned := s.x
	s.x = vector(t, s.q, 9, 1)[4:]
	s.run(t)
	s.x = aligned
	s.run(t)
	require.NoError(t, s.b.Recorded())
	require.Equal(t, 2, d.Count("LaunchGraph"))
}

func TestBatchArguments(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	require.ErrorContains(t, s.b.Run(nil, nil), "arguments of 0 launches and scratch of 0, need 3")
	short := [][]byte{s.x, s.y, s.results[0][:31]}
	require.ErrorContains(t, s.b.Run([][][]byte{short, short, short}, make([][]byte, 3)), "launch 0: BUG: cuda: buffer r0 has 31 bytes, need 32")
	other, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	foreign := bind(t, compile(t, other, addText, executors.Options{}), map[string]int64{"N": 8})
	_, err := s.q.Batch([]executors.Launch{foreign}, nil)
	require.EqualError(t, err, "cuda:0: launch 0 of a batch is not one of this device")
}

// A fault in a graph is told with the batch.
func TestFaultOfABatch(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newSums(t, e, d)
	s.run(t)
	d.FailNext("LaunchGraph", 1, driver.IllegalAddress)
	r := &s.results
	err := s.b.Run([][][]byte{{s.x, s.y, r[0]}, {r[0], s.x, r[1]}, {r[0], r[1], r[2]}}, make([][]byte, 3))
	var lost *cuda.LostError
	require.ErrorAs(t, err, &lost)
	require.Regexp(t, `^a batch of 3, entry \w+ of @add to entry \w+ of @add$`, lost.At)
	require.NoError(t, s.b.Recorded(), "it is not the graph that failed")
}
