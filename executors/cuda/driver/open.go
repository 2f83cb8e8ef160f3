package driver

import (
	"fmt"
	"strings"
	"sync"

	"jitc/executors/cuda/clib"
)

// MinVersion is the oldest CUDA version whose driver will do: it reads PTX 7.8, and
// instantiates graphs with flags.
const MinVersion = 11080

// Open finds the driver of this machine and initialises it. The answer is found
// once. An error wraps ErrNotFound (no library), ErrTooOld (a driver before
// MinVersion, or without a function that is needed) or is an *Error of cuInit,
// which says that there is no device, for instance.
func Open() (API, error) { return openOnce() }

var openOnce = sync.OnceValues(func() (API, error) {
	lib, err := openFirst(driverNames)
	if err != nil {
		return nil, fmt.Errorf("%w: %w (hint: if there is an NVIDIA GPU, install NVIDIA's driver; in a container, docker run --gpus all)", ErrNotFound, err)
	}
	d, err := bind(lib)
	if err != nil {
		return nil, err
	}
	return d, nil
})

// bind makes the driver of a library: it resolves its functions, asks for its
// version and initialises it.
func bind(lib clib.Library) (*binding, error) {
	fns, missing := resolve(lib, functionNames[:])
	d := &binding{fns: fns}
	version := 0
	if fns[fnDriverGetVersion] != 0 && fns[fnGetErrorName] != 0 && fns[fnGetErrorString] != 0 {
		version, _ = d.Version()
	}
	if len(missing) > 0 || version < MinVersion {
		return nil, tooOld(version, missing)
	}
	if err := d.call(fnInit, 0); err != nil {
		return nil, err
	}
	return d, nil
}

// tooOld says what was found and what is needed.
func tooOld(version int, missing []string) error {
	found := "it supports CUDA " + versionText(version)
	if version == 0 {
		found = "it does not say which version of CUDA it supports"
	}
	if len(missing) > 0 {
		found += " and lacks " + strings.Join(missing, ", ")
	}
	return fmt.Errorf("%w: %s, needed is CUDA %s or later (hint: install a newer NVIDIA driver)",
		ErrTooOld, found, versionText(MinVersion))
}
