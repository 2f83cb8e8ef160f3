// Package kernels builds loop nests for the tests of backends.
package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Pointwise is y[i] = f(a[i], b[i], c[i]) over N points, with operands of the given
// element types.
func Pointwise(t testing.TB, name string, in []tensor.DType, out tensor.DType, f func(n *codegen.NestBuilder, args []codegen.Val) codegen.Val) *codegen.Kernel {
	t.Helper()
	size := dim.Sym("N")
	b := codegen.NewKernel(name)
	var bufs []int
	for i, dt := range in {
		bufs = append(bufs, b.Buffer(codegen.Input, string(rune('a'+i)), dt, size))
	}
	y := b.Buffer(codegen.Output, "y", out, size)
	n := b.Nest([]codegen.Axis{{Name: "i", Extent: size}}, 1)
	n.Once()
	var args []codegen.Val
	for _, buf := range bufs {
		args = append(args, n.Load(codegen.At(buf, 1)))
	}
	n.Store(codegen.At(y, 1), f(n, args))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}
