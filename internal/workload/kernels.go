package workload

import (
	"context"
	"fmt"
	"math"

	"jitc"
	"jitc/trace"
)

// Sizes are those of the kernels' table.
type Sizes struct {
	Copy, Wide   int      // elements
	Rows         [][2]int // of softmax and layer norm: rows, length of a row
	Square       []int    // of products in bf16; the last is the yardstick of others
	SquareF32    int
	Linear       [3]int   // rows, in, out
	Batched      [2]int   // products, size of each
	Heads, Head  int      // of attention, and the width of one
	Lengths      [][2]int // of attention: batch, length
	Queries      [][2]int // of attention with few queries: queries, length
	QueriesBatch int
	Chain        [2]int // tiny kernels, size of their matrix
	Layers       int    // of the model whose start is measured

	Model             Config // that decodes
	Batches, Contexts []int
}

// Full are the sizes of peers.py.
var Full = Sizes{
	Copy: 64 << 20, Wide: 16 << 20,
	Rows:   [][2]int{{32768, 1024}, {16384, 2048}, {8192, 4096}, {4096, 8192}, {2048, 16384}},
	Square: []int{4096, 8192}, SquareF32: 4096, Linear: [3]int{8192, 1024, 4096}, Batched: [2]int{64, 512},
	Heads: 16, Head: 64, Lengths: [][2]int{{16, 512}, {4, 2048}, {1, 8192}},
	QueriesBatch: 8, Queries: [][2]int{{1, 2048}, {1, 8192}, {16, 8192}},
	Chain: [2]int{100, 32}, Layers: 30,
	Model: Small, Batches: []int{1, 8}, Contexts: []int{128, 512, 1024},
}

// Middle are sizes that a CPU can check, and with which a GPU is busy.
var Middle = Sizes{
	Copy: 5_000_000, Wide: 3_000_001,
	Rows:   [][2]int{{3000, 1024}, {700, 4096}, {130, 16384}},
	Square: []int{1024, 2048}, SquareF32: 1024, Linear: [3]int{2048, 1024, 4096}, Batched: [2]int{8, 512},
	Heads: 16, Head: 64, Lengths: [][2]int{{2, 512}, {1, 2048}},
	QueriesBatch: 2, Queries: [][2]int{{1, 2048}, {1, 8192}, {16, 8192}},
	Chain: [2]int{100, 32}, Layers: 30,
	Model: Small, Batches: []int{1}, Contexts: []int{128},
}

// Reduced are sizes for an interpreter, of the same kinds.
var Reduced = Sizes{
	Copy: 1000, Wide: 500,
	Rows:   [][2]int{{7, 64}, {5, 130}, {3, 1100}},
	Square: []int{40, 64}, SquareF32: 33, Linear: [3]int{24, 32, 48}, Batched: [2]int{3, 32},
	Heads: 2, Head: 64, Lengths: [][2]int{{2, 40}, {1, 80}},
	QueriesBatch: 2, Queries: [][2]int{{1, 64}, {5, 100}},
	Chain: [2]int{10, 8}, Layers: 4,
	Model: Tiny, Batches: []int{1, 2}, Contexts: []int{24},
}

// Yardsticks are the names of what the others of a run are compared with: those
// that move memory with a copy, those that calculate in bf16 with the largest
// product. Both stand before them in the table.
func (s *Sizes) Yardsticks() (copies, products string) {
	return s.copy().Name, s.product(s.Square[len(s.Square)-1]).Name
}

// Kernels is the table: the yardsticks, what is bound by memory, what is bound by
// arithmetic, and what is bound by launching.
func Kernels(s *Sizes) []Workload {
	out := []Workload{s.copy(), s.product(s.Square[len(s.Square)-1])}
	out = append(out, s.moving()...)
	for _, n := range s.Square[:len(s.Square)-1] {
		out = append(out, s.product(n))
	}
	out = append(out, s.calculating()...)
	return append(out, s.launching()...)
}

func f32(shape ...int) Arg  { return Arg{jitc.F32, shape} }
func bf16(shape ...int) Arg { return Arg{jitc.BF16, shape} }

// bytesName is a name with the bytes of n f32, as "copy-256MiB".
func bytesName(what string, n int) string {
	if b := 4 * n; b >= 1<<20 {
		return fmt.Sprintf("%s-%dMiB", what, b>>20)
	}
	return fmt.Sprintf("%s-%dB", what, 4*n)
}

func (s *Sizes) copy() Workload {
	return Workload{Name: bytesName("copy", s.Copy), Args: []Arg{f32(s.Copy)}, Bytes: 2 * 4 * float64(s.Copy),
		Prepare: unary(func(x *jitc.Tensor) *jitc.Tensor { return x.Neg() })}
}

func (s *Sizes) product(n int) Workload {
	return Workload{Name: fmt.Sprintf("gemm-bf16-%d", n), Args: []Arg{bf16(n, n), bf16(n, n)}, Flops: 2 * float64(n) * float64(n) * float64(n),
		Prepare: binary(func(a, b *jitc.Tensor) *jitc.Tensor { return a.MatMul(b) })}
}

// moving is what is bound by memory.
func (s *Sizes) moving() []Workload {
	out := []Workload{{Name: bytesName("pointwise", s.Wide), Args: []Arg{f32(s.Wide), f32(s.Wide)}, Bytes: 3 * 4 * float64(s.Wide),
		Prepare: binary(func(x, r *jitc.Tensor) *jitc.Tensor { return x.Mul(1.1).Add(0.1).GeluTanh().Add(r) })}}
	for _, r := range s.Rows {
		size, moved := fmt.Sprintf("%dx%d", r[0], r[1]), 2*4*float64(r[0])*float64(r[1])
		out = append(out,
			Workload{Name: "softmax-" + size, Args: []Arg{f32(r[:]...)}, Bytes: moved,
				Prepare: unary(func(x *jitc.Tensor) *jitc.Tensor { return x.Softmax(1) })},
			Workload{Name: "layernorm-" + size, Args: []Arg{f32(r[:]...), f32(r[1]), f32(r[1])}, Bytes: moved,
				Prepare: ternary(func(x, w, b *jitc.Tensor) *jitc.Tensor { return x.LayerNorm(w, b, 1e-5) })})
	}
	r := s.Rows[len(s.Rows)/2]
	out = append(out, Workload{Name: fmt.Sprintf("transpose-%dx%d", r[0], r[1]), Args: []Arg{f32(r[:]...)}, Bytes: 2 * 4 * float64(r[0]) * float64(r[1]),
		Prepare: unary(func(x *jitc.Tensor) *jitc.Tensor { return x.Transpose(1, 0) })})
	for _, q := range s.Queries { // keys and values are read once
		keys := bf16(s.QueriesBatch, s.Heads, q[1], s.Head)
		out = append(out, Workload{Name: fmt.Sprintf("attention-bf16-%dof%d", q[0], q[1]), Args: []Arg{bf16(s.QueriesBatch, s.Heads, q[0], s.Head), keys, keys},
			Bytes:   2 * 2 * float64(s.QueriesBatch*s.Heads*q[1]*s.Head),
			Prepare: ternary(func(q, k, v *jitc.Tensor) *jitc.Tensor { return jitc.Attention(q, k, v, trace.AttentionOptions{}) })})
	}
	return out
}

// calculating is what is bound by arithmetic, less the products of products.
func (s *Sizes) calculating() []Workload {
	n, l, b := s.SquareF32, s.Linear, s.Batched
	out := []Workload{
		{Name: fmt.Sprintf("gemm-f32-%d", n), Args: []Arg{f32(n, n), f32(n, n)}, Flops: 2 * float64(n) * float64(n) * float64(n),
			Prepare: binary(func(a, b *jitc.Tensor) *jitc.Tensor { return a.MatMul(b) })},
		{Name: fmt.Sprintf("linear-gelu-bf16-%dx%dx%d", l[0], l[1], l[2]), Args: []Arg{bf16(l[0], l[1]), bf16(l[1], l[2]), bf16(l[2])},
			Flops:   2 * float64(l[0]) * float64(l[1]) * float64(l[2]),
			Prepare: ternary(func(x, w, b *jitc.Tensor) *jitc.Tensor { return x.Dense(w, b).GeluTanh() })},
		{Name: fmt.Sprintf("bmm-bf16-%dx%d", b[0], b[1]), Args: []Arg{bf16(b[0], b[1], b[1]), bf16(b[0], b[1], b[1])},
			Flops:   2 * float64(b[0]) * float64(b[1]) * float64(b[1]) * float64(b[1]),
			Prepare: binary(func(a, b *jitc.Tensor) *jitc.Tensor { return a.MatMul(b) })},
	}
	for _, p := range s.Lengths { // causal: half of the products
		split := bf16(p[0], s.Heads, p[1], s.Head)
		out = append(out, Workload{Name: fmt.Sprintf("attention-bf16-%d", p[1]), Args: []Arg{split, split, split},
			Flops: 2 * float64(p[0]*s.Heads) * float64(p[1]) * float64(p[1]) * float64(s.Head),
			Prepare: ternary(func(q, k, v *jitc.Tensor) *jitc.Tensor {
				return jitc.Attention(q, k, v, trace.AttentionOptions{Causal: true})
			})})
	}
	return out
}

// launching is what is bound by the way to the device: one kernel, a chain of them
// (reductions along one axis and the other, which are not one kernel), and a sum
// whose arguments and result lie on the host.
func (s *Sizes) launching() []Workload {
	n, side := s.Chain[0], s.Chain[1]
	add := binary(func(a, b *jitc.Tensor) *jitc.Tensor { return a.Add(b) })
	return []Workload{
		{Name: "add-2x2", Args: []Arg{f32(2, 2), f32(2, 2)}, Kernels: 1, Prepare: add},
		{Name: fmt.Sprintf("chain-%d", n), Args: []Arg{f32(side, side)}, Kernels: n, Prepare: unary(func(x *jitc.Tensor) *jitc.Tensor {
			for i := range n {
				x = x.Softmax(i & 1)
			}
			return x
		})},
		{Name: "roundtrip-2x2", Args: []Arg{f32(2, 2), f32(2, 2)}, OnHost: true, Prepare: add},
		{Name: bytesName("roundtrip", s.Wide), Args: []Arg{f32(s.Wide), f32(s.Wide)}, OnHost: true, Prepare: add},
	}
}

// Start is a model of layers that all differ in a number, so that none shares a
// kernel with another; what is measured is its first call.
func (s *Sizes) Start() Workload {
	w := Workload{Name: fmt.Sprintf("start-%d", s.Layers), Args: []Arg{f32(64, 64)}, Kernels: s.Layers}
	for i := range s.Layers {
		w.Args = append(w.Args, f32(64+16*i, 80+16*i))
	}
	w.Prepare = func(e *jitc.Engine) *Function {
		fn := jitc.Func1(e, func(xs []*jitc.Tensor) *jitc.Tensor {
			x := xs[0]
			for i, w := range xs[1:] {
				x = x.MatMul(w).Mul((0.5 + float64(i)/100) / math.Sqrt(float64(64+16*i))).Tanh()
			}
			return x
		})
		return &Function{func(ctx context.Context, a []*jitc.Tensor, out **jitc.Tensor) error {
			return fn.CallInto(ctx, out, a)
		}, fn.Traced()}
	}
	return w
}
