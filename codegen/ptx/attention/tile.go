package attention

import (
	"fmt"
	"slices"
)

// tile is the shape of a block's work.
type tile struct {
	warps int
	// per is the number of row groups of a warp: of 16 rows for tensor cores, of 2
	// rows (a row for each half of a warp) for exact arithmetic.
	per  int
	keys int // in one step
}

// tiles are those of the two entries of the forward pass.
type tiles struct{ wide, few tile }

func (t tile) threads() int { return 32 * t.warps }

// rows is the number of queries of a block.
func (t tile) rows(p Problem) int {
	if p.narrow() {
		return t.warps * t.per * 16
	}
	return t.warps * t.per * 2
}

// Candidates, the fastest first; those that do not fit are passed over.
var (
	wideTensor = []tile{{4, 2, 64}, {4, 2, 32}, {4, 1, 64}, {4, 1, 32}}
	fewTensor  = []tile{{1, 1, 64}, {1, 1, 32}}
	wideExact  = []tile{{4, 8, 64}, {4, 8, 32}, {4, 4, 32}, {4, 4, 16}}
	fewExact   = []tile{{1, 4, 64}, {1, 4, 32}, {1, 4, 16}}
)

// sharedLimit is the most shared memory, in bytes, that a block may have (CUDA C++
// Programming Guide, table "Technical Specifications per Compute Capability").
func sharedLimit(arch int) int {
	switch {
	case arch == 86, arch == 89, arch >= 120:
		return 99 << 10
	case arch < 90:
		return 163 << 10
	}
	return 227 << 10
}

// fewShared keeps some blocks of few queries on a multiprocessor: one of them alone
// has too few loads in flight.
const fewShared = 80 << 10

func (p Problem) tiles(arch int) (tiles, error) {
	wide, few := wideExact, fewExact
	if p.narrow() {
		wide, few = wideTensor, fewTensor
	}
	wide = slices.DeleteFunc(slices.Clone(wide), func(t tile) bool { return p.accumulators(t) > maxAccumulators })
	limit := sharedLimit(arch)
	w, ok := p.first(wide, limit)
	f, fits := p.first(few, min(limit, fewShared))
	if !fits {
		f, fits = p.first(few, limit)
	}
	if !ok || !fits {
		return tiles{}, fmt.Errorf("attention: head dimensions %d and %d: no tile fits into %d bytes of shared memory of sm_%d",
			p.HeadDim, p.ValueDim, limit, arch)
	}
	return tiles{w, f}, nil
}

// maxAccumulators is the number of registers of a thread for results and scores, of
// 255, that leaves enough for all others, as ptxas has it.
const maxAccumulators = 160

// accumulators are the registers of a thread for results, for scores, and for what
// masks keep of a score.
func (p Problem) accumulators(t tile) int {
	scores, columns := t.per*t.keys/16, 4*divUp(p.ValueDim, 64)+4 // and 4 probabilities at a time
	if p.narrow() {
		scores, columns = t.per*t.keys/2, roundUp(p.ValueDim, 16)/2
	}
	if p.Mask != NoMask {
		scores += scores * 3 / 4
	}
	return scores + t.per*columns
}

// maxQueryRegisters is the most that is worth keeping queries in.
const maxQueryRegisters = 32

// keepsQueries reports whether queries stay in registers, as fragments of products;
// else they are read again for each tile of keys.
func (p Problem) keepsQueries(t tile) bool {
	n := t.per * roundUp(p.HeadDim, 16) / 4
	return n <= min(maxQueryRegisters, maxAccumulators-p.accumulators(t))
}

func (p Problem) first(ts []tile, limit int) (tile, bool) {
	for _, t := range ts {
		if p.layout(t).bytes <= limit {
			return t, true
		}
	}
	return tile{}, false
}

// layout is a block's shared memory, in bytes:
//
//	q   rows x queryRow
//	k   keys x keyRow       twice for tensor cores: the next tile is copied meanwhile
//	v   keys x valueRow     likewise
//	p   rows x probRow      probabilities; exact arithmetic only
type layout struct {
	headCols, valueCols           int // columns with their padding, which is zero
	keyRow, valueRow, probRow     int // q has rows of keyRow
	k, v, prob, bytes             int
	stage                         int // from a stage of k, and of v, to its other
	querySize, keySize, valueSize int
}

// layout keeps ldmatrix, and loads of 128 bits, free of bank conflicts: eight rows
// in a row begin at different multiples of 16 bytes modulo 128, because a row is
// an odd number of 16 bytes. A row of v is read as a whole in exact arithmetic; rows of
// probabilities are 64 bytes modulo 128 apart, one for each half of a warp.
func (p Problem) layout(t tile) layout {
	var l layout
	stages := 1
	if p.narrow() {
		stages = 2
		l.headCols, l.valueCols = roundUp(p.HeadDim, 16), roundUp(p.ValueDim, 16)
		l.keyRow, l.valueRow = 2*l.headCols+16, 2*l.valueCols+16
	} else {
		l.headCols, l.valueCols = roundUp(p.HeadDim, 8), roundUp(p.ValueDim, 4)
		l.keyRow, l.valueRow = 4*l.headCols+16, 4*l.valueCols
		l.probRow = probStride(t)
	}
	rows := t.rows(p)
	l.querySize, l.keySize, l.valueSize = rows*l.keyRow, t.keys*l.keyRow, t.keys*l.valueRow
	l.stage = l.keySize + l.valueSize
	l.k = l.querySize
	l.v = l.k + l.keySize
	l.prob = l.k + stages*l.stage
	l.bytes = l.prob + rows*l.probRow
	return l
}

// probStride is the distance of rows of probabilities: 64 bytes modulo 128.
func probStride(t tile) int {
	if t.keys == 16 {
		return 64
	}
	return 4 * (roundUp(t.keys, 32) + 16)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func divUp(n, by int) int { return (n + by - 1) / by }
