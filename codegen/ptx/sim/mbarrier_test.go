package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
)

// A phase is the one that is under way until the last arrival; parity tells it from
// the one before.
func TestPhasesOfMbarriers(t *testing.T) {
	b := bulkFaultBench(t, `
	@!%p1 bra end;
	INIT [bars], 3;
	mbarrier.test_wait.parity.shared::cta.b64 %p4, [bars], 1; selp.b32 %r10, 1, 0, %p4;
	mbarrier.arrive.shared::cta.b64 %d5, [bars], 2;
	mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p4, [bars], 0, 1000; selp.b32 %r11, 1, 0, %p4;
	ARRIVE [bars];
	mbarrier.try_wait.parity.shared.b64 %p4, [bars], 0; selp.b32 %r12, 1, 0, %p4;
	mbarrier.test_wait.shared::cta.b64 %p4, [bars], %d5; selp.b32 %r13, 1, 0, %p4;
	mbarrier.try_wait.parity.shared::cta.b64 %p4, [bars], 1; selp.b32 %r14, 1, 0, %p4;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], 0;
	mbarrier.arrive.release.cluster.shared::cta.b64 _, [bars], 2;
	mbarrier.try_wait.parity.shared::cta.b64 %p4, [bars], 1; selp.b32 %r15, 1, 0, %p4;
	st.global.b32 [%d2], %r10; st.global.b32 [%d2+4], %r11; st.global.b32 [%d2+8], %r12;
	st.global.b32 [%d2+12], %r13; st.global.b32 [%d2+16], %r14; st.global.b32 [%d2+20], %r15;
end:`, rowOfFloats)
	assert.Equal(t, words(1, 0, 1, 1, 0, 1), b.run(t, 24))
}

// Lanes of one warp wait for each other, whichever of them comes first in the code.
func TestLanesWaitForEachOther(t *testing.T) {
	for _, guard := range []string{"@%p1", "@!%p1"} {
		b := bulkFaultBench(t, `SET
	@!%p2 bra end;
	`+guard+` bra other;
	setp.gt.u32 %p5, %r1, 1; @%p5 bra end;
	WAIT
	mov.u32 %r4, 3; ld.shared.b32 %r6, [s]; st.shared.b32 [s], %r4;
	ARRIVE [bars+8];
	bra end;
other:
	setp.gt.u32 %p5, %r1, 1; @%p5 bra end;
	mov.u32 %r4, 2; st.shared.b32 [s], %r4;
	ARRIVE [bars];
	WAIT1
	ld.shared.b32 %r4, [s]; st.global.b32 [%d2], %r4;
end:`, rowOfFloats)
		assert.Equal(t, words(3), b.run(t, 4), guard)
	}
}

// What one lane has waited for the others know where they have converged with it.
func TestLanesThatConverge(t *testing.T) {
	bulkFaultBench(t, "SET LEFT @!%p3 bra a; WAIT a: mov.u32 %r4, 2; @%p5 st.shared.b32 [s], %r4; DONE", rowOfFloats).run(t, 0)
}

// A thread may copy, wait and go on in a warp whose other lanes wait for it.
func TestOneLaneOfAWarpCopies(t *testing.T) {
	for seed := range int64(6) {
		b := bulkFaultBench(t, `SET
	@!%p2 bra read;
	elect.sync _|%p4, -1;
	@!%p4 bra met;
	EXPECT FETCH WAIT
	EXPECT1 FETCH1
met:
	bar.warp.sync -1;
	ld.shared.b32 %r6, [%r3];
	mad.wide.u32 %d4, %r1, 4, %d2; st.global.b32 [%d4], %r6;
	bra end;
read:
	WAIT1
	ld.shared.b32 %r6, [%r3];
	mad.wide.u32 %d4, %r1, 4, %d2; st.global.b32 [%d4], %r6;
end:`, rowOfFloats)
		_, err := b.m.Run(b.mem, b.l, Options{Perturb: seed})
		require.NoError(t, err)
		got := b.read(t, 256)
		require.Equal(t, iota8(128), got[:128])
		require.Equal(t, iota8(256)[64:192], got[128:])
	}
}

// Each lane may have an mbarrier of its own.
func TestMbarriersOfLanes(t *testing.T) {
	b := bulkFaultBench(t, `
	setp.lt.u32 %p4, %r1, 8; @!%p4 bra end;
	mad.lo.u32 %r6, %r1, 8, %r5; mad.lo.u32 %r7, %r1, 128, 0; mov.u32 %r8, s; add.u32 %r7, %r7, %r8; mul.lo.u32 %r8, %r1, 4;
	INIT [%r6], 1; PROXY
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r6], 128;
	COPY [%r7], [%d1, {%r8}], [%r6];
	wait: mbarrier.try_wait.parity.shared::cta.b64 %p4, [%r6], 0; @!%p4 bra wait;
	ld.shared.b32 %r9, [%r7+4]; mad.wide.u32 %d4, %r1, 4, %d2; st.global.b32 [%d4], %r9;
end:`, rowOfFloats)
	got := b.run(t, 32)
	for i := range 8 {
		assert.Equal(t, iota8(256)[16*i+4:16*i+8], got[4*i:4*i+4])
	}
}

// The second of two blocks begins without mbarriers and copies.
func TestBlocksShareNoMbarriers(t *testing.T) {
	b := bulkFaultBench(t, "SET @%p1 EXPECT @%p1 FETCH WAIT ld.shared.b32 %r4, [s]; bar.sync 0; @%p1 EXPECT", rowOfFloats)
	b.l.Grid[0] = 3
	b.run(t, 0)
	b = bulkFaultBench(t, "mov.u32 %r6, %ctaid.x; setp.eq.u32 %p4, %r6, 0; and.pred %p5, %p4, %p1; @%p5 INIT [bars], 1; bar.sync 0; @%p5 ARRIVE [bars]; @!%p4 ARRIVE [bars];", rowOfFloats)
	b.l.Grid[0] = 2
	f := b.fault(t, Options{})
	assert.Equal(t, BadBarrier, f.Kind, "%v", f)
	assert.Equal(t, 1, f.Block[0])
}

// The same lane is elected every time, by a seed another one.
func TestElection(t *testing.T) {
	chosen := map[uint32]bool{}
	for seed := range int64(20) {
		b := bulkFaultBench(t, `elect.sync %r6|%p4, -1; elect.sync _|%p5, -1; xor.pred %p6, %p4, %p5; @%p6 trap;
	@%p4 st.global.b32 [%d2], %r6; @%p4 st.global.b32 [%d2+4], %r2;`, rowOfFloats)
		b.l.Block[0] = 32
		_, err := b.m.Run(b.mem, b.l, Options{Perturb: seed})
		require.NoError(t, err)
		got := b.read(t, 8)
		require.Equal(t, word(got, 0), word(got, 1))
		chosen[word(got, 0)] = true
		require.True(t, seed != 0 || word(got, 0) == 0)
	}
	assert.Greater(t, len(chosen), 5)
}

func TestEncodeTensorMap(t *testing.T) {
	m := rowOfFloats
	encoded := make([]byte, tensormap.Bytes)
	require.NoError(t, EncodeTensorMap(encoded, &m, inAddr+16))
	got, address, ok := decodeTensorMap(encoded)
	require.True(t, ok)
	assert.Equal(t, m, got)
	assert.Equal(t, inAddr+16, address)
	for i := range encoded {
		encoded[i] ^= 1
		_, _, ok := decodeTensorMap(encoded)
		assert.False(t, ok, "byte %d", i)
		encoded[i] ^= 1
	}
	require.EqualError(t, EncodeTensorMap(encoded[:64], &m, inAddr), "sim: tensor map: 64 bytes for it; expected 128")
	require.ErrorContains(t, EncodeTensorMap(encoded, &m, inAddr+8), "0x7f0000000008; expected an address of global memory, a multiple of 16")
	m.Rank = 0
	require.EqualError(t, EncodeTensorMap(encoded, &m, inAddr), "sim: tensor map: 0 axes; expected 1 to 5")
}

// Tensors that are larger than memory, or of which nothing is written.
func TestMapsOfWhatIsNotThere(t *testing.T) {
	const fetch = "SET @%p1 EXPECT @%p1 COPY [s], [%d1, {AT}], [bars]; WAIT"
	long := rowOfFloats
	long.Sizes[0] = 1000
	for at, kind := range map[string]Kind{"32": numKinds, "33": OutOfBounds, "900": OutOfBounds, "990": OutOfBounds, "1000": numKinds} {
		b := bulkFaultBench(t, fill(fetch, "AT", at), long)
		if kind == numKinds {
			b.run(t, 0)
			continue
		}
		f := b.fault(t, Options{})
		assert.Equal(t, kind, f.Kind, "%s: %v", at, f)
		assert.Contains(t, f.Inst, "cp.async.bulk")
	}
	b := bulkFaultBench(t, fill(fetch, "AT", "0"), rowOfFloats)
	require.NoError(t, EncodeTensorMap(b.l.Params[:tensormap.Bytes], &long, outAddr))
	f := b.fault(t, Options{})
	assert.Equal(t, UnwrittenGlobal, f.Kind, "%v", f)
}

// A copy counts as the block's read of what it brings.
func TestBulkCopiesRaceInGlobalMemory(t *testing.T) {
	b := bulkFaultBench(t, `mov.u32 %r6, %ctaid.x; setp.eq.u32 %p4, %r6, 0; @%p4 bra end; SET @%p1 EXPECT @%p1 FETCH WAIT
	end: @!%p4 exit; mov.u64 %d3, 0x7f0000000040; st.global.b32 [%d3], 1;`, rowOfFloats)
	b.l.Grid[0] = 2
	f := b.fault(t, Options{GlobalRaces: true})
	assert.Equal(t, GlobalRace, f.Kind, "%v", f)
	assert.Contains(t, f.Inst, "cp.async.bulk")
}
