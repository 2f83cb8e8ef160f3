package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jitc/executors"
	"jitc/executors/diskcache"
)

const environmentLong = `Environment variables change what no flag does. One that is unset, or empty,
changes nothing. An executor whose variable has a value that it does not know is
not available: jitc executors says so.

`

// environment are the variables that every build reads: the name, the values it
// may have, and what they do.
var environment = [][3]string{
	{"NO_COLOR", "anything", "turns colour off"},
	{diskcache.EnvSwitch, "on or off", "off: no kernels are kept on disk between processes"},
	{diskcache.EnvDir, "a directory", "where kernels are kept; unset: the folder jitc in the user's cache folder"},
}

// environmentTopic is what jitc help environment prints. Executors list variables of
// their own.
func environmentTopic(list []executors.Executor) *cobra.Command {
	rows, known := environment, map[string]bool{}
	for _, x := range list {
		if e, ok := x.(interface{ Environment() [][3]string }); ok {
			rows = append(rows[:len(rows):len(rows)], e.Environment()...)
		}
	}
	var b strings.Builder
	for _, r := range rows {
		if known[r[0]] { // of another device of the same kind
			continue
		}
		known[r[0]] = true
		fmt.Fprintf(&b, "  %-22s %s\n", r[0], r[1])
		for _, l := range wrap(r[2], columns-27) {
			fmt.Fprintf(&b, "  %-22s   %s\n", "", l)
		}
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables that jitc reads",
		Long: environmentLong + strings.TrimRight(b.String(), "\n")}
}
