//go:build !nocuda

package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"jitc"
	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/internal/golden"
)

// The executor "cuda:3", of a driver that interprets: the same everywhere.
func init() {
	executors.Register(cuda.New(fake.New(fake.Config{Devices: 4, Major: 9}), 3, cuda.Options{}), 90)
}

// A device session is like the others, on a machine with a GPU.
func TestDeviceSessions(t *testing.T) {
	golden.Run(t, filepath.Join("testdata", "device"), func(t *testing.T, c *golden.Case) {
		archive, err := txtar.ParseFile(c.File)
		require.NoError(t, err)
		c.Want(t, "want.session", playArchive(t, archive))
	})
}

const deviceTrace = `func @f(%x: f32[B,4] {init="arange"}, %w: f32[4,3] {init="arange"}) -> f32[B] {
  %0: f32[B,3] = matmul(%x, %w)
  %y: f32[B] = reduce_max(%0) {axes=[1]}
  return %y
}
`

// A benchmark of a program on a device times its kernels there, on tensors that lie
// there; where kernels are in several places, tensors lie on the host.
func TestBenchOnADevice(t *testing.T) {
	file := writeTrace(t, deviceTrace)
	for executors, home := range map[string]string{"cuda:3": "cuda:3", "native": ""} {
		out, errs, code := invoke("", "bench", file, "--dim", "B=5", "--executors", executors, "--repeat", "3", "--no-limits", "--json")
		require.Zero(t, code, errs)
		var r benchReport
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		assert.Equal(t, home, r.Home)
		assert.Equal(t, map[string]int{executors: 2}, r.By)
		require.Len(t, r.Kernels, 2)
		for _, k := range r.Kernels {
			assert.Positive(t, k.Time)
		}
		assert.Positive(t, r.Median)
	}
}

// The limit of a program on a device is the device's.
func TestLimitsOfADevice(t *testing.T) {
	a := newApp(nil, io.Discard, io.Discard)
	at := a.placeOf(&jitc.Report{Regions: []jitc.RegionReport{{Executor: "runtime"}, {Executor: "cuda:3"}}})
	assert.Equal(t, place{"cuda:3", []string{"cuda:3"}}, at)
	p, err := newProbe(t.Context(), at, 1, 1<<12)
	require.NoError(t, err)
	defer p.close()
	require.NoError(t, p.sample())
	assert.Positive(t, p.limits.Triad)
	assert.Zero(t, p.limits.FMA)
	assert.Contains(t, p.limits.text(), " GB/s over 4.00 KiB arrays on cuda:3")
	mixed := a.placeOf(&jitc.Report{Regions: []jitc.RegionReport{{Executor: "cuda:3"}, {Executor: "native"}}})
	assert.Equal(t, place{"cpu", []string{"native"}}, mixed)
}

// What the environment asks for in vain is said where it matters.
func TestMisconfiguredExecutor(t *testing.T) {
	t.Setenv("JITC_CUDA_GRAPHS", "maybe")
	const wrong = "JITC_CUDA_GRAPHS=maybe; expected on or off"
	var a app
	a.executors = []executors.Executor{cuda.At(50), cuda.At(51)}
	m := describeMachine(a.executors)
	assert.Equal(t, wrong, m.Executors[0].Why)
	assert.Empty(t, m.Default)
	var errs strings.Builder
	a.err = &errs
	a.warnMisconfigured()
	assert.Equal(t, "warning: cuda:50, cuda:51: not used, as "+wrong+"\n", errs.String())
}

func TestEnvironmentTopic(t *testing.T) {
	text := environmentTopic([]executors.Executor{cuda.At(0), cuda.At(1), device{}}).Long
	for _, row := range cuda.At(0).Environment() {
		assert.Equal(t, 1, strings.Count(text, "\n  "+row[0]+" "), row[0])
	}
	assert.Contains(t, text, "\n  JITC_CACHE_DIR ")
	for _, l := range strings.Split(text, "\n") {
		assert.LessOrEqual(t, len(l), columns, l)
	}
}
