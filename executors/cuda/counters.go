package cuda

import (
	"encoding/binary"
	"runtime"

	"jitc/codegen/ptx"
)

// counters are the zeros of a plan, in device memory, by which the blocks of a launch
// find out which of them is the last (see ptx.Plan.Zeros). They are set to zero once:
// each run leaves them as it found them.
//
// That holds only for runs one behind the other. All work of a queue is on one stream,
// but for what a graph may do at the same time: a launch has counters of its own, which
// its runs share, and where it occurs again in a batch, that occurrence has others.
//
// A run that does not come to its end, by a fault, leaves counts that are not zero. It
// also ends the context, and with it the memory and everything that could be launched.
type counters struct{ mem []byte }

// newCounters sets so many bytes of memory to zero, behind what is queued; nil for none.
// The memory is freed behind what is queued by then, when nobody holds the counters, or
// with the queue.
func (q *queue) newCounters(bytes int) (*counters, error) {
	if bytes == 0 {
		return nil, nil
	}
	mem, err := q.Alloc(bytes)
	if err != nil {
		return nil, err
	}
	if err := q.Upload(mem, make([]byte, bytes)); err != nil {
		q.Free(mem)
		return nil, err
	}
	c := &counters{mem}
	runtime.AddCleanup(c, q.Free, mem)
	return c, nil
}

// fill writes the address of counters into an entry's parameter block.
func (c *counters) fill(e *entry, params []byte) {
	for _, p := range e.zeros {
		at := uint64(address(c.mem)) + uint64(p.Offset)
		binary.LittleEndian.PutUint64(params[p.At:p.At+8], at)
	}
}

// counted splits pointers into those that runs fill in, and those to counters.
func counted(all []ptx.Pointer) (of, zeros []ptx.Pointer) {
	for _, p := range all {
		if p.Buf == ptx.Zeros {
			zeros = append(zeros, p)
		} else {
			of = append(of, p)
		}
	}
	return of, zeros
}
