package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// Where the fields of an encoded map are. The checksum is of all that is behind it,
// so that bytes that are no map, or a map that was changed, are told from one.
const (
	mapMagic    = 0
	mapChecksum = 4
	mapAddress  = 8
	mapSizes    = 16
	mapStrides  = 56
	mapBox      = 88
	mapType     = 108
	mapRank     = 109
	mapSwizzle  = 110
)

const mapMagicValue = 0x50414D54 // "TMAP"

// EncodeTensorMap writes the map of the tensor at an address, a multiple of 16, to the
// tensormap.Bytes bytes of dst, as this package's copies read it. The format is its
// own. The tensor need not lie in a region of the memory: a copy is at fault where it
// reads outside.
func EncodeTensorMap(dst []byte, m *tensormap.Map, address uint64) error {
	if len(dst) != tensormap.Bytes {
		return fmt.Errorf("sim: tensor map: %d bytes for it; expected %d", len(dst), tensormap.Bytes)
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	if address == 0 || address%16 != 0 || address >= genericBase {
		return fmt.Errorf("sim: tensor map: a tensor at %#x; expected an address of global memory, a multiple of 16", address)
	}
	le := binary.LittleEndian
	clear(dst)
	le.PutUint32(dst[mapMagic:], mapMagicValue)
	le.PutUint64(dst[mapAddress:], address)
	for i, n := range m.Sizes {
		le.PutUint64(dst[mapSizes+8*i:], n)
	}
	for i, n := range m.Strides {
		le.PutUint64(dst[mapStrides+8*i:], n)
	}
	for i, n := range m.Box {
		le.PutUint32(dst[mapBox+4*i:], n)
	}
	dst[mapType], dst[mapRank], dst[mapSwizzle] = byte(m.Type), byte(m.Rank), byte(m.Swizzle)
	le.PutUint32(dst[mapChecksum:], crc32.ChecksumIEEE(dst[mapAddress:]))
	return nil
}

// decodeTensorMap reads what EncodeTensorMap wrote. It reports whether src is such a
// map.
func decodeTensorMap(src []byte) (m tensormap.Map, address uint64, ok bool) {
	le := binary.LittleEndian
	if le.Uint32(src[mapMagic:]) != mapMagicValue || le.Uint32(src[mapChecksum:]) != crc32.ChecksumIEEE(src[mapAddress:tensormap.Bytes]) {
		return m, 0, false
	}
	for i := range m.Sizes {
		m.Sizes[i] = le.Uint64(src[mapSizes+8*i:])
	}
	for i := range m.Strides {
		m.Strides[i] = le.Uint64(src[mapStrides+8*i:])
	}
	for i := range m.Box {
		m.Box[i] = le.Uint32(src[mapBox+4*i:])
	}
	m.Type, m.Rank, m.Swizzle = tensor.DType(src[mapType]), int(src[mapRank]), tensormap.Swizzle(src[mapSwizzle])
	return m, le.Uint64(src[mapAddress:]), m.Check() == nil
}

// tensorMap reads the map at a generic address: of a parameter, of a constant or of
// global memory.
func (w *warp) tensorMap(lane int, addr uint64, cache int) (m tensormap.Map, tensor uint64, ok bool) {
	src := w.mapBytes(lane, addr, cache)
	if src == nil {
		return m, 0, false
	}
	if m, tensor, ok = decodeTensorMap(src); !ok {
		w.fail(BadTensorMap, lane, "the %d bytes at %#x are no encoded map", tensormap.Bytes, addr)
	}
	return m, tensor, ok
}

// mapBytes are the bytes of a map; nil after a fault.
func (w *warp) mapBytes(lane int, addr uint64, cache int) []byte {
	offset := addr & windowOffset
	var data, written []byte
	switch spaceOf(addr) {
	case param:
		data = w.b.launch.Params
	case constant:
		data = w.b.m.consts
	case global:
		if r := w.region(addr, cache); r != nil {
			data, written, offset = r.data, r.written, addr-r.addr
		}
	}
	switch n := uint64(len(data)); {
	case offset > n || tensormap.Bytes > n-offset:
		w.fail(OutOfBounds, lane, "a tensor map at %#x, where there is no parameter, constant or global memory of %d bytes", addr, tensormap.Bytes)
		return nil
	case addr%tensormap.Align != 0:
		w.fail(Misaligned, lane, "a tensor map at %#x; expected a multiple of %d", addr, tensormap.Align)
		return nil
	case written != nil && !isWritten(written[offset:offset+tensormap.Bytes]):
		w.fail(UnwrittenGlobal, lane, "a tensor map at %#x", addr)
		return nil
	}
	return data[offset : offset+tensormap.Bytes]
}

// prefetchesMap is prefetch{.param}.tensormap [map], which a map has to be at.
func prefetchesMap(d *decoder, s space) exec {
	d.needsGroupVersion()
	d.needs(90, "prefetch.tensormap")
	at, cache := d.addr(s), d.caches
	d.caches++
	return func(w *warp) {
		for m := w.mask; m != 0 && w.b.fault == nil; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			addr := at.of(w.regs[at.slot][lane])
			if s != generic {
				addr += windows[s]
			}
			w.tensorMap(lane, addr, cache)
		}
	}
}
