package ptx

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/kernels"
	"jitc/ir/tensor"
)

// TestWideAccesses: aligned runs move 128 bits at a time, all of them.
func TestWideAccesses(t *testing.T) {
	add := func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.Op(codegen.Add, a[0], a[1]) }
	for _, c := range []struct {
		dt    tensor.DType
		n     int64
		align int
		wide  int64
	}{
		{dt: tensor.F32, n: 4096, wide: 3 * 1024},
		{dt: tensor.BF16, n: 4096, wide: 3 * 512},
		{dt: tensor.F64, n: 4096, wide: 3 * 2048},
		{dt: tensor.F32, n: 4099, wide: 3 * 1024},
		{dt: tensor.F32, n: 4096, align: 8},
	} {
		k := kernels.Pointwise(t, "add", []tensor.DType{c.dt, c.dt}, c.dt, add)
		stats := checkOn(t, forDevice(t, compiled(t, k, small, Options{})), sizes{"N": c.n}, 1, 0, c.align)
		assert.Equal(t, c.wide, stats.Vec128, "%s of %d, alignment %d", c.dt, c.n, c.align)
	}
}

// TestMaskedRuns: where masks end at whole runs, accesses are as wide as without
// them, as in the halves that a rotary embedding swaps.
func TestMaskedRuns(t *testing.T) {
	src := "func @rotate(%x: f32[N,H]) -> f32[N,H]\n  where N in [1, 4096], H in [2, 512], H % 2 == 0 {\n" +
		"  %a: f32[N,H floordiv 2] = slice(%x) {limits=[N, H floordiv 2], starts=[0, 0]}\n" +
		"  %b: f32[N,H floordiv 2] = slice(%x) {limits=[N, H], starts=[0, H floordiv 2]}\n" +
		"  %c: f32[N,H floordiv 2] = neg(%b)\n" +
		"  %d: f32[N,H] = concat(%c, %a) {axis=1}\n  %e: f32[N,H] = mul(%d, %x)\n  return %e\n}"
	d := forDevice(t, compiled(t, lowered(t, src), small, Options{}))
	for _, c := range []struct{ h, wide int64 }{{64, 3 * 5 * 64 / 4}, {20, 0}, {6, 0}} {
		stats := checkOn(t, d, sizes{"N": 5, "H": c.h}, 1, 0, 0)
		if c.wide > 0 {
			assert.Equal(t, c.wide, stats.Vec128, "H = %d", c.h)
		}
	}
}

// TestLooseRuns: an operand at an offset that only sizes tell costs no other
// operand its wide accesses.
func TestLooseRuns(t *testing.T) {
	b := codegen.NewKernel("shifted")
	x := b.Buffer(codegen.Input, "x", tensor.F32, sym("N").Add(sym("O")))
	z := b.Buffer(codegen.Input, "z", tensor.F32, sym("N"))
	y := b.Buffer(codegen.Output, "y", tensor.F32, sym("N"))
	n := b.Nest([]codegen.Axis{{Name: "i", Extent: sym("N")}}, 1)
	n.Once()
	n.Store(codegen.At(y, 1), n.Op(codegen.Add, n.Load(codegen.AtExpr(x, sym("O"), con(1))), n.Load(codegen.At(z, 1))))
	k, err := b.Build()
	require.NoError(t, err)
	d := forDevice(t, compiled(t, k, small, Options{}))
	for _, c := range []struct{ o, wide int64 }{{4, 300}, {3, 200}, {0, 300}} {
		assert.Equal(t, c.wide, checkOn(t, d, sizes{"N": 400, "O": c.o}, 1, 0, 0).Vec128, "offset %d", c.o)
	}
}
