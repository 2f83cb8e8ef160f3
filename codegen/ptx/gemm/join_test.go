package gemm

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// joinProblems have an entry of each template that joins parts, of each size of sums.
func joinProblems() []Problem {
	return []Problem{
		{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor, Batch: 1},
		{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: KMajor, Wgmma: true},
		{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, AContract: MNMajor, BContract: KMajor},
		{A: tensor.F64, B: tensor.F64, Acc: tensor.F64, AContract: KMajor, BContract: MNMajor, Batch: 1},
		{A: tensor.I32, B: tensor.I32, Acc: tensor.I32, AContract: KMajor, BContract: KMajor},
	}
}

// Sums of parts that the last block of a tile adds are those of a second launch to the
// bit, in whatever order blocks run, again and again on the same counters.
func TestJoinedSums(t *testing.T) {
	for _, p := range joinProblems() {
		t.Run(text(p), func(t *testing.T) {
			t.Parallel()
			b := build(t, p)
			for _, sh := range []shape{{M: 2, N: 150, K: 1100}, {M: 3, N: 3, K: 4200}, {M: 70, N: 3, K: 400, Pad: 1}, {M: 66, N: 130, K: 264}} {
				sh.Batch = sh.batches(p)
				requireJoined(t, b, sh)
			}
		})
	}
}

// requireJoined compares both ways to add parts, of all configurations.
func requireJoined(t *testing.T, b *built, sh shape) {
	t.Helper()
	s, mem, value := sh.sizes(b.p), sim.NewMemory(), reals
	if b.p.Acc == tensor.I32 {
		value = integers
	}
	r := rand.New(rand.NewPCG(7, 8))
	fill(t, mem, addrA, s.A, b.p.A, s.M, s.K, s.Batch, value(r))
	fill(t, mem, addrB, s.B, b.p.B, s.N, s.K, s.Batch, value(r))
	for i, c := range b.cs {
		for _, splits := range []int64{12, 3, 2} {
			two, ok := only(t, b, i, s, splits)
			one, joins := joined(t, b, i, s, splits)
			if !ok || !joins || slow(c, sh) {
				continue
			}
			require.Nil(t, one.Sum)
			require.NotNil(t, two.Sum)
			want, _ := b.run(t, mem, two, s, 0)
			for seed := range int64(2) {
				got, _ := b.run(t, mem, one, s, seed)
				require.Equal(t, want, got, "%s %s, %+v, %d splits", text(b.p), c, sh, splits)
			}
			require.NoError(t, mem.Unmap(zeros))
			break
		}
	}
}

// Code without one of the pieces of the handover is found out, in the first run or in
// the next one on the same counters.
func TestJoinBugs(t *testing.T) {
	p := joinProblems()[0]
	s := shape{M: 2, N: 150, K: 1100, Batch: []int64{2}}.sizes(p)
	for _, c := range []struct{ name, piece, bug, found string }{
		{"no fence before", "fence.acq_rel.gpu;\n\tatom", "atom", "global memory race"},
		{"no fence behind", "fence.acq_rel.gpu;\n\tsetp", "setp", "global memory race"},
		{"any block joins", "(st.shared.b32 .*), .*;", "$1, 1;", "unwritten global memory"},
		{"no block joins", "(st.shared.b32 .*), .*;", "$1, 0;", "product"},
		{"counter not set back", "(atom.*inc.u32 .*), .*;", "$1, 1000;", "product"},
		{"counts too few blocks", "(atom.*)inc(.u32 .*);", "${1}add$2;", "unwritten global memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := buildKind(t, p, Skinny, func(code string) string {
				require.Regexp(t, c.piece, code)
				return regexp.MustCompile(c.piece).ReplaceAllString(code, c.bug)
			})
			assert.Equal(t, c.found, joinFault(t, b, s))
		})
	}
	assert.Empty(t, joinFault(t, buildKind(t, p, Skinny, nil), s))
}

// joinFault says what is found of a joined product in two runs: a fault, or a wrong
// product.
func joinFault(t *testing.T, b *built, s Sizes) string {
	t.Helper()
	mem := sim.NewMemory()
	want, _ := operands(t, mem, b.p, s, integers)
	ch, ok := joined(t, b, 0, s, 3)
	require.True(t, ok)
	size := 4 * len(want)
	require.NoError(t, mem.Map(scratch, int(ch.Scratch)))
	require.NoError(t, mem.Map(zeros, int(ch.Counters)))
	require.NoError(t, mem.Fill(zeros, 0, int(ch.Counters)))
	require.NoError(t, mem.Map(addrOut, size))
	for range 2 {
		require.NoError(t, mem.Fill(addrOut, 0, size))
		_, err := b.try(mem, entryName(0), ch.Main, s, 0)
		if f := (*sim.Fault)(nil); errors.As(err, &f) {
			return f.Kind.String()
		}
		require.NoError(t, err)
		raw := make([]byte, size)
		require.NoError(t, mem.Read(addrOut, raw))
		for i, w := range want {
			if decode(raw[4*i:], b.p.Acc)-1 != w {
				return "product"
			}
		}
	}
	return ""
}

// Best joins parts where one block has few to add, and leaves many to a second launch.
func TestBestJoins(t *testing.T) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: MNMajor}
	cs := Candidates(p, 80)
	for _, c := range []struct {
		sh             shape
		splits, joined bool
	}{
		{shape{M: 1, N: 768, K: 768}, true, true},
		{shape{M: 1, N: 768, K: 3072}, true, true},
		{shape{M: 4, N: 2304, K: 768}, true, true},
		{shape{M: 256, N: 256, K: 16384}, true, false},
		{shape{M: 4096, N: 4096, K: 4096}, false, false},
	} {
		ch, err := Best(cs, p, c.sh.sizes(p), 132)
		require.NoError(t, err)
		assert.Equal(t, c.splits, ch.Splits > 1, "%+v", c.sh)
		assert.Equal(t, c.joined, ch.Counters > 0, "%+v", c.sh)
		assert.Equal(t, c.splits && !c.joined, ch.Sum != nil, "%+v", c.sh)
	}
}
