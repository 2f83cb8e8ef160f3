package cuda

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"jitc/codegen/ptx"
	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// launch is a kernel at concrete sizes: the launches of its entries, in order,
// complete but for addresses.
type launch struct {
	k       *kernel
	q       *queue
	buffers []buffer // of the caller
	scratch int      // bytes
	zeros   int      // bytes of counters
	own     *counters
	entries []entry
	wide    bool
	updates *int      // as of planned
	runs    sync.Pool // *run
}

// entry is one launch of an entry of the kernel.
type entry struct {
	program  *program // kept loaded
	function driver.Function
	work     func(s driver.Stream, at Addresses) error // in place of the function: see Work
	config   driver.LaunchConfig                       // its Params are a template
	pointers []ptx.Pointer                             // to the memory of a run
	zeros    []ptx.Pointer                             // to counters
	maps     []ptx.Map
	label    string
}

// run is what one run writes: a configuration of each entry, and what its tensor maps
// point at.
type run struct {
	configs []driver.LaunchConfig
	mapped  [][]driver.Ptr
}

var _ executors.Assumer = (*launch)(nil)

// newLaunch assembles and loads the entries of a plan, where that has not happened,
// and readies it.
func newLaunch(k *kernel, f *form, p *planned, wide bool) (*launch, error) {
	q, err := k.executor.open()
	if err != nil {
		return nil, err
	}
	l := &launch{k: k, q: q, buffers: p.buffers, scratch: p.Scratch, zeros: p.Zeros, wide: wide, updates: p.updates}
	f.assemble(chosen(p.Launches))
	if err := l.resolve(f, p.Launches); err != nil {
		return nil, err
	}
	if l.own, err = q.newCounters(l.zeros); err != nil {
		return nil, fmt.Errorf("counters of kernel @%s: %w", k.name, err)
	}
	for i := range l.entries {
		l.own.fill(&l.entries[i], l.entries[i].config.Params)
	}
	l.runs.New = func() any { return newRun(l.entries) }
	return l, nil
}

// resolve loads the code of a plan's launches, and finds their functions.
func (l *launch) resolve(f *form, launches []ptx.Launch) error {
	if err := l.q.enter(); err != nil {
		return err
	}
	defer l.q.leave()
	for _, x := range launches {
		p, err := f.codes[x.Entry].load(l.q)
		if err != nil {
			return fmt.Errorf("load kernel @%s: %w", l.k.name, err)
		}
		function, err := p.function(l.q, x.Entry, x.Shared)
		if err != nil {
			return fmt.Errorf("entry %s: %w", x.Entry, err)
		}
		pointers, zeros := counted(x.Pointers)
		l.entries = append(l.entries, entry{program: p, function: function, pointers: pointers, zeros: zeros, maps: x.Maps,
			config: driver.LaunchConfig{Grid: x.Grid, Block: x.Block, Shared: x.Shared, Params: slices.Clone(x.Params), Offsets: f.codes[x.Entry].offsets},
			label:  fmt.Sprintf("entry %s of @%s", x.Entry, l.k.name)})
	}
	return nil
}

// newRun makes configurations with parameter blocks of their own.
func newRun(entries []entry) *run {
	r := &run{configs: make([]driver.LaunchConfig, len(entries)), mapped: make([][]driver.Ptr, len(entries))}
	for i, e := range entries {
		r.configs[i] = e.config
		r.configs[i].Params = append([]byte(nil), e.config.Params...)
		r.mapped[i] = make([]driver.Ptr, len(e.maps))
	}
	return r
}

// ScratchBytes is the device memory of the temporaries; workers have no part in it.
func (l *launch) ScratchBytes(int) int { return l.scratch }

// Chunks is 1: what is left to the host is not worth handing out.
func (l *launch) Chunks() int { return 1 }

// Assumes says why indices are wide. Plans choose by size in more ways, among the
// module's entries and their grids, for which they have no conditions.
func (l *launch) Assumes() []executors.Assumption {
	if !l.wide {
		return nil
	}
	return []executors.Assumption{{What: "64-bit indices: one needs more than 32 bits"}}
}

// Run queues the launches. bufs and scratch are memory of the device's queue.
func (l *launch) Run(bufs [][]byte, scratch []byte, _ executors.Workers) error {
	aligned, err := l.check(bufs, scratch)
	if err != nil {
		return err
	}
	if err := l.q.enter(); err != nil {
		return err
	}
	defer l.q.leave()
	if !aligned {
		return l.enqueueMoved(bufs, scratch)
	}
	return l.enqueue(bufs, scratch)
}

// enqueue queues the launches, on buffers that were checked and are aligned to
// vectors. The context is current.
func (l *launch) enqueue(bufs [][]byte, scratch []byte) error {
	r := l.runs.Get().(*run)
	defer l.runs.Put(r)
	for i := range l.entries {
		e, c := &l.entries[i], &r.configs[i]
		if _, err := l.q.patch(e, c.Params, r.mapped[i], bufs, scratch); err != nil {
			return err
		}
		if err := l.q.start(e, c); err != nil {
			return err
		}
	}
	return nil
}

// check makes sure that the bound proof holds for the memory given; aligned says
// that every buffer is aligned to vectors.
func (l *launch) check(bufs [][]byte, scratch []byte) (aligned bool, err error) {
	if len(bufs) != len(l.buffers) {
		return false, fmt.Errorf("BUG: cuda: %d buffers, need %d", len(bufs), len(l.buffers))
	}
	var bits uintptr
	for i := range l.buffers {
		b := &l.buffers[i]
		if len(bufs[i]) < b.bytes {
			return false, fmt.Errorf("BUG: cuda: buffer %s has %d bytes, need %d", b.name, len(bufs[i]), b.bytes)
		}
		if b.bytes == 0 {
			continue
		}
		at := uintptr(address(bufs[i]))
		if at%b.align != 0 {
			return false, fmt.Errorf("BUG: cuda: buffer %s at %#x, need a multiple of %d", b.name, at, b.align)
		}
		bits |= at
	}
	if len(scratch) < l.scratch {
		return false, fmt.Errorf("BUG: cuda: scratch of %d bytes, need %d", len(scratch), l.scratch)
	}
	return bits%vectorBytes == 0, nil
}

// patch writes the addresses of a run into a parameter block, and reports whether
// any differs from what was there.
func (e *entry) patch(params []byte, bufs [][]byte, scratch []byte) (changed bool) {
	for i := range e.pointers {
		p := &e.pointers[i]
		mem := scratch
		if p.Buf != ptx.Scratch {
			mem = bufs[p.Buf]
		}
		at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) + uint64(p.Offset)
		if len(mem) == 0 {
			at = 0
		}
		if slot := params[p.At : p.At+8]; binary.LittleEndian.Uint64(slot) != at {
			binary.LittleEndian.PutUint64(slot, at)
			changed = true
		}
	}
	return changed
}

// launch queues one entry. The context is current.
func (q *queue) launch(f driver.Function, c *driver.LaunchConfig, label string) error {
	q.recent.add(label)
	if err := q.api.Launch(f, c, q.stream); err != nil {
		return q.failed(err)
	}
	if q.o.Blocking {
		return q.wait()
	}
	return nil
}
