package gemm

import (
	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// Map is a tensor map of a parameter block: the tensormap.Bytes bytes at At become
// that of the operand, which begins Offset bytes into its buffer.
type Map struct {
	At     int
	What   What
	Offset int64
	Tensor tensormap.Map
}

// maxBulkBatch is the number of batch axes that a tensor map has room for.
const maxBulkBatch = tensormap.MaxRank - 2

// bulkAlign is what addresses and strides of tensor maps are multiples of, in bytes.
const bulkAlign = 16

// maps are those of both operands, for Bulk. ok is false where an operand has none:
// Tensor.Check, or its address, or a stride.
func (pl *plan) maps() (maps []Map, ok bool) {
	for i, x := range []struct {
		o     Operand
		rows  int64
		tile  int
		dtype tensor.DType
		major Major
	}{
		{pl.s.A, pl.s.M, pl.c.BM, pl.p.A, pl.p.AContract},
		{pl.s.B, pl.s.N, pl.c.BN, pl.p.B, pl.p.BContract},
	} {
		size := int64(x.dtype.Size())
		m, ok := pl.s.mapOf(&x.o, x.rows, pl.c.layoutOf(x.tile, x.dtype, x.major), x.dtype)
		if !ok || m.Check() != nil || x.o.Align <= 0 || x.o.Align%bulkAlign != 0 || x.o.Offset*size%bulkAlign != 0 {
			return nil, false
		}
		maps = append(maps, Map{i * tensormap.Bytes, OperandA + What(i), x.o.Offset * size, m})
	}
	return maps, true
}

// mapOf describes an operand of that many rows for copies of tiles:
//
//	by k    axes k, rows, batch from the last axis on     a box of 64 of k, all rows of the tile
//	by mn   axes rows, k, batch                           a box of 64 rows, 64 of k
//
// A batch axis without a stride has one index: the copies ask for no other.
func (s *Sizes) mapOf(o *Operand, rows int64, l layout, d tensor.DType) (m tensormap.Map, ok bool) {
	m = tensormap.Map{Type: d, Swizzle: tensormap.Swizzle128}
	axes := []boxAxis{{s.K, o.K, l.bk}, {rows, o.MN, l.rows}}
	if !l.byK {
		axes = []boxAxis{{rows, o.MN, rowBytes / l.size}, {s.K, o.K, l.bk}}
	}
	if axes[0].extent > 1 && axes[0].stride != 1 || axes[1].extent > 1 && axes[1].stride <= 0 {
		return m, false
	}
	for i := len(s.Batch) - 1; i >= 0; i-- {
		a := boxAxis{s.Batch[i], o.Batch[i], 1}
		if a.stride == 0 {
			a.extent = min(a.extent, 1)
		}
		axes = append(axes, a)
	}
	m.Rank = len(axes)
	last := (axes[0].extent*int64(l.size) + bulkAlign - 1) &^ (bulkAlign - 1)
	for i, a := range axes {
		m.Sizes[i], m.Box[i] = uint64(a.extent), uint32(a.box)
		if i == 0 {
			continue
		}
		if a.extent > 1 {
			last = a.stride * int64(l.size)
		}
		m.Strides[i-1] = uint64(last) // that of one index is anything valid
	}
	return m, true
}

// boxAxis is an axis of an operand: elements, stride in elements, and of a box.
type boxAxis struct {
	extent, stride int64
	box            int
}
