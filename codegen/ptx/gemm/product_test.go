package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// shapes are ragged sizes around the tiles, and the degenerate ones; some that may
// be copied by 16 bytes, some that may not.
var shapes = []shape{
	{M: 1, N: 1, K: 1},
	{M: 5, N: 3, K: 0},
	{M: 3, N: 134, K: 33},
	{M: 130, N: 4, K: 17, Pad: 3, Offset: 1},
	{M: 67, N: 66, K: 40},
	{M: 136, N: 72, K: 72},
	{M: 72, N: 264, K: 200, Pad: 8, Offset: 16},
	{M: 2, N: 9, K: 2083},
	{M: 3, N: 5, K: 2056},
	{M: 0, N: 8, K: 8},
}

// batches are batch extents for a problem: more than one product where they are
// small.
func (sh shape) batches(p Problem) []int64 {
	if sh.M*sh.N < 1000 {
		return []int64{2, 2, 1}[:p.Batch]
	}
	return []int64{1, 1, 1}[:p.Batch]
}

// testSMs is the number of multiprocessors of tests: persistent blocks go on.
const testSMs = 3

// joined is only, the parts added in the same launch.
func joined(t *testing.T, b *built, i int, s Sizes, splits int64) (ch *Choice, ok bool) {
	pl := planOf(i, b.cs[i], b.p, s)
	if !pl.usable() || !pl.split(splits) || !pl.join(true) {
		return nil, false
	}
	return pl.choice(b.cs[0].Group, testSMs), true
}

// only is the choice of one configuration, split that many times.
func only(t *testing.T, b *built, i int, s Sizes, splits int64) (ch *Choice, ok bool) {
	pl := planOf(i, b.cs[i], b.p, s)
	if !pl.usable() || !pl.split(splits) {
		return nil, false
	}
	return pl.choice(b.cs[0].Group, testSMs), true
}

// parts are 1, and the greatest number of parts, of 2 and 3, that k can be split
// into; for large products, which take long, of the first configuration only.
func parts(b *built, i int, s Sizes) []int64 {
	if i > 0 && s.M*s.N > 4000 {
		return []int64{1}
	}
	for _, n := range []int64{3, 2} {
		if pl := planOf(i, b.cs[i], b.p, s); pl.split(n) {
			return []int64{1, n}
		}
	}
	return []int64{1}
}

// slow reports whether a configuration takes too many blocks for a shape that
// others are for.
func slow(c Config, sh shape) bool {
	tiles := (sh.M + int64(c.BM) - 1) / int64(c.BM) * ((sh.N + int64(c.BN) - 1) / int64(c.BN))
	return tiles > 20 || c.Kind != Skinny && sh.K > 1000 || c.Kind != Tensor && c.Kind != WarpGroup && c.Kind != Bulk && sh.M*sh.N*sh.K > 5e5
}

// check runs each configuration that takes the sizes, unsplit and split, on whole
// numbers, for which all must give the exact product.
func check(t *testing.T, b *built, sh shape) {
	s := sh.sizes(b.p)
	mem := sim.NewMemory()
	r := rand.New(rand.NewPCG(1, uint64(sh.M*1000+sh.N)))
	a := fill(t, mem, addrA, s.A, b.p.A, s.M, s.K, s.Batch, integers(r))
	bb := fill(t, mem, addrB, s.B, b.p.B, s.N, s.K, s.Batch, integers(r))
	want, _ := reference(s, a, bb)
	for i, c := range b.cs {
		for _, splits := range parts(b, i, s) {
			ch, ok := only(t, b, i, s, splits)
			if !ok || slow(c, sh) {
				continue
			}
			same := func(ch *Choice) {
				got, _ := b.run(t, mem, ch, s, int64(i))
				require.Len(t, got, len(want))
				for j := range want {
					if want[j] != got[j] {
						require.Fail(t, "another product", "%s, %+v, %+v, %d splits: element %d is %g, not %g", text(b.p), c, sh, splits, j, got[j], want[j])
					}
				}
			}
			same(ch)
			if ch, ok := joined(t, b, i, s, splits); ok && s.M*s.N < 10000 {
				same(ch)
				_ = mem.Unmap(zeros) // of empty products there are none
			}
		}
	}
}

// Every configuration gives the exact product of whole numbers, for each layout.
func TestProductsOfWholeNumbers(t *testing.T) {
	for _, p := range problems() {
		t.Run(text(p), func(t *testing.T) {
			t.Parallel()
			b := build(t, p)
			for _, sh := range shapes {
				sh.Batch = sh.batches(p)
				sh.Broadcast = sh.Pad == 3
				check(t, b, sh)
			}
		})
	}
}

// Products of reals stay within the bound of a sum in any order, (k+1) roundings of
// the sum of absolute values; tf32 rounds operands to 11 bits first.
func TestProductsOfReals(t *testing.T) {
	for _, p := range []Problem{
		{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor},
		{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: KMajor, BContract: KMajor, TF32: true},
		{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: MNMajor, BContract: KMajor},
		{A: tensor.F64, B: tensor.F64, Acc: tensor.F64, AContract: KMajor, BContract: MNMajor},
	} {
		b := build(t, p)
		s := shape{M: 36, N: 40, K: 300}.sizes(p)
		mem := sim.NewMemory()
		r := rand.New(rand.NewPCG(3, 4))
		a := fill(t, mem, addrA, s.A, p.A, s.M, s.K, nil, reals(r))
		bb := fill(t, mem, addrB, s.B, p.B, s.N, s.K, nil, reals(r))
		want, size := reference(s, a, bb)
		unit := map[tensor.DType]float64{tensor.F32: 0x1p-24, tensor.F64: 0x1p-53}[p.Acc]
		for i := range b.cs {
			ch, ok := only(t, b, i, s, 1)
			if !ok {
				continue
			}
			got, _ := b.run(t, mem, ch, s, 0)
			for j := range want {
				bound := float64(s.K+2) * unit * (size[j] + 1)
				if p.TF32 {
					bound += 0x1p-10 * size[j]
				}
				if d := math.Abs(got[j] - want[j]); d > bound || math.IsNaN(d) {
					require.Fail(t, "too far off", "%s %+v element %d: %g, not %g", text(p), b.cs[i], j, got[j], want[j])
				}
			}
		}
	}
}

// What Best chooses is right, whatever it is, and the same every time.
func TestBest(t *testing.T) {
	for _, p := range problems() {
		b := build(t, p)
		for _, sh := range []shape{{M: 2, N: 40, K: 600}, {M: 60, N: 2, K: 500}, {M: 24, N: 24, K: 1500}} {
			sh.Batch = []int64{2, 1}[:p.Batch]
			s := sh.sizes(p)
			ch, err := Best(b.cs, p, s, 8)
			require.NoError(t, err)
			again, err := Best(b.cs, p, s, 8)
			require.NoError(t, err)
			assert.Equal(t, ch, again)
			one, err := Best(b.cs[ch.Config:ch.Config+1], p, s, 8)
			require.NoError(t, err)
			assert.Equal(t, ch.Main, one.Main, "the one configuration that was chosen is chosen again")
			mem := sim.NewMemory()
			r := rand.New(rand.NewPCG(5, 6))
			a := fill(t, mem, addrA, s.A, p.A, s.M, s.K, s.Batch, integers(r))
			bb := fill(t, mem, addrB, s.B, p.B, s.N, s.K, s.Batch, integers(r))
			want, _ := reference(s, a, bb)
			got, _ := b.run(t, mem, ch, s, 0)
			require.Equal(t, want, got, "%s %+v", text(p), sh)
		}
	}
}

// Strides may be negative, or 0.
func TestTurnedOperands(t *testing.T) {
	for _, d := range []tensor.DType{tensor.BF16, tensor.F32} {
		p := Problem{A: d, B: d, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor}
		b := build(t, p)
		s := shape{M: 70, N: 72, K: 80}.sizes(p)
		s.A.Offset, s.A.MN = 69*s.A.MN, -s.A.MN
		s.B.K = 0
		mem := sim.NewMemory()
		r := rand.New(rand.NewPCG(9, 9))
		a := fill(t, mem, addrA, s.A, p.A, s.M, s.K, nil, integers(r))
		bb := fill(t, mem, addrB, s.B, p.B, s.N, s.K, nil, integers(r))
		want, _ := reference(s, a, bb)
		for i := range b.cs {
			if ch, ok := only(t, b, i, s, 1); ok {
				got, _ := b.run(t, mem, ch, s, 0)
				require.Equal(t, want, got, "%s %+v", text(p), b.cs[i])
			}
		}
	}
}

func TestSizesThatDoNotFit(t *testing.T) {
	p := problems()[0]
	cs := Candidates(p, 80)
	for _, s := range []Sizes{{M: 1 << 31, N: 1, K: 1}, {M: 1 << 30, N: 1 << 30, K: 1}} {
		_, err := Best(cs, p, s, 100)
		require.ErrorIs(t, err, ErrSize, fmt.Sprint(s))
	}
}
