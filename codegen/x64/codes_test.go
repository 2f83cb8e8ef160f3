//go:build unix && amd64

package x64

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/kernels"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

var lengths = []int64{0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1000}

// TestCodes compares every code at every type that is spelled, at several lengths.
func TestCodes(t *testing.T) {
	floats := []tensor.DType{tensor.F32, tensor.F64}
	ints := []tensor.DType{tensor.I32, tensor.I64, tensor.U32, tensor.U64}
	numbers := append(append([]tensor.DType{}, floats...), ints...)
	all := append([]tensor.DType{tensor.Bool}, numbers...)
	bits := append([]tensor.DType{tensor.Bool}, ints...)
	for _, row := range []struct {
		codes []codegen.Code
		types []tensor.DType
	}{
		{[]codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Div, codegen.Min, codegen.Max, codegen.Neg, codegen.Abs}, numbers},
		{[]codegen.Code{codegen.Rem, codegen.Shl, codegen.ShrL, codegen.ShrA}, ints},
		{[]codegen.Code{codegen.FMA, codegen.FNMA, codegen.Sqrt, codegen.RoundEven, codegen.Floor, codegen.Ceil, codegen.Trunc}, floats},
		{[]codegen.Code{codegen.And, codegen.Or, codegen.Xor, codegen.Not}, bits},
		{[]codegen.Code{codegen.Eq, codegen.Ne, codegen.Lt, codegen.Le, codegen.Gt, codegen.Ge}, all},
	} {
		for _, c := range row.codes {
			for _, dt := range row.types {
				t.Run(c.String()+"/"+dt.String(), func(t *testing.T) {
					in := []tensor.DType{dt, dt, dt}[:c.Arity()]
					out := dt
					if c >= codegen.Eq && c <= codegen.Ge {
						out = tensor.Bool
					}
					k := kernels.Pointwise(t, c.String(), in, out, func(n *codegen.NestBuilder, args []codegen.Val) codegen.Val { return n.Op(c, args...) })
					checkLengths(t, k, 0)
				})
			}
		}
	}
}

func checkLengths(t *testing.T, k *codegen.Kernel, tol float64) {
	t.Helper()
	for name, f := range targets(t) {
		c := compileKernel(t, k, f, Options{})
		for _, n := range lengths {
			checkTarget(t, name, c, map[string]int64{"N": n}, uint64(n), tol)
		}
	}
}

// TestConstOperands covers constants as either operand, the easy bounds of Min
// and Max among them.
func TestConstOperands(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
		for _, c := range []codegen.Code{codegen.Add, codegen.Sub, codegen.Min, codegen.Max} {
			for _, x := range []float64{0, 1.5, math.Copysign(0, -1), -2} {
				k := kernels.Pointwise(t, c.String(), []tensor.DType{dt}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
					return n.Op(codegen.Sub, n.Op(c, a[0], n.ConstF(dt, x)), n.Op(c, n.ConstF(dt, -x), a[0]))
				})
				check(t, k, map[string]int64{"N": 37}, 3, 0, Options{})
			}
		}
	}
}

func TestSelect(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.Bool} {
		k := kernels.Pointwise(t, "select", []tensor.DType{tensor.Bool, dt, dt}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			return n.Op(codegen.Select, a[0], a[1], a[2])
		})
		checkLengths(t, k, 0)
	}
	relu := kernels.Pointwise(t, "relu", []tensor.DType{tensor.F32}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		z := n.ConstF32(0)
		return n.Op(codegen.Select, n.Op(codegen.Gt, a[0], z), a[0], z)
	})
	checkLengths(t, relu, 0)
	mixed := kernels.Pointwise(t, "mixed", []tensor.DType{tensor.F32, tensor.F64, tensor.F32}, tensor.F64, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		wide := n.To(codegen.Cast, tensor.F64, a[2])
		c := n.Op(codegen.Lt, a[0], a[2])
		d := n.Op(codegen.Lt, a[1], wide)
		f := n.To(codegen.Cast, tensor.F64, n.Op(codegen.Select, d, a[0], a[2]))
		return n.Op(codegen.Add, f, n.Op(codegen.Select, c, a[1], wide))
	})
	checkLengths(t, mixed, 0)
}

// TestCasts compares every pair of compute types; those without a spelling are
// refused as such.
func TestCasts(t *testing.T) {
	types := []tensor.DType{tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.U32, tensor.U64, tensor.Bool}
	for _, from := range types {
		for _, to := range types {
			if from == to {
				continue
			}
			k := kernels.Pointwise(t, "cast_"+from.String()+"_"+to.String(), []tensor.DType{from}, to, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
				return n.To(codegen.Cast, to, a[0])
			})
			for name, f := range targets(t) {
				r := castRows[kindOf(from)][kindOf(to)]
				if r.half && !f.AVX512 {
					_, err := Compile(k, k.Steps[0].Nest, f, Options{})
					var u *Unsupported
					require.ErrorAs(t, err, &u)
					continue
				}
				c := compileKernel(t, k, f, Options{})
				for _, n := range []int64{1, 5, 16, 100} {
					checkTarget(t, name, c, map[string]int64{"N": n}, uint64(n), 0)
				}
			}
		}
	}
}

// TestNarrow loads, rounds and stores every narrow type.
func TestNarrow(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2, tensor.I8, tensor.I16, tensor.U8, tensor.U16, tensor.Bool} {
		t.Run(dt.String(), func(t *testing.T) {
			wide := codegen.ComputeType(dt)
			checkLengths(t, kernels.Pointwise(t, "copy", []tensor.DType{dt}, dt, func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] }), 0)
			if dt == tensor.Bool {
				return
			}
			checkLengths(t, kernels.Pointwise(t, "load", []tensor.DType{dt}, wide, func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] }), 0)
			checkLengths(t, kernels.Pointwise(t, "store", []tensor.DType{wide}, dt, func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] }), 0)
			checkLengths(t, kernels.Pointwise(t, "round", []tensor.DType{wide}, wide, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.RoundTo(dt, a[0]) }), 0)
			// with 8-byte lanes beside it
			checkLengths(t, kernels.Pointwise(t, "beside", []tensor.DType{dt, tensor.F64}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
				c := n.Op(codegen.Lt, a[1], n.ConstF64(0))
				return n.Op(codegen.Select, c, a[0], n.Op(codegen.Add, a[0], a[0]))
			}), 0)
		})
	}
	checkLengths(t, kernels.Pointwise(t, "f32", []tensor.DType{tensor.F64}, tensor.F64, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.RoundTo(tensor.F32, a[0]) }), 0)
}

func TestBits(t *testing.T) {
	k := kernels.Pointwise(t, "bits", []tensor.DType{tensor.F32, tensor.F64}, tensor.I64, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		lo := n.To(codegen.Cast, tensor.I64, n.To(codegen.Bits, tensor.U32, a[0]))
		return n.Op(codegen.Xor, lo, n.To(codegen.Bits, tensor.I64, a[1]))
	})
	checkLengths(t, k, 0)
}

// TestScale2 keeps results and the product with the first factor away from
// double rounding on AVX2, which is documented there.
func TestScale2(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
		k := kernels.Pointwise(t, "scale2", []tensor.DType{dt, tensor.I8}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			x := n.Op(codegen.Max, n.Op(codegen.Min, a[0], n.ConstF(dt, 16)), n.ConstF(dt, -16))
			one := n.ConstF(dt, 1)
			x = n.Op(codegen.Add, x, n.Op(codegen.Select, n.Op(codegen.Lt, x, n.ConstF(dt, 0)), n.ConstF(dt, -1), one))
			return n.Op(codegen.Scale2, x, n.To(codegen.Cast, dt, a[1]))
		})
		checkLengths(t, k, 0)
	}
}

func TestRcpE(t *testing.T) {
	k := kernels.Pointwise(t, "rcp", []tensor.DType{tensor.U8}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		return n.Op(codegen.RcpE, n.Op(codegen.Add, n.To(codegen.Cast, tensor.F32, a[0]), n.ConstF32(0.25)))
	})
	checkLengths(t, k, 1.0/2048)
}

// TestIndexAndSize reads positions and sizes in both widths.
func TestIndexAndSize(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.I32, tensor.I64} {
		b := codegen.NewKernel("index")
		y := b.Buffer(codegen.Output, "y", dt, sym("M").Mul(sym("N")))
		n := b.Nest([]codegen.Axis{{Name: "i", Extent: sym("M")}, {Name: "j", Extent: sym("N")}}, 2)
		n.Once()
		i, j := n.Index(dt, 0), n.Index(dt, 1)
		v := n.Op(codegen.Add, n.Op(codegen.Mul, i, n.Size(dt, sym("N").Add(dim.Const(3)))), j)
		n.Store(codegen.AtExpr(y, con(0), sym("N"), con(1)), v)
		k, err := b.Build()
		require.NoError(t, err)
		for _, s := range []int64{1, 5, 16, 37} {
			check(t, k, map[string]int64{"M": 3, "N": s}, 1, 0, Options{})
		}
	}
}
