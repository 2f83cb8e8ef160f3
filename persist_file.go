package jitc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"jitc/codegen/x64/asm"
)

// A file of what a function learned is one line that says what follows, and JSON:
//
//	jitc-learned 1 SHA-256 BYTES
//	{"header": [{"name": "go", "value": "go1.26.0"}, ...], "body": {...}}
const (
	fileMagic   = "jitc-learned"
	fileVersion = 1
	// maxFile bounds a file, in bytes.
	maxFile = 256 << 20
)

// FileError is a file that a function cannot load. Deleting it loses nothing but
// the time to learn again.
type FileError struct {
	Path     string // empty for what was not read from a file
	Function string
	What     string // "program", "go", "damaged": what is not as it should be
	Expected string // of this process; may be empty
	Got      string // what the file has
}

// Error is one line.
func (e *FileError) Error() string {
	s := "@" + e.Function + ": cannot load"
	if e.Path != "" {
		s += " " + e.Path
	}
	s += ": " + e.What + ": "
	if e.Expected != "" {
		s += "expected " + e.Expected + ", got "
	}
	return s + e.Got + " (hint: delete the file and let it learn again)"
}

// damaged is a file whose contents cannot have been saved.
func damaged(function string, err error) error {
	return &FileError{Function: function, What: "damaged", Got: err.Error()}
}

// fileHeader says whose file it is. Every line must be as this process writes it.
type fileHeader []fileLine

type fileLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type file struct {
	Header fileHeader      `json:"header"`
	Body   json.RawMessage `json:"body"`
}

// header are the lines of every function of the engine.
func (e *Engine) header() fileHeader {
	execs := make([]string, len(e.execs))
	for i, x := range e.execs {
		execs[i] = x.Name()
		if d, ok := x.(interface{ Features() string }); ok {
			execs[i] += " (" + d.Features() + ")"
		}
	}
	return fileHeader{
		{"jitc", version()},
		{"go", goruntime.Version()},
		{"platform", goruntime.GOOS + "/" + goruntime.GOARCH},
		{"processor", asm.Detect().String()},
		{"executors", strings.Join(execs, ", ")},
	}
}

// version is that of this module in the program's build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, d := range info.Deps {
		if d.Path == "jitc" {
			return d.Version
		}
	}
	return info.Main.Version
}

// programHash identifies the running program: the code of a Go function cannot be
// compared otherwise.
var programHash = sync.OnceValues(func() (string, error) {
	path := "/proc/self/exe" // what runs, even if another program took its place on disk
	if goruntime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return "", fmt.Errorf("the running program cannot be identified: %w", err)
		}
	}
	exe, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("the running program cannot be identified: %w", err)
	}
	defer exe.Close()
	h := sha256.New()
	if _, err := io.Copy(h, exe); err != nil {
		return "", fmt.Errorf("the running program cannot be identified: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func writeFile(w io.Writer, h fileHeader, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("BUG: jitc: what was learned is not JSON: %w", err)
	}
	rest, err := json.Marshal(file{h, raw})
	if err != nil {
		return fmt.Errorf("BUG: jitc: what was learned is not JSON: %w", err)
	}
	if len(rest) > maxFile {
		return fmt.Errorf("what was learned takes %d bytes: expected at most %d", len(rest), maxFile)
	}
	if _, err := fmt.Fprintf(w, "%s %d %s %d\n", fileMagic, fileVersion, hashOf(rest), len(rest)); err != nil {
		return err
	}
	_, err = w.Write(rest)
	return err
}

// readFile reads the body of a file whose header is h. Nothing of it is decoded
// before its checksum and its header are right.
func readFile(r io.Reader, function string, h fileHeader, body any) error {
	raw, err := io.ReadAll(io.LimitReader(r, maxFile+1024))
	if err != nil {
		return fmt.Errorf("@%s: cannot load: %w", function, err)
	}
	rest, err := unseal(function, raw)
	if err != nil {
		return err
	}
	var f file
	if err := json.Unmarshal(rest, &f); err != nil {
		return damaged(function, err)
	}
	if err := h.compare(function, f.Header); err != nil {
		return err
	}
	if err := json.Unmarshal(f.Body, body); err != nil {
		return damaged(function, err)
	}
	return nil
}

// unseal is what follows the first line, if it is what the line says.
func unseal(function string, raw []byte) ([]byte, error) {
	first, rest, _ := bytes.Cut(raw, []byte("\n"))
	words := strings.Fields(string(first[:min(len(first), 256)]))
	if len(words) != 4 || words[0] != fileMagic {
		return nil, &FileError{Function: function, What: "format", Expected: "a file that begins with " + fileMagic, Got: "something else"}
	}
	if words[1] != strconv.Itoa(fileVersion) {
		return nil, &FileError{Function: function, What: "format", Expected: fmt.Sprintf("version %d", fileVersion), Got: "version " + strconv.Quote(words[1])}
	}
	if got := strconv.Itoa(len(rest)); got != words[3] {
		return nil, &FileError{Function: function, What: "damaged", Expected: strconv.Quote(words[3]) + " bytes", Got: got}
	}
	if got := hashOf(rest); got != words[2] {
		return nil, &FileError{Function: function, What: "damaged", Expected: "SHA-256 " + strconv.Quote(words[2]), Got: got}
	}
	return rest, nil
}

// compare finds the first line of the file's header that is not as it should be.
func (h fileHeader) compare(function string, got fileHeader) error {
	for i, want := range h {
		if i >= len(got) || got[i].Name != want.Name {
			return &FileError{Function: function, What: want.Name, Expected: strconv.Quote(want.Value), Got: "nothing: a file of another kind of function"}
		}
		if got[i].Value != want.Value {
			return &FileError{Function: function, What: want.Name, Expected: strconv.Quote(want.Value), Got: strconv.Quote(got[i].Value)}
		}
	}
	if len(got) != len(h) {
		return &FileError{Function: function, What: "header", Expected: fmt.Sprintf("%d lines", len(h)), Got: strconv.Itoa(len(got))}
	}
	return nil
}
