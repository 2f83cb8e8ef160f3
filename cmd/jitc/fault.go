package main

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// bug is a fault of jitc itself: a panic, recovered here or by whoever turned it
// into an error that says BUG.
type bug struct {
	msg    string
	frames []string // positions on the stack, from the panic outward
}

// bugOf finds a bug in an error: the text after "BUG: ", and the stack in the
// lines that follow.
func bugOf(err error) (bug, bool) {
	_, text, ok := strings.Cut(err.Error(), "BUG: ")
	if !ok {
		return bug{}, false
	}
	msg, stack, _ := strings.Cut(text, "\n")
	return bug{msg, panicFrames(stack)}, true
}

// recovered is the bug that a deferred function has just recovered.
func recovered(v any) bug {
	return bug{strings.TrimPrefix(fmt.Sprint(v), "BUG: "), panicFrames(string(debug.Stack()))}
}

// text renders the bug for people.
func (b bug) text(s style) string {
	lines := []string{s.bad("BUG:") + " " + b.msg,
		fmt.Sprintf("  %-9s %s", "hint", "this is a fault of jitc; please report it with the trace, the command line,"),
		fmt.Sprintf("  %-9s %s", "", "the output of jitc version, and these lines:")}
	for _, f := range b.frames {
		lines = append(lines, "    "+f)
	}
	return strings.Join(lines, "\n")
}

// report describes the bug in the JSON form.
func (b bug) report() jsonError {
	return jsonError{Kind: "fault", Exit: exitFault, Message: "BUG: " + b.msg, Stack: b.frames}
}

// reportPanic prints what a recovered panic says, and where it came from.
func (a *app) reportPanic(v any) {
	b := recovered(v)
	if a.json {
		a.writeJSON(map[string]jsonError{"error": b.report()})
	}
	fmt.Fprintln(a.err, b.text(a.errStyle))
}

// maxFrames bounds the frames that a report shows.
const maxFrames = 12

// panicFrames are the positions on a stack, from the panic outward.
func panicFrames(stack string) []string {
	if _, after, ok := strings.Cut(stack, "\npanic("); ok {
		stack = after
	}
	var out []string
	for _, l := range strings.Split(stack, "\n")[1:] {
		if l = strings.TrimSpace(l); strings.Contains(l, ".go:") && len(out) < maxFrames {
			at, _, _ := strings.Cut(l, " +0x")
			out = append(out, at)
		}
	}
	return out[min(1, len(out)):] // the first is the runtime's
}
