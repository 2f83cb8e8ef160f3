package sim

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// TestBulkStoresOfBoxes loads boxes from the input, and stores them back elsewhere in
// it: what lies in the tensor is then what it was, and nothing else has changed.
func TestBulkStoresOfBoxes(t *testing.T) {
	square := tensormap.Map{Type: tensor.BF16, Rank: 2, Sizes: [5]uint64{70, 40}, Strides: [4]uint64{160}, Box: [5]uint32{64, 16}, Swizzle: tensormap.Swizzle128}
	flat := square
	flat.Swizzle, flat.Box = tensormap.NoSwizzle, [5]uint32{24, 16}
	cube := tensormap.Map{Type: tensor.F32, Rank: 3, Sizes: [5]uint64{10, 9, 4}, Strides: [4]uint64{48, 1600}, Box: [5]uint32{8, 4, 2}, Swizzle: tensormap.Swizzle32}
	for _, c := range []struct {
		m        tensormap.Map
		from, to [5]int64
	}{
		{square, [5]int64{}, [5]int64{3, 20}},
		{square, [5]int64{}, [5]int64{30, 30}},
		{square, [5]int64{}, [5]int64{-5, -7}},
		{flat, [5]int64{2, 2}, [5]int64{40, 30}},
		{cube, [5]int64{1, 2, 1}, [5]int64{5, 6, 3}},
		{cube, [5]int64{1, 2, 1}, [5]int64{-1, -2, -1}},
	} {
		in := make([]byte, 8192)
		for i := range in {
			in[i] = byte(i*7 ^ i>>5)
		}
		b := bulkBench(t, setBars+fill(`
	@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], BYTES;
	@%p1 cp.async.bulk.tensor.RANKd.shared::cluster.global.tile.mbarrier::complete_tx::bytes [s], [%d1, FROM], [bars];
	WAIT
	@%p1 cp.async.bulk.tensor.RANKd.global.shared::cta.tile.bulk_group [%d1, TO], [s];
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group.read 0;
`, "BYTES", fmt.Sprint(c.m.BoxBytes()), "RANK", fmt.Sprint(c.m.Rank), "FROM", boxCase{c.m, c.from}.coords(), "TO", boxCase{c.m, c.to}.coords(),
			"WAIT", waitFor("wait", "bars", "0")), 32, c.m, in, 4)
		want := bytes.Clone(in)
		size := c.m.Type.Size()
		at := func(origin [5]int64, n int) (offset int, inside bool) {
			offset, inside = 0, true
			for axis := range c.m.Rank {
				i := origin[axis] + int64(n%int(c.m.Box[axis]))
				n /= int(c.m.Box[axis])
				inside = inside && i >= 0 && i < int64(c.m.Sizes[axis])
				offset += int(i) * append([]int{size}, int(c.m.Strides[0]), int(c.m.Strides[1]))[axis]
			}
			return offset, inside
		}
		for n := range c.m.BoxBytes() / size {
			from, there := at(c.from, n)
			require.True(t, there)
			if to, inside := at(c.to, n); inside {
				copy(want[to:], in[from:from+size])
			}
		}
		_, err := b.m.Run(b.mem, b.l, Options{GlobalRaces: true})
		require.NoError(t, err)
		got := make([]byte, len(in))
		require.NoError(t, b.mem.Read(inAddr, got))
		require.Equal(t, want, got, "%+v", c)
	}
}

// A store is not there before its wait, not even where it has read its source.
func TestBulkStoresHappenAtTheWait(t *testing.T) {
	b := bulkFaultBench(t, `FILL PROXY bar.sync 0; @%p1 STORE mov.u64 %d3, 0x7f0000000000; READ ld.global.b32 %r6, [%d3]; bar.sync 0;
	ALL bar.sync 0; ld.global.b32 %r7, [%d3]; st.global.b32 [%d2], %r6; st.global.b32 [%d2+4], %r7;`, rowOfFloats)
	stats, err := b.m.Run(b.mem, b.l, Options{})
	require.NoError(t, err)
	assert.Equal(t, words(0x03020100, 7), b.read(t, 8))
	assert.Equal(t, [2]int64{1, 128}, [2]int64{stats.Bulk, stats.BulkBytes})
}
