package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// groupSetup makes ready for products of 64 x 8 x 16: 8 rows of b begin at 2048, in
// rows of 32 bytes. %p1 says that this is the first warp, %p2 that it is the first
// thread.
const groupSetup = `
	mov.b64 %d5, 0xC000001000010000; mov.b64 %d6, 0xC000001000010080;
	setp.lt.u32 %p1, %r1, 32; setp.eq.u32 %p2, %r1, 0;
	mov.f32 %a0, 0f00000000; mov.f32 %a1, %a0; mov.f32 %a2, %a0; mov.f32 %a3, %a0;
	mov.b32 %r10, 0; mov.b32 %r11, %r10; mov.b32 %r12, %r10; mov.b32 %r13, %r10;
	wgmma.fence.sync.aligned;
`

// groupNames are the words of these programs.
var groupNames = []string{
	"BYTES", "4096",
	"PRODUCT", "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a3}, %d5, %d6, 1, 1, 1, 0, 0;",
	"FRAGMENTS", "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a3}, {%r10, %r11, %r12, %r13}, %d6, 1, 1, 1, 0;",
	"END", "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;",
	"COMMIT", "wgmma.commit_group.sync.aligned;",
	"WAIT", "wgmma.wait_group.sync.aligned",
	"FENCE", "wgmma.fence.sync.aligned;",
	"PROXY", "fence.proxy.async.shared::cta;",
	"OVERWRITE", "mov.u32 %r4, s; mad.lo.u32 %r4, %r1, 16, %r4; st.shared.v4.b32 [%r4], {%r4, %r4, %r4, %r4};",
	"FETCH", "mov.u32 %r4, s; mad.lo.u32 %r4, %r1, 16, %r4; mad.wide.u32 %d3, %r1, 16, %d1; cp.async.cg.shared.global [%r4], [%d3], 16;",
}

// Every check of wgmma finds its planted bug, and passes the same program without
// it. The programs have 128 threads, behind a barrier that shared memory is ready at.
func TestGroupFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		kind     Kind
		bad      string
		inst     string
		corrects string
	}{
		{"sums read before the wait", ProductNotWaited, "PRODUCT COMMIT add.f32 %a4, %a1, %a1;", "add.f32", "PRODUCT END add.f32 %a4, %a1, %a1;"},
		{"a wait for too few groups", ProductNotWaited, "PRODUCT COMMIT WAIT 1; st.global.f32 [%d2], %a3;", "st.global", "PRODUCT COMMIT COMMIT WAIT 1; @%p2 st.global.f32 [%d2], %a3;"},
		{"no wait at all", ProductNotWaited, "PRODUCT COMMIT COMMIT WAIT 2;", "mma_async", "PRODUCT COMMIT COMMIT WAIT 1;"},
		{"a wait before the group is committed", ProductNotWaited, "PRODUCT WAIT 0; add.f32 %a4, %a0, %a0;", "add.f32", ""},
		{"a sum written before the wait", ProductNotWaited, "PRODUCT COMMIT mov.f32 %a2, 0f00000000; WAIT 0;", "wait_group", "PRODUCT END mov.f32 %a2, 0f00000000;"},
		{"a sum written between two products", ProductNotWaited, "PRODUCT mov.f32 %a2, 0f00000000; PRODUCT END", "mma_async", "PRODUCT PRODUCT END"},
		{"sums of another order", ProductNotWaited, "PRODUCT wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a1, %a0, %a2, %a3}, %d5, %d6, 0, 1, 1, 0, 0; END", "{%a1", "PRODUCT END PRODUCT END"},
		{"a fragment written before the wait", ProductNotWaited, "FRAGMENTS COMMIT mov.b32 %r12, 1; WAIT 0;", "wait_group", "FRAGMENTS END mov.b32 %r12, 1;"},
		{"a sum nobody wrote", UnwrittenRegister, "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a4}, %d5, %d6, 1, 1, 1, 0, 0; END", "mma_async",
			"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a4}, %d5, %d6, 0, 1, 1, 0, 0; END"},
		{"a sum written behind the fence", NotFenced, "mov.f32 %a0, 0f00000000; PRODUCT END", "mma_async", "mov.f32 %a0, 0f00000000; FENCE PRODUCT END"},
		{"a fragment written behind the fence", NotFenced, "mov.b32 %r10, 0; FRAGMENTS END", "mma_async", "mov.b32 %r10, 0; FENCE FRAGMENTS END"},
		{"a sum written behind a product", NotFenced, "PRODUCT END mov.f32 %a0, 0f00000000; PRODUCT END", "mma_async", "PRODUCT END mov.f32 %a0, 0f00000000; FENCE PRODUCT END"},
		{"a store without a fence of proxies", NotFenced, "OVERWRITE bar.sync 0; PRODUCT END", "mma_async", "OVERWRITE PROXY bar.sync 0; PRODUCT END"},
		{"a fence of proxies behind the barrier", NotFenced, "OVERWRITE bar.sync 0; PROXY PRODUCT END", "mma_async", ""},
		{"a fence of another kind", NotFenced, "OVERWRITE fence.proxy.async.global; fence.acq_rel.cta; bar.sync 0; PRODUCT END", "mma_async", "OVERWRITE fence.proxy.async; bar.sync 0; PRODUCT END"},
		{"a copy fenced before it is there", NotFenced, "FETCH PROXY cp.async.wait_all; bar.sync 0; PRODUCT END", "mma_async", "FETCH cp.async.wait_all; PROXY bar.sync 0; PRODUCT END"},
		{"a copy that was not waited for", AsyncNotWaited, "FETCH PROXY bar.sync 0; PRODUCT END", "mma_async", ""},
		{"a store without a barrier", SharedRace, "OVERWRITE PROXY PRODUCT END", "st.shared", "OVERWRITE PROXY bar.sync 0; PRODUCT END"},
		{"a store of its own before the wait", SharedRace, "PRODUCT COMMIT @%p2 OVERWRITE1 WAIT 0;", "wait_group", "PRODUCT END bar.sync 0; @%p2 OVERWRITE1"},
		{"stores behind a barrier before the wait", SharedRace, "PRODUCT COMMIT bar.sync 0; OVERWRITE WAIT 0;", "wait_group", "PRODUCT END bar.sync 0; OVERWRITE"},
		{"copies before the wait", SharedRace, "PRODUCT COMMIT bar.sync 0; FETCH cp.async.wait_all; WAIT 0;", "wait_group", "PRODUCT END bar.sync 0; FETCH cp.async.wait_all;"},
		{"stores of other warps without a barrier", SharedRace, "PRODUCT END OVERWRITE", "mma_async", "PRODUCT END bar.sync 0; OVERWRITE"},
		{"shared memory nobody wrote", UnwrittenShared, "add.u64 %d6, %d6, 128; PRODUCT END", "mma_async", "add.u64 %d6, %d6, 8; PRODUCT END"},
		{"behind shared memory", SharedBounds, "add.u64 %d5, %d5, 400; PRODUCT END", "mma_async", "add.u64 %d5, %d5, 128; PRODUCT END"},
		{"a warp without the others", MissingWarp, "@!%p1 bra a; PRODUCT END a:", "mma_async", "bra.uni a; a: PRODUCT END"},
		{"a warp that leaves a part out", MissingWarp, "PRODUCT @%p1 bra a; END a:", "commit_group", ""},
		{"another descriptor in a warp", MissingWarp, "@%p1 add.u64 %d6, %d6, 8; PRODUCT END", "mma_async", "add.u64 %d6, %d6, 8; PRODUCT END"},
		{"another instruction in a warp", MissingWarp, "@%p1 bra a; PRODUCT bra b; a: PRODUCT b: END", "mma_async", ""},
		{"a part of a warp", MissingLane, "@%p2 PRODUCT", "mma_async", ""},
		{"a part of a warp adds", MissingLane, "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a3}, %d5, %d6, %p2, 1, 1, 0, 0;", "mma_async",
			"setp.eq.u32 %p2, %r1, %r1; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a0, %a1, %a2, %a3}, %d5, %d6, %p2, 1, 1, 0, 0; END"},
		{"another descriptor in a lane", BadDescriptor, "@%p2 add.u64 %d6, %d6, 8; PRODUCT END", "mma_async", ""},
		{"a descriptor with bits that mean nothing", BadDescriptor, "or.b64 %d5, %d5, 0x4000; PRODUCT END", "mma_async", "or.b64 %d5, %d5, 0; PRODUCT END"},
		{"a base offset without a swizzle", BadDescriptor, "mov.b64 %d5, 0x0002001000010000; PRODUCT END", "mma_async", "mov.b64 %d5, 0x0000001000080000; PRODUCT END"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := groupBench(t, c.bad, 128).fault(t, Options{})
			assert.Equal(t, c.kind, f.Kind, "%v", f)
			assert.Contains(t, f.Inst, c.inst, "%v", f)
			require.ErrorContains(t, f, c.kind.String())
			if c.corrects != "" {
				b := groupBench(t, c.corrects, 128)
				_, err := b.m.Run(b.mem, b.l, Options{})
				require.NoError(t, err, "the correct program")
			}
		})
	}
}

// groupBench is a program of these, with zeros as input.
func groupBench(t *testing.T, code string, threads int) *bench {
	words := append([]string{"OVERWRITE1", "st.shared.v4.b32 [s], {%r10, %r10, %r10, %r10};"}, groupNames...)
	body := replaceOnce(t, groupCopy, "s[BYTES]", "s[4608]") + groupSetup + code
	return benchOf(t, groupModule(t, fill(body, words...)), threads, make([]byte, 4096), 512)
}

// A group has four whole warps.
func TestGroupsOfOtherWarps(t *testing.T) {
	for threads, kind := range map[int]Kind{32: MissingWarp, 96: MissingWarp, 160: MissingWarp, 112: MissingLane} {
		f := benchOf(t, groupModule(t, "wgmma.fence.sync.aligned;"), threads, nil, 0).fault(t, Options{})
		assert.Equal(t, kind, f.Kind, "%d threads: %v", threads, f)
	}
	benchOf(t, groupModule(t, "wgmma.fence.sync.aligned;"), 256, nil, 0).run(t, 0)
}

// unadded is a product whose sums nobody has to have written.
const unadded = "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%a4, %a5, %a6, %a7}, %d5, %d6, 0, 1, 1, 0, 0; END "

// The first product needs a fence, whatever its registers.
func TestFirstGroupProductWithoutFence(t *testing.T) {
	b := groupBench(t, unadded, 128)
	b.run(t, 0)
	setup := strings.ReplaceAll(groupSetup, "wgmma.fence.sync.aligned;", "")
	m, err := Parse(groupModule(t, fill(groupCopy+setup+unadded, groupNames...)))
	require.NoError(t, err)
	b.m = m
	f := b.fault(t, Options{})
	assert.Equal(t, NotFenced, f.Kind, "%v", f)
	assert.Contains(t, f.Inst, "mma_async")
}

// The second of two blocks begins without fences, steps and writes.
func TestGroupsOfBlocksShareNothing(t *testing.T) {
	b := groupBench(t, unadded+"PRODUCT END mov.f32 %a4, 0f00000000;", 128)
	b.l.Grid[0] = 3
	b.run(t, 0)
	b = groupBench(t, "mov.u32 %r20, %ctaid.x; setp.ne.u32 %p3, %r20, 0; @%p3 bra a; PRODUCT END a:", 128)
	b.l.Grid[0] = 2
	b.run(t, 0)
	b = groupBench(t, "mov.u32 %r20, %ctaid.x; setp.ne.u32 %p3, %r20, 0; @%p3 mov.f32 %a0, 0f00000000; PRODUCT END", 128)
	b.l.Grid[0] = 2
	f := b.fault(t, Options{})
	assert.Equal(t, NotFenced, f.Kind, "%v", f)
	assert.Equal(t, 1, f.Block[0])
}

func TestErrorsOfGroupInstructions(t *testing.T) {
	good := fill("PRODUCT", groupNames...)
	for _, c := range []struct{ code, want string }{
		{strings.Replace(good, "n8k", "n12k", 1), "a multiple of 8 up to 256, got .m64n12k16"},
		{strings.Replace(good, "n8k", "n264k", 1), "got .m64n264k16"},
		{strings.Replace(good, "n8k", "n16k", 1), "expected 8 registers, got 4"},
		{strings.Replace(good, ".f32", ".f16", 1), `expected one of .f32, got ".f16"`},
		{strings.Replace(good, "bf16.bf16", "bf16.f16", 1), "expected one of .bf16"},
		{strings.Replace(good, "1, 1, 1,", "1, 2, 1,", 1), "expected 1 or -1, got 2"},
		{strings.Replace(good, "1, 1, 1,", "1, 1,", 1), "expected 1 or -1, got 0"},
		{strings.Replace(good, "0, 0;", "0, 2;", 1), "expected 0 or 1, got 2"},
		{strings.Replace(good, "0, 0;", "0;", 1), "another operand"},
		{strings.Replace(good, "%d5", "%r5", 1), "%r5, which is .b32"},
		{strings.Replace(fill("FRAGMENTS", groupNames...), "1, 0;", "1, 0, 0;", 1), "no further operand"},
		{"wgmma.wait_group.sync.aligned -1;", "a number of groups, got -1"},
		{"wgmma.fence.sync;", "expected one of .aligned"},
		{"setmaxnreg.inc.sync.aligned.u32 20;", "a multiple of 8 from 24 to 256, got 20"},
		{"fence.proxy.tensormap;", "expected one of .async"},
	} {
		_, err := Parse(groupModule(t, ".reg .f32 %a<9>;"+c.code))
		require.ErrorContains(t, err, c.want, c.code)
	}
	for _, target := range []string{"sm_80", "sm_90", "sm_100a"} {
		_, err := Parse(strings.Replace(module(".reg .f32 %a<9>;"+good), "sm_90", target, 1))
		require.ErrorContains(t, err, "expected .target sm_90a", target)
	}
	_, err := Parse(strings.Replace(module("fence.proxy.async;"), "sm_90", "sm_89", 1))
	require.ErrorContains(t, err, "sm_90 or up")
	for _, code := range []string{good, "fence.proxy.async;", "setmaxnreg.inc.sync.aligned.u32 240;"} {
		text := replaceOnce(t, groupModule(t, ".reg .f32 %a<9>;"+code), ".version 8.4", ".version 8.0")
		_, err = Parse(text)
		require.NoError(t, err)
		_, err = Parse(replaceOnce(t, text, ".version 8.0", ".version 7.8"))
		require.ErrorContains(t, err, "expected .version 8.0 or up")
	}
}

// Whatever descriptors say, a product is made or is a fault.
func FuzzDescriptors(f *testing.F) {
	f.Add(uint64(0xC000001000010000), uint64(0xC000001000010080), uint8(0), uint8(32))
	f.Add(uint64(0x4000004000010000), uint64(0x4000004002000040), uint8(3), uint8(8))
	f.Add(^uint64(reservedBits), uint64(0x0002001000010000), uint8(6), uint8(1))
	f.Fuzz(func(t *testing.T, a, b uint64, bits, columns uint8) {
		n := 8 + 8*int(columns%32)
		code := fill(groupCopy+`setp.eq.u32 %p4, %r1, 0; @%p4 st.shared.u8 [s+4095], 1; fence.proxy.async; bar.sync 0; mov.b64 %d5, DA; mov.b64 %d6, DB; wgmma.fence.sync.aligned;
			wgmma.mma_async.sync.aligned.m64nNk16.f32.f16.f16 SUMS, %d5, %d6, 0, 1, 1, TA, TB; END`,
			append([]string{"DA", fmt.Sprint(a), "DB", fmt.Sprint(b), "nNk", fmt.Sprintf("n%dk", n), "SUMS", laneSums(n),
				"TA", fmt.Sprint(bits & 1), "TB", fmt.Sprint(bits >> 1 & 1)}, groupNames...)...)
		bench := benchOf(t, groupModule(t, code), 128, make([]byte, 4096), 0)
		if _, err := bench.m.Run(bench.mem, bench.l, Options{}); err != nil {
			var fault *Fault
			require.ErrorAs(t, err, &fault)
		}
	})
}
