package tensormap

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func tiles() Map {
	return Map{Type: tensor.BF16, Rank: 2, Sizes: [5]uint64{1024, 4096}, Strides: [4]uint64{2048},
		Box: [5]uint32{64, 128}, Swizzle: Swizzle128}
}

func TestCheck(t *testing.T) {
	good := tiles()
	require.NoError(t, good.Check())
	for _, c := range []struct {
		change func(*Map)
		want   string
	}{
		{func(m *Map) { m.Type = tensor.Invalid }, "tensor map: elements of invalid; expected a type that the driver knows"},
		{func(m *Map) { m.Rank = 0 }, "tensor map: 0 axes; expected 1 to 5"},
		{func(m *Map) { m.Rank = 6 }, "tensor map: 6 axes; expected 1 to 5"},
		{func(m *Map) { m.Sizes[1] = 0 }, "tensor map: axis 1 has 0 elements; expected 1 to 4294967296"},
		{func(m *Map) { m.Sizes[0] = 1<<32 + 1 }, "tensor map: axis 0 has 4294967297 elements; expected 1 to 4294967296"},
		{func(m *Map) { m.Box[1] = 257 }, "tensor map: a box of 257 elements along axis 1; expected 1 to 256"},
		{func(m *Map) { m.Strides[0] = 2040 }, "tensor map: a stride of 2040 bytes along axis 1; expected a multiple of 16 below 1099511627776"},
		{func(m *Map) { m.Strides[0] = 1 << 40 }, "tensor map: a stride of 1099511627776 bytes along axis 1; expected a multiple of 16 below 1099511627776"},
		{func(m *Map) { m.Box[0] = 72 }, "tensor map: rows of 144 bytes with a swizzle of 128; expected just that"},
		{func(m *Map) { m.Box[0], m.Swizzle = 4, NoSwizzle }, "tensor map: rows of 8 bytes; expected a multiple of 16"},
		{func(m *Map) { m.Swizzle = 48 }, "tensor map: a swizzle of 48 bytes; expected 0, 32, 64 or 128"},
	} {
		m := tiles()
		c.change(&m)
		assert.EqualError(t, m.Check(), c.want)
	}
}

func TestBoxBytes(t *testing.T) {
	m := tiles()
	assert.Equal(t, 64*128*2, m.BoxBytes())
	m = Map{Type: tensor.F32, Rank: 1, Sizes: [5]uint64{100}, Box: [5]uint32{32}}
	require.NoError(t, m.Check())
	assert.Equal(t, 128, m.BoxBytes())
}

// Every type that has a size is one that the driver can be told of.
func TestCodes(t *testing.T) {
	known := 0
	for d := tensor.Bool; d.Size() > 0; d++ {
		m := tiles()
		m.Type, m.Swizzle, m.Box[0] = d, NoSwizzle, 16
		require.NoError(t, m.Check(), "%s", d)
		known++
	}
	assert.Equal(t, known, len(typeCodes))
	m := tiles()
	assert.Equal(t, []int{9, 3}, []int{m.TypeCode(), m.Swizzle.Code()})
}
