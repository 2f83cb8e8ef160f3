package update

import (
	"fmt"
	"math"
	"math/bits"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
)

// Place is an element of a buffer: of a caller's, or of the scratch memory, as the Buf
// of a ptx.Pointer.
type Place struct{ Buf, Offset int }

// Move copies elements between places at strides; all buffers begin at multiples of
// 16 bytes, but for starts.
type Move struct {
	From, To Place
	// Sizes and strides in elements, outermost first: at least one, and at most as many
	// as Problem.Axes.
	Sizes, FromStrides, ToStrides []int
	// Starts shift To; none, or Problem.Starts.
	Starts []Start
	// Whole: a buffer is copied to another as it is, unless they are one.
	Whole bool
	Size  int // of an element, in bytes; 0: of Problem.DType
}

// size is that of an element.
func (m *Move) size(p Problem) int {
	if m.Size == 0 {
		return p.DType.Size()
	}
	return m.Size
}

// Start is an integer in memory, clamped to [0, Limit]; Step is the elements that a
// start of 1 skips.
type Start struct {
	Place
	Limit, Step int
}

// BindMoves plans moves one after another. Every place that they reach, wherever starts
// between 0 and their limits put it, is in its buffer: that is the caller's.
func BindMoves(p Problem, arch int, moves []Move, multiprocessors int) (*ptx.Plan, error) {
	if err := Supported(p, arch); err != nil {
		return nil, err
	}
	plan := &ptx.Plan{}
	for len(moves) > 0 {
		m, rest := &moves[0], moves[1:]
		if err := m.check(p); err != nil {
			return nil, err
		}
		n, err := elementsOf(m.Sizes)
		if err != nil {
			return nil, err
		}
		var launch ptx.Launch
		switch {
		case n == 0:
			moves = rest
			continue
		case m.Whole && len(rest) > 0 && rest[0].joins(p, m, n):
			launch, rest = rest[0].both(p, m, n, multiprocessors), rest[1:]
		case m.Whole:
			launch = copyLaunch(m.From.Buf, m.To.Buf, n*m.size(p), multiprocessors)
		default:
			launch, err = m.launch(p, n)
		}
		if err != nil {
			return nil, err
		}
		plan.Launches, moves = append(plan.Launches, launch), rest
	}
	return plan, nil
}

// check is nil where there is an entry for the move.
func (m *Move) check(p Problem) error {
	axes, starts := len(m.Sizes), len(m.Starts)
	if axes < 1 || axes > p.dims() || len(m.FromStrides) != axes || len(m.ToStrides) != axes {
		return fmt.Errorf("update: expected a move in 1 to %d axes, got sizes %v, strides %v and %v", p.dims(), m.Sizes, m.FromStrides, m.ToStrides)
	}
	if !m.Whole && !(starts == 0 && p.Views) && !(starts == p.Starts && p.Combine == "") {
		return fmt.Errorf("update: expected a move by %d starts, got %d", p.Starts, starts)
	}
	return nil
}

// elementsOf is the product of sizes.
func elementsOf(sizes []int) (int, error) {
	n := 1
	for _, s := range sizes {
		if s > 0 && n > math.MaxInt/maxUnit/s {
			return 0, fmt.Errorf("update: expected sizes that memory could hold, got %v", sizes)
		}
		n *= s
	}
	return n, nil
}

// launch moves so many elements.
func (m *Move) launch(p Problem, elements int) (ptx.Launch, error) {
	unit := m.unit(m.size(p))
	n := elements * m.size(p) / unit
	if n > maxItems {
		return ptx.Launch{}, tooLarge("units of a move", m.Sizes)
	}
	entry := EntryBox
	if len(m.Starts) == 0 && p.Views {
		entry = EntryMove
	}
	return m.params(p, moveParams(p.dims(), len(m.Starts)), unit, n).launch(sized(entry, unit), divUp(n, threads)), nil
}

// params are those of a move of so many units.
func (m *Move) params(p Problem, t asm.ParamTable, unit, n int) block {
	b, size, last := block{ptx.NewBlock(t)}, m.size(p), len(m.Sizes)-1
	b.Operand("from", m.From.Buf, m.From.Offset*size)
	b.Operand("to", m.To.Buf, m.To.Offset*size)
	for i, s := range m.Starts {
		b.Operand(numbered("start", i), s.Buf, s.Offset*p.Index.Size())
		b.Long(numbered("limit", i), s.Limit)
		b.Long(numbered("step", i), s.Step*size)
	}
	for i, k := range m.Sizes {
		from, to := m.FromStrides[i]*size, m.ToStrides[i]*size
		if i == last && unit > size {
			k, from, to = k*size/unit, unit, unit
		}
		b.Word(numbered("size", i), k)
		b.Long(numbered("fromstride", i), from)
		b.Long(numbered("tostride", i), to)
	}
	b.Word("axes", last+1)
	b.Word("units", n)
	return b
}

// joins reports whether the move of a box can be one launch with the whole copy, of so
// many elements, before it: it is of vectors, whose strides fall from axis to axis.
func (m *Move) joins(p Problem, whole *Move, elements int) bool {
	size := p.DType.Size()
	n, err := elementsOf(m.Sizes)
	if err != nil || n == 0 || len(m.Starts) == 0 || m.Whole || m.check(p) != nil || m.To != (Place{Buf: whole.To.Buf}) {
		return false
	}
	for i := 1; i < len(m.Sizes); i++ {
		if m.ToStrides[i] < 1 || m.ToStrides[i-1] < m.Sizes[i]*m.ToStrides[i] {
			return false
		}
	}
	return m.unit(size) == maxUnit && max(n, elements)*size/maxUnit <= maxItems
}

// both is the launch of the copy and the box.
func (m *Move) both(p Problem, whole *Move, elements, multiprocessors int) ptx.Launch {
	n, _ := elementsOf(m.Sizes)
	size, last := p.DType.Size(), len(m.Sizes)-1
	n = n * size / maxUnit
	b := m.params(p, bothParams(p.dims(), p.Starts), maxUnit, n)
	b.Operand("x", whole.From.Buf, 0)
	b.Operand("out", whole.To.Buf, 0)
	b.Word("boxblocks", divUp(n, threads))
	b.Word("vectors", elements*size/maxUnit)
	b.Word("rest", elements*size%maxUnit)
	for i := range last {
		b.Word(numbered("vectors", i), m.ToStrides[i]*size/maxUnit)
	}
	b.Word(numbered("vectors", last), 1)
	return b.launch(EntryBoth, divUp(n, threads)+copyGrid(elements*size, multiprocessors))
}

// unit is the widest that every run is a multiple of, and begins at one of, whatever
// the starts are: an element, where neighbours are apart.
func (m *Move) unit(size int) int {
	last := len(m.Sizes) - 1
	if m.FromStrides[last] != 1 || m.ToStrides[last] != 1 {
		return size
	}
	all := m.Sizes[last] | m.From.Offset | m.To.Offset
	for i := range last {
		all |= m.FromStrides[i] | m.ToStrides[i]
	}
	for _, s := range m.Starts {
		if s.Limit > 0 {
			all |= s.Step
		}
	}
	return widest(all * size)
}

// maxItems is the most that a launch has threads for.
const maxItems = math.MaxInt32 - threads

func tooLarge(what string, got any) error {
	return fmt.Errorf("update: expected fewer than 2**31 %s, got %v", what, got)
}

// widest is the greatest unit that n bytes are a multiple of.
func widest(n int) int {
	return 1 << min(bits.TrailingZeros(uint(n)), bits.TrailingZeros(maxUnit))
}

// copyBlocks is how many blocks of a copy a multiprocessor has.
const copyBlocks = 4

func copyLaunch(from, to, bytes, multiprocessors int) ptx.Launch {
	b := block{ptx.NewBlock(copyParams)}
	b.Operand("x", from, 0)
	b.Operand("out", to, 0)
	b.Long("vectors", bytes/16)
	b.Word("rest", bytes%16)
	return b.launch(EntryCopy, copyGrid(bytes, multiprocessors))
}

// copyGrid is how many blocks copy so many bytes.
func copyGrid(bytes, multiprocessors int) int {
	return min(divUp(bytes, maxUnit*copyUnroll*threads), copyBlocks*max(1, multiprocessors))
}

// ScatterSizes are those of a scatter, Lead of them with rows of Row elements, of which
// Outer in a row share their indices:
//
//	x, result [Lead][Size][Row], indices [Lead/Outer][Picks], contiguous
//	updates [Lead][Picks][Row], at LeadStride and PickStride, in elements, and 1
//
// Buffers begin at multiples of 16 bytes.
type ScatterSizes struct {
	Lead, Outer, Size, Picks, Row int
	X, Result, Indices, Updates   Place // X is Result where the operand is there already
	LeadStride, PickStride        int
}

// BindScatter plans a scatter: the operand is copied, unless it lies where the result
// does, by the blocks that own it or, ahead of atomic updates, by a launch of its own.
func BindScatter(p Problem, arch int, s ScatterSizes, multiprocessors int) (*ptx.Plan, error) {
	if err := Supported(p, arch); err != nil {
		return nil, err
	}
	plan, size := &ptx.Plan{}, p.DType.Size()
	bytes := s.Lead * s.Size * s.Row * size
	if bytes == 0 {
		return plan, nil
	}
	copied := s.X != s.Result && s.X.Offset == 0 && s.Result.Offset == 0
	if !copied && s.X != s.Result {
		return nil, fmt.Errorf("update: expected an operand and a result at the beginning of their buffers, got %+v and %+v", s.X, s.Result)
	}
	if s.Picks == 0 {
		if copied {
			plan.Launches = append(plan.Launches, copyLaunch(s.X.Buf, s.Result.Buf, bytes, multiprocessors))
		}
		return plan, nil
	}
	if n := max(s.Size, s.Picks, s.Row*p.DType.Size(), s.Lead); n > maxItems {
		return nil, tooLarge("places, indices, bytes of a row and leading indices", n)
	}
	b := block{ptx.NewBlock(scatterParams)}
	b.Operand("x", s.X.Buf, s.X.Offset*size)
	b.Operand("indices", s.Indices.Buf, s.Indices.Offset*p.Index.Size())
	b.Operand("updates", s.Updates.Buf, s.Updates.Offset*size)
	b.Operand("out", s.Result.Buf, s.Result.Offset*size)
	b.Long("leadbytes", s.LeadStride*size)
	b.Long("pickbytes", s.PickStride*size)
	for name, n := range map[string]int{"outer": s.Outer, "size": s.Size, "picks": s.Picks, "rowbytes": s.Row * size} {
		b.Word(name, n)
	}
	launch, err := b.scatter(p, arch, s, multiprocessors)
	if err != nil {
		return nil, err
	}
	if copied && (launch.Entry == EntryAtomic || launch.Entry == EntryPairs) {
		plan.Launches = append(plan.Launches, copyLaunch(s.X.Buf, s.Result.Buf, bytes, multiprocessors))
	}
	plan.Launches = append(plan.Launches, launch)
	return plan, nil
}

// unit is the widest that every row is a multiple of, and begins at one of.
func (s ScatterSizes) unit(size int) int {
	return widest((s.Row | s.Result.Offset | s.Updates.Offset | s.LeadStride | s.PickStride) * size)
}

// scatter chooses the entry of a scatter.
func (b block) scatter(p Problem, arch int, s ScatterSizes, multiprocessors int) (ptx.Launch, error) {
	total := s.Lead * s.Picks * s.Row // of fewer than 2**93, and right where it is used
	if fits := s.Lead*s.Picks <= maxItems/s.Row; fits && p.Combine != "set" {
		switch {
		case s.unit(p.DType.Size()) >= 2*p.DType.Size() && p.reduction(arch, 2) != "":
			return b.atomic(EntryPairs, s.Row/2, total/2), nil
		case p.reduction(arch, 1) != "":
			return b.atomic(EntryAtomic, s.Row, total), nil
		}
	}
	if p.Combine == "set" {
		unit := s.unit(p.DType.Size())
		return b.owned(sized(EntrySet, unit), s, s.Row*p.DType.Size()/unit, math.MaxInt32, multiprocessors)
	}
	return b.owned(EntryOrder, s, s.Row, p.slots(), multiprocessors)
}

func (b block) atomic(entry string, row, total int) ptx.Launch {
	b.Word("row", row)
	b.Word("total", total)
	return b.launch(entry, divUp(total, threads))
}

// ownedBlocks is how many blocks a multiprocessor should have.
const ownedBlocks = 4

// owned divides a result whose rows have so many units among blocks. A thread has at
// most so many rows of one.
func (b block) owned(entry string, s ScatterSizes, row, slots, multiprocessors int) (ptx.Launch, error) {
	lanes := lanesOf(row)
	groups, tiles := threads/lanes, divUp(row, lanes)
	busy := ownedBlocks * max(1, multiprocessors)
	want := busy / min(s.Lead*tiles, busy)
	rows := divUp(divUp(s.Size, want), groups) * groups
	if slots < math.MaxInt32/groups {
		rows = min(rows, slots*groups)
	}
	ranges := divUp(s.Size, rows)
	if ranges > maxItems/tiles || s.Lead > maxItems/(tiles*ranges) {
		return ptx.Launch{}, tooLarge("blocks", []int{s.Lead, ranges, tiles})
	}
	for name, n := range map[string]int{"row": row, "tiles": tiles, "ranges": ranges, "rows": rows,
		"lanelog": bits.TrailingZeros(uint(lanes)), "grouplog": bits.TrailingZeros(uint(groups))} {
		b.Word(name, n)
	}
	return b.launch(entry, s.Lead*tiles*ranges), nil
}

// lanesOf is how many threads a row has: as many as leave the fewest without a
// column, of these the most.
func lanesOf(row int) int {
	if row < threads {
		return 1 << bits.Len(uint(row-1))
	}
	best := threads
	for n := threads / 2; n >= 32; n /= 2 {
		if divUp(row, n)*n < divUp(row, best)*best {
			best = n
		}
	}
	return best
}

func divUp(n, by int) int { return (n + by - 1) / by }
