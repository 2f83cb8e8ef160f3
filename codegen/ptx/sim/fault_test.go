package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultPrologue: as prologue, with 128 bytes of shared memory, of which %r3 is this
// thread's word, %d3 this thread's word of the input, and %p1 whether it is thread 0.
const faultPrologue = prologue + `
	.shared .align 16 .b8 s[1024];
	mov.u32 %r3, s; mad.lo.u32 %r3, %r1, 4, %r3;
	ld.param.u64 %d3, [in]; mad.wide.u32 %d3, %r1, 4, %d3;
	setp.eq.u32 %p1, %r1, 0; setp.lt.u32 %p2, %r1, 32; setp.lt.u32 %p3, %r2, 16;
`

// Every check finds its planted bug, and passes the same program without it. There
// are 64 threads, 256 bytes of input, and 256 bytes of output.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		kind     Kind
		bad      string
		thread   int
		inst     string
		corrects string
	}{
		{"a load behind the input", OutOfBounds, "ld.global.u32 %r4, [%d3+4];", 63, "ld.global.u32", "ld.global.u32 %r4, [%d3];"},
		{"a store before the output", OutOfBounds, "st.global.u32 [%d2+-4], 1;", 0, "st.global.u32", "st.global.u32 [%d2], 1;"},
		{"a vector across the end", OutOfBounds, "add.u64 %d4, %d1, 248; st.global.v4.u32 [%d4], {1, 1, 1, 1};", 0, "st.global.v4", "st.global.v4.u32 [%d1], {1, 1, 1, 1};"},
		{"no region there", OutOfBounds, "mov.u64 %d4, 64; ld.global.u32 %r4, [%d4];", 0, "ld.global.u32", ""},
		{"behind the parameters", OutOfBounds, "ld.param.u64 %d4, [n+8];", 0, "ld.param.u64", "ld.param.u32 %r4, [n];"},
		{"behind the constants", OutOfBounds, "mov.u64 %d4, 4; ld.const.u32 %r4, [%d4];", 0, "ld.const", ""},
		{"a store to constants", OutOfBounds, "mov.u64 %d4, 0x3000000000000000; st.u32 [%d4], 1;", 0, "st.u32", ""},
		{"an unaligned parameter", Misaligned, "ld.param.u32 %r4, [in+2];", 0, "ld.param", "ld.param.u32 %r4, [in+4];"},
		{"a copy of more than its size", OutOfBounds, "mov.u32 %r4, 5; cp.async.ca.shared.global [%r3], [%d3], 4, %r4;", 0, "cp.async", "cp.async.ca.shared.global [%r3], [%d3], 4, 3;"},
		{"an unaligned source of a copy", Misaligned, "cp.async.ca.shared.global [%r3], [%d3+2], 4;", 0, "cp.async", ""},
		{"an unaligned word", Misaligned, "ld.global.u32 %r4, [%d3+2];", 0, "ld.global.u32", ""},
		{"an unaligned vector", Misaligned, "ld.global.v2.u32 {%r4, %r5}, [%d3];", 1, "ld.global.v2", "mul.wide.u32 %d5, %r1, 4; sub.u64 %d5, %d3, %d5; ld.global.v2.u32 {%r4, %r5}, [%d5+248];"},
		{"an unaligned shared word", Misaligned, "st.shared.u32 [%r3+1], 1;", 0, "st.shared.u32", "st.shared.u32 [%r3], 1;"},
		{"an unaligned copy", Misaligned, "cp.async.ca.shared.global [%r3], [%d3], 8;", 1, "cp.async", "cp.async.ca.shared.global [%r3], [%d3], 4;"},
		{"an unaligned target of a copy", Misaligned, "cp.async.ca.shared.global [%r3+2], [%d3], 4;", 0, "cp.async", ""},
		{"a copy from behind the input", OutOfBounds, "cp.async.ca.shared.global [%r3], [%d3+4], 4;", 63, "cp.async", ""},
		{"an unwritten load", UnwrittenGlobal, "ld.global.u32 %r4, [%d2];", 0, "ld.global.u32", "st.global.u32 [%d2], 1; ld.global.u32 %r4, [%d2];"},
		{"a load half of which is written", UnwrittenGlobal, "st.global.u16 [%d2], 1; ld.global.u32 %r4, [%d2];", 0, "ld.global.u32", ""},
		{"an atomic on unwritten memory", UnwrittenGlobal, "red.global.add.u32 [%d2], 1;", 0, "red", "st.global.u32 [%d2], 1; red.global.add.u32 [%d2], 1;"},
		{"a copy of unwritten memory", UnwrittenGlobal, "cp.async.ca.shared.global [%r3], [%d2], 4;", 0, "cp.async", ""},
		{"an unwritten register", UnwrittenRegister, "add.u32 %r5, %r4, 1;", 0, "add.u32", "mov.u32 %r4, 0; add.u32 %r5, %r4, 1;"},
		{"a register that some lanes wrote", UnwrittenRegister, "@%p3 mov.u32 %r4, 0; add.u32 %r5, %r4, 1;", 16, "add.u32", "@%p3 mov.u32 %r4, 0; @%p3 add.u32 %r5, %r4, 1;"},
		{"an unwritten guard", UnwrittenRegister, "@%p5 add.u32 %r5, %r1, 1;", 0, "@%p5", ""},
		{"what a lane that is not there would give", UnwrittenRegister, "@!%p3 exit; shfl.sync.bfly.b32 %r4, %r1, 16, 31, 0xFFFF; add.u32 %r5, %r4, 1;", 0, "add.u32",
			"@!%p3 exit; shfl.sync.bfly.b32 %r4, %r1, 8, 31, 0xFFFF; add.u32 %r5, %r4, 1;"},
		{"behind shared memory", SharedBounds, "st.shared.u32 [%r3+1020], 1;", 1, "st.shared", "st.shared.u32 [%r3+768], 1;"},
		{"before shared memory", SharedBounds, "st.shared.u32 [%r3+-4], 1;", 0, "st.shared", ""},
		{"unwritten shared memory", UnwrittenShared, "ld.shared.u32 %r4, [%r3];", 0, "ld.shared", "st.shared.u32 [%r3], 1; ld.shared.u32 %r4, [%r3];"},
		{"shared memory half of which is written", UnwrittenShared, "st.shared.u16 [%r3], 1; ld.shared.u32 %r4, [%r3];", 0, "ld.shared", ""},
		{"an atomic on unwritten shared memory", UnwrittenShared, "red.shared.add.u32 [s], 1;", 0, "red.shared", ""},
		{"unwritten local memory", UnwrittenLocal, ".local .b32 l; ld.local.u32 %r4, [l];", 0, "ld.local", ".local .b32 l; st.local.u32 [l], 1; ld.local.u32 %r4, [l];"},
		{"a read of another warp's word", SharedRace, "st.shared.u32 [%r3], 1; xor.b32 %r4, %r3, 128; @!%p2 ld.shared.u32 %r5, [%r4];", 32, "ld.shared", "st.shared.u32 [%r3], 1; bar.sync 0; xor.b32 %r4, %r3, 128; ld.shared.u32 %r5, [%r4];"},
		{"a write to what another warp read", SharedRace, "st.shared.u32 [%r3], 1; bar.sync 0; xor.b32 %r4, %r3, 128; @%p2 ld.shared.u32 %r5, [%r4]; @!%p2 st.shared.u32 [%r3], 2;", 32, "st.shared.u32 [%r3], 2",
			"st.shared.u32 [%r3], 1; bar.sync 0; xor.b32 %r4, %r3, 128; ld.shared.u32 %r5, [%r4]; bar.sync 0; st.shared.u32 [%r3], 2;"},
		{"two writers in one instruction", SharedRace, "st.shared.u32 [s], 1;", 1, "st.shared", "@%p1 st.shared.u32 [s], 1;"},
		{"two writers of one byte", SharedRace, "mov.u32 %r4, s; shr.u32 %r5, %r1, 1; add.u32 %r4, %r4, %r5; st.shared.u8 [%r4], 1;", 1, "st.shared", "mov.u32 %r4, s; add.u32 %r4, %r4, %r1; st.shared.u8 [%r4], 1;"},
		{"diverged lanes of one warp", SharedRace, "@%p2 bra a; exit; a: @%p3 bra b; st.shared.u32 [%r3+-64], 1; exit; b: st.shared.u32 [%r3], 1;", 0, "st.shared.u32 [%r3], 1",
			"@%p2 bra a; exit; a: @%p3 bra b; st.shared.u32 [%r3], 1; exit; b: st.shared.u32 [%r3], 1;"},
		{"an atomic against a plain write", SharedRace, "@%p1 st.shared.u32 [s], 1; bar.sync 0; red.shared.add.u32 [s], 1; @%p1 st.shared.u32 [s], 1;", 0, "@%p1 st.shared",
			"@%p1 st.shared.u32 [s], 1; bar.sync 0; red.shared.add.u32 [s], 1; bar.sync 0; @%p1 st.shared.u32 [s], 1;"},
		{"a barrier of other warps", SharedRace, "st.shared.u32 [%r3], 1; bar.sync 1, 32; xor.b32 %r4, %r3, 128; @!%p2 ld.shared.u32 %r5, [%r4];", 32, "ld.shared",
			"st.shared.u32 [%r3], 1; bar.sync 1, 64; xor.b32 %r4, %r3, 128; ld.shared.u32 %r5, [%r4];"},
		{"a copy that was not waited for", AsyncNotWaited, "cp.async.ca.shared.global [%r3], [%d3], 4; ld.shared.u32 %r5, [%r3];", 0, "ld.shared", "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.wait_all; ld.shared.u32 %r5, [%r3];"},
		{"a wait for too few groups", AsyncNotWaited, "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r5, [%r3];", 0, "ld.shared",
			"cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r5, [%r3];"},
		{"a wait before the group is committed", AsyncNotWaited, "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.wait_group 0; ld.shared.u32 %r5, [%r3];", 0, "ld.shared", ""},
		{"a write to the target of a copy", AsyncNotWaited, "cp.async.ca.shared.global [%r3], [%d3], 4; st.shared.u32 [%r3], 1;", 0, "st.shared", ""},
		{"another thread's copy without a barrier", SharedRace, "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.wait_all; xor.b32 %r4, %r3, 128; @!%p2 ld.shared.u32 %r5, [%r4];", 32, "ld.shared",
			"cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.wait_all; bar.sync 0; xor.b32 %r4, %r3, 128; ld.shared.u32 %r5, [%r4];"},
		{"a copy to what another warp reads", SharedRace, "st.shared.u32 [%r3], 1; bar.sync 0; xor.b32 %r4, %r3, 128; @%p2 ld.shared.u32 %r5, [%r4]; @!%p2 cp.async.ca.shared.global [%r3], [%d3], 4;", 32, "cp.async",
			"st.shared.u32 [%r3], 1; bar.sync 0; xor.b32 %r4, %r3, 128; ld.shared.u32 %r5, [%r4]; bar.sync 0; cp.async.ca.shared.global [%r3], [%d3], 4;"},
		{"a barrier in a branch", DivergentBarrier, "@%p3 bra a; bar.sync 0; a:", 0, "bar.sync", "@%p2 bra a; a: bar.sync 0;"},
		{"different barriers", DivergentBarrier, "@%p2 bra a; bar.sync 0; bra b; a: bar.sync 0; b:", 32, "bar.sync", ""},
		{"a warp that leaves before a barrier", BarrierDeadlock, "@%p2 exit; bar.sync 0;", 32, "bar.sync", "@%p2 bra a; a: bar.sync 0; @%p2 exit;"},
		{"warps at different barriers", BarrierDeadlock, "@%p2 bra a; bar.sync 1; bra b; a: bar.sync 0; b:", 0, "bar.sync 0", ""},
		{"a barrier for more warps", BarrierDeadlock, "@%p2 bra a; exit; a: bar.sync 1, 64;", 0, "bar.sync 1", "@%p2 bra a; bar.arrive 1, 64; exit; a: bar.sync 1, 64;"},
		{"a shuffle in a branch", MissingLane, "@%p3 bra a; shfl.sync.bfly.b32 %r4, %r1, 1, 31, -1; a:", 16, "shfl", "@%p3 bra a; shfl.sync.bfly.b32 %r4, %r1, 1, 31, 0xFFFF0000; a:"},
		{"a guarded vote", MissingLane, "@%p3 vote.sync.ballot.b32 %r4, %p1, -1;", 0, "vote", ""},
		{"a lane that is not named", MissingLane, "bar.warp.sync 0xFFFF;", 16, "bar.warp.sync", "bar.warp.sync -1;"},
		{"a matrix without its warp", MissingLane, "@%p3 mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r1}, {%r1}, {0f00000000, 0f00000000, 0f00000000, 0f00000000};", 0, "mma",
			"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r1}, {%r1}, {0f00000000, 0f00000000, 0f00000000, 0f00000000};"},
		{"an endless loop", EndlessLoop, "a: bra a;", 0, "bra", "bra a; a:"},
		{"a trap", Trapped, "@%p1 trap;", 0, "trap", "@!%p1 bra a; @%p1 bra a; trap; a:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newBench(t, faultPrologue+c.bad, 64, iota8(256), 256).fault(t, Options{MaxSteps: 1 << 16})
			assert.Equal(t, c.kind, f.Kind, "%v", f)
			assert.Equal(t, c.thread, f.Thread, "%v", f)
			assert.Contains(t, f.Inst, c.inst)
			assert.Equal(t, "f", f.Entry)
			require.ErrorContains(t, f, c.kind.String())
			if c.corrects != "" {
				b := newBench(t, faultPrologue+c.corrects, 64, iota8(256), 256)
				_, err := b.m.Run(b.mem, b.l, Options{MaxSteps: 1 << 16})
				require.NoError(t, err, "the correct program")
			}
		})
	}
}

// Lanes of a warp that have converged, or passed bar.warp.sync, are ordered.
func TestWhatOrdersLanesOfAWarp(t *testing.T) {
	perThread(t, `
	.shared .align 16 .b8 s[128];
	mov.u32 %r3, s; mad.lo.u32 %r3, %r2, 4, %r3; xor.b32 %r4, %r3, 4;
	setp.eq.u32 %p1, %r2, 3;
	st.shared.u32 [%r3], %r1;
	ld.shared.u32 %r0, [%r4];
	@%p1 st.shared.u32 [s], 5;
	bar.warp.sync -1;
	ld.shared.u32 %r0, [s];
	setp.lt.u32 %p2, %r2, 16;
	@%p2 bra low;
	bar.warp.sync 0xFFFF0000;
	bra join;
low:
	bar.warp.sync 0xFFFF;
join:
	st.shared.u32 [%r4], %r1;`, 32)
}

// The second of two blocks starts with fresh shared memory, and fresh registers.
func TestBlocksShareNothing(t *testing.T) {
	for _, body := range []string{
		"mov.u32 %r5, %ctaid.x; setp.ne.u32 %p1, %r5, 0; @%p1 bra a; st.shared.u32 [%r3], 1; exit; a: ld.shared.u32 %r4, [%r3];",
		"mov.u32 %r5, %ctaid.x; setp.ne.u32 %p1, %r5, 0; @%p1 bra a; mov.u32 %r4, 1; a: add.u32 %r4, %r4, 1;",
	} {
		b := newBench(t, faultPrologue+body, 64, iota8(256), 256)
		b.l.Grid[0] = 2
		f := b.fault(t, Options{})
		assert.Equal(t, [3]int{1, 0, 0}, f.Block)
		assert.Contains(t, []Kind{UnwrittenShared, UnwrittenRegister}, f.Kind)
	}
	b := newBench(t, faultPrologue+"cp.async.ca.shared.global [%r3], [%d3], 4;", 64, iota8(256), 256)
	b.l.Grid[0] = 3
	b.run(t, 0)
}

func TestFaultsSayWhere(t *testing.T) {
	b := newBench(t, "\n\n ld.param.u64 %d1, [in];\n mov.u32 %r1, %ctaid.y;\n mad.wide.u32 %d1, %r1, 4, %d1;\n ld.global.u32 %r2, [%d1];", 32, words(1, 2), 0)
	b.l.Grid = [3]int{2, 3, 1}
	f := b.fault(t, Options{})
	assert.Equal(t, [3]int{0, 2, 0}, f.Block)
	assert.Equal(t, 12, f.Line)
	assert.EqualError(t, f, "sim: f, line 12, block (0,2,0), thread 0: out of bounds: 4 bytes at 0x7f0000000008: "+
		"the region before is 8 bytes at 0x7f0000000000 (offset 8)\n\tld.global.u32 %r2, [%d1]")
}

func TestLaunchesThatDoNotFit(t *testing.T) {
	text := `.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 1024 .b8 dynamic[];
.visible .entry f(.param .b64 x, .param .b32 n)
.maxntid 64, 1, 1
.minnctapersm 2
{
	.shared .b8 s[8];
	.reg .b32 %r<4>;
	mov.u32 %r1, dynamic;
	st.shared.u32 [%r1], 1;
	ret;
}
`
	m, err := Parse(text)
	require.NoError(t, err)
	e, ok := m.Entry("f")
	require.True(t, ok)
	assert.Equal(t, Entry{Name: "f", Threads: 64, StaticShared: 8, ParamBytes: 12, Insts: 3}, e)
	assert.Equal(t, []string{"f"}, m.Entries())
	_, ok = m.Entry("g")
	assert.False(t, ok)
	good := Launch{Entry: "f", Grid: [3]int{1, 1, 1}, Block: [3]int{1, 1, 1}, Shared: 4, Params: make([]byte, 12)}
	_, err = m.Run(NewMemory(), good, Options{})
	require.NoError(t, err)
	for what, change := range map[string]func(l *Launch){
		"no such entry": func(l *Launch) { l.Entry = "g" },
		"64 threads":    func(l *Launch) { l.Block[1] = 65 },
		"a grid":        func(l *Launch) { l.Grid[2] = 0 },
		"blocks":        func(l *Launch) { l.Block[2] = 65 },
		"12 bytes":      func(l *Launch) { l.Params = l.Params[:8] },
		"232448 bytes":  func(l *Launch) { l.Shared = 227<<10 - 1023 },
	} {
		l := good
		change(&l)
		_, err := m.Run(NewMemory(), l, Options{})
		var f *Fault
		require.ErrorAs(t, err, &f)
		assert.Equal(t, LaunchFit, f.Kind)
		require.ErrorContains(t, err, what)
	}
	good.Shared = 0
	_, err = m.Run(NewMemory(), good, Options{})
	require.ErrorContains(t, err, "shared memory out of bounds")
}
