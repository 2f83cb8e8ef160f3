package driver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// program is an assembler that runs as a process: ptxas.
type program struct {
	path    string
	version func() string
}

func findProgram(name string) (Assembler, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s not found: %w", name, err)
	}
	return &program{path: path, version: sync.OnceValue(func() string { return programVersion(path) })}, nil
}

// programVersion is the last line of what the program says of itself, which names
// the build.
func programVersion(path string) string {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return filepath.Base(path) + " (version unknown)"
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return filepath.Base(path) + " " + strings.TrimSpace(lines[len(lines)-1])
}

func (p *program) Version() string { return p.version() }

func (p *program) Assemble(ptx, arch string) (cubin []byte, info string, err error) {
	dir, err := os.MkdirTemp("", "jitc-ptx-")
	if err != nil {
		return nil, "", fmt.Errorf("assembling: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, out := filepath.Join(dir, "in.ptx"), filepath.Join(dir, "out.cubin")
	if err := os.WriteFile(in, []byte(ptx), 0o600); err != nil {
		return nil, "", fmt.Errorf("assembling: %w", err)
	}
	said, err := exec.Command(p.path, "-v", "-arch="+arch, in, "-o", out).CombinedOutput()
	// The name of the temporary file says nothing to who reads the log.
	log := strings.ReplaceAll(string(said), in, "ptx")
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return nil, "", &AssemblyError{Arch: arch, Log: log}
	case err != nil: // it did not start, or was killed
		return nil, "", fmt.Errorf("assembling: %w", err)
	}
	cubin, err = os.ReadFile(out)
	if err != nil {
		return nil, "", fmt.Errorf("assembling: %w", err)
	}
	return cubin, log, nil
}
