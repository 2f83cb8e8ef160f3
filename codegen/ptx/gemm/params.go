package gemm

import (
	"strconv"

	"jitc/codegen/ptx/asm"
)

// params are the parameters of an entry, loaded. Strides are in bytes. Sizes.params
// packs them in the same order.
type params struct {
	a, b, part   asm.Reg     // B64, addresses
	count        asm.Reg     // B64, address of the counters; 0: a second launch adds parts
	aMN, aK      asm.Reg     // B64, strides
	bMN, bK      asm.Reg     // B64
	batchStride  [][]asm.Reg // B64, per axis: of A, of B
	extent       []asm.Reg   // B32, per batch axis
	m, n, k      asm.Reg     // B32
	tilesM       asm.Reg     // B32, tiles along m
	tilesN       asm.Reg     // B32
	batches      asm.Reg     // B32, product of the batch extents
	splits, per  asm.Reg     // B32, parts of k, and tiles of k in each
	vector       asm.Reg     // B32, Skinny: elements of k, or 1, that may be loaded as vectors
	partM, partN asm.Reg     // B32, strides of partial sums in elements
}

// declare declares and loads the parameters and returns their place in the block.
func declare(k *asm.Kernel, batch int) (p params, at int) {
	at = (k.ParamBytes() + 7) &^ 7
	word := func(name string) asm.Reg { return k.Param(asm.B64, "g_"+name) }
	half := func(name string) asm.Reg { return k.Param(asm.B32, "g_"+name) }
	p.a, p.b, p.part, p.count = word("a"), word("b"), word("part"), word("count")
	p.aMN, p.aK, p.bMN, p.bK = word("amn"), word("ak"), word("bmn"), word("bk")
	for i := range batch {
		n := strconv.Itoa(i)
		p.batchStride = append(p.batchStride, []asm.Reg{word("ab" + n), word("bb" + n)})
	}
	for i := range batch {
		p.extent = append(p.extent, half("e"+strconv.Itoa(i)))
	}
	p.m, p.n, p.k = half("m"), half("n"), half("k")
	p.tilesM, p.tilesN, p.batches = half("tm"), half("tn"), half("z")
	p.splits, p.per, p.vector = half("splits"), half("per"), half("vec")
	p.partM, p.partN = half("pm"), half("pn")
	return p, at
}

// launch is what params are packed from besides the sizes.
type launch struct {
	tilesM, tilesN, splits, per, vector int64
	partM, partN                        int64
	joined                              bool
}

// params packs the parameter block of a product of operands with elements of
// aBytes and bBytes bytes.
func (s Sizes) params(aBytes, bBytes int64, l launch) ([]byte, []Pointer) {
	var b block
	b.pointer(OperandA, s.A.Offset*aBytes)
	b.pointer(OperandB, s.B.Offset*bBytes)
	b.pointer(Scratch, 0)
	b.pointer(Counters, 0)
	b.word(s.A.MN * aBytes)
	b.word(s.A.K * aBytes)
	b.word(s.B.MN * bBytes)
	b.word(s.B.K * bBytes)
	for i := range s.Batch {
		b.word(s.A.Batch[i] * aBytes)
		b.word(s.B.Batch[i] * bBytes)
	}
	for _, e := range s.Batch {
		b.half(e)
	}
	for _, v := range []int64{s.M, s.N, s.K, l.tilesM, l.tilesN, s.batches(), l.splits, l.per, l.vector, l.partM, l.partN} {
		b.half(v)
	}
	switch { // pointers to what there is not stay null
	case l.splits <= 1:
		b.pointers = b.pointers[:2]
	case !l.joined:
		b.pointers = b.pointers[:3]
	}
	return b.bytes, b.pointers
}
