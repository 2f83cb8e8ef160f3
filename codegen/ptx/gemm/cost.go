package gemm

import (
	"math"

	"jitc/ir/tensor"
)

// rate is what a configuration does per clock of a multiprocessor, by its tile:
// multiply-adds of 16-bit operands on tensor cores, of 32 bits otherwise. These are
// estimates that order the candidates, from the peak rates of sm_80 and sm_90 (1024
// multiply-adds of 16 bits, 128 of f32) and the traffic of shared memory per tile.
// wgmma has a peak of 2048; at that rate a tile of 256 columns would read and fill
// 128 bytes of shared memory per clock, all there is, one of 128 columns 160, one of
// 64 columns 224.
func (c Config) rate(p Problem) float64 {
	switch {
	case c.Kind == Skinny:
		return 60
	case p.Acc == tensor.F64:
		return 24
	case c.Kind == FMA && c.BM == 128:
		return 100
	case c.Kind == FMA:
		return 75
	}
	r := 800.0
	switch {
	case c.Kind == Bulk && c.BN == 256:
		r = 1750
	case c.Kind == Bulk && c.BN == 128:
		r = 1300
	case c.Kind == Bulk:
		r = 900
	case c.Kind == WarpGroup && c.BN == 256:
		r = 1600
	case c.Kind == WarpGroup:
		r = 1100
	case c.Scalar:
		r = 120
	case c.BM*c.BN < 128*128:
		r = 450
	case c.BM*c.BN == 128*128:
		r = 700
	}
	if p.A == tensor.F32 {
		r /= 2
	}
	return r
}

// The rest of the estimate, in clocks and bytes per clock of a multiprocessor.
const (
	clocksLaunch   = 2500     // of the second launch of a split product
	clocksJoin     = 1500     // of two fences and an atomic, in place of it
	clocksParts    = 600      // until partsAtOnce parts have come
	clocksBlock    = 300      // before the first tile is there, and at the end
	clocksTile     = 250      // least per tile of k of one block, by latency
	bytesPerClock  = 24       // from the second-level cache
	memoryPerClock = 13       // from memory, a share of the device's
	exposed        = 1.0 / 16 // part of the work that does not overlap with what memory bounds
	sumsPerClock   = 16       // to the epilogue
	lanesPerClock  = 128      // of instructions, of the epilogue
	resident       = 2048     // threads of a multiprocessor
	skinnyTile     = 500      // clocksTile of Skinny
	strideWaste    = 8        // sectors for few elements of each: A of the dot form, by m
	blockShared    = 1 << 17  // shared memory of the blocks of a multiprocessor
)

// cost estimates the time of the plan in clocks.
func (pl *plan) cost(sms int) float64 {
	sms = max(1, sms)
	rows, cols := min(pl.s.M, int64(pl.c.BM)), min(pl.s.N, int64(pl.c.BN))
	macs := float64(pl.c.BM*pl.c.BN*pl.c.BK) / pl.c.rate(pl.p)
	a, b := rows*int64(pl.p.A.Size()), cols*int64(pl.p.B.Size())
	if pl.c.Kind == Skinny && pl.p.BContract == KMajor && pl.p.AContract != KMajor {
		a *= strideWaste
	}
	bytes := float64((a+b)*int64(pl.c.BK)) / bytesPerClock
	block := max(macs, bytes)*float64(pl.per) + clocksBlock
	end := float64(rows*cols)/sumsPerClock + pl.ending(rows*cols, pl.splits > 1)
	blocks := float64(pl.m * pl.n * pl.s.batches() * pl.splits)
	rounds := math.Ceil(blocks / float64(sms))
	busy := rounds * (block + end)
	if pl.c.PingPong { // half of the threads end a tile, while the others multiply
		busy = rounds*max(block, block/2+end) + 2*end
	}

	latency := float64(clocksTile)
	if pl.c.Kind == Skinny {
		latency = skinnyTile
	}
	atOnce := max(1, min(resident/pl.c.Threads()/2, blockShared/pl.c.Shared(pl.user())))
	waits := math.Ceil(blocks/float64(sms*atOnce)) * (latency*float64(pl.per) + clocksBlock)
	once := float64(pl.s.batches()*pl.s.K) * float64(pl.s.M*int64(pl.p.A.Size())+pl.s.N*int64(pl.p.B.Size()))
	t := max(busy, waits)
	t = max(t, once/(memoryPerClock*float64(sms))) + t*exposed
	wait := clocksParts * math.Ceil(float64(pl.splits)/partsAtOnce)
	switch sums := float64(pl.s.M*pl.s.N*pl.s.batches()) * float64(pl.splits); {
	case pl.joined:
		t += clocksJoin + 4*sums/(bytesPerClock*float64(sms))
		tile := max(wait, 4*float64(rows*cols*pl.splits)/bytesPerClock) + pl.ending(rows*cols, false)
		t += tile * math.Ceil(float64(pl.tiles())/float64(sms))
	case pl.splits > 1:
		t += clocksLaunch + wait + 2*4*sums/(bytesPerClock*float64(sms))
		t += pl.ending(pl.s.M*pl.s.N*pl.s.batches(), false) / float64(sms)
	}
	return t
}

// ending is what the epilogue of so many elements takes a multiprocessor; of parts of
// sums there is none.
func (pl *plan) ending(elements int64, parts bool) float64 {
	if parts {
		return 0
	}
	return float64(elements) * float64(pl.p.Ending) / lanesPerClock
}

// user is the problem as the caller knows it.
func (pl *plan) user() Problem {
	if pl.c.Swap {
		return pl.p.swapped()
	}
	return pl.p
}
