package sim

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prologue: %r1 is the thread, %r2 its lane, and %d2 the address of its output word.
const prologue = `
	ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %laneid; mad.wide.u32 %d2, %r1, 4, %d1;
`

// perThread runs a body that leaves a word in %r0, and returns the words.
func perThread(t *testing.T, body string, threads int) []uint32 {
	t.Helper()
	b := newBench(t, prologue+body+"\n st.global.u32 [%d2], %r0;", threads, nil, 4*threads)
	out := b.run(t, 4*threads)
	got := make([]uint32, threads)
	for i := range got {
		got[i] = word(out, i)
	}
	return got
}

func TestCollectives(t *testing.T) {
	for _, c := range []struct {
		body string
		want func(i uint32) uint32
	}{
		{"shfl.sync.bfly.b32 %r0, %r1, 4, 31, -1;", func(i uint32) uint32 { return i ^ 4 }},
		{"shfl.sync.idx.b32 %r0, %r1, 5, 31, -1;", func(i uint32) uint32 { return i&^31 | 5 }},
		{"shfl.sync.up.b32 %r0, %r1, 2, 0, -1;", func(i uint32) uint32 {
			if i%32 < 2 {
				return i
			}
			return i - 2
		}},
		{"shfl.sync.down.b32 %r0|%p1, %r1, 3, 31, -1; @!%p1 mov.b32 %r0, 99;", func(i uint32) uint32 {
			if i%32+3 > 31 {
				return 99
			}
			return i + 3
		}},
		{"shfl.sync.bfly.b32 %r0, %r1, 1, 0x1C1F, -1;", func(i uint32) uint32 { return i ^ 1 }}, // segments of 4
		{"shfl.sync.idx.b32 %r0, %r1, 3, 0x181F, -1;", func(i uint32) uint32 { return i&^7 | 3 }},
		{"mov.b32 %r0, %r1; shfl.sync.down.b32 %r0, %r0, 1, 31, -1;", func(i uint32) uint32 { return min(i+1, i|31) }},
		{"setp.lt.u32 %p1, %r2, 5; vote.sync.ballot.b32 %r0, %p1, -1;", func(uint32) uint32 { return 31 }},
		{"setp.lt.u32 %p1, %r2, 5; vote.sync.any.pred %p2, %p1, -1; selp.u32 %r0, 1, 0, %p2;", func(uint32) uint32 { return 1 }},
		{"setp.lt.u32 %p1, %r2, 5; vote.sync.all.pred %p2, !%p1, -1; selp.u32 %r0, 1, 0, %p2;", func(uint32) uint32 { return 0 }},
		{"setp.lt.u32 %p1, %r2, 5; vote.sync.uni.pred %p2, %p1, -1; selp.u32 %r0, 1, 0, %p2;", func(uint32) uint32 { return 0 }},
		{"redux.sync.add.u32 %r0, %r2, -1;", func(uint32) uint32 { return 496 }},
		{"redux.sync.max.s32 %r0, %r2, -1;", func(uint32) uint32 { return 31 }},
		{"redux.sync.xor.b32 %r0, %r1, -1;", func(uint32) uint32 { return 0 }},
		{"and.b32 %r3, %r2, 3; match.any.sync.b32 %r0, %r3, -1;", func(i uint32) uint32 { return 0x11111111 << (i % 4) }},
		{"mov.u32 %r0, %lanemask_lt;", func(i uint32) uint32 { return 1<<(i%32) - 1 }},
		{"mov.u32 %r0, %warpid;", func(i uint32) uint32 { return i / 32 }},
		{"setp.ge.u32 %p1, %r2, 8; mov.u32 %r0, 0; @%p1 bra L; activemask.b32 %r0; L:", func(i uint32) uint32 {
			if i%32 < 8 {
				return 255
			}
			return 0
		}},
	} {
		for i, got := range perThread(t, c.body, 64) {
			require.Equal(t, c.want(uint32(i)), got, "%s in thread %d", c.body, i)
		}
	}
}

// A lane of a warp that the block does not fill is not missed.
func TestWarpsThatAreNotFull(t *testing.T) {
	got := perThread(t, "redux.sync.add.u32 %r0, %r2, -1;", 40)
	assert.Equal(t, uint32(496), got[0])
	assert.Equal(t, uint32(28), got[39], "0 to 7")
}

// Each thread runs its own number of iterations, with a branch inside.
func TestDivergence(t *testing.T) {
	got := perThread(t, `
	mov.u32 %r3, 0; mov.u32 %r0, 0;
loop:
	setp.ge.u32 %p1, %r3, %r1;
	@%p1 bra done;
	and.b32 %r4, %r3, 1;
	setp.eq.u32 %p2, %r4, 0;
	@%p2 bra even;
	add.u32 %r0, %r0, %r3;
	bra.uni next;
even:
	add.u32 %r0, %r0, 1000;
next:
	add.u32 %r3, %r3, 1;
	bra loop;
done:
`, 70)
	for i, x := range got {
		want := uint32(0)
		for k := range uint32(i) {
			if k%2 == 0 {
				want += 1000
			} else {
				want += k
			}
		}
		require.Equal(t, want, x, "thread %d", i)
	}
}

// After an if, the lanes run together again: a shuffle finds all of them.
func TestLanesMeetAgain(t *testing.T) {
	got := perThread(t, `
	mov.u32 %r3, %r1;
	setp.lt.u32 %p1, %r2, 7;
	@!%p1 bra join;
	mul.lo.u32 %r3, %r3, 10;
join:
	shfl.sync.bfly.b32 %r0, %r3, 31, 31, -1;
`, 32)
	assert.Equal(t, uint32(31), got[0])
	assert.Equal(t, uint32(60), got[25])
}

func TestThreadsLeave(t *testing.T) {
	b := newBench(t, prologue+`
	setp.ge.u32 %p1, %r1, 10;
	@%p1 exit;
	st.global.u32 [%d2], %r1;`, 64, nil, 256)
	require.NoError(t, b.mem.Fill(outAddr, 0xAA, 256))
	out := b.run(t, 256)
	assert.Equal(t, uint32(9), word(out, 9))
	assert.Equal(t, uint32(0xAAAAAAAA), word(out, 10))
}

func TestSpecialRegisters(t *testing.T) {
	b := newBench(t, `
	mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z;
	mov.u32 %r4, %ntid.x; mov.u32 %r5, %ntid.y; mov.u32 %r6, %ntid.z;
	mad.lo.u32 %r7, %r3, %r5, %r2; mad.lo.u32 %r7, %r7, %r4, %r1;
	mov.u32 %r8, %ctaid.x; mov.u32 %r9, %ctaid.y; mov.u32 %r10, %ctaid.z;
	mov.u32 %r11, %nctaid.x; mov.u32 %r12, %nctaid.y;
	mad.lo.u32 %r13, %r10, %r12, %r9; mad.lo.u32 %r13, %r13, %r11, %r8;
	mul.lo.u32 %r14, %r4, %r5; mul.lo.u32 %r14, %r14, %r6;
	mad.lo.u32 %r7, %r13, %r14, %r7;
	ld.param.u64 %d1, [out]; mad.wide.u32 %d1, %r7, 4, %d1;
	st.global.u32 [%d1], %r7;`, 1, nil, 4*24*12)
	b.l.Grid, b.l.Block = [3]int{2, 3, 2}, [3]int{4, 3, 2}
	out := b.run(t, 4*24*12)
	for i := range 24 * 12 {
		require.Equal(t, uint32(i), word(out, i))
	}
}

// A warp that waits for a flag of another warp lets it have its turn.
func TestWarpsTakeTurns(t *testing.T) {
	b := newBench(t, prologue+`
	.shared .b32 flag[1];
	setp.eq.u32 %p1, %r1, 0;
	@%p1 st.shared.u32 [flag], 0;
	bar.sync 0;
	setp.ge.u32 %p1, %r1, 32;
	@%p1 bra second;
spin:
	atom.shared.or.b32 %r3, [flag], 0;
	setp.eq.u32 %p2, %r3, 0;
	@%p2 bra spin;
	st.global.u32 [%d2], %r3;
	ret;
second:
	atom.shared.exch.b32 %r3, [flag], 7;
`, 64, nil, 128)
	assert.Equal(t, uint32(7), word(b.run(t, 128), 31))
}

// With a seed, approximations are off, and blocks run in another order; results
// without approximations stay.
func TestPerturbation(t *testing.T) {
	body := prologue + `
	cvt.rn.f32.u32 %f1, %r1; mul.f32 %f1, %f1, 0f3DCCCCCD;
	ex2.approx.f32 %f1, %f1; st.global.f32 [%d2], %f1;`
	run := func(seed int64) []byte {
		b := newBench(t, body, 256, nil, 1024)
		_, err := b.m.Run(b.mem, b.l, Options{Perturb: seed})
		require.NoError(t, err)
		out := make([]byte, 1024)
		require.NoError(t, b.mem.Read(outAddr, out))
		return out
	}
	plain, first, second := run(0), run(1), run(2)
	assert.Equal(t, first, run(1), "the same seed")
	assert.NotEqual(t, first, second)
	offs := map[int]int{}
	for i := range 256 {
		d := int(word(first, i)) - int(word(plain, i))
		require.LessOrEqual(t, max(d, -d), 2)
		offs[d]++
	}
	assert.Len(t, offs, 5, "all of -2 to 2")
	assert.Equal(t, float32(math.Exp2(0)), math.Float32frombits(word(first, 0)), "2^0 is exact")
}

func TestBlocksRunInAnyOrder(t *testing.T) {
	for n := 1; n < 40; n++ {
		at, stride := scatter(uint64(n)*77, n)
		seen := uint64(0)
		for range n {
			seen |= 1 << at
			at = (at + stride) % n
		}
		require.Equal(t, n, bits.OnesCount64(seen), "%d blocks", n)
	}
}
