package ptx

import (
	"fmt"
	"math/bits"
	"slices"
)

// shape is how groups are laid out on blocks, at concrete sizes.
type shape struct {
	log       int   // of the ranks of a group
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
	busyThreads  = 1024     // threads of a multiprocessor that keep memory busy
	rowsPerRank  = 4        // iterations of a rank before more ranks are worth their exchange
	residentRows = 2048     // threads of a multiprocessor
	smallShared  = 48 << 10 // of a block, that leaves room for others beside it
)

// bind plans the launch for the sizes of a step.
func (g *groups) bind(b *binding, step int) ([]Launch, error) {
	f := &frame{binding: b, step: 1}
	if f.setStep(step); f.nest.Empty {
		return nil, nil
	}
	if g.width > 1 && f.aligned(g.strict, slices.Concat(g.outer, g.inner), &g.inner[g.split], int64(g.width)) {
		f.step = int64(g.width)
	}
	v, err := g.layOut(f)
	if err != nil {
		return nil, err
	}
	s := &f.group
	if g.parts != nil {
		if ls, err := g.bindParts(f); err != nil || ls != nil {
			return ls, err
		}
	}
	l := Launch{Block: [3]uint32{uint32(s.threads), 1, 1}, Shared: uint32(s.slotBytes)}
	if len(g.rows) > 0 && !v.scratch && v.held == nil {
		l.Shared += uint32(s.perBlock * s.rowBytes)
	}
	if err := f.grid(&l, v.e, s.blocks); err != nil {
		return nil, err
	}
	return []Launch{l}, v.e.fill(f, &l)
}

// layOut chooses ranks, blocks and the variant.
func (g *groups) layOut(f *frame) (*variant, error) {
	s, points := &f.group, g.points(f)
	if g.columns {
		g.layOutColumns(f, points)
	} else {
		g.layOutRows(f, points)
	}
	s.slotBytes = int64(2*g.folds) * s.slots * slotBytes
	s.blocks = ceilDiv(points, s.perBlock)
	if v := &g.variants[len(g.variants)-1]; v.held != nil && g.layOutHeld(f, points) {
		return v, nil
	}
	v := &g.variants[0]
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
	return &g.variants[1], nil
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
	s.slots = groupThreads / 32
}

// layOutHeld is layOutRows for rows in registers; false where a row is too long or
// not made of whole runs.
func (g *groups) layOutHeld(f *frame, points int64) bool {
	s, length := &f.group, g.inner[0].length(f.nest)
	if f.step != int64(g.width) || length%f.step != 0 || length > groupThreads*residentLanes {
		return false
	}
	s.log = ceilLog(ceilDiv(length, residentLanes))
	s.threads = max(rowThreads, int64(1)<<s.log)
	s.perBlock = s.threads >> s.log
	s.blocks = ceilDiv(points, s.perBlock)
	return true
}

// layOutColumns splits the inner loop over warps until the device is busy.
func (g *groups) layOutColumns(f *frame, points int64) {
	s, length := &f.group, int64(1)
	if g.split >= 0 {
		length = g.inner[g.split].length(f.nest)
	}
	const most = 4 // 16 warps
	busy := int64(f.m.device.Multiprocessors) * busyThreads
	for s.log < most && length>>s.log > rowsPerRank && points<<s.log < busy {
		s.log++
	}
	for s.log > 0 && int64(2*g.folds)<<s.log*32*slotBytes > smallShared {
		s.log--
	}
	warps := max(int64(1)<<s.log, columnWarps)
	if int64(2*g.folds)*warps*32*slotBytes > smallShared {
		warps = 1 << s.log
	}
	s.threads = 32 * warps
	s.perBlock = 32 * (warps >> s.log)
	s.slots = 32 * warps
}

func ceilLog(n int64) int { return bits.Len64(uint64(max(n, 1) - 1)) }
