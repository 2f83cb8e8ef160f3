package driver

import (
	"errors"
	"fmt"
	"strings"

	"jitc/executors/cuda/clib"
)

// Why there is no driver. Errors of Open wrap one of these, or an *Error of cuInit.
var (
	ErrNotFound = errors.New("no CUDA driver")
	ErrTooOld   = errors.New("CUDA driver too old")
)

// openFirst loads the first library of names that is there; the error is that of the
// first name.
func openFirst(names []string) (clib.Library, error) {
	first := clib.ErrNone
	for i, name := range names {
		lib, err := clib.System(name)
		if err == nil {
			return lib, nil
		}
		if i == 0 {
			first = err
		}
	}
	return nil, first
}

// symbols is the functions of a library by number.
type symbols []uintptr

// resolve looks names up; a name "a|b" is a, or else b, and one "a|" may be absent: its
// address is then 0. missing lists what else has no address.
func resolve(lib clib.Library, names []string) (s symbols, missing []string) {
	s = make(symbols, len(names))
	for i, alternatives := range names {
		names, optional := strings.CutSuffix(alternatives, "|")
		for name := range strings.SplitSeq(names, "|") {
			if s[i] = lib.Lookup(name); s[i] != 0 {
				break
			}
		}
		if s[i] == 0 && !optional {
			missing = append(missing, alternatives)
		}
	}
	return s, missing
}

// versionText is 12.4 for 12040.
func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
