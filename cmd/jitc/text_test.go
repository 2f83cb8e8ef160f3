package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/diag"
)

func TestUnits(t *testing.T) {
	for _, c := range [][2]string{
		{timeText(0), "0 ns"}, {timeText(999), "999 ns"}, {timeText(1000), "1.00 us"}, {timeText(12345678), "12.3 ms"},
		{timeText(999_999_999), "1.00 s"}, {timeText(90 * time.Second), "90.0 s"}, {timeText(2 * time.Hour), "7200 s"},
		{byteText(0), "0 B"}, {byteText(1023), "1023 B"}, {byteText(1536), "1.50 KiB"}, {byteText(5 << 30), "5.00 GiB"}, {byteText(-1), "-"},
		{flopText(0), "-"}, {flopText(999), "999 FLOP"}, {flopText(2.5e9), "2.50 GFLOP"}, {flopText(math.Inf(1)), "-"},
		{rate(1e9, time.Second), "1.00"}, {rate(0, time.Second), "-"}, {rate(1, 0), "-"},
		{percent(1, 3), "33%"}, {percent(1, 0), "-"}, {percent(math.NaN(), 1), "-"},
		{plural(1, "kernel"), "1 kernel"}, {plural(0, "kernel"), "0 kernels"},
		{clip("abcdefghij", 9), "abcdef..."}, {clip("abcdefghij", 6), "abcdef"}, {clip("abc", 3), "abc"},
	} {
		assert.Equal(t, c[1], c[0])
	}
}

func TestTableKeepsToTheWidth(t *testing.T) {
	tab := &table{head: []string{"name", ">number", "text"}}
	tab.add("äöü", "1", strings.Repeat("long ", 40))
	tab.add("b", "12345", "short")
	var b bytes.Buffer
	tab.write(&b, style{})
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	require.Len(t, lines, 3)
	for _, l := range lines {
		assert.LessOrEqual(t, utf8.RuneCountInString(l), columns)
		assert.Equal(t, strings.TrimRight(l, " "), l)
	}
	assert.Equal(t, "b      12345  short", lines[2])
}

// Reports stay within 80 columns, up to what the user's own names take.
func TestReportsKeepToTheWidth(t *testing.T) {
	in := writeTrace(t, smallTrace)
	t.Chdir(filepath.Dir(in))
	for _, args := range [][]string{
		{"run", "in.trace", "--dim", "B=8", "--stats"}, {"compile", "in.trace", "--dim", "B=8"},
		{"compile", "in.trace", "--dim", "B=8", "--each", "--no-fuse"}, {"explain", "in.trace"}, {"explain", "in.trace", "p"},
		{"guards", "in.trace"}, {"guards", "in.trace", "--dim", "B=8"}, {"sizes", "in.trace"}, {"guards", "--help"}, {"sizes", "--help"},
		{"run", "in.trace", "--dim", "B=1..8", "--repeat", "2", "--stats"}, {"run", "in.trace", "--dim", "B=3", "--stance", "reference", "--stats"},
		{"bench", "in.trace", "--dim", "B=8", "--repeat", "2", "--no-limits"}, {"ops"}, {"ops", "batch_norm"}, {"executors"},
		{"version"}, {"compile", "in.trace", "--dim", "B=8", "--no-fuse", "--dump", "plan"}, {"--help"}, {"run", "--help"},
		{"compile", "--help"}, {"explain", "--help"}, {"check", "--help"}, {"fmt", "--help"}, {"bench", "--help"}, {"ops", "--help"},
		{"executors", "--help"}, {"version", "--help"}, {"completion", "--help"},
	} {
		out, errs, code := invoke("", args...)
		require.Equal(t, exitOK, code, errs)
		for _, l := range strings.Split(out, "\n") {
			assert.LessOrEqual(t, utf8.RuneCountInString(l), columns, "%v: %s", args, l)
		}
	}
}

func TestPanicsAreReported(t *testing.T) {
	var out, errs bytes.Buffer
	a := newApp(nil, &out, &errs)
	code := func() (code int) {
		defer func() {
			a.reportPanic(recover())
			code = exitFault
		}()
		panic("BUG: fusion: a cycle")
	}()
	assert.Equal(t, exitFault, code)
	assert.Contains(t, errs.String(), "BUG: fusion: a cycle\n")
	assert.Contains(t, errs.String(), "please report it")
	assert.Contains(t, errs.String(), "text_test.go:", "where it came from")
	assert.NotContains(t, errs.String(), "goroutine")
}

// A panic that became an error on another goroutine is reported as one, not as a
// page of stack.
func TestBugsInErrorsAreReported(t *testing.T) {
	var err error
	func() {
		defer func() { err = fmt.Errorf("BUG: compiling the region at f:1:2: %v\n%s", recover(), debug.Stack()) }()
		panic("a cycle")
	}()
	for _, asJSON := range []bool{false, true} {
		var out, errs bytes.Buffer
		a := newApp(nil, &out, &errs)
		a.json = asJSON
		a.reportError(fault{fmt.Errorf("kernels: %w", err)})
		require.NoError(t, a.out.Flush())
		assert.True(t, strings.HasPrefix(errs.String(), "BUG: compiling the region at f:1:2: a cycle\n"), errs.String())
		assert.Contains(t, errs.String(), "please report it")
		assert.Contains(t, errs.String(), "text_test.go:")
		assert.NotContains(t, errs.String(), "goroutine")
		assert.Equal(t, asJSON, strings.Contains(out.String(), `"stack": [`), out.String())
	}
}

// A reader that panics stands for any fault below: execute survives it.
func TestExecuteSurvivesAPanic(t *testing.T) {
	for _, args := range [][]string{{"fmt", "-"}, {"fmt", "-", "--json"}} {
		var out, errs bytes.Buffer
		code := newApp(panicking{}, &out, &errs).execute(t.Context(), args)
		assert.Equal(t, exitFault, code)
		assert.Contains(t, errs.String(), "BUG: the reader fell over")
		assert.Equal(t, len(args) == 3, strings.Contains(out.String(), `"kind": "fault"`))
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("the reader fell over") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	var errs bytes.Buffer
	code := newApp(nil, full{}, &errs).execute(t.Context(), []string{"ops", "--json"})
	assert.Equal(t, exitFault, code)
	assert.Contains(t, errs.String(), "no space")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestExitCodes(t *testing.T) {
	for code, err := range map[int]error{
		exitOK: nil, exitDiffers: verdict{exitDiffers}, exitInput: errors.New("x"), exitFault: fmt.Errorf("at: %w", fault{errors.New("x")}),
		exitInterrupted: fault{fmt.Errorf("at: %w", context.Canceled)},
	} {
		assert.Equal(t, code, exitCode(err))
	}
	assert.Equal(t, exitInput, exitCode(diag.List{{Msg: "x"}}))
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := newApp(nil, &out, &errs).execute(ctx, []string{"run", writeTrace(t, smallTrace), "--dim", "B=1"})
	assert.Equal(t, exitInterrupted, code)
	assert.Equal(t, "interrupted\n", errs.String())
}

// Joined errors, lists of diagnostics among them, come apart again.
func TestErrorParts(t *testing.T) {
	list := diag.List{{Msg: "a", Pos: diag.Pos{File: "f", Line: 1, Col: 2}}, {Msg: "b"}}
	joined := errors.Join(fmt.Errorf("x: %w", list), errors.New("f.trace:3:4: add: bad"), errors.New("-: func @f: no results"), errors.New("plain"))
	got := parts(joined)
	require.Len(t, got, 5)
	assert.Equal(t, "f.trace:3:4: error: add: bad", got[2].Error())
	assert.Equal(t, "error: func @f: no results", got[3].Error())
	assert.Equal(t, "error: plain", got[4].Error())
	of := errors.New("one")
	assert.Len(t, parts(fmt.Errorf("%w and %w", of, of)), 1, "an error of its own is not taken apart")
}

// lockedBuffer is written by the painter and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestProgressIsErased(t *testing.T) {
	w := &lockedBuffer{}
	p := &progress{w: w, delay: 10 * time.Millisecond}
	p.start("step %d", 1)
	p.update("step %d", 2)
	require.Eventually(t, func() bool { return strings.Contains(w.String(), "step 2") }, 5*time.Second, time.Millisecond)
	p.stop()
	text := w.String()
	assert.True(t, strings.HasSuffix(text, "\r\x1b[K"), "%q", text)
	p.stop()
	assert.Equal(t, text, w.String(), "a second stop prints nothing")
	assert.NotContains(t, text, "\n")
}

func TestShortWorkShowsNoProgress(t *testing.T) {
	w := &lockedBuffer{}
	p := &progress{w: w, delay: time.Hour}
	p.start("quick")
	p.stop()
	assert.Empty(t, w.String())
	off := newProgress(w) // no terminal
	off.start("quick")
	off.stop()
	assert.Empty(t, w.String())
}

func TestColourOnlyWhereAsked(t *testing.T) {
	assert.False(t, styleOf(&bytes.Buffer{}).colour)
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, styleOf(file).colour, "a regular file")
	on := style{colour: true}
	assert.Equal(t, "f:1:2: \x1b[1;31merror:\x1b[0m bad\n  1 | error: x", on.markErrors("f:1:2: error: bad\n  1 | error: x"))
	assert.Equal(t, "x", style{}.bad("x"))
}

func TestNumbersInJSON(t *testing.T) {
	var b bytes.Buffer
	writeJSON(&b, []number{1, number(math.NaN()), number(math.Inf(-1)), 1e300, -0.5})
	assert.JSONEq(t, `[1, "NaN", "-Inf", 1e+300, -0.5]`, b.String())
}

func TestReplaceFileKeepsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(real, []byte("old"), 0o640))
	require.NoError(t, os.Symlink(real, link))
	require.NoError(t, replaceFile(link, []byte("new")))
	data, err := os.ReadFile(real)
	require.NoError(t, err)
	assert.Equal(t, "new", string(data))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink)
	info, err = os.Stat(real)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "no temporary file is left")
}
