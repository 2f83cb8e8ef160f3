// Genfuncs writes func_gen.go, the typed faces of traced functions of one to six
// arguments. Run it in the root package's folder, by go generate.
//
//	Func2(engine, func(w, x *Tensor) *Tensor { ... })  has the type  *F2[*Tensor, *Tensor, *Tensor]
//
// A typed face passes addresses of its parameters on, which the untyped function
// reads by the plan of their types: so arguments stay on the stack, and nothing is
// boxed.
package main

import (
	"fmt"
	"os"
)

const (
	fileName = "func_gen.go"
	maxArgs  = 6
)

func main() {
	src, err := source()
	if err == nil {
		err = os.WriteFile(fileName, src, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "genfuncs:", err)
		os.Exit(1)
	}
}
