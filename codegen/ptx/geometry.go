package ptx

import (
	"fmt"
	"math/bits"
	"slices"
)

// shape is how groups are laid out on blocks, at concrete sizes.
type shape struct {
	log       int   // of the ranks of a group
	lanes     int   // columns: log of the points of a warp
	threads   int64 // of a block
	perBlock  int64 // groups
	blocks    int64
	slots     int64 // values of a reduction in shared memory
	slotBytes int64 // of all slots
	rowAt     []int64
	rowBytes  int64 // of a group's row buffers
	rows      int64 // scratch: where the row buffers are
	parts     int64 // scratch: where the sums of parts are
	count     int64 // of parts
	perPart   int64 // points of the split loop
}

// Sizes of blocks: rows want some warps, columns enough to hide latency.
const (
	rowThreads   = 128
	columnWarps  = 4
	busyThreads  = 2048     // threads of a multiprocessor that keep memory busy
	rowsPerRank  = 4        // iterations of a rank before more ranks are worth their exchange
	residentRows = 2048     // threads of a multiprocessor
	smallShared  = 48 << 10 // of a block, that leaves room for others beside it
	halfShared   = 2        // staged rows of less than such a part of the memory have smaller blocks
)

// bind plans the launch for the sizes of a step.
func (g *groups) bind(b *binding, step int) ([]Launch, error) {
	f := &frame{binding: b, step: 1}
	if f.setStep(step); f.nest.Empty {
		return nil, nil
	}
	if g.run > 1 && f.aligned(g.strict, slices.Concat(g.outer, g.inner), &g.inner[g.split], int64(g.run)) {
		f.step = int64(g.run)
	}
	v, err := g.layOut(f)
	if err != nil {
		return nil, err
	}
	s := &f.group
	if v.form() == inMemory {
		if ls, err := g.bindParts(f); err != nil || ls != nil {
			return ls, err
		}
	}
	l := Launch{Block: [3]uint32{uint32(s.threads), 1, 1}, Shared: uint32(s.slotBytes)}
	if !v.scratch {
		l.Shared += uint32(s.perBlock * s.rowBytes)
	}
	if err := f.grid(&l, v.e, s.blocks); err != nil {
		return nil, err
	}
	return []Launch{l}, v.e.fill(f, &l)
}

// layOut chooses ranks, blocks and the variant: rows in registers where they fit,
// else in shared memory, else where the kernel keeps them.
func (g *groups) layOut(f *frame) (*variant, error) {
	s, points := &f.group, g.points(f)
	if v := g.layOutHeld(f, points); v != nil {
		return v, nil
	}
	if v := g.layOutStaged(f, points); v != nil {
		return v, nil
	}
	if g.columns {
		g.layOutColumns(f, points)
	} else {
		g.layOutRows(f, points)
	}
	s.slotBytes = int64(2*g.folds) * s.slots * slotBytes
	s.blocks = ceilDiv(points, s.perBlock)
	v := g.variant(inMemory, int(f.step))
	if len(g.rows) == 0 {
		return v, nil
	}
	g.placeRows(f)
	for s.perBlock > 1 && s.threads > 32 && s.slotBytes+s.perBlock*s.rowBytes > smallShared {
		s.perBlock, s.threads = s.perBlock/2, s.threads/2
	}
	s.blocks = ceilDiv(points, s.perBlock)
	if s.slotBytes+s.perBlock*s.rowBytes <= int64(f.m.device.SharedBytes) {
		return v, nil
	}
	s.blocks = min(s.blocks, int64(f.m.device.Multiprocessors)*residentRows/s.threads)
	if s.rowBytes >= 1<<31 {
		return nil, fmt.Errorf("ptx: row buffers of %d bytes: %w", s.rowBytes, &Unsupported{"row buffers of 2 GiB or more"})
	}
	s.rows = f.take(s.blocks * s.perBlock * s.rowBytes)
	return g.variant(inScratch, int(f.step)), nil
}

// placeRows lays a group's row buffers out.
func (g *groups) placeRows(f *frame) {
	s := &f.group
	s.rowAt = make([]int64, len(g.rows))
	for i, r := range g.rows {
		s.rowAt[i] = s.rowBytes
		s.rowBytes += (f.bound.Lens[r]*int64(f.m.Kernel.Bufs[r].DType.Size()) + 15) &^ 15
	}
}

// layOutRows gives a group as many lanes as its row has work for: rowsPerRank runs
// each, fewer where there are too few rows to keep the device busy.
func (g *groups) layOutRows(f *frame, points int64) {
	s, runs := &f.group, int64(1)
	if g.split >= 0 {
		runs = ceilDiv(g.inner[g.split].length(f.nest), f.step)
	}
	s.log = min(ceilLog(ceilDiv(runs, rowsPerRank)), ceilLog(groupThreads))
	busy := int64(f.m.device.Multiprocessors) * busyThreads
	for points<<s.log < busy && s.log < ceilLog(groupThreads) && int64(1)<<s.log < runs {
		s.log++
	}
	s.threads = max(rowThreads, int64(1)<<s.log)
	s.perBlock = s.threads >> s.log
	s.slots = stageThreads / 32
}

// layOutHeld is layOutRows for rows in registers; nil where a row is too long.
func (g *groups) layOutHeld(f *frame, points int64) *variant {
	if g.variant(inRegisters, 1) == nil {
		return nil
	}
	s, length := &f.group, g.inner[0].length(f.nest)
	if length > maxHeld {
		return nil
	}
	if length%f.step != 0 {
		f.step = 1
	}
	s.log = ceilLog(ceilDiv(length, residentLanes))
	if f.step == 1 { // neighbouring elements for a sector's worth of lanes
		s.log = max(s.log, ceilLog(min(ceilDiv(length, 8), 16)))
	}
	s.threads = max(rowThreads, int64(1)<<s.log)
	s.perBlock = s.threads >> s.log
	s.slots = stageThreads / 32
	s.slotBytes = int64(2*g.folds) * s.slots * slotBytes
	s.blocks = ceilDiv(points, s.perBlock)
	return g.variant(inRegisters, int(f.step))
}

// layOutStaged is layOutRows for rows in shared memory, a block for each; nil where
// a row is too long for that.
func (g *groups) layOutStaged(f *frame, points int64) *variant {
	v := g.variant(inShared, int(f.step))
	if v == nil {
		return nil
	}
	s, length := &f.group, g.inner[0].length(f.nest)
	s.slots = stageThreads / 32
	s.slotBytes = int64(2*g.folds) * s.slots * slotBytes
	bytes := v.staged.bytes(length)
	if s.slotBytes+bytes > int64(f.m.device.SharedBytes) {
		return nil
	}
	s.rowAt, s.rowBytes = v.staged.place(length), bytes
	s.threads = stageThreads
	if bytes <= int64(f.m.device.SharedBytes)/halfShared {
		s.threads = groupThreads
	}
	s.log, s.perBlock, s.blocks = ceilLog(s.threads), 1, points
	return v
}

// layOutColumns gives a warp as many points as are neighbours, and splits the inner
// loop over lanes and warps until the device is busy.
func (g *groups) layOutColumns(f *frame, points int64) {
	s, length := &f.group, int64(1)
	if g.split >= 0 {
		length = g.inner[g.split].length(f.nest)
	}
	s.lanes = 5
	if last := g.outer; len(last) > 0 && g.split >= 0 {
		s.lanes = min(5, ceilLog(last[len(last)-1].length(f.nest)))
	}
	const most = 4 // 16 warps
	warps, perWarp := 0, 5-s.lanes
	busy := int64(f.m.device.Multiprocessors) * busyThreads
	for warps < most && length>>(warps+perWarp) > rowsPerRank && points<<(warps+perWarp) < busy {
		warps++
	}
	for warps > 0 && int64(2*g.folds)<<warps*32*slotBytes > smallShared {
		warps--
	}
	all := max(int64(1)<<warps, columnWarps)
	if int64(2*g.folds)*all*32*slotBytes > smallShared {
		all = 1 << warps
	}
	s.log = warps + perWarp
	s.threads = 32 * all
	s.perBlock = (all >> warps) << s.lanes
	s.slots = 32 * all
}

func ceilLog(n int64) int { return bits.Len64(uint64(max(n, 1) - 1)) }
