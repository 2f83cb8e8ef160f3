package gemm

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// groupProblems are problems that wgmma takes, in all layouts.
func groupProblems() []Problem {
	var ps []Problem
	for _, a := range []Major{KMajor, MNMajor} {
		for _, b := range []Major{KMajor, MNMajor} {
			d := tensor.BF16
			if a != b {
				d = tensor.F16
			}
			ps = append(ps, Problem{A: d, B: d, Acc: tensor.F32, AContract: a, BContract: b, Wgmma: true, Batch: len(ps) % 3})
		}
	}
	return ps
}

// groupShapes are sizes around the tiles of the template, with more tiles of k than
// there are stages.
var groupShapes = []shape{
	{M: 8, N: 8, K: 8},
	{M: 64, N: 256, K: 64},
	{M: 200, N: 264, K: 456, Pad: 8},
	{M: 136, N: 120, K: 640, Offset: 8},
}

// The warp-group template gives the exact product of whole numbers, for each layout.
func TestWarpGroupProductsOfWholeNumbers(t *testing.T) {
	for _, p := range groupProblems() {
		t.Run(text(p), func(t *testing.T) {
			t.Parallel()
			b := buildKind(t, p, WarpGroup, nil)
			for _, sh := range slices.Concat(shapes, groupShapes) {
				sh.Batch = sh.batches(p)
				sh.Broadcast = sh.Pad == 8
				check(t, b, sh)
			}
		})
	}
}

// operands fills both operands of a problem, and returns the product.
func operands(t *testing.T, mem *sim.Memory, p Problem, s Sizes, value func(r *rand.Rand) func() float64) (want, size []float64) {
	r := rand.New(rand.NewPCG(7, uint64(s.K)))
	a := fill(t, mem, addrA, s.A, p.A, s.M, s.K, s.Batch, value(r))
	b := fill(t, mem, addrB, s.B, p.B, s.N, s.K, s.Batch, value(r))
	return reference(s, a, b)
}

// Products of reals are close, and the same to the bit whatever the order of warps
// and blocks, and with turned and repeated operands.
func TestWarpGroupProductsOfReals(t *testing.T) {
	p := groupProblems()[1]
	b := buildKind(t, p, WarpGroup, nil)
	s := shape{M: 136, N: 264, K: 200, Batch: []int64{1}}.sizes(p)
	s.A.Offset, s.A.MN = 135*s.A.MN, -s.A.MN
	mem := sim.NewMemory()
	want, size := operands(t, mem, p, s, reals)
	for i := range b.cs {
		ch, ok := only(t, b, i, s, 1)
		require.True(t, ok)
		first, _ := b.run(t, mem, ch, s, 0)
		for j := range want {
			if d := math.Abs(first[j] - want[j]); !(d <= float64(s.K+2)*0x1p-24*(size[j]+1)) {
				require.Fail(t, "too far off", "%s element %d: %g, not %g", b.cs[i], j, first[j], want[j])
			}
		}
		for seed := range int64(3) {
			again, _ := b.run(t, mem, ch, s, seed+1)
			require.True(t, slices.Equal(first, again), "%s, seed %d", b.cs[i], seed+1)
		}
	}
}

// One wgmma of a warp is 64 x BN x 16; copies, barriers and banks are as those of the
// tensor template.
func TestWarpGroupCounts(t *testing.T) {
	for _, p := range groupProblems() {
		b := buildKind(t, p, WarpGroup, nil)
		require.Equal(t, 128, b.cs[1].BN)
		st, ok := counts(t, b, 1)
		require.True(t, ok)
		assert.EqualValues(t, 8*(128/16), st.GroupMMA, text(p))
		assert.Zero(t, st.MMA)
		assert.EqualValues(t, 3*(128+128)*64*2/16, st.Async, "two tiles, and zeros for one behind them")
		assert.EqualValues(t, 4, st.Barriers, "one per tile of k, two at the end")
		assert.Zero(t, st.SharedConflicts, text(p))
	}
}

// plantedBug is a change of code, and the fault that it is. Old is a regular expression.
type plantedBug struct {
	name, old, new string
	n              int // occurrences, from the first on
	want           sim.Kind
}

// plant makes the change.
func (bug plantedBug) plant(t *testing.T, code string) string {
	places := regexp.MustCompile(bug.old).FindAllStringSubmatchIndex(code, bug.n)
	require.Len(t, places, bug.n, bug.name)
	out, end := "", 0
	for _, at := range places {
		out += code[end:at[0]] + string(regexp.MustCompile(bug.old).ExpandString(nil, bug.new, code, at))
		end = at[1]
	}
	return out + code[end:]
}

// requireFault runs a configuration with a bug in it.
func (bug plantedBug) requireFault(t *testing.T, p Problem, c Config, s Sizes) {
	b := buildOf(t, p, []Config{c}, func(code string) string {
		code, _, _ = strings.Cut(code, ".visible .entry sum")
		return bug.plant(t, code)
	})
	ch, ok := only(t, b, 0, s, 1)
	require.True(t, ok)
	mem := sim.NewMemory()
	operands(t, mem, p, s, integers)
	require.NoError(t, mem.Map(addrOut, int(s.M*s.N*4)))
	_, err := b.try(mem, entryName(0), ch.Main, s, 0)
	var f *sim.Fault
	require.ErrorAs(t, err, &f, bug.name)
	assert.Equal(t, bug.want, f.Kind, "%s: %v", bug.name, f)
}

// Whatever is left out of the pipeline is a fault of the interpreter.
func TestWarpGroupPipelineIsTight(t *testing.T) {
	p := groupProblems()[0]
	c := buildKind(t, p, WarpGroup, nil).cs[0]
	s := shape{M: 128, N: 256, K: 448}.sizes(p)
	for _, bug := range []plantedBug{
		{"no fence of proxies", "fence.proxy.async.shared::cta;", "", 1, sim.NotFenced},
		{"a fence of proxies behind the barrier", "fence.proxy.async.shared::cta;\n\tbar.sync 0;", "bar.sync 0;\n\tfence.proxy.async.shared::cta;", 1, sim.NotFenced},
		{"no fence of registers", "wgmma.fence.sync.aligned;", "", 2, sim.NotFenced},
		{"no wait for the last product", "wgmma.wait_group.sync.aligned 0;", "", 1, sim.ProductNotWaited},
		{"two products under way", "wgmma.wait_group.sync.aligned 1;", "wgmma.wait_group.sync.aligned 2;", 1, sim.SharedRace},
		{"copies that are not waited for", "cp.async.wait_group 1;", "cp.async.wait_group 2;", 1, sim.AsyncNotWaited},
		{"no barrier in the loop", "bar.sync 0;", "", 1, sim.UnwrittenShared},
		{"bits of a descriptor", "0x4000004000010000", "0x4000804000010000", 2, sim.BadDescriptor},
	} {
		bug.old = regexp.QuoteMeta(bug.old)
		bug.requireFault(t, p, c, s)
	}
}

// What is chosen of all candidates for sm_90a, at sizes that matter, with a short
// epilogue or a long one.
func TestWarpGroupChoices(t *testing.T) {
	p := groupProblems()[0]
	for _, c := range []struct {
		sh     shape
		ending int
		want   string
	}{
		{shape{M: 8192, N: 8192, K: 8192}, 3, "tma 128x256x64, 4 stages"},
		{shape{M: 8192, N: 8192, K: 8192}, 60, "tma 128x256x64, 4 stages"},
		{shape{M: 8192, N: 4096, K: 1024}, 3, "tma 128x256x64, 4 stages"},
		{shape{M: 8192, N: 4096, K: 1024}, 60, "tma 128x128x64, 6 stages, ping-pong"},
		{shape{M: 1024, N: 1024, K: 1024}, 3, "tma 128x64x64, 8 stages"},
		{shape{M: 2048, N: 768, K: 768}, 3, "tma 128x128x64, 6 stages"},
		{shape{M: 4096, N: 4096, K: 1001, Pad: 7}, 3, "tma 128x256x64, 4 stages"},
		{shape{M: 32, N: 4096, K: 4096}, 3, "tensor 64x64x64, 4 stages"},
		{shape{M: 512, N: 512, K: 512}, 3, "tensor 64x64x64, 4 stages"},
		{shape{M: 1, N: 4096, K: 4096}, 3, "skinny 4x4x1024, 1 stages"},
	} {
		p.Ending = c.ending
		cs := Candidates(p, 90)
		ch, err := Best(cs, p, c.sh.sizes(p), 132)
		require.NoError(t, err)
		assert.Equal(t, c.want, cs[ch.Config].String(), "%+v, %d instructions", c.sh, c.ending)
	}
	f32 := Problem{A: tensor.F32, B: tensor.F32, Acc: tensor.F32, TF32: true, Wgmma: true}
	for _, arch := range []int{80, 89, 90, 100} {
		q := p
		q.AContract = Strided
		for _, c := range slices.Concat(Candidates(f32, arch), Candidates(q, arch)) {
			assert.NotContains(t, []Kind{WarpGroup, Bulk}, c.Kind)
		}
		assert.Equal(t, arch == 90, Candidates(p, arch)[0].Kind == Bulk, "sm_%d", arch)
	}
	wide := p
	wide.Batch = 4
	assert.Equal(t, WarpGroup, Candidates(wide, 90)[0].Kind, "more axes than a tensor map has")
}
