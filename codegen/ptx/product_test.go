package ptx

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestProducts compares products of every operand layout and type, with and
// without templates, and with epilogues of every width.
func TestProducts(t *testing.T) {
	for _, c := range []struct {
		a, b tensor.DType
		out  tensor.DType
		tol  float64
	}{
		{tensor.F32, tensor.F32, tensor.F32, 1e-4}, {tensor.BF16, tensor.BF16, tensor.BF16, 0.02}, {tensor.F16, tensor.F16, tensor.F32, 1e-4},
		{tensor.BF16, tensor.F32, tensor.F32, 1e-4}, {tensor.F64, tensor.F64, tensor.F64, 1e-12}, {tensor.I32, tensor.I32, tensor.I32, 0},
		{tensor.I8, tensor.I8, tensor.I32, 0}, {tensor.F8E4M3, tensor.F8E5M2, tensor.F8E5M2, 0.3},
	} {
		for _, turned := range []bool{false, true} {
			t.Run(fmt.Sprint(c.a, c.b, turned), func(t *testing.T) {
				m, n, k := sym("M"), sym("N"), sym("K")
				for _, d := range widths(t, productKernel(t, c.a, c.b, c.out, turned, m, n, k)) {
					for i, s := range []sizes{{"M": 5, "N": 7, "K": 3}, {"M": 1, "N": 64, "K": 96}, {"M": 70, "N": 48, "K": 33}, {"M": 3, "N": 3, "K": 0}, {"M": 0, "N": 3, "K": 4}} {
						checkOn(t, d, s, elements.Moderate+uint64(i), c.tol, 0)
					}
				}
			})
		}
	}
}

// TestProductsByTensorMaps are for sm_90a: batched, one operand for all of the batch,
// in both layouts, with an epilogue, of 32-bit and 64-bit positions. Where a row is no
// multiple of 16 bytes there are no maps.
func TestProductsByTensorMaps(t *testing.T) {
	hopper := Device{Arch: 90, Multiprocessors: 3, SharedBytes: 227 << 10}
	for _, turned := range []bool{false, true} {
		k := productKernel(t, tensor.BF16, tensor.BF16, tensor.BF16, turned, sym("M"), sym("N"), sym("K"))
		for _, wide := range []bool{false, true} {
			legal, err := codegen.Legalize(k, Target(false, wide))
			require.NoError(t, err)
			m, err := Compile(legal, hopper, Options{Wgmma: true})
			require.NoError(t, err)
			d := forDevice(t, m)
			for _, c := range []struct {
				s    sizes
				kind string
			}{
				{sizes{"M": 264, "N": 280, "K": 136}, "_tma"},
				{sizes{"M": 200, "N": 256, "K": 64}, "_tma"},
				{sizes{"M": 265, "N": 279, "K": 135}, "_tensor"},
			} {
				checkOn(t, d, c.s, elements.Moderate, 0.02, 0)
				assert.Contains(t, entriesOf(t, m, c.s, 16)[0], c.kind, "%v", c.s)
			}
		}
	}
}

// TestProductsOfKnownSizes have one entry by a template, and one for operands that
// are not aligned.
func TestProductsOfKnownSizes(t *testing.T) {
	m := compiled(t, productKernel(t, tensor.BF16, tensor.BF16, tensor.F32, false, con(64), con(72), con(40)), small, Options{})
	d := forDevice(t, m)
	for _, align := range []int{0, 8} {
		checkOn(t, d, nil, elements.Moderate, 1e-4, align)
	}
	assert.NotEqual(t, []string{"_0_plain"}, entriesOf(t, m, nil, 256))
	assert.LessOrEqual(t, strings.Count(m.Text(), ".visible .entry"), 3)
}

// productKernel is two products with a bias, an activation and two results.
func productKernel(t testing.TB, at, bt, out tensor.DType, turned bool, m, n, k dim.Expr) *codegen.Kernel {
	acc := codegen.ComputeType(at)
	b := codegen.NewKernel("product")
	x := b.Buffer(codegen.Input, "x", at, con(2).Mul(m).Mul(k))
	w := b.Buffer(codegen.Input, "w", bt, k.Mul(n))
	bias := b.Buffer(codegen.Input, "bias", out, n)
	y := b.Buffer(codegen.Output, "y", out, con(2).Mul(m).Mul(n))
	z := b.Buffer(codegen.Output, "z", tensor.Bool, con(2).Mul(m).Mul(n))
	tile := b.Buffer(codegen.Tile, "tile", acc, m.Mul(n))
	g := &codegen.Gemm{
		Batch: []codegen.Axis{{Name: "b", Extent: con(2)}}, M: m, N: n, K: k, DType: acc, Tile: tile,
		A: codegen.Operand{Buf: x, Row: k, Col: con(1)}, B: codegen.Operand{Buf: w, Row: n, Col: con(1)},
	}
	if turned {
		g.A.Row, g.A.Col, g.B.Row, g.B.Col = con(1), m, con(1), k
	}
	g.A.Batch = append(g.A.Batch, m.Mul(k))
	g.B.Batch = append(g.B.Batch, con(0))
	b.Gemm(g)
	e := b.EpilogueNest(g)
	e.Once()
	v := e.Load(codegen.AtExpr(tile, con(0), con(0), n, con(1)))
	v = e.Op(codegen.Add, v, e.To(codegen.Cast, acc, e.Load(codegen.At(bias, 0, 0, 1))))
	pos := e.Op(codegen.Gt, v, e.ConstI(acc, 0))
	e.Store(codegen.AtExpr(y, con(0), m.Mul(n), n, con(1)), e.To(codegen.Cast, codegen.ComputeType(out), e.Op(codegen.Max, v, e.ConstI(acc, 0))))
	e.Store(codegen.AtExpr(z, con(0), m.Mul(n), n, con(1)), e.Op(codegen.Or, pos, e.Op(codegen.Le, v, e.ConstI(acc, 0))))
	kernel, err := b.Build()
	require.NoError(t, err)
	return kernel
}
