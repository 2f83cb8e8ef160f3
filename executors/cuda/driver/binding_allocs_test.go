//go:build linux && (amd64 || arm64)

package driver

import (
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
)

// fixed is a library in which all functions are one.
type fixed uintptr

func (f fixed) Lookup(string) uintptr { return uintptr(f) }

// libcBinding is a driver all of whose functions are one of the C library, which
// costs what a call costs: abs gives 0 where the first argument is 0, isascii where
// it is an address.
func libcBinding(t testing.TB, name string) *binding {
	h, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW)
	if err != nil {
		t.Skip("left out: what calls allocate, for want of glibc: ", err)
	}
	f, err := purego.Dlsym(h, name)
	require.NoError(t, err)
	fns, _ := resolve(fixed(f), functionNames[:])
	return &binding{fns}
}

func TestSteadyCallsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("left out: what calls allocate, since pools forget at random under the race detector")
	}
	d, allocs := API(libcBinding(t, "abs")), API(libcBinding(t, "isascii"))
	c := config
	tiles, mapped := tileMap, make([]byte, tensormap.Bytes)
	for name, call := range map[string]func() error{
		"Launch":          func() error { return d.Launch(0, &c, 8) },
		"SetKernelNode":   func() error { return d.SetKernelNode(0, 5, 6, &c) },
		"LaunchGraph":     func() error { return d.LaunchGraph(0, 8) },
		"CopyToDevice":    func() error { return d.CopyToDevice(0, c.Params, 8) },
		"AllocAsync":      func() error { _, err := allocs.AllocAsync(0, 8); return err },
		"RecordEvent":     func() error { return d.RecordEvent(0, 8) },
		"FreeAsync":       func() error { return d.FreeAsync(0, 8) },
		"EncodeTensorMap": func() error { return allocs.EncodeTensorMap(mapped, &tiles, 8) },
		"SetContext":      func() error { return d.SetContext(0) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		}), name)
	}
}

func BenchmarkLaunch(b *testing.B) {
	d := API(libcBinding(b, "abs"))
	c := config
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Launch(0, &c, 8); err != nil {
			b.Fatal(err)
		}
	}
}
