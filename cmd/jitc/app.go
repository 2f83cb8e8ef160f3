package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jitc/executors"
)

// app is one execution of the command line: its streams and the flags that
// every command has.
type app struct {
	in       io.Reader
	out      *bufio.Writer
	err      io.Writer
	json     bool
	style    style // of out
	errStyle style
	progress *progress
	memory   func() int64 // bytes that may be allocated

	executors []executors.Executor // of this build
	preferred []string             // executors where --executors names none; nil: all that run here
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{
		in: stdin, out: bufio.NewWriter(stdout), err: stderr,
		style: styleOf(stdout), errStyle: styleOf(stderr),
		progress: newProgress(stderr), memory: availableMemory, executors: executors.All(),
	}
}

// execute runs a command line. A panic below becomes a report and exitFault.
func (a *app) execute(ctx context.Context, args []string) (code int) {
	defer func() {
		a.progress.stop()
		if v := recover(); v != nil {
			a.reportPanic(v)
			code = exitFault
		}
		if err := a.out.Flush(); err != nil {
			a.reportError(fault{err})
			code = exitFault
		}
	}()
	a.json = slices.Contains(args, "--json") // for mistakes found before the flags are read
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if errors.As(err, new(*usageError)) {
		err = usageOf(cmd, err)
	}
	a.progress.stop()
	if a.out.Flush() != nil { // reported when this function returns
		return exitFault
	}
	if err != nil {
		a.reportError(err)
	}
	return exitCode(err)
}

const rootLong = `jitc compiles tensor programs (traces) to machine code and runs them.

A trace is a text file: one function, one op per line. The walk from a trace to
results is: passes make it canonical, fusion divides it into regions, executors
compile each region to a kernel, the kernels are linked with one memory plan.
The traces of the examples are in the folder testdata/programs of jitc's source.

Exit codes:
  0    it worked
  1    the result differs from --expect, or a check found mistakes
  2    the command line or an input is wrong
  3    an executor or the system failed, or jitc itself has a fault
  130  interrupted

With --json, standard output is one JSON document, also for errors
({"error": {...}}); times are in nanoseconds, sizes in bytes. Colour and
progress appear on terminals only.`

const rootExample = `  jitc executors
  jitc run mlp.trace --dim B=8
  jitc run gpt2.trace --executors cuda,native
  jitc explain mlp.trace a0
  jitc bench mlp.trace --dim B=64`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "jitc", Short: "Compile and run tensor programs", Long: rootLong, Example: rootExample,
		PersistentPreRunE: checkTexts,
		SilenceErrors:     true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().BoolVar(&a.json, "json", a.json, "print one JSON document")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", columns)))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageOf(cmd, err) })
	root.AddCommand(a.runCommand(), a.compileCommand(), a.explainCommand(), a.checkCommand(), a.fmtCommand(),
		a.guardsCommand(), a.sizesCommand(), a.benchCommand(), a.opsCommand(), a.executorsCommand(), a.cacheCommand(),
		a.versionCommand(), environmentTopic(a.executors))
	root.SetHelpCommand(helpCommand(root))
	return root
}

// helpCommand prints the help of a command or topic. An unknown one is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command or a topic",
		Long: "Help prints what COMMAND --help does, and what jitc --help lists as additional\ntopics.",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownTopic(cmd, rest)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

func unknownTopic(of *cobra.Command, rest []string) error {
	e := &usageError{msg: "no help about " + quote(rest[0]), hint: of.CommandPath() + " --help lists commands and topics"}
	var names []string
	for _, c := range of.Commands() {
		names = append(names, c.Name())
	}
	if near := nearNames(rest[0], names); len(near) > 0 {
		path := strings.TrimPrefix(of.CommandPath()+" ", of.Root().Name()+" ")
		e.hint = "did you mean " + of.Root().Name() + " help " + path + strings.Join(near, " or ") + "?"
	}
	return e
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := &usageError{msg: "unknown command " + quote(args[0]), hint: cmd.CommandPath() + " --help lists the commands"}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		e.hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return e
}

// files checks the number of file arguments: at least min, at most max, which is
// not checked below 0.
func files(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return usageOf(cmd, &usageError{msg: "no trace file given"})
		case max >= 0 && len(args) > max:
			return usageOf(cmd, &usageError{msg: "unexpected argument " + quote(args[max])})
		}
		return nil
	}
}
