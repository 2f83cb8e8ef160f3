package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
)

// device is an executor of a device that may be absent.
type device struct {
	name, features string
	absent         error
}

func (d device) Name() string                 { return d.name }
func (d device) Device() executors.Device     { return executors.Device(d.name + ":0") }
func (d device) Available() error             { return d.absent }
func (d device) Features() string             { return d.features }
func (d device) Claim(*ir.Value) fusion.Claim { return fusion.Claim{} }
func (d device) Compile(context.Context, *ir.Func, executors.Options) (executors.Kernel, error) {
	return nil, &executors.UnsupportedError{Executor: d.name, Reason: "a test's"}
}

// library is an executor of another's device, absent where that is.
type library struct{ device }

func (library) Name() string { return "cublas" }

func TestAbsentExecutorsSayWhy(t *testing.T) {
	path := "/usr/lib/x86_64-linux-gnu/a-very-long-folder-name-that-takes-more-than-a-line/libcuda.so.1"
	list := []executors.Executor{
		device{"cuda", "", errors.New("no CUDA driver: libcuda.so.1 not found (hint: install NVIDIA's driver, and in a container make it visible)")},
		device{"cuda-of-another", "", errors.New("the driver is too old:\n  expected  12.0 or later\n  got       11.4 in " + path)},
		device{"native", "x86-64 machine code", nil},
		device{"reference", "", nil},
	}
	m := describeMachine(append([]executors.Executor{library{list[0].(device)}}, list...))
	require.Len(t, m.Executors, 5)
	assert.Equal(t, executorReport{Name: "cuda", Device: "cuda:0", Why: "no CUDA driver: libcuda.so.1 not found",
		Hint: "install NVIDIA's driver, and in a container make it visible"}, m.Executors[1])
	assert.Empty(t, m.Executors[2].Hint)
	var out, errs bytes.Buffer
	a := newApp(nil, &out, &errs)
	a.writeMachine(m)
	require.NoError(t, a.out.Flush())
	_, table, ok := strings.Cut(out.String(), "\n\n")
	require.True(t, ok, out.String())
	table, uses, ok := strings.Cut(table, "\n\n")
	require.True(t, ok, out.String())
	assert.Equal(t, "programs use native, then reference, unless --executors says otherwise\n", uses)
	assert.Equal(t, []string{"native", "reference"}, m.Default)
	assert.Equal(t, `executor         device             state      detail
cublas           cuda:0             absent     as cuda
cuda             cuda:0             absent     no CUDA driver: libcuda.so.1 not
                                               found
                                               hint: install NVIDIA's driver,
                                               and in a container make it
                                               visible
cuda-of-another  cuda-of-another:0  absent     the driver is too old:
                                               expected 12.0 or later
                                               got 11.4 in
                                               /usr/lib/x86_64-linux-gnu/a-very-
                                               long-folder-name-that-takes-more-
                                               than-a-line/libcuda.so.1
native           native:0           available  x86-64 machine code
reference        reference:0        available`, table)
	for _, l := range strings.Split(out.String(), "\n") {
		assert.LessOrEqual(t, utf8.RuneCountInString(l), columns, l)
	}
}

func TestWhyAndHint(t *testing.T) {
	for text, want := range map[string][2]string{
		"none":                      {"none", ""},
		"none (hint: get one)":      {"none", "get one"},
		"none\n(hint: get (some) )": {"none", "get (some) "},
		"(hint: alone)":             {"(hint: alone)", ""},
		"a (hint: b) and c":         {"a (hint: b) and c", ""},
	} {
		why, hint := whyAndHint(errors.New(text))
		assert.Equal(t, want, [2]string{why, hint}, text)
	}
}

// An executor that is asked for by name and cannot be used is said with the reason,
// and what would help.
func TestUnavailableExecutor(t *testing.T) {
	for text, hint := range map[string]string{
		"no CUDA driver: not found (hint: get one)": "get one",
		"no CUDA driver: not found":                 "jitc executors lists what is",
	} {
		err := executorsError([]string{"cuda"}, &executors.UnavailableError{Name: "cuda", Err: errors.New(text)})
		assert.Equal(t, &usageError{`executor "cuda" is not available: no CUDA driver: not found`, hint}, err)
		assert.Equal(t, exitInput, exitCode(err))
	}
	for name, hint := range map[string]string{
		"cudda": "did you mean cuda?", "gpu": "did you mean cuda?", "natve": "did you mean native?", "tpu": "jitc executors lists them",
		"native:1": "native has no numbered devices: name it alone", ":1": "jitc executors lists them",
	} {
		err := executorsError([]string{name}, &executors.UnknownError{Name: name, Known: []string{"cuda", "native"}})
		assert.Equal(t, &usageError{`unknown executor "` + name + `": registered are cuda, native`, hint}, err)
	}
}
