package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// bulkWords are the words of the programs of two warps below: %p1 is the first thread,
// %p2 the first warp, %p3 the first lanes of the warps; %r3 is this thread's word of
// shared memory. There are mbarriers for one arrival at bars and bars+8.
var bulkWords = []string{
	"SET", `@%p1 mbarrier.init.shared::cta.b64 [bars], 1; @%p1 mbarrier.init.shared::cta.b64 [bars+8], 1;
	@%p1 fence.mbarrier_init.release.cluster; bar.sync 0;`,
	"INIT", "mbarrier.init.shared::cta.b64",
	"ARRIVE", "mbarrier.arrive.shared::cta.b64 _,",
	"EXPECT1", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars+8], 128;",
	"EXPECT", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], 128;",
	"COPY", "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes",
	"FETCH1", "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [s+128], [%d1, {16}], [bars+8];",
	"FETCH", "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%d1, {0}], [bars];",
	"WAIT1", waitFor("wait1", "bars+8", "0"),
	"WAIT", waitFor("wait", "bars", "0"),
	"STORE", "cp.async.bulk.tensor.1d.global.shared::cta.bulk_group [%d1, {0}], [s];",
	"ALL", "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
	"READ", "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;",
	"LEFT", `@%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @%p2 bra end;
	setp.eq.u32 %p5, %r1, 33; setp.ge.u32 %p6, %r1, 48; setp.eq.u32 %p7, %r1, 48;`,
	"DONE", "end:",
	"FILL", "mov.u32 %r4, 7; st.shared.b32 [%r3], %r4;",
	"PROXY", "fence.proxy.async.shared::cta;",
}

func bulkFaultBench(t testing.TB, code string, m tensormap.Map) *bench {
	body := fill(`
	setp.lt.u32 %p2, %r1, 32; and.b32 %r2, %r1, 31; setp.eq.u32 %p3, %r2, 0;
	mov.u32 %r3, s; mad.lo.u32 %r3, %r1, 4, %r3; mov.u32 %r5, bars;
`+fill(code, bulkWords...), bulkWords...) // words have words in them
	return bulkBench(t, body, 64, m, iota8(256), 256)
}

// rowOfFloats is the map of these programs: boxes of 128 of the 256 bytes of input.
var rowOfFloats = tensormap.Map{Type: tensor.F32, Rank: 1, Sizes: [5]uint64{64}, Box: [5]uint32{32}}

// Every check of mbarriers and bulk copies finds its planted bug, and passes the same
// program without it.
func TestBulkFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		kind     Kind
		bad      string
		inst     string
		corrects string
	}{
		// Mbarriers.
		{"an mbarrier nobody made", BadBarrier, "@%p1 ARRIVE [bars];", "arrive", "@%p1 INIT [bars], 1; @%p1 ARRIVE [bars];"},
		{"an mbarrier for nobody", BadBarrier, "@%p1 INIT [bars], 0;", "init", "@%p1 INIT [bars], 1048575;"},
		{"an unaligned mbarrier", Misaligned, "SET @%p1 ARRIVE [bars+4];", "arrive", "SET @%p1 ARRIVE [bars+8];"},
		{"an unaligned new mbarrier", Misaligned, "@%p1 INIT [bars+4], 1;", "init", "@%p1 INIT [bars+8], 1;"},
		{"an mbarrier behind shared memory", BadBarrier, "SET @%p1 ARRIVE [bars+4096];", "arrive", ""},
		{"an mbarrier made twice", BadBarrier, "SET @%p1 INIT [bars], 1;", "init", "SET @%p1 mbarrier.inval.shared::cta.b64 [bars]; @%p1 INIT [bars], 1;"},
		{"an mbarrier that has ended", BadBarrier, "SET @%p1 mbarrier.inval.shared::cta.b64 [bars]; @%p1 ARRIVE [bars];", "arrive", ""},
		{"a store to an mbarrier", BadBarrier, "SET @%p1 st.shared.b32 [bars+4], 1;", "st.shared", "SET @%p1 mbarrier.inval.shared::cta.b64 [bars]; @%p1 st.shared.b32 [bars+4], 1;"},
		{"a load of an mbarrier", BadBarrier, "SET @%p1 ld.shared.b32 %r4, [bars];", "ld.shared", ""},
		{"an mbarrier used before it is made for all", SharedRace, "@%p1 INIT [bars], 64; ARRIVE [bars];", "arrive", "@%p1 INIT [bars], 64; bar.sync 0; ARRIVE [bars];"},
		{"more arrivals than a phase expects", BadBarrier, "SET @%p1 mbarrier.arrive.shared::cta.b64 _, [bars], 2;", "arrive", "SET @%p1 ARRIVE [bars]; @%p1 ARRIVE [bars];"},
		{"more bytes than can be", BadTransaction, "SET @%p1 mbarrier.expect_tx.shared::cta.b64 [bars], 1048576;", "expect_tx", "SET @%p1 mbarrier.expect_tx.shared::cta.b64 [bars], 1048575;"},
		{"a parity that is none", BadBarrier, "SET mbarrier.try_wait.parity.shared::cta.b64 %p4, [bars], 2;", "try_wait", "SET mbarrier.try_wait.parity.shared::cta.b64 %p4, [bars], 1;"},
		{"the state of an older phase", BadBarrier, "SET @!%p1 bra a; mbarrier.arrive.shared::cta.b64 %d5, [bars]; ARRIVE [bars]; mbarrier.try_wait.shared::cta.b64 %p4, [bars], %d5; a:", "try_wait",
			"SET @!%p1 bra a; mbarrier.arrive.shared::cta.b64 %d5, [bars]; mbarrier.try_wait.shared::cta.b64 %p4, [bars], %d5; a:"},
		{"a wait for nobody", BarrierDeadlock, "SET WAIT", "try_wait", "SET @%p1 ARRIVE [bars]; WAIT"},
		{"a wait of one warp for nobody, while the other waits for it", BarrierDeadlock, "SET @%p2 bra a; WAIT a: bar.sync 0;", "try_wait", ""},
		// What they order.
		{"a store that no wait is behind", SharedRace, "SET @%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @!%p2 ld.shared.b32 %r4, [s];", "",
			"SET @%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT ld.shared.b32 %r4, [s]; a:"},
		{"a store behind the arrival", SharedRace, "SET @%p1 ARRIVE [bars]; @%p1 st.shared.b32 [s], 1; @%p2 bra a; WAIT ld.shared.b32 %r4, [s]; a:", "", ""},
		{"a wait for another mbarrier", SharedRace, "SET @%p1 ARRIVE [bars+8]; @%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT1 ld.shared.b32 %r4, [s]; a:", "ld.shared",
			"SET @%p1 ARRIVE [bars+8]; @%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT ld.shared.b32 %r4, [s]; a:"},
		{"a wait that a phase before satisfies", SharedRace, "SET @%p1 st.shared.b32 [s], 1; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT ld.shared.b32 %r4, [s]; " + waitFor("again", "bars", "0") + "st.shared.b32 [s], 1; a: @%p2 ld.shared.b32 %r4, [s];", "", ""},
		{"a reader that has not arrived", SharedRace, "SET FILL bar.sync 0; ld.shared.b32 %r4, [s]; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT @%p3 st.shared.b32 [s+128], 1; @%p3 st.shared.b32 [s], 1; a: @%p2 ld.shared.b32 %r4, [s+128];", "",
			"SET FILL bar.sync 0; ld.shared.b32 %r4, [s]; @%p2 ld.shared.b32 %r4, [s+128]; @%p1 ARRIVE [bars]; @%p2 bra a; WAIT @%p3 st.shared.b32 [s+128], 1; @%p3 st.shared.b32 [s], 1; a:"},
		{"readers of two warps, one of which has arrived", SharedRace, "@%p1 INIT [bars], 2; FILL bar.sync 0; setp.eq.u32 %p5, %r1, 32; @%p2 bra b; ld.shared.b32 %r4, [s+4]; @%p3 ARRIVE [bars]; ld.shared.b32 %r4, [s]; bra a; b: ld.shared.b32 %r4, [s]; @%p3 ARRIVE [bars]; WAIT @%p1 st.shared.b32 [s], 1; a:", "",
			"@%p1 INIT [bars], 2; FILL bar.sync 0; setp.eq.u32 %p5, %r1, 32; @%p2 bra b; ld.shared.b32 %r4, [s]; @%p3 ARRIVE [bars]; bra a; b: ld.shared.b32 %r4, [s]; @%p3 ARRIVE [bars]; WAIT @%p1 st.shared.b32 [s], 1; a:"},
		{"a lane arrives for lanes that have left it", SharedRace, "SET @!%p2 bra b; @%p1 bra a; st.shared.b32 [%r3], 1; bra c; a: ARRIVE [bars]; bra c; b: WAIT ld.shared.b32 %r4, [s+4]; c:", "",
			"SET @!%p2 bra b; @%p1 bra a; st.shared.b32 [%r3], 1; a: bar.warp.sync -1; @!%p1 bra c; ARRIVE [bars]; bra c; b: WAIT ld.shared.b32 %r4, [s+4]; c:"},
		{"a lane waits for a lane that has left it", SharedRace, "SET LEFT @!%p3 bra a; WAIT bra b; a: @%p5 st.shared.b32 [s], 1; b: DONE", "st.shared",
			"SET LEFT @!%p3 bra b; WAIT b: bar.warp.sync -1; @%p5 st.shared.b32 [s], 1; DONE"},
		{"a lane waits for a lane that left it before they met", SharedRace, "SET LEFT @%p3 bra a; @%p5 st.shared.b32 [s], 1; a: WAIT b: DONE", "st.shared",
			"SET LEFT @!%p3 bra a; WAIT a: bar.warp.sync -1; @%p3 bra b; @%p5 st.shared.b32 [s], 1; b: DONE"},
		{"some lanes wait for one that they have not met", SharedRace, "SET LEFT @%p6 bra b; @!%p3 bra a; WAIT bra b; a: @%p5 st.shared.b32 [s], 1; b: DONE", "st.shared",
			"SET LEFT @%p6 bra b; @!%p3 bra a; WAIT a: bar.warp.sync 0xFFFF; @%p3 bra b; @%p5 st.shared.b32 [s], 1; b: DONE"},
		{"some lanes that have met one that waits", SharedRace, "SET LEFT @%p6 bra a; @!%p3 bra b; WAIT bra b; a: @%p7 st.shared.b32 [s], 1; b: DONE", "st.shared",
			"SET LEFT @%p6 bra b; @!%p3 bra a; WAIT a: bar.warp.sync 0xFFFF; @%p5 st.shared.b32 [s], 1; b: DONE"},
		// Bulk copies.
		{"a box that is not waited for", AsyncNotWaited, "SET @%p1 EXPECT @%p1 FETCH ld.shared.b32 %r4, [s];", "ld.shared", "SET @%p1 EXPECT @%p1 FETCH WAIT ld.shared.b32 %r4, [s];"},
		{"a store to a box under way", AsyncNotWaited, "SET @%p1 EXPECT @%p1 FETCH @%p1 st.shared.b32 [s+64], 1;", "st.shared", ""},
		{"two boxes to one place", AsyncNotWaited, "SET @%p1 EXPECT @%p1 FETCH @%p1 EXPECT1 @%p1 COPY [s], [%d1, {16}], [bars+8];", "{16}", "SET @%p1 EXPECT @%p1 FETCH @%p1 EXPECT1 @%p1 FETCH1 WAIT WAIT1"},
		{"the wrong one of two boxes", SharedRace, "SET @%p1 EXPECT @%p1 FETCH @%p1 EXPECT1 @%p1 FETCH1 @%p2 bra a; WAIT1 ld.shared.b32 %r4, [s]; bra b; a: WAIT b:", "ld.shared",
			"SET @%p1 EXPECT @%p1 FETCH @%p1 EXPECT1 @%p1 FETCH1 @%p2 bra a; WAIT1 ld.shared.b32 %r4, [s+128]; bra b; a: WAIT b:"},
		{"a box over what was written without a fence", NotFenced, "SET FILL bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT", "cp.async", "SET FILL PROXY bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT"},
		{"a box over what was written without a barrier", SharedRace, "SET FILL PROXY setp.eq.u32 %p5, %r1, 32; @%p5 EXPECT @%p5 FETCH WAIT", "cp.async", "SET FILL PROXY @%p1 EXPECT @%p1 FETCH WAIT"},
		{"a box over what others may read", SharedRace, "SET FILL PROXY bar.sync 0; @!%p2 ld.shared.b32 %r4, [s+4]; @%p1 EXPECT @%p1 FETCH WAIT", "",
			"SET FILL PROXY bar.sync 0; @!%p2 ld.shared.b32 %r4, [s+4]; bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT"},
		{"a box over an mbarrier", BadBarrier, "SET @%p1 INIT [s+64], 1; @%p1 EXPECT @%p1 FETCH", "cp.async", "SET @%p1 INIT [s+128], 1; @%p1 EXPECT @%p1 FETCH WAIT"},
		{"an mbarrier that copies do not see", NotFenced, "@%p1 INIT [bars], 1; bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT", "cp.async", "@%p1 INIT [bars], 1; PROXY bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT"},
		{"an mbarrier made behind the fence", NotFenced, "@%p1 fence.mbarrier_init.release.cluster; @%p1 INIT [bars], 1; bar.sync 0; @%p1 EXPECT @%p1 FETCH WAIT", "cp.async", ""},
		{"a copy to no mbarrier", BadBarrier, "SET @%p1 EXPECT @%p1 COPY [s], [%d1, {0}], [bars+16];", "cp.async", ""},
		{"an unaligned box", Misaligned, "SET @%p1 EXPECT @%p1 COPY [s+64], [%d1, {0}], [bars];", "cp.async", "SET @%p1 EXPECT @%p1 COPY [s+128], [%d1, {0}], [bars]; WAIT"},
		{"a box behind shared memory", SharedBounds, "SET @%p1 EXPECT @%p1 COPY [s+16384], [%d1, {0}], [bars];", "cp.async", ""},
		{"an unaligned map", Misaligned, "SET @%p1 EXPECT @%p1 COPY [s], [%d1+16, {0}], [bars];", "cp.async", ""},
		{"no map", BadTensorMap, "SET @%p1 EXPECT mov.u64 %d1, 0x7f0000000000; @%p1 FETCH", "cp.async", ""},
		{"a map that nobody wrote", UnwrittenGlobal, "SET @%p1 EXPECT @%p1 COPY [s], [%d2, {0}], [bars];", "cp.async", ""},
		{"a map where there is nothing", OutOfBounds, "SET @%p1 EXPECT @%p1 COPY [s], [%d1+128, {0}], [bars];", "cp.async", ""},
		{"the address of a parameter that is no generic one", OutOfBounds, "SET mov.b64 %d1, map; @%p1 EXPECT @%p1 FETCH", "cp.async", "SET mov.b64 %d1, map; cvta.param.u64 %d1, %d1; @%p1 EXPECT @%p1 FETCH WAIT"},
		{"a prefetch of no map", BadTensorMap, "mov.u64 %d1, 0x7f0000000000; prefetch.tensormap [%d1];", "prefetch", "prefetch.tensormap [%d1]; prefetch.param.tensormap [map];"},
		{"copies of more bytes", BadTransaction, "SET @%p1 EXPECT @%p1 FETCH @%p1 COPY [s+128], [%d1, {0}], [bars];", "[s+128]", ""},
		{"copies of fewer bytes", BadTransaction, "SET @%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], 256; @%p1 FETCH WAIT", "try_wait", ""},
		{"a box that nobody waits for", AsyncNotWaited, "SET @%p1 EXPECT @%p1 FETCH", "cp.async", ""},
		{"an mbarrier that ends before its copies", BadBarrier, "SET @%p1 EXPECT @%p1 FETCH @%p1 mbarrier.inval.shared::cta.b64 [bars];", "inval", "SET @%p1 EXPECT @%p1 FETCH WAIT bar.sync 0; @%p1 mbarrier.inval.shared::cta.b64 [bars];"},
		// Stores.
		{"a store of what is not fenced", NotFenced, "FILL bar.sync 0; @%p1 STORE ALL", "cp.async", "FILL PROXY bar.sync 0; @%p1 STORE ALL"},
		{"a store of what is not written", UnwrittenShared, "@%p1 STORE ALL", "cp.async", ""},
		{"a store without a barrier", SharedRace, "FILL PROXY setp.eq.u32 %p5, %r1, 32; @%p5 STORE ALL", "cp.async", "FILL PROXY @%p1 STORE ALL"},
		{"a source that is written before the wait", SharedRace, "FILL PROXY bar.sync 0; @%p1 STORE FILL ALL", "", "FILL PROXY bar.sync 0; @%p1 STORE READ bar.sync 0; FILL"},
		{"a store that has not been waited for", AsyncNotWaited, "FILL PROXY bar.sync 0; @%p1 STORE cp.async.bulk.commit_group;", "cp.async", ""},
		{"a store of a later group", AsyncNotWaited, "FILL PROXY bar.sync 0; @%p1 STORE cp.async.bulk.commit_group; cp.async.bulk.wait_group 1;", "cp.async",
			"FILL PROXY bar.sync 0; @%p1 STORE cp.async.bulk.commit_group; cp.async.bulk.commit_group; cp.async.bulk.wait_group 1;"},
		// Barriers.
		{"barriers that lanes do not agree on", BadBarrier, "mov.u32 %r4, 1; @%p3 mov.u32 %r4, 2; bar.sync %r4, 64;", "bar.sync", "mov.u32 %r4, 1; bar.sync %r4, 64;"},
		{"a barrier that there is not", BadBarrier, "mov.u32 %r4, 16; bar.sync %r4, 64;", "bar.sync", "mov.u32 %r4, 15; bar.sync %r4, 64;"},
		{"lanes that are not here elect", MissingLane, "@%p3 elect.sync _|%p4, -1;", "elect", "elect.sync %r4|%p4, -1;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := bulkFaultBench(t, c.bad, rowOfFloats).fault(t, Options{MaxSteps: 1 << 16})
			assert.Equal(t, c.kind, f.Kind, "%v", f)
			assert.Contains(t, f.Inst, c.inst, "%v", f)
			if c.corrects != "" {
				for seed := range int64(4) {
					b := bulkFaultBench(t, c.corrects, rowOfFloats)
					_, err := b.m.Run(b.mem, b.l, Options{MaxSteps: 1 << 16, Perturb: seed})
					require.NoError(t, err, "the correct program, seed %d", seed)
				}
			}
		})
	}
}
