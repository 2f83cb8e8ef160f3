package ptx

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/codegen/internal/kernels"
	"jitc/ir/tensor"
)

func checkLengths(t testing.TB, k *codegen.Kernel, tol float64) {
	t.Helper()
	d := forDevice(t, compiled(t, k, small, Options{}))
	for _, n := range []int64{0, 1, 7, 8, 33, 300} {
		checkOn(t, d, map[string]int64{"N": n}, uint64(n), tol, 0)
	}
}

var (
	floatTypes  = []tensor.DType{tensor.F32, tensor.F64}
	intTypes    = []tensor.DType{tensor.I32, tensor.I64, tensor.U32, tensor.U64}
	numberTypes = append(append([]tensor.DType{}, floatTypes...), intTypes...)
	allTypes    = append([]tensor.DType{tensor.Bool}, numberTypes...)
	bitTypes    = append([]tensor.DType{tensor.Bool}, intTypes...)
)

// codeTypes lists every code of operands of one type, with its types.
var codeTypes = []struct {
	codes []codegen.Code
	types []tensor.DType
}{
	{[]codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Div, codegen.Rem, codegen.Min, codegen.Max, codegen.Neg, codegen.Abs}, numberTypes},
	{[]codegen.Code{codegen.Shl, codegen.ShrL, codegen.ShrA}, intTypes},
	{[]codegen.Code{codegen.FMA, codegen.FNMA, codegen.Sqrt, codegen.RoundEven, codegen.Floor, codegen.Ceil, codegen.Trunc}, floatTypes},
	{[]codegen.Code{codegen.And, codegen.Or, codegen.Xor, codegen.Not}, bitTypes},
	{[]codegen.Code{codegen.Eq, codegen.Ne, codegen.Lt, codegen.Le, codegen.Gt, codegen.Ge}, allTypes},
}

// TestCodes compares every code at every type bit for bit.
func TestCodes(t *testing.T) {
	for _, row := range codeTypes {
		for _, c := range row.codes {
			for _, dt := range row.types {
				t.Run(c.String()+"/"+dt.String(), func(t *testing.T) {
					out := dt
					if c >= codegen.Eq && c <= codegen.Ge {
						out = tensor.Bool
					}
					in := []tensor.DType{dt, dt, dt}[:c.Arity()]
					checkLengths(t, kernels.Pointwise(t, c.String(), in, out, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.Op(c, a...) }), 0)
				})
			}
		}
	}
}

// TestEveryCodeIsSpelledOrExpanded: a code without a spelling is an elementary
// function, or one that Legalize expands.
func TestEveryCodeIsSpelledOrExpanded(t *testing.T) {
	expanded := map[codegen.Code]bool{codegen.Scale2: true, codegen.RoundTo: true}
	target := Target(false, false)
	for c := codegen.Add; c <= codegen.Pow; c++ {
		spelled := false
		for k := range numKinds {
			spelled = spelled || target.Spells(c, kinds[k].dtype)
		}
		assert.True(t, spelled || c.Elementary() || expanded[c], "%s", c)
		assert.False(t, spelled && c.Elementary() && c != codegen.Exp && c != codegen.Erf, "%s is expanded without FastMath", c)
	}
	for _, c := range []codegen.Code{codegen.Exp, codegen.Erf} {
		assert.True(t, target.Spells(c, tensor.F32), "%s", c)
		assert.False(t, target.Spells(c, tensor.F64), "%s", c)
	}
	assert.True(t, Target(true, false).Spells(codegen.Exp2, tensor.F32))
	assert.False(t, Target(true, false).Spells(codegen.Exp2, tensor.F64))
}

func TestSelect(t *testing.T) {
	for _, dt := range allTypes {
		k := kernels.Pointwise(t, "select", []tensor.DType{tensor.Bool, dt, dt}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			return n.Op(codegen.Select, a[0], a[1], a[2])
		})
		checkLengths(t, k, 0)
	}
}

// TestCasts compares every pair of compute types.
func TestCasts(t *testing.T) {
	for _, from := range allTypes {
		for _, to := range allTypes {
			k := kernels.Pointwise(t, "cast_"+from.String()+"_"+to.String(), []tensor.DType{from}, to, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
				return n.To(codegen.Cast, to, a[0])
			})
			checkLengths(t, k, 0)
		}
	}
}

func TestBitsAndScale2(t *testing.T) {
	k := kernels.Pointwise(t, "bits", []tensor.DType{tensor.F32, tensor.F64}, tensor.I64, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
		lo := n.To(codegen.Cast, tensor.I64, n.To(codegen.Bits, tensor.U32, a[0]))
		return n.Op(codegen.Xor, lo, n.To(codegen.Bits, tensor.I64, a[1]))
	})
	checkLengths(t, k, 0)
	for _, dt := range floatTypes {
		k := kernels.Pointwise(t, "scale2", []tensor.DType{dt, tensor.I16}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			return n.Op(codegen.Scale2, a[0], n.To(codegen.Cast, dt, a[1]))
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

// TestSpelledElementary: to 2 ulp over the whole range less the error of the
// hardware's 2^x, which is exact here, and exact where the function is.
func TestSpelledElementary(t *testing.T) {
	in := []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 88.72, 88.73, 89, 200,
		math.MaxFloat32, -math.MaxFloat32, -87, -88, -103, -103.9, -104, -150, 1e-30, 1e-40, 0.92773, 0.92774}
	for i := range 4000 {
		in = append(in, float32(i-2000)/20, float32(i-2000)*3e-4, float32(i-2000)*3e-3)
	}
	for c, f := range map[codegen.Code]func(float64) float64{codegen.Exp: math.Exp, codegen.Erf: math.Erf} {
		k := kernels.Pointwise(t, c.String(), []tensor.DType{tensor.F32}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.Op(c, a[0]) })
		d := forDevice(t, compiled(t, k, small, Options{}))
		b, err := codegen.Bind(d.m.Kernel, map[string]int64{"N": int64(len(in))})
		require.NoError(t, err)
		out := make([]byte, 4*len(in))
		d.run(t, b, [][]byte{words32(in), out}, 0)
		for i, got := range values(tensor.F32, out) {
			near(t, fmt.Sprintf("%s(%v)", c, in[i]), f(float64(in[i])), got)
		}
	}
}

// near checks a result to 1.2 ulp.
func near(t *testing.T, what string, want float64, got float32) {
	nearest := float32(want)
	switch {
	case want != want:
		assert.True(t, got != got, "%s = %v", what, got)
	case math.IsInf(float64(nearest), 0) || float64(nearest) == want:
		assert.Equal(t, nearest, got, what)
	default:
		ulp := float64(math.Nextafter32(nearest, math.MaxFloat32)) - float64(nearest)
		assert.LessOrEqual(t, math.Abs(float64(got)-want), 1.2*ulp, "%s = %v, want %v", what, got, want)
	}
}

// TestFastMath: approximate instructions are used, and are near.
func TestFastMath(t *testing.T) {
	for _, c := range []codegen.Code{codegen.Exp, codegen.Exp2, codegen.Sin, codegen.Cos, codegen.Tanh, codegen.Log2, codegen.Rsqrt} {
		k := kernels.Pointwise(t, c.String(), []tensor.DType{tensor.F32}, tensor.F32, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			return n.Op(c, n.Op(codegen.Add, n.Op(codegen.Abs, a[0]), n.ConstF32(0.5)))
		})
		m := compiled(t, k, small, Options{FastMath: true})
		assert.Contains(t, m.Text(), ".approx.f32")
		checkOn(t, forDevice(t, m), map[string]int64{"N": 100}, elements.Moderate, 1e-3, 0)
	}
}

// TestNarrow loads, rounds and stores every narrow type.
func TestNarrow(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2, tensor.I8, tensor.I16, tensor.U8, tensor.U16, tensor.Bool} {
		t.Run(dt.String(), func(t *testing.T) {
			wide := codegen.ComputeType(dt)
			id := func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] }
			checkLengths(t, kernels.Pointwise(t, "copy", []tensor.DType{dt}, dt, id), 0)
			checkLengths(t, kernels.Pointwise(t, "load", []tensor.DType{dt}, wide, id), 0)
			checkLengths(t, kernels.Pointwise(t, "store", []tensor.DType{wide}, dt, id), 0)
			if dt != tensor.Bool {
				checkLengths(t, kernels.Pointwise(t, "round", []tensor.DType{wide}, wide, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val { return n.RoundTo(dt, a[0]) }), 0)
			}
			// in runs of two
			checkLengths(t, kernels.Pointwise(t, "beside", []tensor.DType{dt, tensor.F64}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
				return n.Op(codegen.Select, n.Op(codegen.Lt, a[1], n.ConstF64(0)), a[0], n.To(codegen.Cast, wide, n.ConstI(tensor.I32, 1)))
			}), 0)
		})
	}
}

// TestNarrowExhaustively decodes every pattern of the narrow floats, and encodes
// every one, its neighbours and the values between.
func TestNarrowExhaustively(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2} {
		t.Run(dt.String(), func(t *testing.T) {
			n := 1 << (8 * dt.Size())
			patterns := make([]byte, 0, n*dt.Size())
			for i := range n {
				for j := range dt.Size() {
					patterns = append(patterns, byte(i>>(8*j)))
				}
			}
			floats := values(dt, patterns)
			load := kernels.Pointwise(t, "load", []tensor.DType{dt}, tensor.F32, func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] })
			exact(t, load, patterns, words32(floats), dt, tensor.F32)

			var in []float32
			for i, x := range floats {
				next := floats[(i+1)%len(floats)]
				mid := (x + next) / 2
				in = append(in, x, mid, math.Nextafter32(mid, x), math.Nextafter32(mid, next))
			}
			if dt.Size() == 2 { // a quarter: neighbours of the interpreter's patience
				in = in[:len(in)/4]
			}
			in = append(in, 464, 465, -464, 448, 61440, 61439, 65520, 65519, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(-1)))
			var want []byte
			for _, x := range in {
				want = append(want, narrowed(dt, float64(x))...)
			}
			store := kernels.Pointwise(t, "store", []tensor.DType{tensor.F32}, dt, func(_ *codegen.NestBuilder, a []codegen.Val) codegen.Val { return a[0] })
			exact(t, store, words32(in), want, tensor.F32, dt)
		})
	}
}

func values(dt tensor.DType, b []byte) []float32 {
	out := make([]float32, len(b)/dt.Size())
	for i := range out {
		out[i] = float32(elements.Number(dt, b[i*dt.Size():]))
	}
	return out
}

func words32(x []float32) []byte {
	out := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b := math.Float32bits(v)
		out = append(out, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	return out
}

// exact runs a kernel of one input and compares its output with want.
func exact(t *testing.T, k *codegen.Kernel, in, want []byte, from, to tensor.DType) {
	t.Helper()
	d := forDevice(t, compiled(t, k, small, Options{}))
	b, err := codegen.Bind(d.m.Kernel, map[string]int64{"N": int64(len(in) / from.Size())})
	require.NoError(t, err)
	got := make([]byte, len(want))
	d.run(t, b, [][]byte{in, got}, 0)
	elements.RequireClose(t, to, want, got, 0, k.Name)
}

// narrowed is x as an element of a type.
func narrowed(dt tensor.DType, x float64) []byte {
	b, _ := tensor.FloatScalar(dt, x).Bytes()
	return b
}
