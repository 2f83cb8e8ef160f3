package metrics_test

import (
	"context"
	"fmt"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/runtime"
	"jitc/runtime/metrics"
)

// scrape gathers every series, "name{label=value,...}", of a registry. It fails on
// what Prometheus would refuse, and on series that are there twice.
func scrape(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			v := m.GetCounter().GetValue()
			if m.Gauge != nil {
				v = m.Gauge.GetValue()
			}
			out[fmt.Sprintf("%s{%s}", f.GetName(), strings.Join(labels, ","))] = v
		}
	}
	return out
}

func registryOf(t testing.TB, stats func() runtime.Stats) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(metrics.NewCollector(stats)))
	return reg
}

// grew asserts that no counter has decreased. Those of single entries may go.
func grew(t testing.TB, before, after map[string]float64) {
	t.Helper()
	for k, v := range before {
		name, _, _ := strings.Cut(k, "{")
		if !strings.HasSuffix(name, "_total") {
			continue
		}
		now, there := after[k]
		if name == "jitc_guard_failures_total" && !there {
			continue
		}
		assert.GreaterOrEqual(t, now, v, k)
	}
	assert.GreaterOrEqual(t, sum(after, "jitc_guard_failures_total"), sum(before, "jitc_guard_failures_total"))
}

func sum(series map[string]float64, name string) (n float64) {
	for k, v := range series {
		if strings.HasPrefix(k, name+"{") {
			n += v
		}
	}
	return n
}

func newEngine(t testing.TB) *jitc.Engine {
	t.Helper()
	e, err := jitc.NewEngine(jitc.Options{})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func double(e *jitc.Engine, opts ...jitc.FuncOption) *jitc.F1[*jitc.Tensor, *jitc.Tensor] {
	return jitc.Func1(e, func(x *jitc.Tensor) *jitc.Tensor { return x.Mul(2.0) }, append(opts, jitc.Name("double"))...)
}

func call(t testing.TB, f *jitc.F1[*jitc.Tensor, *jitc.Tensor], sizes ...int) {
	t.Helper()
	x := jitc.Zeros(jitc.F32)
	if len(sizes) > 0 {
		n := 1
		for _, s := range sizes {
			n *= s
		}
		var err error
		x, err = jitc.From(make([]float32, n), sizes...)
		require.NoError(t, err)
	}
	_, err := f.Call(context.Background(), x)
	require.NoError(t, err)
}

// The numbers are those of the statistics, and every call is in one series.
func TestNumbersAddUp(t *testing.T) {
	e := newEngine(t)
	f := double(e)
	reg := registryOf(t, e.Stats)
	for _, n := range []int{2, 2, 3, 4, 2, 3} {
		call(t, f, n)
	}
	call(t, f, 2, 2)
	got, s := scrape(t, reg), f.Traced().Stats()
	assert.EqualValues(t, 7, sum(got, "jitc_calls_total"))
	for series, want := range map[string]float64{
		"jitc_calls_total{function=double,route=last}":              float64(s.Hits.Last),
		"jitc_calls_total{function=double,route=memo}":              float64(s.Hits.Memo),
		"jitc_calls_total{function=double,route=tree}":              float64(s.Hits.Tree),
		"jitc_calls_total{function=double,route=miss}":              3,
		"jitc_misses_total{function=double}":                        3,
		"jitc_entries_made_total{function=double}":                  3,
		"jitc_recompiles_total{function=double}":                    2,
		"jitc_entries{function=double}":                             3,
		"jitc_recordings{function=double}":                          float64(s.Recordings),
		"jitc_kernel_lookups_total{result=miss}":                    float64(e.Stats().Kernels.Misses),
		"jitc_compile_seconds_total{function=double,stage=kernels}": stage(s, "kernels"),
		"jitc_compile_seconds_total{function=double,stage=trace}":   stage(s, "trace"),
	} {
		v, ok := got[series]
		assert.True(t, ok, "no %s", series)
		assert.InDelta(t, want, v, 1e-12, series)
	}
	assert.Positive(t, stage(s, "trace"))
	assert.EqualValues(t, s.GuardFails, sum(got, "jitc_guard_failures_total"))
	last := got["jitc_entry_last_use_timestamp_seconds{entry=2,function=double}"]
	assert.InDelta(t, float64(time.Now().Unix()), last, 60)
}

func stage(s runtime.CacheStats, name string) (seconds float64) {
	for _, e := range s.Entries {
		for _, c := range e.Cost {
			if c.Stage == name {
				seconds += c.Time.Seconds()
			}
		}
	}
	return seconds
}

// Entries are evicted, functions of one name share series and are collected:
// counters only grow.
func TestCountersNeverDecrease(t *testing.T) {
	e := newEngine(t)
	reg := registryOf(t, e.Stats)
	f := double(e, jitc.WithLimits(runtime.Limits{Entries: 1}))
	g := double(e, jitc.WithLimits(runtime.Limits{Entries: 2}))
	shapes := [][]int{{2}, {2, 2}, {2, 2, 2}, {2}}
	before := scrape(t, reg)
	for round := range 2 {
		for _, s := range shapes {
			call(t, f, s...)
			if round == 0 {
				call(t, g, s...)
			}
			after := scrape(t, reg)
			grew(t, before, after)
			before = after
		}
	}
	assert.EqualValues(t, 12, sum(before, "jitc_calls_total"))
	assert.Positive(t, before["jitc_entries_evicted_total{function=double}"])
	assert.EqualValues(t, 3, before["jitc_entries{function=double}"])

	g = nil
	for range 20 {
		goruntime.GC()
		if len(e.Stats().Functions) == 1 {
			break
		}
	}
	require.Len(t, e.Stats().Functions, 1, "the function was not collected")
	after := scrape(t, reg)
	grew(t, before, after)
	assert.EqualValues(t, 12, sum(after, "jitc_calls_total"))
	assert.EqualValues(t, 1, after["jitc_entries{function=double}"])
	assert.EqualValues(t, sum(before, "jitc_guard_failures_total"), sum(after, "jitc_guard_failures_total"))
	goruntime.KeepAlive(f)
}

// A guard's text may be anything, and there may be many of them.
func TestLabelsAreBounded(t *testing.T) {
	entry := runtime.EntryStats{ID: 3}
	for i := range 40 {
		entry.Failing = append(entry.Failing, runtime.GuardStats{Guard: fmt.Sprintf("x.size(%d) == 4\xff", i), Fails: int64(40 - i)})
	}
	long := strings.Repeat("ü", 500)
	entry.Failing[0].Guard, entry.Failing[1].Guard = long+"a", long+"b" // equal where they are cut
	s := runtime.CacheStats{ID: 1, Function: "f\xff", Entries: []runtime.EntryStats{entry}, GuardFails: 820}
	reg := registryOf(t, func() runtime.Stats { return runtime.Stats{Functions: []runtime.CacheStats{s}} })
	before := scrape(t, reg)
	assert.EqualValues(t, 820, sum(before, "jitc_guard_failures_total"))
	var n int
	for k := range before {
		if strings.HasPrefix(k, "jitc_guard_failures_total{") {
			n++
			assert.Less(t, len(k), 200)
		}
	}
	assert.Equal(t, 17, n, "16 and the others")
	// The order by failures changes: a guard keeps its series.
	for i := range entry.Failing {
		entry.Failing[i].Fails += int64(i * i)
	}
	for i, k := 0, len(entry.Failing)-1; i < k; i, k = i+1, k-1 {
		entry.Failing[i], entry.Failing[k] = entry.Failing[k], entry.Failing[i]
	}
	s.GuardFails = 0
	for _, g := range entry.Failing {
		s.GuardFails += g.Fails
	}
	after := scrape(t, reg)
	grew(t, before, after)
	assert.Len(t, after, len(before))
}

func TestConventions(t *testing.T) {
	e := newEngine(t)
	f := double(e, jitc.WithLimits(runtime.Limits{Entries: 1}))
	for _, s := range [][]int{{2}, {2, 2}, {3}} {
		call(t, f, s...)
	}
	families, err := registryOf(t, e.Stats).Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
	assert.Greater(t, len(families), 15)
}

// Scrapes beside calls and compilations neither wait for them nor see counters fall.
func TestScrapeBesideCalls(t *testing.T) {
	e := newEngine(t)
	reg := registryOf(t, e.Stats)
	f := double(e, jitc.WithLimits(runtime.Limits{Entries: 2}))
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range 30 {
				call(t, f, [][]int{{2}, {2, 2}, {1, 2, 2}}[(i+g)%3]...)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	before := scrape(t, reg)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		after := scrape(t, reg)
		grew(t, before, after)
		before = after
	}
	assert.EqualValues(t, 90, sum(before, "jitc_calls_total"))
}

func TestMemoryOfDevices(t *testing.T) {
	reg := registryOf(t, func() runtime.Stats {
		return runtime.Stats{Devices: []runtime.DeviceArena{
			{Device: "cuda:0", ArenaStats: runtime.ArenaStats{Lent: 1, Idle: 2}, Tensors: 3},
			{Device: "cuda:1", ArenaStats: runtime.ArenaStats{Lent: 4}},
		}}
	})
	got := scrape(t, reg)
	for series, want := range map[string]float64{
		"jitc_device_bytes{device=cuda:0,state=lent}":    1,
		"jitc_device_bytes{device=cuda:0,state=idle}":    2,
		"jitc_device_bytes{device=cuda:0,state=tensors}": 3,
		"jitc_device_bytes{device=cuda:1,state=lent}":    4,
	} {
		assert.Equal(t, want, got[series], series)
	}
}
