//go:build linux && (amd64 || arm64)

package driver

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/clib"
)

// standIn answers for the assembler's library: it gives the text back as code, and
// refuses the text "bad".
func standIn(t *testing.T) *recorded {
	lib := record(t)
	var src string
	for name, what := range map[string]func() string{
		"CompiledProgram": func() string { return src },
		"InfoLog":         func() string { return info },
		"ErrorLog":        func() string { return "line 1: bad" },
	} {
		lib.answers["nvPTXCompilerGet"+name+"Size"] = func(args []uintptr) int { put(args[1], len(what())); return 0 }
		lib.answers["nvPTXCompilerGet"+name] = func(args []uintptr) int { copy(at(args[1], len(what())), what()); return 0 }
	}
	lib.answers["nvPTXCompilerGetVersion"] = func(args []uintptr) int {
		put(args[0], uint32(8))
		put(args[1], uint32(4))
		return 0
	}
	lib.answers["nvPTXCompilerCreate"] = func(args []uintptr) int {
		src = string(at(args[2], int(args[1])))
		put(args[0], uintptr(7))
		return 0
	}
	lib.answers["nvPTXCompilerCompile"] = func(args []uintptr) int {
		options := unsafe.Slice((*uintptr)(clib.Pointer(args[2])), args[1])
		assert.EqualValues(t, 7, args[0])
		assert.Equal(t, []string{"--gpu-name=sm_90", "-v"}, []string{clib.Text(options[0]), clib.Text(options[1])})
		if src == "bad\x00" {
			return 3
		}
		return 0
	}
	return lib
}

func TestCompilerInProcess(t *testing.T) {
	lib := standIn(t)
	c, err := bindCompiler(lib)
	require.NoError(t, err)
	assert.Equal(t, "nvPTXCompiler 8.4", c.Version())
	cubin, said, err := c.Assemble("good", "sm_90")
	require.NoError(t, err)
	assert.Equal(t, "good\x00", string(cubin))
	assert.Equal(t, info, said)
	assert.Equal(t, "nvPTXCompilerDestroy", lib.last().name)

	_, _, err = c.Assemble("bad", "sm_90")
	assert.Equal(t, &AssemblyError{Arch: "sm_90", Log: "line 1: bad"}, err)
	assert.Equal(t, "nvPTXCompilerDestroy", lib.last().name, "of a text that is refused too")
}

func TestCompilerThatFails(t *testing.T) {
	for name, want := range map[string]string{
		"nvPTXCompilerCreate":                 "nvPTXCompilerCreate: out of memory (5)",
		"nvPTXCompilerCompile":                "nvPTXCompilerCompile: out of memory (5)",
		"nvPTXCompilerGetCompiledProgramSize": "nvPTXCompilerGetCompiledProgramSize: out of memory (5)",
		"nvPTXCompilerGetCompiledProgram":     "nvPTXCompilerGetCompiledProgram: out of memory (5)",
	} {
		lib := standIn(t)
		c, err := bindCompiler(lib)
		require.NoError(t, err)
		lib.answers[name] = func([]uintptr) int { return 5 }
		_, _, err = c.Assemble("good", "sm_90")
		assert.EqualError(t, err, want)
	}
	lib := standIn(t)
	lib.answers["nvPTXCompilerGetVersion"] = func([]uintptr) int { return 99 }
	_, err := bindCompiler(lib)
	assert.EqualError(t, err, "nvPTXCompilerGetVersion: unknown failure (99)")
	lib.absent["nvPTXCompilerDestroy"] = true
	_, err = bindCompiler(lib)
	assert.ErrorContains(t, err, "lacks nvPTXCompilerDestroy")
}
