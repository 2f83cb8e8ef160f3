package cuda

import (
	"errors"
	"fmt"
	"sync"

	"jitc/executors/cuda/driver"
)

// Copies between host and device pass through pinned memory, in pieces, so that
// the copy of one piece by the host overlaps that of another by the device:
//
//	host memory  --copy-->  slot (pinned)  --queued copy-->  device memory
//
// A slot may be written again when the event behind its copy has come.

// defaultPiece is the size of a slot: large enough that waiting for its event does
// not count beside its copy. Uploads of no more than smallPiece have slots of their
// own, many of them, so that the host can be some calls ahead of the device.
const (
	defaultPiece = 2 << 20
	smallPiece   = 8 << 10

	pieceSlots = 4
	smallSlots = 128
)

// ring is pinned memory for copies of one stream. Its users take turns: the copies
// themselves are in one order anyway.
type ring struct {
	bytes int // of a slot

	mu    sync.Mutex // of uploads; a lane has one user at a time
	block []byte     // pinned, nil until it is needed
	slots []slot
	next  int
}

// slot is one piece of pinned memory.
type slot struct {
	host  []byte
	event driver.Event // 0 until it is needed
	used  bool         // a copy has been queued, with the event behind it
}

func newRing(slots, bytes int) ring { return ring{bytes: bytes, slots: make([]slot, slots)} }

// take returns the next slot, when the copy that it was used for is done. The
// context is current.
func (r *ring) take(q *queue) (*slot, error) {
	if r.block == nil {
		block, err := q.api.AllocHost(len(r.slots) * r.bytes)
		if err != nil {
			return nil, q.failed(err)
		}
		r.block = block
		for i := range r.slots {
			r.slots[i].host = block[i*r.bytes:][:r.bytes]
		}
	}
	s := &r.slots[r.next]
	if s.event == 0 {
		event, err := q.api.NewEvent()
		if err != nil {
			return nil, q.failed(err)
		}
		s.event = event
	}
	r.next = (r.next + 1) % len(r.slots)
	return s, s.wait(q)
}

// wait waits for the copy that the slot is used for.
func (s *slot) wait(q *queue) error {
	if !s.used {
		return nil
	}
	if err := q.api.SyncEvent(s.event); err != nil {
		return q.failed(err)
	}
	s.used = false
	return nil
}

// record puts the event behind the slot's copy, on its stream; without one, the copy
// is waited for.
func (s *slot) record(q *queue, on driver.Stream) error {
	if err := q.api.RecordEvent(s.event, on); err != nil {
		if err = q.failed(err); q.lostError() == nil {
			err = errors.Join(err, q.failed(q.api.SyncStream(on)))
		}
		return err
	}
	s.used = true
	return nil
}

// close frees the pinned memory. The queue has been waited for.
func (r *ring) close(q *queue) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.slots {
		if s.event != 0 {
			errs = append(errs, q.api.DestroyEvent(s.event))
		}
	}
	if r.block != nil {
		errs = append(errs, q.api.FreeHost(r.block))
	}
	return errors.Join(errs...)
}

// Upload queues a copy from the host; src has been read when it returns. The copy is
// on the stream of the kernels: what is queued already may use dst, and what is
// queued next reads it, so that on a stream of its own it would have to wait for
// both, but where nothing has used dst since it was allocated. That cannot be known:
// most memory was used before it was freed and allocated again.
func (q *queue) Upload(dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("%s: upload of %d bytes into %d", q.name, len(src), len(dst))
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	up := &q.up
	if len(src) <= smallPiece {
		up = &q.small
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	for len(src) > 0 {
		s, err := up.take(q)
		if err != nil {
			return err
		}
		n := copy(s.host, src)
		if err := q.api.CopyToDevice(address(dst), s.host[:n], q.stream); err != nil {
			return q.failed(err)
		}
		if err := s.record(q, q.stream); err != nil {
			return err
		}
		dst, src = dst[n:], src[n:]
	}
	return nil
}
