package cuda

import (
	"errors"
	"fmt"
	"sync"

	"jitc/executors/cuda/driver"
)

// A download has a lane of its own, a stream beside the one of the kernels, so that
// it waits for what was queued before it and for nothing else, and kernels do not
// wait for its copies:
//
//	main stream  kernel  mark        kernel  kernel ...    of other goroutines
//	                      |
//	lane                  '-> copy copy copy               pieces, each with an event
//	host                         copy copy copy
//
// A small one is on the main stream, between the kernels: it is over before streams
// have waited for each other, and the host waits for its event alone.

// maxLanes bounds the downloads at one time: they share one path to the host, and
// each takes pinned memory. The next ones wait for a lane.
const maxLanes = 4

// smallDownload is what is copied in the time of a few kernels' launches.
const smallDownload = 64 << 10

// lanes are those of a queue, made when there are more downloads than lanes.
type lanes struct {
	mu   sync.Mutex
	made []*lane
	free chan *lane
}

// lane is a stream for downloads, with pinned memory. It has one user at a time.
type lane struct {
	stream driver.Stream // the main one where Options.Blocking
	mark   driver.Event  // on the main stream; 0 where Options.Blocking
	ring   ring
}

func newLanes() lanes { return lanes{free: make(chan *lane, maxLanes)} }

// take returns a lane, when one is free. The context is current.
func (ls *lanes) take(q *queue) (*lane, error) {
	select {
	case l := <-ls.free:
		return l, nil
	default:
	}
	if l, err := ls.more(q); l != nil || err != nil {
		return l, err
	}
	return <-ls.free, nil
}

// give ends the use of a lane.
func (ls *lanes) give(l *lane) { ls.free <- l }

// more makes a lane; nil if there are as many as there may be.
func (ls *lanes) more(q *queue) (*lane, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.made) == maxLanes {
		return nil, nil
	}
	l := &lane{stream: q.stream, ring: newRing(pieceSlots, q.o.PieceBytes)}
	if !q.o.Blocking {
		var err error
		if l.stream, err = q.api.NewStream(); err != nil {
			return nil, q.failed(err)
		}
		if l.mark, err = q.api.NewEvent(); err != nil {
			return nil, q.failed(errors.Join(err, q.api.DestroyStream(l.stream)))
		}
	}
	ls.made = append(ls.made, l)
	return l, nil
}

// wait waits for what is on the lanes by now. The context is current.
func (ls *lanes) wait(q *queue) error {
	ls.mu.Lock()
	made := ls.made
	ls.mu.Unlock()
	for _, l := range made {
		if err := q.api.SyncStream(l.stream); err != nil {
			return q.failed(err)
		}
	}
	return nil
}

// close destroys the lanes. No call is inside the queue.
func (ls *lanes) close(q *queue) error {
	errs := []error{ls.wait(q)}
	for _, l := range ls.made {
		errs = append(errs, l.ring.close(q))
		if l.mark != 0 {
			errs = append(errs, q.api.DestroyEvent(l.mark), q.api.DestroyStream(l.stream))
		}
	}
	return errors.Join(errs...)
}

// Download copies to the host, behind what is queued by now, and waits for that; a
// few pieces are always on their way. What was retired before is destroyed behind
// it: the copies, or the mark that they wait for, are behind the last use of that on
// the main stream.
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
	l, err := q.lanes.take(q)
	if err != nil {
		return err
	}
	defer q.lanes.give(l)
	started, gone := q.recent.count(), q.retired.take()
	if len(src) <= min(smallDownload, q.o.PieceBytes) {
		err = l.download(q, q.stream, dst, src)
	} else if err = l.follow(q); err == nil {
		err = l.download(q, l.stream, dst, src)
	}
	if err != nil {
		q.retired.put(gone...)
		return err
	}
	q.recent.done(started)
	return q.destroy(gone)
}

// follow lets what is queued on the lane from now on wait for what is queued on the
// main stream.
func (l *lane) follow(q *queue) error {
	if l.mark == 0 {
		return nil
	}
	err := q.api.RecordEvent(l.mark, q.stream)
	if err == nil {
		err = q.api.WaitEvent(l.mark, l.stream)
	}
	return q.failed(err)
}

// download moves the pieces. When it returns, no copy is on its way, whether it
// failed or not: the memory that they read may be freed.
func (l *lane) download(q *queue, on driver.Stream, dst, src []byte) error {
	err := l.move(q, on, dst, src)
	if err != nil && q.lostError() == nil {
		err = errors.Join(err, q.failed(q.api.SyncStream(on)))
	}
	return err
}

func (l *lane) move(q *queue, on driver.Stream, dst, src []byte) error {
	var way [pieceSlots]struct { // pieces on their way, in order
		s  *slot
		to []byte
	}
	sent, got := 0, 0
	for {
		for sent-got < pieceSlots && len(src) > 0 {
			n := min(len(src), l.ring.bytes)
			s, err := l.fetch(q, on, src[:n])
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
func (l *lane) fetch(q *queue, on driver.Stream, src []byte) (*slot, error) {
	s, err := l.ring.take(q)
	if err != nil {
		return nil, err
	}
	if err := q.api.CopyToHost(s.host[:len(src)], address(src), on); err != nil {
		return nil, q.failed(err)
	}
	return s, s.record(q, on)
}
