package cublaslt

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"jitc/executors/cuda/clib"
)

// LibraryVariable is the environment variable that names the library to use.
const LibraryVariable = "JITC_CUBLAS_LIBRARY"

// majors are the versions of the library that the binding is written to, best first.
var majors = []int{13, 12}

// Library is a library that has been found. Loading it takes a tenth of a second, which
// is left to Open. Safe for concurrent use.
type Library struct {
	open func() (API, error) // once
}

// Find finds the libraries of this machine that run with a driver which supports a
// version of CUDA (12040 for 12.4: those of a later major version do not). They are, of
// the latest major version first:
//
//	the file or name in JITC_CUBLAS_LIBRARY, and then no other
//	libcublasLt.so.13 and libcublasLt.so.12 in LD_LIBRARY_PATH,
//	in the toolkits of CUDA_HOME, CUDA_PATH, /usr/local/cuda and /usr/local/cuda-*,
//	in the packages nvidia/cublas and nvidia/cu13 of the Python of VIRTUAL_ENV or
//	CONDA_PREFIX, of python3 on PATH and of the system,
//	in the system's directories; and where else the loader finds them by name
//
// The error wraps ErrNotFound, or ErrTooOld, and says what was looked for.
func Find(cuda int) (*Library, error) {
	s := newSearch(runtime.GOOS, cuda, os.Getenv)
	if s.only != "" {
		if _, err := os.Stat(s.only); err == nil {
			s.files = []string{s.only}
		}
	} else {
		if p, err := exec.LookPath("python3"); err == nil {
			if p, err = filepath.EvalSymlinks(p); err == nil {
				s.addPython(filepath.Dir(filepath.Dir(p)))
			}
		}
		s.glob(runtime.GOOS, cuda)
	}
	return find(clib.File, s)
}

// find is Find with a loader of files, and of what that finds by name.
func find(load func(string) (clib.Library, error), s search) (*Library, error) {
	l := &Library{open: sync.OnceValues(func() (API, error) { return s.open(load) })}
	if len(s.files) == 0 { // whether there is one is known when it is loaded
		if _, err := l.open(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Open loads the library, once. The error is as of Find.
func (l *Library) Open() (API, error) { return l.open() }

// search is where to look.
type search struct {
	only   string   // what was named
	places []string // patterns of directories
	files  []string // that are there, best first
	names  []string // for the loader
}

// open loads the first library that will do.
func (s *search) open(load func(string) (clib.Library, error)) (API, error) {
	var failed []string
	try := func(name string, mayBeAbsent bool) (API, error) {
		lib, err := load(name)
		if err != nil {
			if !mayBeAbsent || !strings.Contains(err.Error(), "No such file") {
				failed = append(failed, fmt.Sprintf("%s: %v", name, err))
			}
			return nil, err
		}
		d, err := bind(lib)
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", name, err))
			return nil, err
		}
		return d, nil
	}
	if s.only != "" {
		d, err := try(s.only, false)
		if err != nil {
			return nil, fmt.Errorf("%w: %s, which %s names, cannot be used: %w", ErrNotFound, s.only, LibraryVariable, err)
		}
		return d, nil
	}
	for i, name := range append(slices.Clone(s.files), s.names...) {
		if d, err := try(name, i >= len(s.files)); err == nil {
			return d, nil
		}
	}
	return nil, s.notFound(failed)
}

// notFound says what was looked for.
func (s *search) notFound(failed []string) error {
	looked := slices.Clone(s.names)
	if len(s.places) > 0 {
		looked = append(looked, "in "+strings.Join(s.places, ", "))
	}
	text := "looked for " + strings.Join(looked, ", ")
	if len(looked) == 0 {
		text = "there is none for this system and this driver"
	}
	if len(failed) > 0 {
		text += "; " + strings.Join(failed, "; ")
	}
	return fmt.Errorf("%w: %s (hint: %s names one)", ErrNotFound, text, LibraryVariable)
}

// usable are the major versions that a driver runs.
func usable(cuda int) []int {
	return slices.DeleteFunc(slices.Clone(majors), func(m int) bool { return m > cuda/1000 })
}

// fileNames are the library's by system and major version.
var fileNames = map[string]func(major int) string{
	"linux":   func(major int) string { return fmt.Sprintf("libcublasLt.so.%d", major) },
	"windows": func(major int) string { return fmt.Sprintf("cublasLt64_%d.dll", major) },
}

// newSearch lists the names and the patterns of directories, by environment.
func newSearch(goos string, cuda int, env func(string) string) search {
	s := search{only: env(LibraryVariable)}
	switch {
	case s.only != "":
	case goos == "windows": // by full paths only, so that no file beside the program is taken for it
		for _, root := range []string{env("CUDA_HOME"), env("CUDA_PATH")} {
			s.addPlaces(root, "bin", "bin/x64")
		}
	case goos == "linux" && len(usable(cuda)) > 0:
		s.onLinux(env)
		for _, m := range usable(cuda) {
			s.names = append(s.names, fileNames[goos](m))
		}
	}
	return s
}

// onLinux adds the directories of Linux.
func (s *search) onLinux(env func(string) string) {
	for _, dir := range filepath.SplitList(env("LD_LIBRARY_PATH")) {
		s.addPlaces(dir, ".")
	}
	for _, root := range []string{env("CUDA_HOME"), env("CUDA_PATH"), "/usr/local/cuda", "/usr/local/cuda-*"} {
		s.addPlaces(root, "lib64", "targets/*/lib")
	}
	for _, root := range []string{env("VIRTUAL_ENV"), env("CONDA_PREFIX")} {
		s.addPython(root)
	}
	s.addPlaces(env("CONDA_PREFIX"), "lib")
	s.addPython("/usr/local")
	s.addPython("/usr")
	s.addPlaces("/usr", "lib64", "lib/*-linux-gnu")
}

// addPlaces adds directories below a root, if there is one.
func (s *search) addPlaces(root string, below ...string) {
	if root == "" {
		return
	}
	for _, b := range below {
		if p := filepath.Join(root, b); !slices.Contains(s.places, p) {
			s.places = append(s.places, p)
		}
	}
}

// addPython adds where the packages of a Python installed at root have libraries.
func (s *search) addPython(root string) {
	s.addPlaces(root, "lib/python3*/*-packages/nvidia/cublas/lib", "lib/python3*/*-packages/nvidia/cu13/lib")
}

// glob finds the files: those of the latest major version first, then in the order of
// the places, and of the latest minor version in names with numbers.
func (s *search) glob(goos string, cuda int) {
	name := fileNames[goos]
	if name == nil {
		return
	}
	for _, m := range usable(cuda) {
		for _, place := range s.places {
			found, _ := filepath.Glob(filepath.Join(place, name(m))) // what is no pattern has no files
			slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
			s.files = append(s.files, found...)
		}
	}
}
