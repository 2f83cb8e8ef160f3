//go:build linux && (amd64 || arm64)

package driver

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

var tileMap = tensormap.Map{Type: tensor.BF16, Rank: 3, Sizes: [5]uint64{1000, 4096, 6}, Strides: [4]uint64{2048, 1 << 33},
	Box: [5]uint32{64, 128, 1}, Swizzle: tensormap.Swizzle128}

func TestEncodeTensorMapPassesTheMap(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cuTensorMapEncodeTiled"] = func(args []uintptr) int {
		assert.Zero(t, args[0]%64, "the map is aligned to 64 bytes")
		assert.Equal(t, []uintptr{9, 3, 0x7f0000000010}, args[1:4], "CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, rank, address")
		assert.Equal(t, [3]uint64{1000, 4096, 6}, get[[3]uint64](args[4]))
		assert.Equal(t, [2]uint64{2048, 1 << 33}, get[[2]uint64](args[5]))
		assert.Equal(t, [3]uint32{64, 128, 1}, get[[3]uint32](args[6]))
		assert.Equal(t, [3]uint32{1, 1, 1}, get[[3]uint32](args[7]), "strides of elements")
		assert.Equal(t, []uintptr{0, 3, 2, 0}, args[8:12], "no interleave, CU_TENSOR_MAP_SWIZZLE_128B, L2 128 B, zeros outside")
		for i := range 128 {
			at(args[0], 128)[i] = byte(i)
		}
		return 0
	}
	got := make([]byte, tensormap.Bytes)
	require.NoError(t, d.EncodeTensorMap(got, &tileMap, 0x7f0000000010))
	assert.Equal(t, "cuTensorMapEncodeTiled", lib.last().name)
	for i := range got {
		require.EqualValues(t, i, got[i])
	}

	lib.answers["cuTensorMapEncodeTiled"] = func([]uintptr) int { return InvalidValue }
	before := bytes.Clone(got)
	assert.ErrorIs(t, d.EncodeTensorMap(got, &tileMap, 8), &Error{Code: InvalidValue})
	assert.Equal(t, before, got, "a failure leaves the map as it was")
}

func TestEncodeTensorMapRefuses(t *testing.T) {
	d, lib := bound(t)
	wide := tileMap
	wide.Box[0] = 72
	before := len(lib.calls)
	assert.EqualError(t, d.EncodeTensorMap(make([]byte, 64), &tileMap, 16),
		"cuTensorMapEncodeTiled: invalid argument (CUDA_ERROR_INVALID_VALUE, 1): 64 bytes for a map, expected 128")
	assert.ErrorContains(t, d.EncodeTensorMap(make([]byte, 128), &wide, 16), "rows of 144 bytes with a swizzle of 128; expected just that")
	assert.Len(t, lib.calls, before)
}

// A driver before CUDA 12 does for all else.
func TestEncodeTensorMapOfOldDrivers(t *testing.T) {
	lib := record(t)
	lib.absent["cuTensorMapEncodeTiled"] = true
	d, err := bind(lib)
	require.NoError(t, err)
	err = d.EncodeTensorMap(make([]byte, 128), &tileMap, 16)
	require.ErrorIs(t, err, &Error{Code: NotSupported})
	assert.EqualError(t, err, "cuTensorMapEncodeTiled: operation not supported (CUDA_ERROR_NOT_SUPPORTED, 801): the driver is of a CUDA version before 12.0")
}
