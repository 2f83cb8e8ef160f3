package sim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lastBlock has each block of 64 threads store a part, and the last one add all parts,
// of which there are as many as blocks: out[n][64], then their sums.
const lastBlock = `
	.shared .b32 s[1];
	ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; ld.param.u32 %r9, [n];
	mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r8, %nctaid.x; sub.u32 %r7, %r8, 1;
	setp.ne.u32 %p1, %r1, 0;
	mad.lo.u32 %r3, %r2, 64, %r1; mad.wide.u32 %d3, %r3, 4, %d2; mad.wide.u32 %d4, %r1, 4, %d2;
	mad.lo.u32 %r4, %r8, 64, %r1; mad.wide.u32 %d5, %r4, 4, %d2;
	add.u32 %r3, %r3, 1;
	st.global.u32 [%d3], %r3;
	bar.sync 0;
	@%p1 bra $rest;
	fence.acq_rel.gpu;
	atom.relaxed.gpu.global.inc.u32 %r5, [%d1], %r7;
	fence.sc.gpu;
	setp.eq.u32 %p2, %r5, %r7; selp.b32 %r6, 1, 0, %p2;
	st.shared.u32 [s], %r6;
$rest:
	bar.sync 0;
	ld.shared.u32 %r6, [s];
	setp.eq.u32 %p2, %r6, 0;
	@%p2 bra $end;
	mov.u32 %r10, 0;
$more:
	ld.global.u32 %r11, [%d4]; add.u32 %r10, %r10, %r11; add.s64 %d4, %d4, 256;
	sub.u32 %r8, %r8, 1; setp.ne.u32 %p3, %r8, 0;
	@%p3 bra $more;
	st.global.u32 [%d5], %r10;
$end:
`

const handoverBlocks = 5

// runLastBlock runs it so often on the same counter and returns the sums of the last
// run.
func runLastBlock(t *testing.T, text string, runs int, seed int64) ([]uint32, error) {
	const all = 64 * handoverBlocks
	b := newBench(t, text, 64, words(0), 4*(all+64))
	b.l.Grid[0] = handoverBlocks
	sums := make([]uint32, 64)
	for range runs {
		require.NoError(t, b.mem.Fill(outAddr, 0, 4*(all+64)))
		if _, err := b.m.Run(b.mem, b.l, Options{GlobalRaces: true, Perturb: seed}); err != nil {
			return nil, err
		}
		out := b.read(t, 4*(all+64))
		for i := range sums {
			sums[i] = word(out, all+i)
		}
	}
	return sums, nil
}

// handedSums are the right ones.
func handedSums() []uint32 {
	sums := make([]uint32, 64)
	for i := range sums {
		for b := range handoverBlocks {
			sums[i] += uint32(64*b + i + 1)
		}
	}
	return sums
}

// What is stored before a fence and an atomic may be read behind a later atomic and a
// fence, whichever block is last, and again in the next run. Acquire and release of the
// atomic are as good as fences.
func TestHandover(t *testing.T) {
	const fences = "fence.acq_rel.gpu;\n\tatom.relaxed.gpu.global.inc.u32 %r5, [%d1], %r7;\n\tfence.sc.gpu;"
	require.Contains(t, lastBlock, fences)
	for _, other := range []string{
		fences,
		"atom.acq_rel.gpu.global.inc.u32 %r5, [%d1], %r7;",
		"membar.gl; atom.global.inc.u32 %r5, [%d1], %r7; membar.sys;",
		"fence.acq_rel.gpu; atom.acquire.gpu.global.inc.u32 %r5, [%d1], %r7;",
		"atom.release.sys.global.inc.u32 %r5, [%d1], %r7; fence.acq_rel.sys;",
	} {
		for seed := range int64(4) {
			sums, err := runLastBlock(t, strings.Replace(lastBlock, fences, other, 1), 3, seed)
			require.NoError(t, err, other)
			assert.Equal(t, handedSums(), sums)
		}
	}
}

// Without one of its pieces it is a race.
func TestHandoverRaces(t *testing.T) {
	for _, c := range []struct{ name, piece, bug string }{
		{"no fence before", "fence.acq_rel.gpu;", ""},
		{"a fence of the block before", "fence.acq_rel.gpu;", "fence.acq_rel.cta;"},
		{"no fence behind", "fence.sc.gpu;", ""},
		{"a fence of the block behind", "fence.sc.gpu;", "membar.cta;"},
		{"an atomic of the block", "atom.relaxed.gpu", "atom.relaxed.cta"},
		{"a fence of the others, none of the thread that counts", "fence.acq_rel.gpu;", "@!%p1 bra $not; fence.acq_rel.gpu; $not:"},
		{"no barrier before", "bar.sync 0;\n\t@%p1 bra $rest;", "@%p1 bra $rest;"},
		{"stored behind the release", "$rest:", "$rest: st.global.u32 [%d3], %r3;"},
		{"read before the flag is known", "bar.sync 0;\n\t@%p1 bra $rest;", "bar.sync 0; ld.global.u32 %r11, [%d4];\n\t@%p1 bra $rest;"},
		{"any block goes on", "@%p2 bra $end;", ""},
		{"the second last block goes on", "setp.eq.u32 %p2, %r5, %r7; selp", "add.u32 %r12, %r5, 1; setp.ge.u32 %p2, %r12, %r7; selp"},
		{"another counter for each", "atom.relaxed", "mad.wide.u32 %d1, %r2, 4, %d2; atom.relaxed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(lastBlock, c.piece))
			for seed := range int64(3) {
				_, err := runLastBlock(t, strings.Replace(lastBlock, c.piece, c.bug, 1), 1, seed)
				var f *Fault
				require.ErrorAs(t, err, &f)
				assert.Equal(t, GlobalRace, f.Kind, "%v", f)
			}
		})
	}
}

// A counter that is not set back is right once, and then never again: nobody is last.
func TestHandoverCounterNotReset(t *testing.T) {
	text := strings.Replace(lastBlock, "inc.u32 %r5, [%d1], %r7", "add.u32 %r5, [%d1], 1", 1)
	sums, err := runLastBlock(t, text, 1, 0)
	require.NoError(t, err)
	assert.Equal(t, handedSums(), sums)
	sums, err = runLastBlock(t, text, 2, 0)
	require.NoError(t, err)
	assert.Equal(t, make([]uint32, 64), sums)
}

// Only threads read what was handed over: a copy may not, and nobody may write there.
func TestHandoverIsForReads(t *testing.T) {
	for _, c := range []struct{ piece, bug string }{
		{"ld.global.u32 %r11, [%d4];", "cp.async.ca.shared.global [s], [%d4], 4; cp.async.wait_all; mov.u32 %r11, 0;"},
		{"ld.global.u32 %r11, [%d4];", "st.global.u32 [%d4], 0; mov.u32 %r11, 0;"},
	} {
		_, err := runLastBlock(t, strings.Replace(lastBlock, c.piece, c.bug, 1), 1, 0)
		var f *Fault
		require.ErrorAs(t, err, &f)
		assert.Equal(t, GlobalRace, f.Kind, "%v", f)
	}
}
