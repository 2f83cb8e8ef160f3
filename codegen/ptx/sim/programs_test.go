package sim

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rowSums: a block of 128 threads sums a row of 1000 floats, in a fixed order: each
// thread its own ones, then butterflies in warps, then the four warps.
const rowSums = `
	.shared .align 16 .b8 partial[16];
	ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out];
	mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; and.b32 %r3, %r1, 31; shr.u32 %r4, %r1, 5;
	mul.wide.u32 %d3, %r2, 4000; add.u64 %d1, %d1, %d3;
	mov.f32 %f1, 0f00000000;
	mov.u32 %r5, %r1;
loop:
	setp.ge.u32 %p1, %r5, 1000;
	@%p1 bra done;
	mad.wide.u32 %d4, %r5, 4, %d1;
	ld.global.nc.f32 %f2, [%d4];
	add.rn.f32 %f1, %f1, %f2;
	add.u32 %r5, %r5, 128;
	bra loop;
done:
	mov.u32 %r6, 16;
butterfly:
	mov.b32 %r7, %f1;
	shfl.sync.bfly.b32 %r7, %r7, %r6, 31, -1;
	mov.b32 %f2, %r7;
	add.rn.f32 %f1, %f1, %f2;
	shr.u32 %r6, %r6, 1;
	setp.ne.u32 %p1, %r6, 0;
	@%p1 bra butterfly;
	setp.eq.u32 %p2, %r3, 0;
	mov.u32 %r8, partial; mad.lo.u32 %r9, %r4, 4, %r8;
	@%p2 st.shared.f32 [%r9], %f1;
	bar.sync 0;
	setp.ne.u32 %p3, %r1, 0;
	@%p3 exit;
	ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [%r8];
	add.rn.f32 %f1, %f1, %f2; add.rn.f32 %f1, %f1, %f3; add.rn.f32 %f1, %f1, %f4;
	mad.wide.u32 %d2, %r2, 4, %d2;
	st.global.f32 [%d2], %f1;`

// rowSumsInput are rows of 1000 small integers, whose sums are exact.
func rowSumsInput(rows int) ([]byte, []float32) {
	var in []byte
	sums := make([]float32, rows)
	for i := range rows {
		for k := range 1000 {
			v := float32((i*31+k*17)%101 - 50)
			sums[i] += v
			in = binary.LittleEndian.AppendUint32(in, math.Float32bits(v))
		}
	}
	return in, sums
}

func TestRowSums(t *testing.T) {
	in, want := rowSumsInput(7)
	text := module(rowSums)
	for seed := range int64(4) {
		b := benchOf(t, text, 128, in, 4*7)
		b.l.Grid[0] = 7
		_, err := b.m.Run(b.mem, b.l, Options{Perturb: seed})
		require.NoError(t, err)
		out := b.read(t, 4*7)
		for i, w := range want {
			assert.Equal(t, w, math.Float32frombits(word(out, i)), "row %d", i)
		}
	}
	b := benchOf(t, replaceOnce(t, text, "bar.sync 0;", ""), 128, in, 4*7)
	assert.Contains(t, []Kind{SharedRace, UnwrittenShared}, b.fault(t, Options{}).Kind, "without its barrier")
}

// With a seed, blocks that depend on their order give another result.
func TestTheOrderOfBlocksChanges(t *testing.T) {
	order := func(seed int64) []byte {
		b := newBench(t, prologue+`
	atom.global.inc.u32 %r3, [%d1], 1000;
	mov.u32 %r4, %ctaid.x;
	mad.wide.u32 %d2, %r4, 4, %d1;
	st.global.u32 [%d2+4], %r3;`, 1, nil, 84)
		require.NoError(t, b.mem.Fill(outAddr, 0, 4))
		b.l.Grid[0] = 20
		_, err := b.m.Run(b.mem, b.l, Options{Perturb: seed})
		require.NoError(t, err)
		return b.read(t, 84)
	}
	assert.Equal(t, uint32(3), word(order(0), 4), "block 3 is the fourth")
	assert.Equal(t, order(5), order(5))
	assert.NotEqual(t, order(5), order(0))
	assert.NotEqual(t, order(5), order(6))
}

// Launches of one module run at once, on one memory; their atomic sums are whole.
func TestLaunchesAtOnce(t *testing.T) {
	text := module(prologue + `
	ld.param.u64 %d3, [in];
	ld.param.u32 %r3, [n];
	mov.u32 %r4, 0;
loop:
	red.global.add.u32 [%d3], 1;
	add.u32 %r4, %r4, 1;
	setp.lt.u32 %p1, %r4, 50;
	@%p1 bra loop;
	st.global.u32 [%d2], %r3;`)
	b := benchOf(t, text, 64, words(0), 8*256)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			l := b.l
			l.Params = params(inAddr, outAddr+uint64(256*i), uint32(i))
			_, err := b.m.Run(b.mem, l, Options{})
			assert.NoError(t, err)
			assert.NoError(t, b.mem.Map(1<<20+uint64(i)<<12, 64))
		})
	}
	wait.Wait()
	var sum [4]byte
	require.NoError(t, b.mem.Read(inAddr, sum[:]))
	assert.Equal(t, uint32(8*64*50), word(sum[:], 0))
	out := b.read(t, 8*256)
	for i := range 8 * 64 {
		require.Equal(t, uint32(i/64), word(out, i))
	}
}

// Two blocks, of which one writes what the other one accesses, are a race in either
// order; what they update atomically, or only read, is none.
func TestRacesOfBlocks(t *testing.T) {
	const own = "mov.u32 %r4, %ctaid.x; mad.wide.u32 %d2, %r4, 4, %d1; setp.eq.u32 %p1, %r4, 0; ld.param.u64 %d3, [in]; .shared .b32 s[1];"
	for _, c := range []struct {
		body  string
		races bool
	}{
		{"st.global.u32 [%d2], 1; ld.global.u32 %r5, [%d2];", false},
		{"st.global.u32 [%d1], 1;", true},
		{"st.global.u8 [%d1+2], 1;", true},
		{"mad.wide.u32 %d2, %r4, 1, %d1; st.global.u8 [%d2], 1;", false},
		{"ld.global.u32 %r5, [%d3];", false},
		{"ld.global.u32 %r5, [%d3]; @%p1 st.global.u32 [%d3], 1;", true},
		{"@%p1 st.global.u32 [%d3], 1; ld.global.u32 %r5, [%d3];", true},
		{"@%p1 st.global.u32 [%d3], 1; cp.async.ca.shared.global [s], [%d3], 4;", true},
		{"red.global.add.u32 [%d3], 1;", false},
		{"red.global.add.u32 [%d3], 1; ld.global.u32 %r5, [%d3];", true},
	} {
		for seed := range int64(3) {
			b := newBench(t, prologue+own+c.body, 1, words(1), 64)
			b.l.Grid[0] = 3
			_, err := b.m.Run(b.mem, b.l, Options{})
			require.NoError(t, err)
			_, err = b.m.Run(b.mem, b.l, Options{GlobalRaces: true, Perturb: seed})
			if !c.races {
				require.NoError(t, err, c.body)
				continue
			}
			var f *Fault
			require.ErrorAs(t, err, &f, c.body)
			assert.Equal(t, GlobalRace, f.Kind)
		}
	}
}
