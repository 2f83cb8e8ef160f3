package native

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Updates (see executors.ClaimUpdates) are loops of Go on typed memory: they move
// and combine rows, and wait for memory.
//
//	%1 = scatter(%cache, %slots, %rows) {axis=0, combine="set"}
//
// A run copies the operand, unless the result is to lie in its memory, then applies
// the updates. Work is divided by what it writes, so that the updates of one element
// are applied by one worker, in order: results do not depend on the workers.

// updater is a part of an update at concrete sizes.
type updater interface {
	// scratchBytes is the scratch of a run.
	scratchBytes() int
	// stages are the steps of a run, each of which needs those before.
	stages() int
	// chunks divides a stage of the run at hand; 0: there is nothing to do.
	chunks(u *updateRun, stage int) int
	// chunk is one part of it, done by a worker.
	chunk(u *updateRun, stage, chunk, worker int)
	// most is about the most chunks of a stage.
	most() int
}

// updateKernel is a region that holds an update, and views of its operands.
type updateKernel struct {
	region *ir.Func
	v      *ir.Value // the update
	info   executors.Info
}

// newUpdate is the kernel of a region that holds an update, nil of others.
func newUpdate(region *ir.Func) *updateKernel {
	v := executors.UpdateOf(region)
	if v == nil {
		return nil
	}
	bytes, flops := executors.Cost(region)
	return &updateKernel{region, v, executors.Info{Executor: Name, Kind: "update", Bytes: bytes, Flops: flops,
		Detail: v.Op.String() + " of rows; the operand is copied unless the result lies in its memory"}}
}

// Info describes the kernel.
func (k *updateKernel) Info() executors.Info { return k.info }

// Dump has nothing: there is no code but the executor's.
func (*updateKernel) Dump(string) (string, bool) { return "", false }

// Bind prepares a launch.
func (k *updateKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l := &updateLaunch{}
	for _, p := range slices.Concat(k.region.Params, k.region.Results) {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		n, err := tensor.CheckedBytes(p.Type.DType, shape)
		if err != nil {
			return nil, err
		}
		l.bytes = append(l.bytes, n)
	}
	all, err := executors.MovesOf(k.region, sizes)
	if err != nil {
		return nil, err
	}
	l.place = all.InPlace
	if l.updater, err = newMoves(k, all); err != nil {
		return nil, err
	}
	l.runs.New = func() any {
		u := &updateRun{l: l}
		u.each = u.chunk
		return u
	}
	return l, nil
}

// updateLaunch is an update at concrete sizes.
type updateLaunch struct {
	updater
	bytes []int // of each buffer
	place int   // for InPlace
	runs  sync.Pool
}

var _ executors.InPlacer = (*updateLaunch)(nil)

// InPlace is the operand that is updated.
func (l *updateLaunch) InPlace(int) int { return l.place }

// ScratchBytes does not depend on the workers.
func (l *updateLaunch) ScratchBytes(int) int { return l.scratchBytes() }

// Chunks is about the most chunks that a stage is split into.
func (l *updateLaunch) Chunks() int { return l.most() }

// Run applies the update.
func (l *updateLaunch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	for i, n := range l.bytes {
		if i >= len(bufs) || len(bufs[i]) < n {
			return fmt.Errorf("BUG: native: buffer %d of an update is missing or short", i)
		}
	}
	if len(scratch) < l.scratchBytes() {
		return fmt.Errorf("BUG: native: scratch of %d bytes, need %d", len(scratch), l.scratchBytes())
	}
	u := l.runs.Get().(*updateRun)
	u.bufs, u.scratch, u.workers = bufs, scratch, w.Workers()
	for len(u.blocks) < u.workers {
		u.blocks = append(u.blocks, block{})
	}
	for u.stage = 0; u.stage < l.stages(); u.stage++ {
		switch chunks := l.chunks(u, u.stage); {
		case chunks == 1:
			u.chunk(0, 0)
		case chunks > 1:
			w.Run(chunks, u.each)
		}
	}
	u.bufs, u.scratch = nil, nil
	l.runs.Put(u)
	return nil
}

// updateRun is one run of a launch.
type updateRun struct {
	l              *updateLaunch
	bufs           [][]byte
	scratch        []byte
	workers, stage int
	each           func(chunk, worker int)
	blocks         []block // by worker
}

func (u *updateRun) chunk(chunk, worker int) { u.l.chunk(u, u.stage, chunk, worker) }

// buffer is all of a buffer, of its size, or of the scratch memory.
func (u *updateRun) buffer(i int) []byte {
	if i == executors.InScratch {
		return u.scratch
	}
	return u.bufs[i][:u.l.bytes[i]]
}

// at is a buffer from a place on, of elements of so many bytes.
func (u *updateRun) at(p executors.Place, size int) []byte { return u.buffer(p.Buf)[p.Offset*size:] }

// block is what a worker has at hand: places of updates, a part of a row in f32 and
// of an update.
type block struct {
	places [1024]int64
	acc, x [512]float32
}

// copyBytes is what one chunk copies: a quarter of a second-level cache or so.
const copyBytes = 256 << 10

// copyChunks divides the copy of one buffer to another, unless they are one.
func copyChunks(to, from []byte) int {
	if unsafe.SliceData(to) == unsafe.SliceData(from) {
		return 0
	}
	return divUp(len(to), copyBytes)
}

// copyChunk is one chunk of it.
func copyChunk(to, from []byte, chunk int) {
	lo, hi := chunk*copyBytes, min((chunk+1)*copyBytes, len(to))
	copy(to[lo:hi], from[lo:hi])
}

func divUp(n, by int) int { return (n + by - 1) / by }

// share is the part of n that chunk i of so many has.
func share(n, i, chunks int) (lo, hi int) { return i * n / chunks, (i + 1) * n / chunks }
