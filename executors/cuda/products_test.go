package cuda_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir"
	"jitc/ir/tensor"
)

// hopper is a device with warp-group products.
var hopper = fake.Config{Major: 9, Minor: 0, Multiprocessors: 4, SharedPerBlock: 227 << 10}

// Who asks for warp-group products gets them, and the same results.
func TestWarpGroupProducts(t *testing.T) {
	const text = `func @big(%a: bf16[512,256], %b: bf16[512,256]) -> bf16[512,512] {
  %0: bf16[512,512] = dot_general(%a, %b) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`
	whole := func(seed uint64) *tensor.Tensor {
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: seed}, tensor.BF16, []int{512, 256})
		require.NoError(t, err)
		return x
	}
	args := []*tensor.Tensor{whole(1), whole(2)}
	want, err := ir.Eval(parse(t, text), args, nil)
	require.NoError(t, err)
	for _, wgmma := range []bool{false, true} {
		d := fake.New(hopper)
		e := cuda.New(d, 0, cuda.Options{Wgmma: wgmma})
		k, err := e.Compile(context.Background(), parse(t, text), executors.Options{Dumps: true})
		require.NoError(t, err)
		code, _ := k.Dump("ptx")
		if wgmma {
			assert.Contains(t, code, "wgmma.mma_async")
			assert.Contains(t, code, ".target sm_90a\n")
		} else {
			assert.NotContains(t, code, "wgmma")
		}
		got := runOn(t, e, k, args, want[0])
		assert.Nil(t, tensor.Compare(got, want[0], tensor.Tolerance{Abs: 1e-2, Rel: 1e-2}))
		require.NoError(t, e.Close())
	}
}

// productCase is a product of two matrices of static sizes, and what becomes of it.
type productCase struct {
	dtype string
	a, b  []int
	i, j  int // axes that are contracted
	then  string
}

func (c productCase) text() string {
	typ := func(shape ...int) string { return fmt.Sprintf("%s[%d,%d]", c.dtype, shape[0], shape[1]) }
	out := typ(c.a[1-c.i], c.b[1-c.j])
	return fmt.Sprintf(`func @product(%%a: %s, %%b: %s) -> %s {
  %%0: %[3]s = dot_general(%%a, %%b) {lhs_contract=[%d], rhs_contract=[%d]}
  %%1: %[3]s = %[6]s(%%0)
  return %%1
}`, typ(c.a...), typ(c.b...), out, c.i, c.j, c.then)
}

// compare compares what two executors make of it, the second by tensor maps.
func (c productCase) compare(t *testing.T, e, hopper *cuda.Executor) {
	t.Helper()
	f := parse(t, c.text())
	var args []*tensor.Tensor
	for i, shape := range [][]int{c.a, c.b} {
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 0.1, Seed: uint64(i)}, f.Params[i].Type.DType, shape)
		require.NoError(t, err)
		args = append(args, x)
	}
	like := tensor.New(f.Params[0].Type.DType, c.a[1-c.i], c.b[1-c.j])
	var got [2]*tensor.Tensor
	for i, e := range []*cuda.Executor{e, hopper} {
		k := compile(t, e, c.text(), executors.Options{Dumps: true})
		code, _ := k.Dump("ptx")
		require.Equal(t, i == 1, strings.Contains(code, "cp.async.bulk.tensor"))
		got[i] = runOn(t, e, k, args, like)
	}
	assert.Nil(t, tensor.Compare(got[1], got[0], tensor.Tolerance{Abs: 2e-2, Rel: 2e-2}))
}

// Products by tensor maps are those of the tensor-core template.
func TestHopperProducts(t *testing.T) {
	plain, _ := newExecutor(t, hopper, cuda.Options{})
	wgmma, _ := newExecutor(t, hopper, cuda.Options{Wgmma: true})
	for _, c := range []productCase{
		{"bf16", []int{264, 256}, []int{256, 520}, 1, 0, "erf"},
		{"f16", []int{128, 520}, []int{136, 128}, 0, 1, "neg"},
	} {
		c.compare(t, plain, wgmma)
	}
}

// runOn runs a kernel of static sizes on a device.
func runOn(t *testing.T, e *cuda.Executor, k executors.Kernel, args []*tensor.Tensor, like *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	q, err := e.Queue()
	require.NoError(t, err)
	alloc := func(n int) []byte {
		mem, err := q.Alloc(n)
		require.NoError(t, err)
		return mem
	}
	var bufs [][]byte
	for _, a := range args {
		host, _ := a.Bytes()
		bufs = append(bufs, alloc(len(host)))
		require.NoError(t, q.Upload(bufs[len(bufs)-1], host))
	}
	out := tensor.New(like.DType(), like.Shape()...)
	host, _ := out.Bytes()
	bufs = append(bufs, alloc(len(host)))
	l := bind(t, k, nil)
	require.NoError(t, l.Run(bufs, alloc(l.ScratchBytes(1)), nil))
	require.NoError(t, q.Download(host, bufs[len(bufs)-1]))
	return out
}

// Products of f32 are exact to rounding; only fast math rounds their operands to
// tf32.
func TestOnlyFastMathRoundsOperands(t *testing.T) {
	e := cuda.New(fake.New(fake.Config{}), 0, cuda.Options{})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	for _, fast := range []bool{false, true} {
		k := compile(t, e, `func @product(%x: f32[512,512], %w: f32[512,512]) -> f32[512,512] {
  %0: f32[512,512] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`, executors.Options{FastMath: fast})
		code, ok := k.Dump("ptx")
		require.True(t, ok)
		assert.Equal(t, fast, strings.Contains(code, "tf32"))
	}
}
