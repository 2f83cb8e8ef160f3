package codegen

import (
	"unsafe"

	"jitc/ir/tensor"
)

// lanesAddr addresses the elements of a lane block: element l is at
// off + stride*l + index[l], for lanes lo <= l < hi where pred[l] holds. index
// and pred may be nil.
type lanesAddr struct {
	off, stride int64
	lo, hi      int
	index       []int64
	pred        []bool
}

func (a *lanesAddr) at(l int) int {
	p := a.off + a.stride*int64(l)
	if a.index != nil {
		p += a.index[l]
	}
	return int(p)
}

func (a *lanesAddr) dead(l int) bool { return a.pred != nil && !a.pred[l] }

// memoryRow moves n lanes between a lane block and a buffer, which starts at a
// multiple of its element size.
type memoryRow struct {
	load  func(dst []uint64, n int, buf []byte, a *lanesAddr)
	store func(src []uint64, n int, buf []byte, a *lanesAddr)
}

var memoryTable = map[tensor.DType]memoryRow{
	tensor.F32:  {loadSame[float32], storeSame[float32]},
	tensor.F64:  {loadSame[float64], storeSame[float64]},
	tensor.I32:  {loadSame[int32], storeSame[int32]},
	tensor.I64:  {loadSame[int64], storeSame[int64]},
	tensor.U32:  {loadSame[uint32], storeSame[uint32]},
	tensor.U64:  {loadSame[uint64], storeSame[uint64]},
	tensor.Bool: {loadWith(func(x uint8) bool { return x != 0 }), storeWith(boolByte)},

	tensor.I8:  {loadWith(func(x int8) int32 { return int32(x) }), storeWith(func(x int32) int8 { return int8(x) })},
	tensor.I16: {loadWith(func(x int16) int32 { return int32(x) }), storeWith(func(x int32) int16 { return int16(x) })},
	tensor.U8:  {loadWith(func(x uint8) int32 { return int32(x) }), storeWith(func(x int32) uint8 { return uint8(x) })},
	tensor.U16: {loadWith(func(x uint16) int32 { return int32(x) }), storeWith(func(x int32) uint16 { return uint16(x) })},

	tensor.F16:    {loadWith(tensor.F16ToF32), storeWith(tensor.F32ToF16)},
	tensor.BF16:   {loadWith(tensor.BF16ToF32), storeWith(tensor.F32ToBF16)},
	tensor.F8E4M3: {loadWith(tensor.F8E4M3ToF32), storeWith(tensor.F32ToF8E4M3)},
	tensor.F8E5M2: {loadWith(tensor.F8E5M2ToF32), storeWith(tensor.F32ToF8E5M2)},
}

// elementsOf views a buffer as elements; a slice of it is checked by Go.
func elementsOf[M any](buf []byte) []M {
	var zero M
	return unsafe.Slice((*M)(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf))/unsafe.Sizeof(zero))
}

func loadSame[T laneType](dst []uint64, n int, buf []byte, a *lanesAddr) {
	d, m := lanesOf[T](dst)[:n], elementsOf[T](buf)
	if a.index == nil && a.pred == nil && a.lo == 0 && a.hi == n {
		switch {
		case a.stride == 1:
			copy(d, m[a.off:a.off+int64(n)])
			return
		case a.stride == 0 && n > 0:
			x := m[a.off]
			for l := range d {
				d[l] = x
			}
			return
		}
	}
	loadLanes(d, m, a, func(x T) T { return x })
}

func loadWith[M any, T laneType](widen func(M) T) func([]uint64, int, []byte, *lanesAddr) {
	return func(dst []uint64, n int, buf []byte, a *lanesAddr) {
		loadLanes(lanesOf[T](dst)[:n], elementsOf[M](buf), a, widen)
	}
}

func loadLanes[M any, T laneType](d []T, m []M, a *lanesAddr, widen func(M) T) {
	clear(d[:a.lo])
	clear(d[a.hi:])
	for l := a.lo; l < a.hi; l++ {
		if a.dead(l) {
			var zero T
			d[l] = zero
			continue
		}
		d[l] = widen(m[a.at(l)])
	}
}

func storeSame[T laneType](src []uint64, n int, buf []byte, a *lanesAddr) {
	s, m := lanesOf[T](src)[:n], elementsOf[T](buf)
	if a.index == nil && a.pred == nil && a.stride == 1 && a.lo < a.hi {
		lo, hi := a.off+int64(a.lo), a.off+int64(a.hi)
		copy(m[lo:hi], s[a.lo:a.hi])
		return
	}
	storeLanes(s, m, a, func(x T) T { return x })
}

func storeWith[T laneType, M any](narrow func(T) M) func([]uint64, int, []byte, *lanesAddr) {
	return func(src []uint64, n int, buf []byte, a *lanesAddr) {
		storeLanes(lanesOf[T](src)[:n], elementsOf[M](buf), a, narrow)
	}
}

func storeLanes[T laneType, M any](s []T, m []M, a *lanesAddr, narrow func(T) M) {
	for l := a.lo; l < a.hi; l++ {
		if !a.dead(l) {
			m[a.at(l)] = narrow(s[l])
		}
	}
}
