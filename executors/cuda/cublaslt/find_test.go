package cublaslt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/clib"
)

// environment are variables.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestSearchOnLinux(t *testing.T) {
	s := newSearch("linux", 13000, environment("CUDA_HOME", "/opt/cuda", "VIRTUAL_ENV", "/v", "CONDA_PREFIX", "/c",
		"LD_LIBRARY_PATH", "/l1:/l2"))
	assert.Equal(t, []string{"libcublasLt.so.13", "libcublasLt.so.12"}, s.names)
	assert.Equal(t, []string{
		"/l1", "/l2",
		"/opt/cuda/lib64", "/opt/cuda/targets/*/lib",
		"/usr/local/cuda/lib64", "/usr/local/cuda/targets/*/lib", "/usr/local/cuda-*/lib64", "/usr/local/cuda-*/targets/*/lib",
		"/v/lib/python3*/*-packages/nvidia/cublas/lib", "/v/lib/python3*/*-packages/nvidia/cu13/lib",
		"/c/lib/python3*/*-packages/nvidia/cublas/lib", "/c/lib/python3*/*-packages/nvidia/cu13/lib", "/c/lib",
		"/usr/local/lib/python3*/*-packages/nvidia/cublas/lib", "/usr/local/lib/python3*/*-packages/nvidia/cu13/lib",
		"/usr/lib/python3*/*-packages/nvidia/cublas/lib", "/usr/lib/python3*/*-packages/nvidia/cu13/lib",
		"/usr/lib64", "/usr/lib/*-linux-gnu",
	}, s.places)
	older := newSearch("linux", 12040, environment())
	assert.Equal(t, []string{"libcublasLt.so.12"}, older.names, "a driver runs no later major version")
}

func TestSearchElsewhere(t *testing.T) {
	s := newSearch("windows", 13000, environment("CUDA_PATH", "C"))
	assert.Empty(t, s.names)
	assert.Equal(t, []string{filepath.Join("C", "bin"), filepath.Join("C", "bin/x64")}, s.places)
	for _, s := range []search{newSearch("darwin", 13000, environment("CUDA_HOME", "/x")), newSearch("linux", 11080, environment("CUDA_HOME", "/x"))} {
		_, err := find(nil, s)
		require.ErrorIs(t, err, ErrNotFound)
		assert.EqualError(t, err, "no cuBLASLt: there is none for this system and this driver (hint: JITC_CUBLAS_LIBRARY names one)")
	}
}

// Files are those of the latest major version first, and among them of the first place.
func TestGlob(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"cuda-12.4/lib64/libcublasLt.so.12", "cuda-12.10/lib64/libcublasLt.so.12", "cuda-13.0/lib64/libcublasLt.so.13",
		"v/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13", "v/lib/python3.12/site-packages/nvidia/cublas/lib/libcublas.so.12"} {
		p := filepath.Join(root, f)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, nil, 0o644))
	}
	s := search{}
	s.addPlaces(filepath.Join(root, "cuda-*"), "lib64")
	s.addPython(filepath.Join(root, "v"))
	s.addPython("")
	s.glob("linux", 13000)
	var got []string
	for _, f := range s.files {
		rel, err := filepath.Rel(root, f)
		require.NoError(t, err)
		got = append(got, filepath.ToSlash(rel))
	}
	assert.Equal(t, []string{"cuda-13.0/lib64/libcublasLt.so.13", "v/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
		"cuda-12.10/lib64/libcublasLt.so.12", "cuda-12.4/lib64/libcublasLt.so.12"}, got)
	s.files = nil
	s.glob("linux", 12090)
	assert.Len(t, s.files, 2)
	s.glob("plan9", 12090)
	assert.Len(t, s.files, 2)
}

var errAbsent = errors.New("x: cannot open shared object file: No such file or directory")

// none is a library without functions.
type none struct{}

func (none) Lookup(string) uintptr { return 0 }

// Files are loaded when they are needed, then names; the error says what was looked for,
// and what became of what there was.
func TestNotFound(t *testing.T) {
	s := search{names: []string{"a.so.13", "a.so.12"}, places: []string{"/p", "/q/*"}, files: []string{"/p/a.so.12"}}
	var asked []string
	l, err := find(func(name string) (clib.Library, error) {
		asked = append(asked, name)
		if name == "/p/a.so.12" {
			return nil, errors.New("wrong ELF class")
		}
		return nil, errAbsent
	}, s)
	require.NoError(t, err)
	require.Empty(t, asked)
	for range 2 {
		_, err = l.Open()
		require.ErrorIs(t, err, ErrNotFound)
		assert.EqualError(t, err, "no cuBLASLt: looked for a.so.13, a.so.12, in /p, /q/*; /p/a.so.12: wrong ELF class (hint: JITC_CUBLAS_LIBRARY names one)")
	}
	assert.Equal(t, []string{"/p/a.so.12", "a.so.13", "a.so.12"}, asked, "once")
	s.files = nil
	_, err = find(func(name string) (clib.Library, error) { return none{}, nil }, s)
	assert.ErrorContains(t, err, "; a.so.13: cuBLASLt too old: it is version 0.0.0, needed is 12.0 or later; a.so.12: ")
}

// What is named is used, or nothing.
func TestNamed(t *testing.T) {
	s := newSearch("linux", 13000, environment(LibraryVariable, "/x/lt.so", "CUDA_HOME", "/opt/cuda"))
	_, err := find(func(name string) (clib.Library, error) {
		require.Equal(t, "/x/lt.so", name)
		return nil, errAbsent
	}, s)
	require.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "no cuBLASLt: /x/lt.so, which JITC_CUBLAS_LIBRARY names, cannot be used: ")
	_, err = find(func(string) (clib.Library, error) { return none{}, nil }, s)
	require.ErrorIs(t, err, ErrTooOld)
	t.Setenv(LibraryVariable, filepath.Join(t.TempDir(), "none.so"))
	_, err = Find(13000)
	require.ErrorIs(t, err, ErrNotFound)
}

// A driver of a version that no library of ours runs with has none, whatever is there.
func TestOldDriver(t *testing.T) {
	t.Setenv(LibraryVariable, "")
	_, err := Find(11080)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestErrorsWithoutALibrary(t *testing.T) {
	assert.EqualError(t, NewError("cublasLtMatmul", NotSupported, "types"),
		"cublasLtMatmul: the functionality requested is not supported (CUBLAS_STATUS_NOT_SUPPORTED, 15): types")
	assert.EqualError(t, NewError("f", 99, ""), "f: unrecognized status (CUBLAS_STATUS_UNKNOWN, 99)")
	assert.NotErrorIs(t, NewError("f", 7, ""), &Error{Code: 15})
	assert.NotErrorIs(t, NewError("f", 7, ""), &Error{Call: "g", Code: 7})
}
