package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"jitc/codegen/x64/asm"
	"jitc/executors"
)

// executorReport describes one executor of this build.
type executorReport struct {
	Name      string `json:"name"`
	Device    string `json:"device"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // it is not available
	Features  string `json:"features,omitempty"`
}

// machineReport describes the machine that executors run on.
type machineReport struct {
	Platform   string           `json:"platform"`
	Processors int              `json:"processors"`
	Features   string           `json:"features"`
	Executors  []executorReport `json:"executors"`
}

const executorsLong = `Executors lists the executors of this build, best first: where each computes,
whether it can run on this machine, and if not, why. The first available one
that claims an op computes it; the reference executor takes what is left.`

func (a *app) executorsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "executors", Short: "List the executors and what they run on", Long: executorsLong,
		Example: "  jitc executors\n  jitc run mlp.trace --dim B=8 --executors reference", Args: files(0, 0),
		RunE: func(*cobra.Command, []string) error {
			m := describeMachine(executors.All())
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
		Features: asm.Detect().String(), Executors: []executorReport{}}
	for _, x := range list {
		r := executorReport{Name: x.Name(), Device: string(x.Device()), Available: true}
		if err := x.Available(); err != nil {
			r.Available, r.Why = false, err.Error()
		}
		if d, ok := x.(interface{ Features() string }); ok {
			r.Features = d.Features()
		}
		m.Executors = append(m.Executors, r)
	}
	return m
}

func (a *app) writeMachine(m machineReport) {
	fmt.Fprintf(a.out, "%s, %s\n", m.Platform, plural(m.Processors, "processor"))
	for i, l := range wrap(m.Features, columns-12) {
		fmt.Fprintf(a.out, "  %-8s  %s\n", map[bool]string{true: "features"}[i == 0], l)
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{"executor", "device", "state", "detail"}}
	for _, x := range m.Executors {
		state, detail := "available", x.Features
		if !x.Available {
			state, detail = "absent", x.Why
		}
		t.add(x.Name, x.Device, state, detail)
	}
	t.write(a.out, a.style)
}
