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

// ring is the pinned memory of one direction. Its users take turns: the copies
// themselves are in one order anyway.
type ring struct {
	bytes int // of a slot

	mu    sync.Mutex
	block []byte // pinned, nil until it is needed
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

// record puts the event behind the slot's copy; without one, the copy is waited for.
func (s *slot) record(q *queue) error {
	if err := q.api.RecordEvent(s.event, q.stream); err != nil {
		if err = q.failed(err); q.lostError() == nil {
			err = errors.Join(err, q.wait())
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

// Upload queues a copy from the host; src has been read when it returns.
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
		if err := s.record(q); err != nil {
			return err
		}
		dst, src = dst[n:], src[n:]
	}
	return nil
}

// Download copies to the host and waits; a few pieces are always on their way.
func (q *queue) Download(dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("%s: download of %d bytes into %d", q.name, len(src), len(dst))
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if len(dst) == 0 {
		return nil
	}
	started, gone := q.recent.count(), q.retired.take()
	q.down.mu.Lock()
	err := q.download(dst, src)
	q.down.mu.Unlock()
	if err != nil {
		q.retired.put(gone...)
		return err
	}
	q.recent.done(started)
	return q.destroy(gone)
}

// download moves the pieces; down is locked.
func (q *queue) download(dst, src []byte) error {
	var way [pieceSlots]struct { // pieces on their way, in order
		s  *slot
		to []byte
	}
	sent, got := 0, 0
	for {
		for sent-got < pieceSlots && len(src) > 0 {
			n := min(len(src), q.down.bytes)
			s, err := q.fetch(src[:n])
			if err != nil {
				return err
			}
			way[sent%pieceSlots].s, way[sent%pieceSlots].to = s, dst[:n]
			dst, src, sent = dst[n:], src[n:], sent+1
		}
		if got == sent {
			return nil
		}
		w := &way[got%pieceSlots]
		if err := w.s.wait(q); err != nil {
			return err
		}
		copy(w.to, w.s.host)
		got++
	}
}

// fetch queues the copy of one piece.
func (q *queue) fetch(src []byte) (*slot, error) {
	s, err := q.down.take(q)
	if err != nil {
		return nil, err
	}
	if err := q.api.CopyToHost(s.host[:len(src)], address(src), q.stream); err != nil {
		return nil, q.failed(err)
	}
	return s, s.record(q)
}
