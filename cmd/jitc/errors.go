package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jitc/ir/diag"
	"jitc/ir/tensor"
)

// The exit codes, as the help of the root command documents them.
const (
	exitOK          = 0
	exitDiffers     = 1
	exitInput       = 2
	exitFault       = 3
	exitInterrupted = 130
)

// usageError is a mistake on the command line.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

// usageOf is err as a usageError that points at the command's help, if it has no
// better hint.
func usageOf(cmd *cobra.Command, err error) error {
	err = flagValue(cmd, err)
	var u *usageError
	if errors.As(err, &u) && u.hint != "" {
		return u
	}
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if near := nearNames(name, flagNames(cmd)); len(near) > 0 {
			return &usageError{msg: err.Error(), hint: "did you mean --" + strings.Join(near, " or --") + "?"}
		}
	}
	return &usageError{msg: err.Error(), hint: cmd.CommandPath() + " --help explains the command line"}
}

// flagLine is where a command's help explains a flag.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)`)

func flagNames(cmd *cobra.Command) (names []string) {
	for _, m := range flagLine.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
		names = append(names, m[1])
	}
	return names
}

// invalidValue is what the flag package says of a value that it cannot read.
var invalidValue = regexp.MustCompile(`(?s)^invalid argument (".*") for "(?:-\w, )?--([\w-]+)" flag: `)

// flagKinds say what the flags of a type expect.
var flagKinds = map[string]string{"int": "a whole number", "float64": "a number", "bool": "true or false"}

// flagValue is err in our words, if it is about a flag's value.
func flagValue(cmd *cobra.Command, err error) error {
	m := invalidValue.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	flag := cmd.Flags().Lookup(m[2])
	value, quoted := strconv.Unquote(m[1])
	if flag == nil || quoted != nil || flagKinds[flag.Value.Type()] == "" {
		return err
	}
	if _, tooLarge := new(big.Int).SetString(value, 10); tooLarge {
		return badFlag(flag.Name, value, "a smaller number")
	}
	return badFlag(flag.Name, value, flagKinds[flag.Value.Type()])
}

// textFlags are the flags that name something.
var textFlags = []string{"bucket", "dim", "dump", "executors", "expect", "input", "inputs", "out", "stance", "stats", "weights"}

// checkTexts refuses flags whose value is empty, as --out "$DIR" gives where DIR
// is not set.
func checkTexts(cmd *cobra.Command, _ []string) error {
	for _, name := range textFlags {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(interface{ GetSlice() []string }); ok {
			values = list.GetSlice()
		}
		if len(values) == 0 || slices.ContainsFunc(values, func(s string) bool { return strings.TrimSpace(s) == "" }) {
			return usageOf(cmd, &usageError{msg: "--" + name + ": expected a value, got an empty one"})
		}
	}
	return nil
}

// badFlag is a mistake in a flag's value.
func badFlag(flag, value, expected string) error {
	return &usageError{msg: fmt.Sprintf("--%s %s: expected %s", flag, value, expected)}
}

// fault is a failure that is not the user's: of an executor, of jitc, of the
// system.
type fault struct{ err error }

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

// verdict ends a command whose answer is "no"; everything has been printed.
type verdict struct{ code int }

func (v verdict) Error() string { return fmt.Sprintf("exit %d", v.code) }

func exitCode(err error) int {
	var f fault
	var v verdict
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &v):
		return v.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &f):
		return exitFault
	}
	return exitInput
}

// jsonError is an error in the JSON form.
type jsonError struct {
	Kind        string           `json:"kind"` // usage, input, fault, interrupted
	Exit        int              `json:"exit"`
	Message     string           `json:"message"`
	Hint        string           `json:"hint,omitempty"`
	Diagnostics []jsonDiagnostic `json:"diagnostics,omitempty"`
	Stack       []string         `json:"stack,omitempty"` // of a fault of jitc: positions, from the fault outward
}

type jsonDiagnostic struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Col      int    `json:"col,omitempty"`
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

func describeError(err error) jsonError {
	if b, ok := bugOf(err); ok {
		return b.report()
	}
	e := jsonError{Kind: "input", Exit: exitCode(err), Message: err.Error(), Diagnostics: diagnostics(err)}
	var u *usageError
	if errors.As(err, &u) {
		e.Kind, e.Hint = "usage", u.hint
	}
	switch e.Exit {
	case exitFault:
		e.Kind = "fault"
	case exitInterrupted:
		e.Kind = "interrupted"
	}
	return e
}

// diagnostics are the parts of an error.
func diagnostics(err error) []jsonDiagnostic {
	var out []jsonDiagnostic
	for _, d := range parts(err) {
		out = append(out, jsonDiagnostic{File: d.Pos.File, Line: d.Pos.Line, Col: d.Pos.Col, Message: d.Msg,
			Expected: d.Expected, Got: d.Got, Hint: d.Hint})
	}
	return out
}

// parts splits what errors.Join joined, at any depth, into diagnostics.
func parts(err error) diag.List {
	if j, ok := err.(interface{ Unwrap() []error }); ok && isJoined(err, j.Unwrap()) {
		var all diag.List
		for _, e := range j.Unwrap() {
			all = append(all, parts(e)...)
		}
		return all
	}
	var list diag.List
	if errors.As(err, &list) {
		return list
	}
	return diag.List{diagnosticOf(err)}
}

// isJoined tells errors.Join from an error that says something of its own.
func isJoined(err error, of []error) bool {
	texts := make([]string, len(of))
	for i, e := range of {
		texts[i] = e.Error()
	}
	return err.Error() == strings.Join(texts, "\n")
}

// positioned is the text of an error that begins with a position, as those of
// ir.Verify do; an unknown position prints as "-".
var positioned = regexp.MustCompile(`(?s)^(?:-|(.+?):(\d+):(\d+)): (.*)$`)

func diagnosticOf(err error) *diag.Diagnostic {
	var u *usageError
	if errors.As(err, &u) {
		return &diag.Diagnostic{Msg: u.msg, Hint: u.hint}
	}
	var f *tensor.FormatError
	if errors.As(err, &f) {
		return &diag.Diagnostic{Pos: diag.Pos{File: f.File}, Msg: formatFault(f.Where), Expected: f.Expected, Got: f.Got, Hint: f.Hint}
	}
	m := positioned.FindStringSubmatch(err.Error())
	if m == nil {
		return &diag.Diagnostic{Msg: err.Error()}
	}
	line, _ := strconv.Atoi(m[2])
	col, _ := strconv.Atoi(m[3])
	return &diag.Diagnostic{Pos: diag.Pos{File: m[1], Line: line, Col: col}, Msg: m[4]}
}

// formatFault says what is wrong with a file of tensors; where is the place.
func formatFault(where string) string {
	if where == "name" {
		return "not a file of tensors"
	}
	return "malformed at " + where
}

// reportError prints an error: on standard error as text, and with --json on
// standard output too.
func (a *app) reportError(err error) {
	if errors.As(err, new(verdict)) {
		return
	}
	e := describeError(err)
	if a.json {
		a.writeJSON(map[string]jsonError{"error": e})
	}
	if e.Kind == "interrupted" {
		fmt.Fprintln(a.err, "interrupted")
		return
	}
	fmt.Fprintln(a.err, a.errorText(err))
}

// errorText renders an error for people.
func (a *app) errorText(err error) string {
	if b, ok := bugOf(err); ok {
		return b.text(a.errStyle)
	}
	return a.errStyle.markErrors(foldReport(parts(err).Error()))
}

// writeJSON prints v as the one document of standard output.
func (a *app) writeJSON(v any) { writeJSON(a.out, v) }

// writeJSON prints v, indented. That w cannot be written is for w's owner to
// find out.
func writeJSON(w io.Writer, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("BUG: jitc: " + err.Error())
	}
	_, _ = b.WriteTo(w)
}

func quote(s string) string { return strconv.Quote(s) }
