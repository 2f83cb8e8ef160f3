package sim

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// ring is a pipeline of a producer, a lane of warp 8, and two groups of consumers. 8
// tiles of 64 rows of 64 bytes go through 3 stages; each group multiplies each tile
// with ones, and adds. Mbarriers 0 to 2 say that a stage is full, 3 to 5 that it is
// empty.
const ring = `
	.reg .b32 %tile, %stage, %parity, %bar, %box, %x;
	setp.lt.u32 %p2, %r1, 256; and.b32 %r2, %r1, 31; setp.eq.u32 %p3, %r2, 0;
	@!%p1 bra made;
	MAKE
made:
	mov.u32 %x, s; mad.lo.u32 %x, %r1, 4, %x; setp.lt.u32 %p4, %r1, 64;
	@%p4 st.shared.b32 [%x+12288], 0x3F803F80;
	fence.proxy.async.shared::cta;
	bar.sync 0;
	mov.u32 %tile, 0; mov.u32 %stage, 0; mov.u32 %parity, 0;
	@%p2 bra consume;

	setmaxnreg.dec.sync.aligned.u32 24;
	setp.ge.u32 %p4, %r1, 288; @%p4 bra end;
	elect.sync _|%p4, -1;
	ELECT
produce:
	PLACE
	xor.b32 %x, %parity, 1;
	EMPTYWAIT
	EXPECT
	shl.b32 %x, %tile, 6;
	COPY
	NEXT
	@%p5 bra produce;
	bra end;

consume:
	setmaxnreg.inc.sync.aligned.u32 240;
	mov.u32 %x, s; add.u32 %x, %x, 12288; shr.u32 %x, %x, 4; cvt.u64.u32 %d6, %x; or.b64 %d6, %d6, 0xC000001000010000;
	mov.f32 %a0, 0f00000000; mov.f32 %a1, %a0; mov.f32 %a2, %a0; mov.f32 %a3, %a0;
multiply:
	PLACE
	FULLWAIT
	shr.u32 %x, %box, 4; cvt.u64.u32 %d5, %x; or.b64 %d5, %d5, 0x8000002000010000;
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a3}, %d5, %d6, 1, 1, 1, 0, 0;
	wgmma.commit_group.sync.aligned;
	PRODUCTWAIT
	FREE
	NEXT
	@%p5 bra multiply;
	LAST
	mad.wide.u32 %d4, %r1, 4, %d2;
	st.global.f32 [%d4], %a0;
end:
`

// ringWords are the words of a ring without faults.
var ringWords = []string{
	"MAKE", `mbarrier.init.shared::cta.b64 [bars], 1; mbarrier.init.shared::cta.b64 [bars+8], 1; mbarrier.init.shared::cta.b64 [bars+16], 1;
	mbarrier.init.shared::cta.b64 [bars+24], CONSUMERS; mbarrier.init.shared::cta.b64 [bars+32], CONSUMERS; mbarrier.init.shared::cta.b64 [bars+40], CONSUMERS;
	INITFENCE`,
	"PLACE", "mov.u32 %bar, bars; mad.lo.u32 %bar, %stage, 8, %bar; mov.u32 %box, s; mad.lo.u32 %box, %stage, 4096, %box;",
	"NEXT", `add.u32 %stage, %stage, 1; setp.eq.u32 %p5, %stage, 3; @%p5 xor.b32 %parity, %parity, 1; @%p5 mov.u32 %stage, 0;
	add.u32 %tile, %tile, 1; setp.lt.u32 %p5, %tile, 8;`,
	"CONSUMERS", "8",
	"INITFENCE", "fence.mbarrier_init.release.cluster;",
	"ELECT", "@!%p4 bra end;",
	"EMPTYWAIT", waitFor("empty", "%bar+24", "%x"),
	"EXPECT", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%bar], 4096;",
	"COPY", "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%box], [%d1, {0, %x}], [%bar];",
	"FULLWAIT", waitFor("full", "%bar", "%parity"),
	"PRODUCTWAIT", "wgmma.wait_group.sync.aligned 0;",
	"FREE", "@%p3 mbarrier.arrive.release.cta.shared::cta.b64 _, [%bar+24];",
	"LAST", "",
}

// ringBench is a ring with changes: of words, and then of other text.
func ringBench(t testing.TB, changes ...string) *bench {
	var words, text []string
	for i := 0; i < len(changes); i += 2 {
		if old := changes[i]; strings.ToUpper(old) == old && !strings.Contains(old, " ") {
			require.Contains(t, ringWords, old)
			words = append(words, old, changes[i+1])
		} else {
			text = append(text, old, changes[i+1])
		}
	}
	body := ring
	for range 3 { // words have words in them
		body = fill(fill(body, words...), ringWords...)
	}
	for i := 0; i < len(text); i += 2 {
		require.Contains(t, body, text[i])
	}
	body = fill(body, text...)
	m := tensormap.Map{Type: tensor.BF16, Rank: 2, Sizes: [5]uint64{16, 512}, Strides: [4]uint64{64}, Box: [5]uint32{32, 64}, Swizzle: tensormap.Swizzle64}
	in := make([]byte, 512*64)
	for i := range len(in) / 2 {
		binary.LittleEndian.PutUint16(in[2*i:], uint16(bfloat16.encode(float64(i/32%64+i/32/64), nearestEven)))
	}
	return bulkBench(t, body, 384, m, in, 256*4)
}

func checkRing(t *testing.T, o Options, words ...string) Stats {
	b := ringBench(t, words...)
	stats, err := b.m.Run(b.mem, b.l, o)
	require.NoError(t, err)
	out := b.read(t, 1024)
	for thread := range 256 {
		row := thread/32%4*16 + thread%32/4
		require.Equal(t, float32(16*(8*row+28)), math.Float32frombits(word(out, thread)), "thread %d", thread)
	}
	return stats
}

// A producer and its consumers, in any order of warps, with products under way while
// the next stage is waited for, and by mbarriers at which all threads arrive.
func TestRing(t *testing.T) {
	for seed := range int64(8) {
		stats := checkRing(t, Options{Perturb: seed, GlobalRaces: true})
		assert.Equal(t, [3]int64{8, 8 * 4096, 8 * 8}, [3]int64{stats.Bulk, stats.BulkBytes, stats.GroupMMA})
	}
	overlapped := []string{"LAST", "wgmma.wait_group.sync.aligned 0;", "PRODUCTWAIT", "wgmma.wait_group.sync.aligned 1;",
		"FREE", `setp.gt.u32 %p6, %tile, 0; and.pred %p6, %p6, %p3; add.u32 %x, %stage, 2; rem.u32 %x, %x, 3;
	mov.u32 %bar, bars; mad.lo.u32 %bar, %x, 8, %bar; @%p6 mbarrier.arrive.shared::cta.b64 _, [%bar+24];`}
	for name, words := range map[string][]string{
		"products overlap":   overlapped,
		"all threads arrive": {"CONSUMERS", "256", "@%p3 mbarrier", "mbarrier"},
		"one thread of a group": {"CONSUMERS", "2", "FREE", `shr.u32 %x, %r1, 7; add.u32 %x, %x, 1; bar.sync %x, 128;
	and.b32 %x, %r1, 127; setp.eq.u32 %p6, %x, 5; @%p6 mbarrier.arrive.shared::cta.b64 _, [%bar+24];`},
		"a fence of all kinds": {"INITFENCE", "fence.proxy.async;"},
		"the states of arrivals": {"EXPECT", `mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%bar], 4096;
	mbarrier.arrive.shared::cta.b64 _, [%bar];`},
		"copies before they are announced": {"EXPECT", "", "COPY", ringWords[17] + ringWords[15]},
		"one warp waits for the others": {"FULLWAIT", "setp.eq.u32 %p6, %r1, 128; setp.eq.u32 %p7, %r1, 0; or.pred %p6, %p6, %p7; @!%p6 bra go; " +
			waitFor("full", "%bar", "%parity") + "go: shr.u32 %x, %r1, 7; add.u32 %x, %x, 1; bar.sync %x, 128;"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(3) {
				checkRing(t, Options{Perturb: seed}, words...)
			}
		})
	}
}

// Each check finds its bug in a ring, whatever the order of warps.
func TestRingFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds []Kind // what it may be found by
		inst  string
		words []string
	}{
		{"no wait for an empty stage", []Kind{BadBarrier}, "expect_tx", []string{"EMPTYWAIT", ""}},
		{"a wait for the wrong phase of an empty stage", []Kind{BadBarrier, BarrierDeadlock}, "", []string{"xor.b32 %x, %parity, 1;", "mov.u32 %x, %parity;"}},
		{"a stage that is not waited for", []Kind{AsyncNotWaited, UnwrittenShared}, "mma_async", []string{"FULLWAIT", ""}},
		{"a wait for the phase before", []Kind{AsyncNotWaited, UnwrittenShared}, "mma_async", []string{"FULLWAIT", "xor.b32 %x, %parity, 1;" + waitFor("full", "%bar", "%x")}},
		{"a wait once, not in a loop", []Kind{AsyncNotWaited, UnwrittenShared}, "mma_async", []string{"FULLWAIT", "mbarrier.try_wait.parity.shared::cta.b64 %p9, [%bar], %parity;"}},
		{"a wait for another stage", []Kind{SharedRace, AsyncNotWaited, UnwrittenShared, BarrierDeadlock}, "", []string{"FULLWAIT", waitFor("full", "bars", "0")}},
		{"a warp that does not wait", []Kind{SharedRace, AsyncNotWaited, UnwrittenShared}, "mma_async", []string{"FULLWAIT", "setp.lt.u32 %p6, %r1, 32; @%p6 bra go;" + waitFor("full", "%bar", "%parity") + "go:"}},
		{"more bytes expected", []Kind{BadTransaction}, "try_wait", []string{", [%bar], 4096;", ", [%bar], 4112;"}},
		{"fewer bytes expected", []Kind{BadTransaction}, "cp.async", []string{", [%bar], 4096;", ", [%bar], 2048;"}},
		{"no bytes expected", []Kind{BadTransaction, AsyncNotWaited}, "", []string{"EXPECT", "mbarrier.arrive.shared::cta.b64 _, [%bar];"}},
		{"every lane copies", []Kind{BadTransaction, BadBarrier}, "", []string{"ELECT", ""}},
		{"stages freed before the products are done", []Kind{SharedRace}, "", []string{"PRODUCTWAIT", "", "FREE", ringWords[23] + ringWords[21]}},
		{"stages never freed", []Kind{BarrierDeadlock}, "try_wait", []string{"FREE", ""}},
		{"too few arrivals", []Kind{BarrierDeadlock}, "try_wait", []string{"CONSUMERS", "9"}},
		{"a group arrives for the other one", []Kind{SharedRace, BarrierDeadlock}, "", []string{"CONSUMERS", "4"}},
		{"one warp arrives for its group", []Kind{SharedRace}, "", []string{"CONSUMERS", "2", "FREE", "and.b32 %x, %r1, 127; setp.eq.u32 %p6, %x, 0; @%p6 mbarrier.arrive.shared::cta.b64 _, [%bar+24];"}},
		{"mbarriers that are not fenced", []Kind{NotFenced}, "cp.async", []string{"INITFENCE", "", "fence.proxy", "@!%p1 fence.proxy"}},
		{"b that is not fenced", []Kind{NotFenced}, "mma_async", []string{"fence.proxy.async.shared::cta;", ""}},
		{"mbarriers made without a barrier behind", []Kind{SharedRace, BadBarrier}, "", []string{"bar.sync 0;", ""}},
		{"a map of other axes", []Kind{BadTensorMap}, "cp.async", []string{".tensor.2d.", ".tensor.3d.", "{0, %x}", "{0, %x, 0}"}},
		{"the producer ends too early", []Kind{BarrierDeadlock}, "try_wait", []string{"@%p5 bra produce;", "setp.lt.u32 %p5, %tile, 7; @%p5 bra produce;"}},
		{"the producer goes on too long", []Kind{AsyncNotWaited}, "cp.async", []string{"@%p5 bra produce;", "setp.lt.u32 %p5, %tile, 9; @%p5 bra produce;"}},
		{"a warp of a group that registers are not moved in", []Kind{MissingWarp}, "setmaxnreg", []string{"setmaxnreg.dec.sync.aligned.u32 24;", "", "elect.sync", "setmaxnreg.dec.sync.aligned.u32 24; elect.sync"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range int64(4) {
				f := ringBench(t, c.words...).fault(t, Options{Perturb: seed, MaxSteps: 1 << 18})
				assert.Contains(t, c.kinds, f.Kind, "seed %d: %v", seed, f)
				assert.Contains(t, f.Inst, c.inst, "seed %d: %v", seed, f)
			}
		})
	}
}

// What groups of consumers take, the producer must give.
func TestRegistersOfGroups(t *testing.T) {
	for _, c := range []struct {
		directives, dec string
		fits            bool
	}{
		{".maxntid 384, 1, 1\n.minnctapersm 1\n", "24", true}, // 168 each
		{".maxntid 384, 1, 1\n.minnctapersm 1\n", "32", false},
		{".maxntid 384, 1, 1\n.maxnreg 160\n", "24", false},
		{".maxntid 384, 1, 1\n", "32", true}, // ignored
	} {
		b := ringBench(t, "u32 24;", "u32 "+c.dec+";")
		text := replaceOnce(t, b.text, ".param .b32 n)\n", ".param .b32 n)\n"+c.directives)
		var err error
		b.m, err = Parse(text)
		require.NoError(t, err)
		if c.fits {
			_, err = b.m.Run(b.mem, b.l, Options{})
			require.NoError(t, err, "%+v", c)
			continue
		}
		f := b.fault(t, Options{})
		assert.Equal(t, BarrierDeadlock, f.Kind, "%v", f)
		assert.Contains(t, f.Inst, "setmaxnreg.inc")
	}
}
