//go:build unix && amd64

package x64

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/ir/tensor"
)

// gelu is y = gelu_tanh(a*x+b) + r, the tanh rewritten to a sigmoid.
func gelu(t testing.TB) *codegen.Kernel {
	return chain(t, "gelu", func(n *codegen.NestBuilder, x, r codegen.Val) codegen.Val {
		u := n.Op(codegen.FMA, n.ConstF32(1.3), x, n.ConstF32(0.2))
		w := n.Op(codegen.FMA, n.Op(codegen.Mul, u, u), n.ConstF32(2*0.7978845608*0.044715), n.ConstF32(2*0.7978845608))
		return n.Op(codegen.FMA, u, n.Op(codegen.Sigmoid, n.Op(codegen.Mul, w, u)), r)
	})
}

func triad(t testing.TB) *codegen.Kernel {
	return chain(t, "triad", func(n *codegen.NestBuilder, x, r codegen.Val) codegen.Val {
		return n.Op(codegen.FMA, n.ConstF32(1.3), x, r)
	})
}

func chain(t testing.TB, name string, f func(n *codegen.NestBuilder, x, r codegen.Val) codegen.Val) *codegen.Kernel {
	b := codegen.NewKernel(name)
	x := b.Buffer(codegen.Input, "x", tensor.F32, sym("N"))
	r := b.Buffer(codegen.Input, "r", tensor.F32, sym("N"))
	y := b.Buffer(codegen.Output, "y", tensor.F32, sym("N"))
	n := b.Nest(axes("i", sym("N")), 1)
	n.Once()
	n.Store(codegen.At(y, 1), f(n, n.Load(codegen.At(x, 1)), n.Load(codegen.At(r, 1))))
	return build(t, b)
}

func TestGelu(t *testing.T) {
	for _, n := range []int64{1, 15, 16, 100, 1000} {
		check(t, gelu(t), map[string]int64{"N": n}, elements.Moderate, 1e-6, Options{})
	}
}

// benchmark runs one kernel over aligned buffers, the numbers in them moderate.
func benchmark(b *testing.B, name string, k *codegen.Kernel, sizes map[string]int64, o Options) {
	for target, f := range targets(b) {
		b.Run(name+"/"+target, func(b *testing.B) {
			c := compileKernel(b, k, f, o)
			bound, err := codegen.Bind(c.k, sizes)
			require.NoError(b, err)
			bufs := make([][]byte, len(bound.Lens))
			total := int64(0)
			for i, n := range bound.Lens {
				m := newGuarded(b, int(n)*c.k.Bufs[i].DType.Size())
				defer m.free()
				bufs[i] = m.body[:int(n)*c.k.Bufs[i].DType.Size()]
				x := unsafe.Slice((*float32)(unsafe.Pointer(&bufs[i][0])), n)
				for j := range x {
					x[j] = float32(j%97)/32 - 1.5
				}
				if c.k.Bufs[i].Kind != codegen.Row {
					total += int64(len(bufs[i]))
				}
			}
			b.SetBytes(total)
			b.ResetTimer()
			for range b.N {
				c.run(bound, bufs, 0)
			}
		})
	}
}

func BenchmarkChains(b *testing.B) {
	for _, bytes := range []int64{256 << 10, 64 << 20} {
		sizes := map[string]int64{"N": bytes / 4}
		nt := []bool{false, false, true}
		for _, stores := range []Options{{}, {NonTemporal: nt}} {
			kind := fmt.Sprintf("%dKiB/nt=%v", bytes>>10, stores.NonTemporal != nil)
			benchmark(b, "triad/"+kind, triad(b), sizes, stores)
			benchmark(b, "gelu/"+kind, gelu(b), sizes, stores)
		}
	}
}

func BenchmarkRows(b *testing.B) {
	sizes := map[string]int64{"N": 4096, "C": 1024}
	benchmark(b, "softmax", softmax(b, tensor.F32), sizes, Options{})
	benchmark(b, "layernorm", layerNorm(b), sizes, Options{})
}

// BenchmarkTranspose copies a transposed matrix.
func BenchmarkTranspose(b *testing.B) {
	k := codegen.NewKernel("transpose")
	n := sym("N")
	x := k.Buffer(codegen.Input, "x", tensor.F32, n.Mul(n))
	y := k.Buffer(codegen.Output, "y", tensor.F32, n.Mul(n))
	s := k.Nest(axes("ij", n, n), 2)
	s.Once()
	s.Store(rowMajor(y, n), s.Load(codegen.AtExpr(x, con(0), con(1), n)))
	kernel := build(b, k)
	for _, size := range []int64{256, 2000} {
		benchmark(b, fmt.Sprint(size), kernel, map[string]int64{"N": size}, Options{})
	}
}

// BenchmarkColumns sums the columns of a matrix.
func BenchmarkColumns(b *testing.B) {
	n, c := sym("N"), sym("C")
	k := codegen.NewKernel("columns")
	x := k.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	y := k.Buffer(codegen.Output, "y", tensor.F32, c)
	s := k.Nest(axes("ji", c, n), 1).Vec(0)
	s.Loop()
	v := s.Load(codegen.AtExpr(x, con(0), con(1), c))
	sum := s.Reduce(codegen.Add, v)
	s.Once()
	s.Store(codegen.At(y, 1), sum)
	benchmark(b, "sum", build(b, k), map[string]int64{"N": 4096, "C": 1024}, Options{})
}

// BenchmarkRowsByIndex copies rows of a table.
func BenchmarkRowsByIndex(b *testing.B) {
	n, d := sym("N"), sym("D")
	k := codegen.NewKernel("rows")
	x := k.Buffer(codegen.Input, "x", tensor.F32, con(1000).Mul(d))
	idx := k.Buffer(codegen.Input, "idx", tensor.I64, n)
	y := k.Buffer(codegen.Output, "y", tensor.F32, n.Mul(d))
	s := k.Nest(axes("ij", n, d), 2)
	s.Once()
	a := codegen.AtExpr(x, con(0), con(0), con(1))
	a.Dyn = []codegen.Dyn{{Val: s.Load(codegen.At(idx, 1)), Limit: con(1000), Stride: d}}
	s.Store(rowMajor(y, d), s.Load(a))
	benchmark(b, "gather", build(b, k), map[string]int64{"N": 1000, "D": 256}, Options{})
}

func BenchmarkCompile(b *testing.B) {
	for name, k := range map[string]*codegen.Kernel{"gelu": gelu(b), "softmax": softmax(b, tensor.F32), "layernorm": layerNorm(b)} {
		for target, f := range targets(b) {
			b.Run(name+"/"+target, func(b *testing.B) {
				legal, err := codegen.Legalize(k, Target(f, false))
				require.NoError(b, err)
				b.ReportAllocs()
				for b.Loop() {
					c, err := Compile(legal, legal.Steps[0].Nest, f, Options{})
					require.NoError(b, err)
					b.ReportMetric(float64(c.Stats.Insts), "insts")
				}
			})
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	for target, f := range targets(b) {
		b.Run(target, func(b *testing.B) {
			c := compileKernel(b, gelu(b), f, Options{})
			bound, err := codegen.Bind(c.k, map[string]int64{"N": 1000})
			require.NoError(b, err)
			args := newArgs(c.codes[0])
			c.codes[0].Fill(args, bound.Steps[0].Nest, []uintptr{0, 0, 0})
			box := bound.Steps[0].Nest.FullBox()
			b.ReportAllocs()
			for b.Loop() {
				c.codes[0].Place(args, box)
			}
		})
	}
}
