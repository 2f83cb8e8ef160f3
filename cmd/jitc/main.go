// Command jitc compiles tensor programs, runs them, and shows what became of
// them.
//
//	jitc run mlp.trace --dim B=8 --expect mlp.B=8.npz
//	jitc compile mlp.trace --dump fused
//	jitc explain mlp.trace a0
//	jitc bench mlp.trace --dim B=64
//
// It holds flags and printing only: one file per command; newApp and execute take
// arguments and streams, so that tests run command lines like anyone.
//
// Invariants: standard output holds what was asked for (with --json exactly one
// JSON document, also when the command fails), everything else goes to standard
// error; a mistake of the user is a diagnostic and never a Go panic; no file is
// ever left half written.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program: it executes a command line and returns the exit
// code, one of the exit constants.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process, whatever it is in
	return newApp(stdin, stdout, stderr).execute(ctx, args)
}
