package gemm

import (
	"fmt"
	"math"
)

// maxExtent leaves room for a tile beyond the last element.
const maxExtent = math.MaxInt32 - 1<<12

// maxPartials bounds the partial sums of a split product: their memory, and 32-bit
// indices.
const maxPartials = 1 << 25

// splitCounts are the numbers of parts of k that are tried.
var splitCounts = []int64{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}

// Best chooses among emitted configurations, and how often k is split, for a device
// of that many multiprocessors, and packs the launches. The grid is 0 where C has no
// elements. cs are all of Candidates, or the one of them that Best has found at the
// same sizes; EmitSum was given the Group of the first. An error wraps ErrSize.
func Best(cs []Config, p Problem, s Sizes, sms int) (*Choice, error) {
	if max(s.M, s.N, s.K) > maxExtent {
		return nil, fmt.Errorf("%w: %d x %d x %d, at most %d each", ErrSize, s.M, s.N, s.K, maxExtent)
	}
	best, cost := (*plan)(nil), math.Inf(1)
	for i, c := range cs {
		pl := planOf(i, c, p, s)
		if !pl.usable() {
			continue
		}
		for _, splits := range splitCounts {
			for _, joined := range []bool{true, false} {
				if pl.split(splits) && pl.join(joined) && pl.cost(sms) < cost {
					found := pl
					best, cost = &found, pl.cost(sms)
				}
			}
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: %v: %d x %d x %d, batch %v, A %+v, B %+v", ErrSize, cs, s.M, s.N, s.K, s.Batch, s.A, s.B)
	}
	return best.choice(cs[0].Group, sms), nil
}

// plan is a configuration at concrete sizes; p and s are those of the product that
// is computed, which Swap transposes.
type plan struct {
	index       int
	c           Config
	p           Problem
	s           Sizes
	m, n, k     int64 // tiles
	splits, per int64
	joined      bool // the last block of a tile adds its parts, not a second launch
}

func planOf(index int, c Config, p Problem, s Sizes) plan {
	if c.Swap {
		p, s = p.swapped(), s.swapped()
	}
	ceil := func(n int64, d int) int64 { return (n + int64(d) - 1) / int64(d) }
	return plan{index, c, p, s, ceil(s.M, c.BM), ceil(s.N, c.BN), ceil(s.K, c.BK), 1, 1, false}
}

// usable reports whether the operands may be loaded as the configuration does: by
// tensor maps, or by whole chunks of 16 bytes, if not by element.
func (pl *plan) usable() bool {
	switch {
	case pl.c.Kind == FMA || pl.c.Kind == Skinny || pl.c.Scalar:
		return true
	case pl.c.Kind == Bulk:
		_, ok := pl.maps()
		return ok
	}
	whole := func(o Operand, rows int64, size int, m Major) bool {
		along := pl.s.K
		if m == MNMajor {
			along = rows
		}
		return along*int64(size)%16 == 0 && pl.s.aligned(o, rows, size, 16, m)
	}
	return whole(pl.s.A, pl.s.M, pl.p.A.Size(), pl.p.AContract) &&
		whole(pl.s.B, pl.s.N, pl.p.B.Size(), pl.p.BContract)
}

// aligned reports whether every row of an operand with that many rows begins at a
// multiple of so many bytes, and is contiguous. Strides along axes of one element
// do not count.
func (s Sizes) aligned(o Operand, rows int64, size, bytes int, m Major) bool {
	along, across, n, lines := o.K, o.MN, s.K, rows
	if m == MNMajor {
		along, across, n, lines = o.MN, o.K, rows, s.K
	}
	multiple := func(elements int64) bool { return elements*int64(size)%int64(bytes) == 0 }
	ok := m != Strided && o.Align > 0 && o.Align%bytes == 0 && multiple(o.Offset)
	ok = ok && (along == 1 || n <= 1) && (lines <= 1 || multiple(across))
	for i, stride := range o.Batch {
		ok = ok && (s.Batch[i] <= 1 || multiple(stride))
	}
	return ok
}

// split divides k into at most n parts; false if that is not possible, or the same
// as fewer.
func (pl *plan) split(n int64) bool {
	blocks := float64(pl.m) * float64(pl.n) * float64(pl.s.batches()) * float64(n)
	if blocks > math.MaxInt32 {
		return false
	}
	pl.splits, pl.per = n, max(1, (pl.k+n-1)/n)
	if n == 1 {
		return true
	}
	sums := float64(pl.s.M) * float64(pl.s.N) * float64(pl.s.batches()) * float64(n)
	return pl.per >= 2 && (pl.k+pl.per-1)/pl.per == n && sums <= maxPartials
}

// join has the parts added in the same launch, or not; false if that is not possible.
func (pl *plan) join(joined bool) bool {
	pl.joined = joined
	return !joined || pl.splits > 1 && pl.c.Kind != Bulk && pl.partials() <= maxPartials
}

// partials is the number of sums that the blocks of a joined plan have room for.
func (pl *plan) partials() int64 { return pl.splits * pl.tiles() * int64(pl.c.BM*pl.c.BN) }

// tiles is the number of tiles of C, each of which a joined plan has a counter for.
func (pl *plan) tiles() int64 { return pl.m * pl.n * pl.s.batches() }

// vector is the parameter of that name, see params.
func (pl *plan) vector() int64 {
	v, n := int64(pl.p.vector()), int64(pl.p.vectorN())
	switch {
	case pl.c.Kind != Skinny:
		return 0
	case pl.p.BContract != KMajor: // vectors along n
		bytes := pl.p.B.Size() * int(n)
		if pl.s.N%n == 0 && pl.s.aligned(pl.s.B, pl.s.N, pl.p.B.Size(), bytes, pl.p.BContract) {
			return 1
		}
		return 0
	}
	if !pl.s.aligned(pl.s.B, pl.s.N, pl.p.B.Size(), pl.p.B.Size()*int(v), KMajor) ||
		pl.p.AContract == KMajor && !pl.s.aligned(pl.s.A, pl.s.M, pl.p.A.Size(), pl.p.A.Size()*int(v), KMajor) {
		return 0
	}
	return pl.s.K / v * v
}

// choice packs the launches, for a device of that many multiprocessors.
func (pl *plan) choice(group, sms int) *Choice {
	z := pl.s.batches()
	ch := &Choice{Config: pl.index, Splits: int(pl.splits)}
	l := launch{tilesM: pl.m, tilesN: pl.n, splits: pl.splits, per: pl.per, vector: pl.vector(), partM: pl.s.N, partN: 1, joined: pl.joined}
	blocks := pl.m * pl.n * z * pl.splits
	if pl.c.Kind == Bulk { // they go on by themselves
		blocks = min(blocks, int64(max(1, sms)))
	}
	ch.Main = pl.launch(pl.s, l, blocks, pl.c.Threads())
	ch.Main.Shared = uint32(pl.c.Shared(pl.user()))
	if pl.c.Kind == Bulk {
		maps, _ := pl.maps()
		ch.Main.addMaps(maps)
	}
	if pl.c.Swap {
		ch.Main.Pointers[0].What, ch.Main.Pointers[1].What = OperandB, OperandA
	}
	switch {
	case pl.splits <= 1 || pl.s.empty():
	case pl.joined:
		ch.Scratch = pl.partials() * int64(arithmetic[pl.p.Acc].bytes)
		ch.Counters = pl.tiles() * counterBytes
	default:
		ch.Scratch = pl.splits * z * pl.s.M * pl.s.N * int64(arithmetic[pl.p.Acc].bytes)
		s := pl.s
		if pl.c.Swap {
			s, l.partM, l.partN = s.swapped(), 1, pl.s.N
		}
		groups := z * s.M * ((s.N + int64(group) - 1) / int64(group))
		sum := pl.launch(s, l, (groups+SumThreads-1)/SumThreads, SumThreads)
		sum.Pointers = sum.Pointers[2:]
		ch.Sum = &sum
	}
	return ch
}

func (pl *plan) launch(s Sizes, l launch, blocks int64, threads int) Launch {
	params, pointers := s.params(int64(pl.p.A.Size()), int64(pl.p.B.Size()), l)
	return Launch{
		Grid:   [3]uint32{uint32(blocks), 1, 1},
		Block:  [3]uint32{uint32(threads), 1, 1},
		Params: params, Pointers: pointers,
	}
}
