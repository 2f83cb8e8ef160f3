package codegen

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// chain is a region of n pointwise ops on symbolic sizes, each using two values.
func chain(n int) *ir.Func {
	f := ir.NewFunc("chain", nil)
	b := ir.NewBuilder(f)
	t := ir.T(tensor.F32, dim.Sym("B"), dim.Sym("T"), dim.Const(768))
	x, y := f.AddParam("x", t, nil), f.AddParam("y", t, nil)
	for i := range n {
		op := []ir.Op{ir.OpAdd, ir.OpMul, ir.OpMax}[i%3]
		x, y = b.Binary(op, x, y), x
	}
	f.Results = []*ir.Value{x}
	return f
}

func BenchmarkLower(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		f := chain(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				_, err := Lower(f, Options{})
				require.NoError(b, err)
			}
		})
	}
}
