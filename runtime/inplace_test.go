package runtime

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// updateKernel adds its last operand to the first byte of another one. It counts
// the copies of what it does not write.
type updateKernel struct {
	fake
	operand int
	copies  int
}

type updateLaunch struct {
	fakeLaunch
	operand int
}

func (l *updateLaunch) InPlace(int) int { return l.operand }

func (k *updateKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	return &updateLaunch{fakeLaunch{&k.fake, sizes}, k.operand}, nil
}

func updating(operand int) *updateKernel {
	k := &updateKernel{operand: operand}
	k.run = func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		n := len(bufs) - 1
		if address(bufs[n]) != address(bufs[operand]) {
			copy(bufs[n], bufs[operand])
			k.copies++
		}
		bufs[n][0] += bufs[n-1][0]
		return nil
	}
	return k
}

func (b *builder) update(k *updateKernel, args ...*ir.Value) *ir.Value {
	return b.region(Step{Kernel: k}, []dim.Expr{four()}, args...)
}

func TestAnUpdateOfADonatedArgument(t *testing.T) {
	b, k := newBuilder(t), updating(0)
	x, y, cache := b.param(four()), b.param(four()), b.param(four())
	r := donated(t, b.link(b.update(k, cache, x), y), 2)
	require.Equal(t, []int{2, -1}, r.Donated())
	in, at, z := u8(1, 2, 3, 4), u8(10, 0, 0, 0), u8(7, 7, 7, 7)
	for i := range 3 {
		require.NoError(t, r.Run([]*tensor.Tensor{at, z, in}, []*tensor.Tensor{in, u8(0, 0, 0, 0)}, serial{}))
		require.Equal(t, []uint8{uint8(11 + 10*i), 2, 3, 4}, tensor.Data[uint8](in))
	}
	require.Zero(t, k.copies)
	out := r.Results()
	require.NoError(t, r.Run([]*tensor.Tensor{at, z, in}, out, serial{}), "it may, it need not")
	require.Equal(t, []uint8{41, 2, 3, 4}, tensor.Data[uint8](out[0]))
	require.Equal(t, 1, k.copies)
}

func TestUpdatesThatCannotBeInPlace(t *testing.T) {
	for name, build := range map[string]func(b *builder, k *updateKernel, x, y *ir.Value) []*ir.Value{
		"both operands": func(b *builder, k *updateKernel, x, _ *ir.Value) []*ir.Value {
			return []*ir.Value{b.update(k, x, x)}
		},
		"read later": func(b *builder, k *updateKernel, x, y *ir.Value) []*ir.Value {
			return []*ir.Value{b.update(k, x, y), b.one(addByte(1), x)}
		},
		"returned too": func(b *builder, k *updateKernel, x, y *ir.Value) []*ir.Value {
			return []*ir.Value{b.update(k, x, y), x}
		},
		"an intermediate": func(b *builder, k *updateKernel, x, y *ir.Value) []*ir.Value {
			return []*ir.Value{b.update(k, b.region(Step{Kernel: summing()}, []dim.Expr{four()}, x, y), y), b.one(addByte(1), x)}
		},
	} {
		b, k := newBuilder(t), updating(0)
		x, y := b.param(four()), b.param(four())
		r := donated(t, b.link(build(b, k, x, y)...), 0)
		assert.NotEqual(t, 0, r.Donated()[0], name)
		mustRun(t, r, u8(1, 2, 3, 4), u8(10, 0, 0, 0))
		assert.Equal(t, 1, k.copies, name)
	}
}

// A chain of updates of an intermediate has one block.
func TestUpdatesOfAnIntermediate(t *testing.T) {
	b, k := newBuilder(t), updating(0)
	x, y := b.param(four()), b.param(four())
	v := b.one(addByte(1), x)
	for range 5 {
		v = b.update(k, v, y)
	}
	r := record(t, b.link(b.one(addByte(0), v)), nil)
	assert.Equal(t, align, r.Arena)
	assert.Equal(t, align, r.Live)
	assert.Equal(t, []uint8{52, 3, 4, 5}, tensor.Data[uint8](mustRun(t, r, u8(1, 2, 3, 4), u8(10, 0, 0, 0))[0]))
	assert.Zero(t, k.copies)
}

// TestUpdatesChangeNoResult runs random programs as they are, and with kernels that
// do not say that they could be in place.
func TestUpdatesChangeNoResult(t *testing.T) {
	spared := 0
	for seed := range uint64(400) {
		var want []*tensor.Tensor
		for _, says := range []bool{false, true} {
			rng := rand.New(rand.NewPCG(seed, 3))
			b, copies := newBuilder(t), 0
			values := []*ir.Value{b.param(four()), b.param(four()), b.param(four())}
			var kernels []*updateKernel
			for range 1 + rng.IntN(10) {
				x, y := values[rng.IntN(len(values))], values[rng.IntN(len(values))]
				if rng.IntN(3) == 0 {
					values = append(values, b.region(Step{Kernel: summing()}, []dim.Expr{four()}, x, y))
					continue
				}
				k := updating(0)
				if kernels = append(kernels, k); !says {
					k.operand = -1
				}
				values = append(values, b.update(k, x, y))
			}
			results := []*ir.Value{values[len(values)-1], values[rng.IntN(len(values))]}
			r := donated(t, b.link(results...), rng.Perm(3)[:rng.IntN(4)]...)
			args := []*tensor.Tensor{u8(1, 2, 3, 4), u8(5, 6, 7, 8), u8(9, 10, 11, 12)}
			out := r.Results()
			for i, j := range r.Donated() {
				if j >= 0 {
					out[i] = args[j]
				}
			}
			require.NoError(t, r.Run(args, out, serial{}))
			for _, k := range kernels {
				copies += k.copies
			}
			if !says {
				want = out
				continue
			}
			spared += len(kernels) - copies
			require.Nil(t, tensor.CompareAll(out, want, tensor.Exact), "seed %d", seed)
		}
	}
	assert.Greater(t, spared, 200)
}
