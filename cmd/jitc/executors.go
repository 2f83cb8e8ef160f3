package main

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"jitc/codegen/x64/asm"
	"jitc/executors"
)

// executorReport describes one executor of this build.
type executorReport struct {
	Name      string `json:"name"`
	Device    string `json:"device"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"`  // it is not available
	Hint      string `json:"hint,omitempty"` // what would make it available
	Features  string `json:"features,omitempty"`
}

// machineReport describes the machine that executors run on.
type machineReport struct {
	Platform   string           `json:"platform"`
	Processors int              `json:"processors"`
	Features   string           `json:"features"`
	Executors  []executorReport `json:"executors"`
	Default    []string         `json:"default"` // what programs have where nothing else is asked for
}

const executorsLong = `Executors lists the executors of this build, best first: where each computes,
whether it can run on this machine, and if not, why. A program uses all that are
available, or those of --executors, in that order. The first one that claims an
op computes it; the reference executor takes what is left. cuda and cublas are
listed for the first GPU; cuda:1 and cublas:1 are those of the second.

One that is absent is no fault: cuda and cublas need an NVIDIA GPU and what
NVIDIA installs for it, and everything runs without. jitc help environment lists
the variables that executors read.`

func (a *app) executorsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "executors", Short: "List the executors and what they run on", Long: executorsLong,
		Example: "  jitc executors\n  jitc executors --json\n  jitc run mlp.trace --dim B=8 --executors reference", Args: files(0, 0),
		RunE: func(*cobra.Command, []string) error {
			a.progress.start("asking for devices")
			m := describeMachine(a.executors)
			a.progress.stop()
			if a.json {
				a.writeJSON(m)
			} else {
				a.writeMachine(m)
			}
			return nil
		},
	}
}

func describeMachine(list []executors.Executor) machineReport {
	m := machineReport{Platform: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.GOMAXPROCS(0),
		Features: asm.Detect().String(), Executors: []executorReport{}, Default: []string{}}
	for _, x := range list {
		r := executorReport{Name: x.Name(), Device: string(x.Device()), Available: true}
		if err := x.Available(); err != nil {
			r.Available = false
			r.Why, r.Hint = whyAndHint(err)
		}
		if d, ok := x.(interface{ Features() string }); ok {
			r.Features = d.Features()
		} else if x.Name() == executors.Reference {
			r.Features = "every op by its definition: complete, and slow"
		}
		if r.Available {
			m.Default = append(m.Default, r.Name)
		}
		m.Executors = append(m.Executors, r)
	}
	return m
}

// hinted is an error text that ends with what to do about it.
var hinted = regexp.MustCompile(`(?s)^(.*\S)\s+\(hint: (.*)\)\s*$`)

// whyAndHint takes a reason and the hint in it apart.
func whyAndHint(err error) (why, hint string) {
	if m := hinted.FindStringSubmatch(err.Error()); m != nil {
		return m[1], m[2]
	}
	return err.Error(), ""
}

func (a *app) writeMachine(m machineReport) {
	fmt.Fprintf(a.out, "%s, %s\n", m.Platform, plural(m.Processors, "processor"))
	for i, l := range wrap(m.Features, columns-12) {
		fmt.Fprintf(a.out, "  %-8s  %s\n", map[bool]string{true: "features"}[i == 0], l)
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{"executor", "device", "state", "detail"}}
	at := detailColumn(m.Executors)
	for i, x := range m.Executors {
		cells := []string{x.Name, x.Device, map[bool]string{true: "available", false: "absent"}[x.Available]}
		detail := x.detail()
		for _, y := range m.Executors[i+1:] { // a library and the executor whose device it uses
			if !x.Available && y.Device == x.Device && y.detail() == detail {
				detail = "as " + y.Name
			}
		}
		for _, l := range wrapLines(detail, columns-at) {
			t.add(append(cells, l)...)
			cells = []string{"", "", ""}
		}
	}
	t.write(a.out, a.style)
	if len(m.Default) > 0 {
		text := fmt.Sprintf("programs use %s, unless --executors says otherwise", strings.Join(m.Default, ", then "))
		fmt.Fprintf(a.out, "\n%s\n", strings.Join(wrap(text, columns), "\n"))
	}
}

// detailColumn is where the table's last column begins.
func detailColumn(list []executorReport) int {
	name, device := len("executor"), len("device")
	for _, x := range list {
		name, device = max(name, utf8.RuneCountInString(x.Name)), max(device, utf8.RuneCountInString(x.Device))
	}
	return min(name+device+len("available")+3*2, columns-20)
}

// wrapLines wraps each line of a text, and breaks words that are longer than that:
// a path in a reason is to be read in full.
func wrapLines(text string, width int) []string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		for _, l := range wrap(line, width) {
			r := []rune(l)
			for ; len(r) > width; r = r[width:] {
				out = append(out, string(r[:width]))
			}
			out = append(out, string(r))
		}
	}
	return out
}

// detail is what is known of the executor, or why it is absent, then the hint.
func (x *executorReport) detail() string {
	if x.Available {
		return x.Features
	}
	if x.Hint == "" {
		return x.Why
	}
	return x.Why + "\nhint: " + x.Hint
}
