package fake

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/executors/cuda/driver"
	"jitc/ir/tensor"
)

// fetches is fetch(map, q): q[0] and q[1] are the last two numbers of a box of 16 that
// begins at number 17 of a tensor.
const fetches = `.version 8.0
.target sm_90
.address_size 64
.visible .entry fetch(.param .align 64 .b8 map[128], .param .u64 q)
{
	.reg .b64 %rd<3>;
	.reg .b32 %r<3>;
	.reg .pred %p<2>;
	.shared .align 128 .b8 box[64];
	.shared .align 8 .b64 full;
	mov.b64 %rd0, map;
	cvta.param.u64 %rd1, %rd0;
	ld.param.u64 %rd2, [q];
	mbarrier.init.shared::cta.b64 [full], 1;
	fence.mbarrier_init.release.cluster;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 64;
	cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [box], [%rd1, {17}], [full];
wait:
	mbarrier.try_wait.parity.shared::cta.b64 %p0, [full], 0;
	@!%p0 bra wait;
	ld.shared.u32 %r0, [box+56];
	ld.shared.u32 %r1, [box+60];
	st.global.u32 [%rd2], %r0;
	st.global.u32 [%rd2+4], %r1;
	ret;
}
`

var numbers = tensormap.Map{Type: tensor.U32, Rank: 1, Sizes: [5]uint64{32}, Box: [5]uint32{16}}

func TestTensorMaps(t *testing.T) {
	g := newGPU(t, Config{Major: 9})
	m, _, err := g.LoadModule([]byte(fetches))
	require.NoError(t, err)
	f, err := g.Function(m, "fetch")
	require.NoError(t, err)
	p, q := g.ones(), g.ones()
	c := config([]driver.Ptr{q})
	encoded := make([]byte, tensormap.Bytes)
	require.NoError(t, g.EncodeTensorMap(encoded, &numbers, p))
	c.Params, c.Offsets = append(encoded, c.Params...), []int{0, tensormap.Bytes}
	c.Block[0] = 1
	require.NoError(t, g.Launch(f, c, g.stream))
	assert.EqualValues(t, 1, g.first(q), "number 31 is in the tensor")
	assert.EqualValues(t, 0, g.first(q+4), "number 32 is not")

	c.Params[9]++
	require.NoError(t, g.Launch(f, c, g.stream))
	requireCode(t, driver.LaunchFailed, g.SyncStream(g.stream))
}

func TestTensorMapsThatAreRefused(t *testing.T) {
	g := newGPU(t, Config{Major: 9})
	encoded := make([]byte, tensormap.Bytes)
	wide := numbers
	wide.Box[0] = 300
	for want, call := range map[string]func() error{
		"a box of 300 elements": func() error { return g.EncodeTensorMap(encoded, &wide, 256) },
		"a multiple of 16":      func() error { return g.EncodeTensorMap(encoded, &numbers, 264) },
		"64 bytes":              func() error { return g.EncodeTensorMap(encoded[:64], &numbers, 256) },
	} {
		e := requireCode(t, driver.InvalidValue, call())
		assert.Contains(t, e.Detail, want)
		assert.Equal(t, "cuTensorMapEncodeTiled", e.Call)
	}
	g.FailNext("EncodeTensorMap", 1, driver.OutOfMemory)
	requireCode(t, driver.OutOfMemory, g.EncodeTensorMap(encoded, &numbers, 256))
	assert.Equal(t, 4, g.Count("EncodeTensorMap"))
	for _, old := range []Config{{Major: 9, Version: 11080}, {Major: 8, Minor: 9}} {
		requireCode(t, driver.NotSupported, newGPU(t, old).EncodeTensorMap(encoded, &numbers, 256))
	}
}
