package gemm

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// counts runs a configuration on one block's worth of a 128 x 128 x 128 product.
func counts(t *testing.T, b *built, i int) (st sim.Stats, ok bool) {
	s := shape{M: 128, N: 128, K: 128, Batch: []int64{1, 1}[:b.p.Batch]}.sizes(b.p)
	ch, ok := only(t, b, i, s, 1)
	if !ok {
		return st, false
	}
	mem := sim.NewMemory()
	r := rand.New(rand.NewPCG(1, 1))
	fill(t, mem, addrA, s.A, b.p.A, s.M, s.K, s.Batch, integers(r))
	fill(t, mem, addrB, s.B, b.p.B, s.N, s.K, s.Batch, integers(r))
	_, st = b.run(t, mem, ch, s, 0)
	return st, true
}

// Shared memory is accessed without bank conflicts in all layouts. But for the end of
// f64: groups of 32 bytes are read by halves, at two cycles each where one would do.
func TestBankConflicts(t *testing.T) {
	for _, p := range problems() {
		b := build(t, p)
		for i, c := range b.cs {
			if c.Kind == Skinny {
				continue
			}
			st, ok := counts(t, b, i)
			if !ok {
				continue
			}
			assert.Zero(t, st.MatrixConflicts, "%s %+v", text(p), c)
			want := 0
			if p.Acc == tensor.F64 {
				want = 128 * 128 * 8 / 128
			}
			assert.EqualValues(t, want, st.SharedConflicts, "%s %+v", text(p), c)
		}
	}
}

// Operands come by 16-byte copies, each element once per block that needs it, and
// products are made on tensor cores: one mma for 16 x 8 x 16 elements.
func TestTensorCounts(t *testing.T) {
	for _, m := range []Major{KMajor, MNMajor} {
		p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: m, BContract: m}
		b := build(t, p)
		require.Equal(t, 128, b.cs[1].BN)
		st, ok := counts(t, b, 1)
		require.True(t, ok)
		assert.EqualValues(t, 8*16*8, st.MMA)
		assert.EqualValues(t, 2*128*(128+2*64)*2/16, st.Async, "two tiles, and zeros for two behind them")
		assert.EqualValues(t, 4, st.Barriers, "one per tile of k, two at the end")
	}
}

// The skinny template loads weights by 16 bytes, each once.
func TestSkinnyLoads(t *testing.T) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: KMajor}
	b := build(t, p)
	s := shape{M: 1, N: 16, K: 2048}.sizes(p)
	ch, err := Best(b.cs, p, s, 4)
	require.NoError(t, err)
	require.Equal(t, Skinny, b.cs[ch.Config].Kind)
	mem := sim.NewMemory()
	r := rand.New(rand.NewPCG(1, 1))
	fill(t, mem, addrA, s.A, p.A, 1, s.K, nil, integers(r))
	fill(t, mem, addrB, s.B, p.B, 16, s.K, nil, integers(r))
	_, st := b.run(t, mem, ch, s, 0)
	rows := b.cs[ch.Config].BM
	assert.EqualValues(t, 16*2048*2/16+rows*4*2048*2/16, st.Vec128, "B once, a row of A per row and block")
}

// A group is what the configuration says; epilogues may have parameters before and
// after those of the product.
func TestGroupsAndParameters(t *testing.T) {
	p := Problem{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: KMajor, BContract: KMajor, Batch: 1}
	for _, group := range []int{1, 2, 4} {
		for _, c := range Candidates(p, 80) {
			c.Group = group
			k := asm.NewKernel("f", c.Threads())
			k.Param(asm.B32, "mine")
			calls := 0
			at := Emit(k, c, p, func(k *asm.Kernel, el Element) {
				calls++
				want := group
				if c.Swap {
					want = 1
				}
				assert.Len(t, el.Acc, want)
				assert.Len(t, el.Live, want)
				assert.Len(t, el.Batch, 1)
			})
			assert.Equal(t, 1, calls, "%+v", c)
			assert.Equal(t, 8, at)
			assert.Equal(t, "g_a", k.Params[1].Name)
		}
	}
}

// Smaller groups give the same products.
func TestSmallGroups(t *testing.T) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: KMajor}
	s := shape{M: 3, N: 72, K: 640}.sizes(p)
	for _, group := range []int{1, 2} {
		cs := Candidates(p, 80)
		m := &asm.Module{Version: "7.8", Target: "sm_80"}
		b := &built{p: p, cs: cs, at: map[string]int{}, kernels: map[string]*asm.Kernel{}}
		add := func(k *asm.Kernel, at int) {
			m.Kernels, b.kernels[k.Name], b.at[k.Name] = append(m.Kernels, k), k, at
		}
		for i := range cs {
			cs[i].Group = group
			k := asm.NewKernel(entryName(i), cs[i].Threads())
			add(k, Emit(k, cs[i], p, storing(p)))
		}
		k := asm.NewKernel("sum", SumThreads)
		add(k, EmitSum(k, p, group, storing(p)))
		var err error
		b.module, err = sim.Parse(m.String())
		require.NoError(t, err)
		mem := sim.NewMemory()
		r := rand.New(rand.NewPCG(8, 8))
		a := fill(t, mem, addrA, s.A, p.A, s.M, s.K, nil, integers(r))
		bb := fill(t, mem, addrB, s.B, p.B, s.N, s.K, nil, integers(r))
		want, _ := reference(s, a, bb)
		for i := range cs {
			for _, splits := range []int64{1, 5} {
				if ch, ok := only(t, b, i, s, splits); ok {
					got, _ := b.run(t, mem, ch, s, 0)
					require.Equal(t, want, got, "%+v %d", cs[i], splits)
				}
			}
		}
	}
}

// What is chosen at sizes that matter, for a device of 132 multiprocessors.
func TestChoices(t *testing.T) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: KMajor}
	byM := p
	byM.AContract = MNMajor
	f32 := Problem{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor}
	for _, c := range []struct {
		p     Problem
		sh    shape
		want  string
		split bool
	}{
		{p, shape{M: 8192, N: 8192, K: 8192}, "tensor 128x256x64, 3 stages", false},
		{p, shape{M: 256, N: 4096, K: 16384}, "tensor 128x256x64, 3 stages", true},
		{p, shape{M: 32, N: 4096, K: 4096}, "tensor 64x64x64, 4 stages", true},
		{p, shape{M: 1, N: 4096, K: 4096}, "skinny 4x4x1024, 1 stages", false},
		{p, shape{M: 1024, N: 1024, K: 1024}, "tensor 128x128x64, 3 stages", true},
		{byM, shape{M: 4096, N: 1, K: 4096}, "skinny 4x128x32, 1 stages, transposed", true},
		{p, shape{M: 4096, N: 4096, K: 1001}, "tensor 64x64x64, 2 stages, by element", false},
		{f32, shape{M: 4096, N: 4096, K: 4096}, "fma 128x128x8, 2 stages", false},
		{f32, shape{M: 1000, N: 500, K: 512}, "fma 64x64x16, 2 stages", false},
		{f32, shape{M: 1, N: 4096, K: 4096}, "skinny 4x128x32, 1 stages", true},
		{f32, shape{M: 12, N: 4096, K: 4096}, "skinny 16x128x16, 1 stages", true},
	} {
		cs := Candidates(c.p, 90)
		ch, err := Best(cs, c.p, c.sh.sizes(c.p), 132)
		require.NoError(t, err)
		name := cs[ch.Config].String()
		assert.Equal(t, c.want, name, "%+v", c.sh)
		assert.Equal(t, c.split, ch.Splits > 1, "%+v: %d splits of %s", c.sh, ch.Splits, name)
		assert.Equal(t, c.split, ch.Scratch > 0)
		assert.Equal(t, c.split, (ch.Sum != nil) != (ch.Counters > 0), "one of them adds the parts")
	}
}

// Operands that are not aligned, by their address, a stride, an offset or the
// length of a row, are loaded by element.
func TestAlignment(t *testing.T) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor, Batch: 1}
	cs := Candidates(p, 80)
	scalar := func(sh shape) bool {
		sh.Batch = []int64{3}
		ch, err := Best(cs, p, sh.sizes(p), 108)
		require.NoError(t, err)
		return cs[ch.Config].Scalar
	}
	assert.False(t, scalar(shape{M: 500, N: 512, K: 512}))
	assert.True(t, scalar(shape{M: 512, N: 512, K: 500}))
	assert.True(t, scalar(shape{M: 512, N: 500, K: 512}))
	assert.True(t, scalar(shape{M: 512, N: 512, K: 512, Offset: 4}))
	assert.True(t, scalar(shape{M: 512, N: 512, K: 512, Pad: 4}))
	assert.True(t, scalar(shape{M: 512, N: 512, K: 512, Align: 8}))

	_, err := Best(cs[:3], p, shape{M: 64, N: 64, K: 63, Batch: []int64{1}}.sizes(p), 108)
	require.ErrorIs(t, err, ErrSize)
	_, err = Best(cs[:3], p, shape{M: 64, N: 64, K: 64, Batch: []int64{1}}.sizes(p), 108)
	require.NoError(t, err)
}

// Tensor-core configurations use them, others do not.
func TestInstructions(t *testing.T) {
	for _, p := range problems() {
		m, cs, _ := module(p, 80)
		for i, c := range cs {
			one := asm.Module{Version: "7.8", Target: "sm_80", Kernels: m.Kernels[i : i+1]}
			code := one.String()
			assert.Equal(t, c.Kind == Tensor, strings.Contains(code, "mma.sync"), "%s %+v", text(p), c)
			assert.Equal(t, c.Kind == Tensor && !c.Scalar, strings.Contains(code, "cp.async.cg"), "%s %+v", text(p), c)
			assert.NotContains(t, code, ".ftz")
		}
	}
}
