package cuda

import "slices"

// moveAlign is the alignment of copies of buffers.
const moveAlign = 256

// enqueueMoved queues the launches on copies of the buffers that are not aligned to
// vectors, made in a block of memory for this run:
//
//	operand 1 | result 0 | ...    each at a multiple of moveAlign
//
// Operands are copied before the launches, results behind them. Memory of the queue
// is aligned, so that few runs come here. The context is current.
func (l *launch) enqueueMoved(bufs [][]byte, scratch []byte) error {
	places, end := make([]int, len(bufs)), 0
	for i := range l.buffers {
		places[i] = end
		if l.moves(i, bufs) {
			end += (l.buffers[i].bytes + moveAlign - 1) / moveAlign * moveAlign
		}
	}
	block, err := l.q.Alloc(end)
	if err != nil {
		return err
	}
	defer l.q.Free(block) // behind the launches
	copies := slices.Clone(bufs)
	for i := range l.buffers {
		if l.moves(i, bufs) {
			copies[i] = block[places[i]:][:l.buffers[i].bytes]
		}
	}
	if err := l.move(copies, bufs, false); err != nil {
		return err
	}
	if err := l.enqueue(copies, scratch); err != nil {
		return err
	}
	return l.move(bufs, copies, true)
}

// moves reports whether buffer i is not aligned.
func (l *launch) moves(i int, bufs [][]byte) bool {
	return l.buffers[i].bytes > 0 && address(bufs[i])%vectorBytes != 0
}

// move queues the copies of operands, or of results, that are in different places.
func (l *launch) move(to, from [][]byte, results bool) error {
	for i, b := range l.buffers {
		if b.result != results || address(to[i]) == address(from[i]) {
			continue
		}
		if err := l.q.api.CopyOnDevice(address(to[i]), address(from[i]), b.bytes, l.q.stream); err != nil {
			return l.q.failed(err)
		}
	}
	return nil
}
