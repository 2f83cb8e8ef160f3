package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadsAndStores(t *testing.T) {
	in := []byte{0x80, 0xFF, 0x34, 0x12, 0x78, 0x56, 0xBC, 0x9A, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0}
	for _, c := range []struct {
		body string
		want uint64
	}{
		{"ld.global.u8 %r0, [%d1]; cvt.u64.u32 %d0, %r0;", 0x80},
		{"ld.global.s8 %r0, [%d1]; cvt.u64.u32 %d0, %r0;", 0xFFFFFF80},
		{"ld.global.s16 %r0, [%d1]; cvt.u64.u32 %d0, %r0;", 0xFFFFFF80},
		{"ld.global.u16 %h0, [%d1+2]; cvt.u64.u16 %d0, %h0;", 0x1234},
		{"ld.global.s32 %d0, [%d1];", 0x1234FF80},
		{"ld.global.nc.L1::no_allocate.L2::128B.b64 %d0, [%d1];", 0x9ABC56781234FF80},
		{"ld.global.ca.v2.b32 {%r0, %r1}, [%d1+8]; mov.b64 %d0, {%r0, %r1};", 0x200000001},
		{"ld.global.v4.b32 {%r0, %r1, %r2, %r3}, [%d1+16]; mov.b64 %d0, {%r1, %r3};", 0x600000004},
		{"add.u64 %d3, %d1, 32; ld.global.v2.b64 {%d4, %d0}, [%d3+-16];", 0x600000005},
		{"ld.volatile.global.u32 %r0, [%d1+8]; cvt.u64.u32 %d0, %r0;", 1},
		{"ld.relaxed.gpu.global.u32 %r0, [%d1+12]; cvt.u64.u32 %d0, %r0;", 2},
		{"ld.u32 %r0, [%d1+12]; cvt.u64.u32 %d0, %r0;", 2},
		{"cvta.to.global.u64 %d3, %d1; ld.global.u32 %r0, [%d3+12]; cvt.u64.u32 %d0, %r0;", 2},
		{".shared .b64 s[2]; st.shared.b64 [s+8], 7; ld.shared.b64 %d0, [s+8];", 7},
		{".shared .b64 s[2]; mov.u64 %d3, s; cvta.shared.u64 %d3, %d3; st.b32 [%d3], 7; ld.shared.u32 %d0, [s];", 7},
		{".shared .b32 s[2]; cvta.shared.u64 %d3, s; st.b32 [%d3+4], 8; mov.u32 %r0, s; ld.shared.u32 %d0, [%r0+4];", 8},
		{".local .align 8 .b8 l[16]; st.local.v2.b32 [l+8], {1, 2}; ld.local.b64 %d0, [l+8];", 0x200000001},
		{".local .b32 l; mov.u64 %d3, l; cvta.local.u64 %d3, %d3; st.u32 [%d3], 5; ld.local.u32 %d0, [l];", 5},
		{"mov.u64 %d3, table; ld.const.u32 %d0, [%d3+4];", 0xFFFFFFFE},
		{"ld.const.v2.b32 {%r0, %r1}, [table+8]; mov.b64 %d0, {%r0, %r1};", 0x403F800000},
		{"ld.param.u32 %r0, [n]; cvt.u64.u32 %d0, %r0;", 1},
		{"ld.param.v2.u32 {%r0, %r1}, [in]; mov.b64 %d0, {%r0, %r1};", inAddr},
		{"mov.b64 %d3, out; cvta.param.u64 %d3, %d3; ld.u64 %d0, [%d3]; ld.u32 %r0, [%d3+8]; cvt.u64.u32 %d4, %r0; add.u64 %d0, %d0, %d4;", outAddr + 1},
		{"{ .reg .b64 %d1; mov.u64 %d1, 3; add.u64 %d0, %d1, 1; } add.u64 %d0, %d0, 0;", 4},
		{"membar.gl; fence.acq_rel.gpu; prefetch.global.L2 [%d1]; nanosleep.u32 20; mov.u64 %d0, 1;", 1},
	} {
		text := ".const .align 8 .b32 table[4] = {1, -2, 0f3F800000, 0x40};\n"
		src := module("ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; " + c.body + " st.global.b64 [%d2], %d0;")
		src = src[:len(".version 8.4\n.target sm_90\n.address_size 64\n")] + text + src[len(".version 8.4\n.target sm_90\n.address_size 64\n"):]
		b := benchOf(t, src, 1, in, 8)
		assert.Equal(t, c.want, binary.LittleEndian.Uint64(b.run(t, 8)), c.body)
	}
}

func TestAtomics(t *testing.T) {
	half := func(x float64) uint64 { return float16.encode(x, nearestEven) }
	for _, c := range []struct {
		op, typ, operand string // in threads 0 to 63; %r1 is the thread
		start, want      uint64
	}{
		{"add", "u32", "%r1", 5, 5 + 63*32},
		{"add", "f32", "0f3F000000", bits32(1), bits32(33)},
		{"add", "u64", "1", 1 << 40, 1<<40 + 64},
		{"add", "f64", "0d3FE0000000000000", bits64(1), bits64(33)},
		{"min", "s32", "-9", 5, 0xFFFFFFF7},
		{"max", "u32", "%r1", 5, 63},
		{"and", "b32", "0xF0", 0xFF, 0xF0},
		{"or", "b32", "%r1", 0x100, 0x13F},
		{"xor", "b32", "%r1", 0x100, 0x100},
		{"inc", "u32", "9", 0, 4},
		{"add.noftz", "f16x2", "%r9", half(1) | half(2)<<16, half(65) | half(2)<<16},
	} {
		for _, space := range []string{"global", "shared"} {
			suffix := map[bool]string{true: "b64", false: "b32"}[c.typ == "u64" || c.typ == "f64"]
			reg := map[string]string{"f32": "%f5", "f64": "%g5", "u64": "%d5"}[c.typ]
			if reg == "" {
				reg = "%r5"
			}
			for _, form := range [][2]string{{"red", ""}, {"atom", reg + ","}} {
				b := newBench(t, prologue+fill(`
	.shared .align 8 .b8 cell[8];
	mov.b32 %r9, 0x00003C00;
	setp.eq.u32 %p1, %r1, 0;
	@!%p1 bra go;
	st.shared.BITS [cell], START; st.global.BITS [%d1], START;
go:	bar.sync 0;
	mov.u64 %d4, PLACE;
	FORM.SPACE.OPERATION RESULT [%d4], OPERAND;
	bar.sync 0;
	@!%p1 exit;
	ld.SPACE.BITS %d5, [%d4];
	st.global.b64 [%d1], %d5;`, "BITS", suffix, "START", fmt.Sprint(c.start), "PLACE", map[string]string{"global": "%d1", "shared": "cell"}[space],
					"FORM", form[0], "SPACE", space, "OPERATION", c.op+"."+c.typ, "RESULT", form[1], "OPERAND", c.operand), 64, nil, 8)
				assert.Equal(t, c.want, binary.LittleEndian.Uint64(b.run(t, 8)), "%s.%s.%s.%s", form[0], space, c.op, c.typ)
			}
		}
	}
}

// Each thread takes a lock in turn: cas and exch return what was there.
func TestCompareAndSwap(t *testing.T) {
	b := newBench(t, prologue+`
	setp.ne.u32 %p1, %r1, 0;
	@!%p1 st.global.u32 [%d1], 0;
	bar.sync 0;
again:
	atom.global.cas.b32 %r3, [%d1], %r1, 1000;
	setp.ne.u32 %p2, %r3, %r1;
	@%p2 bra again;
	add.u32 %r4, %r1, 1;
	atom.global.exch.b32 %r5, [%d1], %r4;
	st.global.u32 [%d2+4], %r5;`, 64, nil, 65*4)
	out := b.run(t, 65*4)
	for i := range 65 {
		want := uint32(1000)
		if i == 0 {
			want = 64
		}
		require.Equal(t, want, word(out, i))
	}
}

func TestAsynchronousCopies(t *testing.T) {
	b := newBench(t, prologue+`
	.shared .align 16 .b8 buf[1024];
	ld.param.u64 %d3, [in];
	mad.wide.u32 %d3, %r1, 16, %d3;
	mov.u32 %r3, buf; mad.lo.u32 %r3, %r1, 16, %r3;
	and.b32 %r4, %r1, 15; min.u32 %r4, %r4, 16;
	cp.async.cg.shared.global [%r3], [%d3], 16, %r4;
	cp.async.commit_group;
	cp.async.ca.shared.global.L2::128B [%r3+512], [%d3], 8;
	cp.async.commit_group;
	cp.async.wait_group 1;
	ld.shared.v4.b32 {%r10, %r11, %r12, %r13}, [%r3];
	cp.async.wait_all;
	ld.shared.b32 %r14, [%r3+516];
	mad.wide.u32 %d2, %r1, 20, %d1;
	st.global.b32 [%d2], %r10; st.global.b32 [%d2+4], %r11; st.global.b32 [%d2+8], %r12; st.global.b32 [%d2+12], %r13;
	st.global.b32 [%d2+16], %r14;`, 32, iota8(512), 32*20)
	out := b.run(t, 32*20)
	for i := range 32 {
		for k := range 16 {
			want := byte(16*i + k)
			if k >= i%16 {
				want = 0 // behind the source size
			}
			require.Equal(t, want, out[20*i+k], "byte %d of thread %d", k, i)
		}
		require.Equal(t, byte(16*i+4), out[20*i+16])
	}
}

func iota8(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// What is in memory at the wait is what a copy brings: it may take place as late.
func TestCopiesHappenAtTheWait(t *testing.T) {
	b := newBench(t, prologue+`
	.shared .align 16 .b8 buf[16];
	st.global.u32 [%d1], 1;
	cp.async.ca.shared.global [buf], [%d1], 4;
	st.global.u32 [%d1], 2;
	cp.async.wait_all;
	ld.shared.u32 %r3, [buf];
	st.global.u32 [%d1], %r3;`, 1, nil, 4)
	assert.Equal(t, uint32(2), word(b.run(t, 4), 0))
}

func TestStatistics(t *testing.T) {
	stats := func(body string) Stats {
		b := newBench(t, prologue+".shared .align 16 .b8 s[4096]; mov.u32 %r0, 0;"+body, 64, iota8(4096), 16384)
		s, err := b.m.Run(b.mem, b.l, Options{})
		require.NoError(t, err)
		return s
	}
	s := stats("st.global.u32 [%d2], %r0;")
	assert.Equal(t, int64(2), s.GlobalAccesses)
	assert.Equal(t, int64(8), s.GlobalSectors, "256 bytes")
	s = stats("mad.wide.u32 %d2, %r1, 128, %d1; st.global.v4.u32 [%d2], {%r0, %r0, %r0, %r0};")
	assert.Equal(t, int64(64), s.GlobalSectors)
	assert.Equal(t, int64(64), s.Vec128)
	base := stats("").Insts
	assert.Equal(t, base+64+32, stats("setp.lt.u32 %p1, %r1, 32; @%p1 mov.u32 %r5, 0;").Insts)
	for stride, want := range map[int]int64{4: 0, 8: 2, 16: 6, 64: 30} {
		s = stats(fmt.Sprintf("mul.lo.u32 %%r3, %%r1, %d; st.shared.u32 [%%r3], %%r0; bar.sync 0;", stride))
		assert.Equal(t, want, s.SharedConflicts, "a word every %d bytes", stride)
		assert.Equal(t, int64(1), s.Barriers)
	}
	var total Stats
	total.Add(s)
	total.Add(s)
	assert.Equal(t, 2*s.Insts, total.Insts)
	assert.Less(t, math.Abs(float64(s.Steps)-float64(s.Insts)/32), 1.0)
}

func TestMemory(t *testing.T) {
	m := NewMemory()
	require.NoError(t, m.Map(0x1000, 0x100))
	require.NoError(t, m.Map(0x1100, 0x100))
	for _, c := range [][2]uint64{{0x10FF, 1}, {0xFFF, 2}, {0x1000, 0x200}, {0x1150, 8}, {0, 4}, {0x5000, 0}, {1 << 60, 4}} {
		require.Error(t, m.Map(c[0], int(c[1])), "%#x", c)
	}
	require.Error(t, m.Write(0x10FC, make([]byte, 8)), "regions are apart")
	require.Error(t, m.Read(0x2000, make([]byte, 1)))
	require.Error(t, m.Copy(0x1000, 0x11FF, 2))
	require.Error(t, m.Fill(0x1000, 1, -1))
	require.Error(t, m.Unmap(0x1010))
	require.NoError(t, m.Write(0x1004, []byte{1, 2, 3}))
	got := make([]byte, 5)
	require.NoError(t, m.Read(0x1003, got))
	assert.Equal(t, []byte{0xFF, 1, 2, 3, 0xFF}, got)
	require.NoError(t, m.Copy(0x1100, 0x1003, 5))
	require.NoError(t, m.Read(0x1100, got))
	assert.Equal(t, []byte{0xFF, 1, 2, 3, 0xFF}, got, "unwritten bytes stay unwritten")
	require.NoError(t, m.Fill(0x1100, 9, 2))
	require.NoError(t, m.Read(0x1100, got))
	assert.Equal(t, []byte{9, 9, 2, 3, 0xFF}, got)
	require.NoError(t, m.Unmap(0x1000))
	require.ErrorContains(t, m.Read(0x1003, got), "0x1100")
	require.NoError(t, m.Write(0x1100, nil))
}
