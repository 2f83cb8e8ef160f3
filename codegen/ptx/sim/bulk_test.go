package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// bulkModule is module for sm_90a, with a tensor map before the parameters, whose
// generic address is in %d1; %d2 is out, %r1 the thread and %p1 whether it is the
// first. s is shared memory for boxes, and bars has room for eight mbarriers.
func bulkModule(t testing.TB, body string) string {
	text := groupModule(t, `
	.shared .align 1024 .b8 s[16384];
	.shared .align 8 .b64 bars[8];
	.reg .f32 %a<128>;
	mov.b64 %d1, map; cvta.param.u64 %d1, %d1;
	ld.param.u64 %d2, [out]; mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 0;
`+body)
	return replaceOnce(t, text, "f(.param .b64 in", "f(.param .align 64 .b8 map[128], .param .b64 in")
}

// bulkBench is a body for a launch of threads, with a map of the input.
func bulkBench(t testing.TB, body string, threads int, m tensormap.Map, in []byte, out int) *bench {
	t.Helper()
	b := benchOf(t, bulkModule(t, body), threads, in, out)
	encoded := make([]byte, tensormap.Bytes)
	require.NoError(t, EncodeTensorMap(encoded, &m, inAddr))
	b.l.Params = append(encoded, b.l.Params...)
	return b
}

// setBars initialises mbarrier 0 for one arrival, with all the fences.
const setBars = `
	@%p1 mbarrier.init.shared::cta.b64 [bars], 1;
	@%p1 fence.mbarrier_init.release.cluster;
	bar.sync 0;
`

// waitFor waits for a phase of an mbarrier.
func waitFor(label, bar, parity string) string {
	return fill("LABEL: mbarrier.try_wait.parity.shared::cta.b64 %p9, [BAR], PARITY; @!%p9 bra LABEL;\n", "LABEL", label, "BAR", bar, "PARITY", parity)
}

// boxCase is a copy of a box.
type boxCase struct {
	m  tensormap.Map
	at [5]int64
}

// want is what a box holds in shared memory, from a place that is a multiple of 1024.
func (c boxCase) want(in []byte) []byte {
	size := c.m.Type.Size()
	out := make([]byte, c.m.BoxBytes())
	for n := range len(out) / size {
		from, inside := uint64(0), true
		rest := n
		for axis := range c.m.Rank {
			i := c.at[axis] + int64(rest%int(c.m.Box[axis]))
			rest /= int(c.m.Box[axis])
			inside = inside && i >= 0 && i < int64(c.m.Sizes[axis])
			stride := uint64(size)
			if axis > 0 {
				stride = c.m.Strides[axis-1]
			}
			from += uint64(i) * stride
		}
		if !inside {
			continue
		}
		to := n * size
		if w := int(c.m.Swizzle); w > 0 {
			to ^= to / 128 % (w / 16) * 16
		}
		copy(out[to:], in[from:from+uint64(size)])
	}
	return out
}

func (c boxCase) coords() string {
	var names []string
	for _, x := range c.at[:c.m.Rank] {
		names = append(names, fmt.Sprint(x))
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// run copies a box from in, the last bytes of which are not written.
func (c boxCase) run(t *testing.T, in []byte) []byte {
	bytes := c.m.BoxBytes()
	b := bulkBench(t, setBars+fill(`
	@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], BYTES;
	@%p1 cp.async.bulk.tensor.RANKd.shared::cluster.global.tile.mbarrier::complete_tx::bytes [s], [%d1, COORDS], [bars];
	WAIT
	mov.u32 %r3, 0;
copy:
	mov.u32 %r4, s; add.u32 %r4, %r4, %r3; ld.shared.b32 %r5, [%r4];
	cvt.u64.u32 %d3, %r3; add.u64 %d3, %d3, %d2; st.global.b32 [%d3], %r5;
	add.u32 %r3, %r3, 4; setp.lt.u32 %p2, %r3, BYTES; @%p2 bra copy;
`, "BYTES", fmt.Sprint(bytes), "RANK", fmt.Sprint(c.m.Rank), "COORDS", c.coords(), "WAIT", waitFor("wait", "bars", "0")), 1, c.m, in, bytes)
	stats, err := b.m.Run(b.mem, b.l, Options{})
	require.NoError(t, err, "%+v", c)
	assert.Equal(t, [2]int64{1, int64(bytes)}, [2]int64{stats.Bulk, stats.BulkBytes})
	return b.read(t, bytes)
}

// Boxes of all ranks, types and swizzles, inside of tensors, across their edges and
// outside.
func TestBulkCopiesOfBoxes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	in := make([]byte, 1<<15)
	for i := range in {
		in[i] = byte(r.Uint32())
	}
	matrix := func(d tensor.DType, cols, rows, stride int, box [2]uint32, s tensormap.Swizzle) tensormap.Map {
		return tensormap.Map{Type: d, Rank: 2, Sizes: [5]uint64{uint64(cols), uint64(rows)}, Strides: [4]uint64{uint64(stride)},
			Box: [5]uint32{box[0], box[1]}, Swizzle: s}
	}
	for _, c := range []boxCase{
		{matrix(tensor.BF16, 64, 64, 128, [2]uint32{64, 64}, tensormap.Swizzle128), [5]int64{}},
		{matrix(tensor.BF16, 61, 50, 160, [2]uint32{64, 40}, tensormap.Swizzle128), [5]int64{}},
		{matrix(tensor.BF16, 200, 50, 400, [2]uint32{64, 16}, tensormap.Swizzle128), [5]int64{150, 41}},
		{matrix(tensor.BF16, 200, 50, 400, [2]uint32{64, 16}, tensormap.Swizzle128), [5]int64{-3, -5}},
		{matrix(tensor.BF16, 200, 50, 400, [2]uint32{32, 16}, tensormap.Swizzle64), [5]int64{7, 11}},
		{matrix(tensor.U8, 200, 50, 400, [2]uint32{32, 24}, tensormap.Swizzle32), [5]int64{7, 11}},
		{matrix(tensor.F32, 100, 50, 400, [2]uint32{100, 9}, tensormap.NoSwizzle), [5]int64{3, 48}},
		{matrix(tensor.F64, 30, 50, 256, [2]uint32{16, 9}, tensormap.Swizzle128), [5]int64{20, 7}},
		{matrix(tensor.F32, 100, 50, 400, [2]uint32{4, 9}, tensormap.NoSwizzle), [5]int64{100, 0}},
		{matrix(tensor.F32, 100, 50, 400, [2]uint32{4, 9}, tensormap.NoSwizzle), [5]int64{0, -9}},
		{matrix(tensor.F32, 100, 50, 400, [2]uint32{4, 9}, tensormap.NoSwizzle), [5]int64{1 << 30, -1 << 31}},
		{tensormap.Map{Type: tensor.I16, Rank: 1, Sizes: [5]uint64{900}, Box: [5]uint32{256}}, [5]int64{800}},
		{tensormap.Map{Type: tensor.BF16, Rank: 3, Sizes: [5]uint64{40, 30, 5}, Strides: [4]uint64{96, 3008}, Box: [5]uint32{64, 8, 3},
			Swizzle: tensormap.Swizzle128}, [5]int64{-2, 25, 1}},
		{tensormap.Map{Type: tensor.BF16, Rank: 5, Sizes: [5]uint64{16, 3, 4, 3, 2}, Strides: [4]uint64{512, 32, 2048, 6144}, Box: [5]uint32{16, 2, 3, 2, 2}},
			[5]int64{0, 1, 2, -1, 1}},
	} {
		require.NoError(t, c.m.Check())
		require.Equal(t, c.want(in), c.run(t, in), "%+v", c)
	}
}

// Copies happen at the wait, and of what lies outside of a tensor nothing is read.
func TestBulkCopiesHappenAtTheWait(t *testing.T) {
	m := tensormap.Map{Type: tensor.F32, Rank: 1, Sizes: [5]uint64{60}, Box: [5]uint32{64}}
	b := bulkBench(t, setBars+`
	mov.u64 %d3, `+fmt.Sprintf("%#x", inAddr)+`;
	st.global.b32 [%d3], 1;
	mbarrier.arrive.expect_tx.shared::cta.b64 %d5, [bars], 256;
	cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [s], [%d1, {0}], [bars], %d5;
	st.global.b32 [%d3], 2;
	mbarrier.test_wait.shared::cta.b64 %p2, [bars], %d5;
	st.global.b32 [%d3], 3;
	selp.u32 %r3, 1, 0, %p2;
wait:
	mbarrier.test_wait.acquire.cta.shared::cta.b64 %p2, [bars], %d5;
	@!%p2 bra wait;
	ld.shared.b32 %r4, [s]; ld.shared.b32 %r5, [s+240];
	st.global.b32 [%d2], %r3; st.global.b32 [%d2+4], %r4; st.global.b32 [%d2+8], %r5;
`, 1, m, iota8(240), 12)
	out := b.run(t, 12)
	assert.Equal(t, words(0, 3, 0), out)
}
