package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress shows one line on a terminal while something takes longer than a
// moment, and erases it when it is over. Off a terminal it does nothing.
//
// Invariant: after stop the line is gone, so that nothing mixes with output.
// Safe for concurrent use.
type progress struct {
	w     io.Writer // nil: show nothing
	delay time.Duration

	mu    sync.Mutex
	text  string
	since time.Time
	shown bool
	quit  chan struct{} // closed to end the painter; nil while there is none
}

// progressDelay is how long something takes before it is worth a line.
const progressDelay = time.Second

func newProgress(w io.Writer) *progress {
	p := &progress{delay: progressDelay}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// start says what is going on now.
func (p *progress) start(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.since = fmt.Sprintf(format, args...), time.Now()
	if p.quit == nil {
		p.quit = make(chan struct{})
		go p.paint(p.quit)
	}
}

// update changes the text; the clock goes on.
func (p *progress) update(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

// paint redraws the line until quit is closed.
func (p *progress) paint(quit chan struct{}) {
	tick := time.NewTicker(p.delay / 10)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			p.draw(quit)
		}
	}
}

func (p *progress) draw(quit chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.since)
	if p.quit != quit || took < p.delay {
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s %.0f s", clip(p.text, columns-12), took.Seconds())
	p.shown = true
}

// stop erases the line.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quit != nil {
		close(p.quit)
		p.quit = nil
	}
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
