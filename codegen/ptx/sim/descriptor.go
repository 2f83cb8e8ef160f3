package sim

// matrixDescriptor is where a matrix of a wgmma lies in shared memory (PTX
// specification, "Asynchronous warpgroup level matrix": matrix descriptor, canonical
// layouts). Bits, addresses and strides being in units of 16 bytes:
//
//	0-13 start   16-29 leading stride   32-45 other stride   49-51 base offset   62-63 swizzle
//
// A matrix has chunks of 16 bytes, 8 elements. In a row of W bytes, the span of the
// swizzle, the chunk of
//
//	by k    row r, chunk c of k     is at  r%8*W  + r/8*other     + c*16
//	by mn   row k, chunk c of mn    is at  k%8*W  + k/8*other     + c%(W/16)*16 + c/(W/16)*leading
//
// and without a swizzle, where 8 rows of one chunk lie together:
//
//	by k    row r, chunk c of k     is at  r%8*16 + r/8*other     + c*leading
//	by mn   row k, chunk c of mn    is at  k%8*16 + k/8*leading   + c*other
//
// The swizzle then exchanges chunks: in a row of W bytes, log2(W/16) bits of the
// address from bit 4 on are xored with those from bit 7 on, less the base offset.
type matrixDescriptor struct {
	start, leading, other uint32 // bytes
	base                  uint32 // rows of 128 bytes, before the swizzle's pattern begins anew
	width                 uint32 // W; 16 without a swizzle
}

// The swizzles, by their code.
var swizzleWidths = [4]uint32{16, 128, 64, 32}

// reservedBits are 0 in a descriptor.
const reservedBits = 3<<14 | 3<<30 | 7<<46 | 0x3FF<<52

// unpackDescriptor reads the fields. It reports whether the bits in between are 0,
// as they must be.
func unpackDescriptor(x uint64) (matrixDescriptor, bool) {
	field := func(at int) uint32 { return uint32(x>>at&0x3FFF) << 4 }
	d := matrixDescriptor{start: field(0), leading: field(16), other: field(32),
		base: uint32(x >> 49 & 7), width: swizzleWidths[x>>62]}
	return d, x&reservedBits == 0 && (d.width > 16 || d.base == 0)
}

// chunk is the address of a chunk: of a row, and along it. The rows are those of
// memory, so of k where the matrix lies by mn.
func (d *matrixDescriptor) chunk(row, chunk uint32, byMN bool) uint32 {
	at := d.start + row%8*d.width
	switch n := d.width / 16; {
	case n > 1 && byMN:
		at += row/8*d.other + chunk%n*16 + chunk/n*d.leading
	case n > 1:
		at += row/8*d.other + chunk*16
	case byMN:
		at += row/8*d.leading + chunk*d.other
	default:
		at += row/8*d.other + chunk*d.leading
	}
	return at ^ (at>>7-d.base)&(d.width/16-1)<<4
}

// groupDepth is k of a wgmma of elements of 16 bits.
const groupDepth = 16

// tile is a matrix of so many rows (columns of b) by groupDepth.
type tile struct {
	matrixDescriptor
	rows uint32
	byMN bool
}

// each visits the address of each chunk, with what it holds: elements of a row from
// k on, or by mn those of one k from a row on. It stops where visit is false.
func (t *tile) each(visit func(addr, row, k uint32) bool) bool {
	if t.byMN {
		for k := range uint32(groupDepth) {
			for row := uint32(0); row < t.rows; row += 8 {
				if !visit(t.chunk(k, row/8, true), row, k) {
					return false
				}
			}
		}
		return true
	}
	for row := range t.rows {
		for k := uint32(0); k < groupDepth; k += 8 {
			if !visit(t.chunk(row, k/8, false), row, k) {
				return false
			}
		}
	}
	return true
}
