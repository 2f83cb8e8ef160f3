package gemm

// source says where micro-kernels read an operand.
type source uint8

const (
	inPlace     source = iota
	packedOwn          // each chunk packs the panels it uses
	packedFirst        // a first phase packs all panels, for all workers
	packedGiven        // the caller brings the panels: Plan.PackB
)

// blocking is how the blocked strategy cuts a problem. A is cut into panels of
// nearly equal height, B into panels of nr columns, k into blocks of kc, the
// result into tiles:
//
//	         n0        n1                   tileCols = some panels of B
//	        +---------+---------+--
//	panels  | tile    |         |           tile rows = tilePanels panels of A
//	of A    |  nr| nr |         |
//	        +---------+---------+--
//
// Sizes depend on the problem and the target; the blocks of k, which decide the
// order of additions, on K, N, the element type and the target.
type blocking struct {
	lanes, nv int
	nr        int64 // columns of a panel of B: nv vectors
	panels    int64 // of A; the first tall ones have height+1 rows, the others height
	tall      int64
	height    int64
	kc        int64
	kBlocks   int64

	tilePanels, mTiles int64 // panels of A per tile, and tiles
	tileCols, nTiles   int64
	slabPanels         int64 // panels of A packed at a time if packedFirst; a multiple of tilePanels

	a, b      source
	aResident bool  // a tile's rows of A stay in L2 for all k: finish one panel of B after the other
	aPanel    int64 // bytes from panel to panel of packed A
	bPanel    int64 // bytes of one block of k of a packed panel of B
}

// geometry is the register blocking for up to mr rows.
type geometry struct{ mr, nv int }

// geometries, by instruction set, the general one last: wider where rows are
// few, so that enough independent sums are in flight.
var geometries = map[ISA][]geometry{
	AVX512: {{4, 6}, {6, 4}, {8, 3}, {maxRows, 2}},
	AVX2:   {{6, 2}},
}

// Work sizes. Flops are floating-point operations.
const (
	callFlops     = 8 << 20  // of one call, which cannot be interrupted: about 150 us at 50 GFLOP/s
	chunkMinFlops = 1 << 20  // of a chunk, far above the cost of claiming it
	chunkMaxFlops = 64 << 20 // of a chunk, for balance
	coreChunks    = 6        // chunks wanted per core, for balance
	smallFlops    = 8 << 20  // of a batch whose chunks pack for themselves
	slabBytes     = 64 << 20 // of an operand packed at a time
	inPlaceDepth  = 4096     // block of k where nothing is packed
)

// newBlocking chooses the blocking of p.
func newBlocking(k *Kernels, p *Problem) blocking {
	b := blocking{lanes: k.lanes()}
	b.splitRows(k, p)
	b.sources(k, p)
	b.splitDepth(k, p)
	b.splitTiles(k, p)
	b.share(k, p)
	return b
}

// splitRows chooses the register blocking and cuts the rows into panels of nearly equal height.
func (b *blocking) splitRows(k *Kernels, p *Problem) {
	gs := geometries[k.target.ISA]
	g := gs[len(gs)-1] // packed panels of B have this width, whatever M is
	for i := len(gs) - 1; i >= 0 && !p.PackedB; i-- {
		if p.M <= int64(gs[i].mr) {
			g = gs[i]
		}
	}
	b.nv = max(1, min(g.nv, int(ceilDiv(p.N, int64(b.lanes)))))
	b.nr = int64(b.nv * b.lanes)
	b.panels = max(1, ceilDiv(p.M, int64(g.mr)))
	b.height, b.tall = p.M/b.panels, p.M%b.panels
}

// sources decides which operands are packed. Packing pays where a panel is used
// often, and is needed where lanes would not be contiguous.
func (b *blocking) sources(k *Kernels, p *Problem) {
	b.b = packedOwn
	switch {
	case p.PackedB:
		b.b = packedGiven
	case p.B.DType == k.dt && p.B.Col == 1 && b.panels <= 2:
		b.b = inPlace
	}
	flops := 2 * p.M * p.N * p.K
	small := flops <= smallFlops && (p.batches() > 1 || flops <= 2*chunkMinFlops)
	// Rows a multiple of 4 KiB apart fall into one set of L1.
	conflict := p.A.Row*int64(k.dt.Size())%4096 == 0 && p.A.Row != 0
	direct := p.A.DType == k.dt && (p.A.Col == 1 && !conflict || p.A.Row == 1)
	switch {
	case direct && (b.panels == 1 || p.N <= 2*b.nr || small && p.N <= 4*b.nr):
		b.a = inPlace
	case b.panels == 1 || small:
		b.a = packedOwn
	default:
		b.a = packedFirst
	}
}

// splitDepth cuts k into blocks of nearly equal size such that a panel of B fits in two thirds of L1.
func (b *blocking) splitDepth(k *Kernels, p *Problem) {
	size := int64(k.dt.Size())
	most := max(64, int64(k.target.L1)*2/3/(b.nr*size)/unroll*unroll)
	if b.b == inPlace && b.a == inPlace && b.panels == 1 {
		most = inPlaceDepth
	}
	b.kBlocks = ceilDiv(p.K, most)
	b.kc = ceilDiv(ceilDiv(p.K, b.kBlocks), unroll) * unroll
	b.kBlocks = ceilDiv(p.K, b.kc)
	b.aPanel = int64(alignUp(int((b.height+1)*b.kc*size)+packSlack, scratchAlign))
	b.bPanel = int64(alignUp(int(b.nr*b.kc*size)+packSlack, scratchAlign))
}

// splitTiles cuts the result: rows so that a block of A fits in half of L2,
// columns so that chunks are of good size and a tile fits in a quarter of L2.
func (b *blocking) splitTiles(k *Kernels, p *Problem) {
	size, l2 := int64(k.dt.Size()), int64(k.target.L2)
	fits := min(l2/2/b.aPanel, callFlops/(2*(b.height+1)*b.kc*b.nr))
	b.tilePanels = min(max(1, fits), b.panels)
	all := 2 * p.M * p.N * p.K * p.batches()
	flops := min(max(all/int64(coreChunks*k.target.Cores), chunkMinFlops), chunkMaxFlops)
	rows := b.tilePanels * (b.height + 1)
	cols := min(flops/(2*p.K*rows), l2/4/(rows*size))
	b.tileCols = max(1, cols/b.nr) * b.nr
	b.nTiles = max(1, ceilDiv(p.N, b.tileCols))
	b.tileCols = max(1, ceilDiv(ceilDiv(p.N, b.nTiles), b.nr)) * b.nr
	b.nTiles = ceilDiv(p.N, b.tileCols)
	// Where there are too few columns to split, split the rows.
	b.tilePanels = min(b.tilePanels, max(1, flops/(2*p.K*b.tileCols*(b.height+1))))
	b.mTiles = ceilDiv(b.panels, b.tilePanels)
	b.tilePanels = ceilDiv(b.panels, b.mTiles)
	b.mTiles = ceilDiv(b.panels, b.tilePanels)
	b.slabPanels = b.mTiles * b.tilePanels
	if fit := slabBytes / (b.aPanel * b.kBlocks) / b.tilePanels; b.a == packedFirst && fit*b.tilePanels < b.panels {
		b.slabPanels = max(1, fit) * b.tilePanels
	}
}

// share revises who packs, now that it is known which chunks share panels.
func (b *blocking) share(k *Kernels, p *Problem) {
	if b.a == packedFirst && b.nTiles == 1 {
		b.a, b.slabPanels = packedOwn, b.mTiles*b.tilePanels
	}
	if b.b == packedOwn && b.mTiles > 1 && b.nTiles == 1 && 2*p.M*p.N*p.K > smallFlops && b.bBytes(p) <= slabBytes {
		b.b = packedFirst
	}
	b.aResident = b.a == packedFirst && p.B.Row == 1 && b.b == packedOwn &&
		b.tilePanels*b.aPanel*b.kBlocks <= int64(k.target.L2)*5/8
}

// bBytes is the size of all of B, packed.
func (b *blocking) bBytes(p *Problem) int64 { return ceilDiv(p.N, b.nr) * b.kBlocks * b.bPanel }

// rowAt is the first row of a panel of A.
func (b *blocking) rowAt(panel int64) int64 { return panel*b.height + min(panel, b.tall) }
