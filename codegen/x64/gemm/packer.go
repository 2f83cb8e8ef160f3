package gemm

import (
	"unsafe"

	"jitc/ir/tensor"
)

// panelPacker packs panels of one width: element (k, i), i < width, of the
// source, along*k + across*i elements from its start, goes to dst[k*row + i].
// Elements width <= i < row become zero if the panel is padded.
type panelPacker struct {
	dt, src       tensor.DType
	along, across int64 // strides of the source, in elements
	width, row    int

	// At most one way is set; with none, elements are copied one by one.
	lines     Caller // copyPack: lines are contiguous across the panel
	block     Caller // transposePack of lanes lines
	lastBlock Caller // transposePack of the remaining lines; nil if there are none
	lanes     int
	wholeOnly bool // block cannot read a ragged end of a line
	mask      laneMask
	isa       ISA
}

// packer returns a packer of panels width wide, rows of dst row elements apart.
func (k *Kernels) packer(src tensor.DType, along, across int64, width, row int) (*panelPacker, error) {
	p := &panelPacker{dt: k.dt, src: src, along: along, across: across, width: width, row: row, lanes: k.lanes(), isa: k.target.ISA}
	half := src.Size() < k.dt.Size() && k.target.ISA == AVX2 // no masked loads of 16-bit elements
	last := (width-1)%p.lanes + 1
	var err error
	switch {
	case across == 1 && !(half && last < p.lanes):
		p.mask.set(k.target.ISA, k.dt, last)
		p.lines, err = k.get(kernelKey{kind: copyPack, src: src, x: (width + p.lanes - 1) / p.lanes})
	case along == 1:
		p.wholeOnly = half
		if width >= p.lanes {
			if p.block, err = k.get(kernelKey{kind: transposePack, src: src, x: p.lanes}); err != nil {
				return nil, err
			}
		}
		if rest := width % p.lanes; rest > 0 {
			p.lastBlock, err = k.get(kernelKey{kind: transposePack, src: src, x: rest})
		}
	}
	return p, err
}

// pack packs k rows of the panel that starts at src to dst, and prefetches what
// lies ahead elements further; args is working storage.
func (p *panelPacker) pack(args *packArgs, src, dst unsafe.Pointer, k int, ahead int64) {
	switch {
	case p.lines != nil:
		*args = packArgs{k: int64(k), src: uintptr(src), ld: p.along * int64(p.src.Size()),
			dst: uintptr(dst), dstK: int64(p.row * p.dt.Size()), ahead: ahead * int64(p.src.Size()), mask: p.mask}
		p.lines.Call(unsafe.Pointer(args))
	case p.block != nil || p.lastBlock != nil:
		p.transpose(args, src, dst, k, ahead)
	default:
		p.each(src, dst, 0, k)
	}
}

// transpose packs blocks of lines, the last first: a block's stores run over
// into the start of the next row of dst, which an earlier block then overwrites.
func (p *panelPacker) transpose(args *packArgs, src, dst unsafe.Pointer, k int, ahead int64) {
	whole, rest := k/p.lanes, k%p.lanes
	if p.wholeOnly {
		rest = 0
	}
	for i := (p.width - 1) / p.lanes * p.lanes; i >= 0 && whole+rest > 0; i -= p.lanes {
		*args = packArgs{k: int64(k), src: uintptr(src) + uintptr(int64(i)*p.across*int64(p.src.Size())), ld: p.across * int64(p.src.Size()),
			dst: uintptr(dst) + uintptr(i*p.dt.Size()), dstK: int64(p.row * p.dt.Size()), whole: int64(whole), rest: int64(rest), ahead: ahead * int64(p.src.Size())}
		args.mask.set(p.isa, p.dt, rest)
		if p.width-i < p.lanes {
			p.lastBlock.Call(unsafe.Pointer(args))
		} else {
			p.block.Call(unsafe.Pointer(args))
		}
	}
	if p.wholeOnly {
		p.each(src, dst, whole*p.lanes, k)
	}
}

// each packs rows k0 <= k < k1 element by element.
func (p *panelPacker) each(src, dst unsafe.Pointer, k0, k1 int) {
	switch {
	case p.src == tensor.F16:
		packEach(p, src, dst, k0, k1, tensor.F16ToF32)
	case p.src == tensor.BF16:
		packEach(p, src, dst, k0, k1, tensor.BF16ToF32)
	case p.dt == tensor.F64:
		packSame[float64](p, src, dst, k0, k1)
	default:
		packSame[float32](p, src, dst, k0, k1)
	}
}

func packEach(p *panelPacker, src, dst unsafe.Pointer, k0, k1 int, value func(uint16) float32) {
	for k := k0; k < k1; k++ {
		row := unsafe.Slice((*float32)(unsafe.Add(dst, k*p.row*4)), p.row)
		for i := range row[:p.width] {
			row[i] = value(*(*uint16)(unsafe.Add(src, (int64(k)*p.along+int64(i)*p.across)*2)))
		}
		clear(row[p.width:])
	}
}

func packSame[T float32 | float64](p *panelPacker, src, dst unsafe.Pointer, k0, k1 int) {
	size := int64(unsafe.Sizeof(T(0)))
	for k := k0; k < k1; k++ {
		row := unsafe.Slice((*T)(unsafe.Add(dst, int64(k*p.row)*size)), p.row)
		from := unsafe.Add(src, int64(k)*p.along*size)
		for i := range row[:p.width] {
			row[i] = *(*T)(unsafe.Add(from, int64(i)*p.across*size))
		}
		clear(row[p.width:])
	}
}
