package testdevice

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"jitc/executors"
)

// Scratch is how much scratch memory a launch has, unless SetScratch says otherwise.
const Scratch = 300

// SetScratch makes launches that are bound from now on have one of these amounts of
// scratch memory.
func (d *Device) SetScratch(bytes ...int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scratch = bytes
}

// Kernel makes a kernel of the host one of the device.
func (d *Device) Kernel(k executors.Kernel) executors.Kernel { return kernel{k, d} }

type kernel struct {
	executors.Kernel
	d *Device
}

// Bind binds the host's kernel.
func (k kernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.Kernel.Bind(sizes)
	if err != nil {
		return nil, err
	}
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	return &launch{d: k.d, of: l, scratch: k.d.scratch[k.d.rng.IntN(len(k.d.scratch))]}, nil
}

type launch struct {
	d       *Device
	of      executors.Launch
	scratch int
}

func (l *launch) ScratchBytes(int) int { return l.scratch }

// Run queues the launch.
func (l *launch) Run(bufs [][]byte, scratch []byte, _ executors.Workers) error {
	d := l.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(); err != nil {
		return err
	}
	run, err := l.prepare(bufs, scratch)
	if err != nil {
		return err
	}
	d.queue(func() error { run.begin(); return run.end() })
	return nil
}

// launched is one launch: what it reads, what it writes, and its token.
type launched struct {
	l       *launch
	bufs    [][]byte
	scratch []byte
	token   []byte
}

// results is implemented by host launches that tell how many of their last buffers
// they write; others write one.
type results interface{ NumResults() int }

func (l *launch) prepare(bufs [][]byte, scratch []byte) (*launched, error) {
	if len(scratch) != l.scratch {
		return nil, fmt.Errorf("testdevice: expected %d bytes of scratch, got %d", l.scratch, len(scratch))
	}
	r := &launched{l: l, scratch: l.d.behind(scratch), token: make([]byte, l.scratch)}
	fill(r.token, byte(l.d.rng.Uint32()))
	for _, b := range bufs {
		r.bufs = append(r.bufs, l.d.behind(b))
	}
	return r, nil
}

func (r *launched) outputs() [][]byte {
	n := 1
	if x, ok := r.l.of.(results); ok {
		n = x.NumResults()
	}
	return r.bufs[len(r.bufs)-n:]
}

// begin spoils what the launch will write.
func (r *launched) begin() {
	copy(r.scratch, r.token)
	for _, b := range r.outputs() {
		fill(b, 0x5A)
	}
}

// end computes. The operands are read now; the outputs are written last.
func (r *launched) end() error {
	d := r.l.d
	d.counts.Launches++
	if f := d.armed; f != nil {
		if f.after--; f.after < 0 {
			d.armed = nil
			if f.fatal {
				d.dead = f.err
			}
			return f.err
		}
	}
	if !bytes.Equal(r.scratch, r.token) {
		panic("BUG: testdevice: launches at the same time share scratch memory")
	}
	bufs := slices.Clone(r.bufs)
	n := len(bufs) - len(r.outputs())
	for i, b := range bufs {
		bufs[i] = alignedCopy(b)
	}
	if err := r.l.of.Run(bufs, nil, inline{}); err != nil {
		return err
	}
	for i := n; i < len(bufs); i++ {
		copy(r.bufs[i], bufs[i])
	}
	return nil
}

// inline runs chunks on the caller's goroutine.
type inline struct{}

func (inline) Workers() int { return 1 }

func (inline) Run(chunks int, f func(chunk, worker int)) {
	for i := range chunks {
		f(i, 0)
	}
}

// batch keeps launches and their order.
type batch struct {
	d        *Device
	launches []*launch
	after    [][]int
}

// Batch checks that the order is one.
func (d *Device) Batch(launches []executors.Launch, after [][]int) (executors.Batch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &batch{d: d, after: after}
	for i, l := range launches {
		own, ok := l.(*launch)
		if !ok || own.d != d {
			return nil, fmt.Errorf("testdevice: launch %d is not of %s", i, d.name)
		}
		b.launches = append(b.launches, own)
	}
	for i, js := range after {
		for _, j := range js {
			if j < 0 || j >= i {
				return nil, fmt.Errorf("testdevice: launch %d waits for %d", i, j)
			}
		}
	}
	if after != nil && len(after) != len(launches) {
		return nil, errors.New("testdevice: an order for other launches")
	}
	d.counts.Batches++
	return b, nil
}

// Recorded is nil but for batches of one launch.
func (b *batch) Recorded() error {
	if len(b.launches) == 1 {
		return errors.New("one launch is launched")
	}
	return nil
}

// Run queues the launches.
func (b *batch) Run(args [][][]byte, scratch [][]byte) error {
	d := b.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(); err != nil {
		return err
	}
	if len(args) != len(b.launches) || len(scratch) != len(b.launches) {
		return errors.New("testdevice: buffers for other launches")
	}
	runs := make([]*launched, len(args))
	for i, l := range b.launches {
		var err error
		if runs[i], err = l.prepare(args[i], scratch[i]); err != nil {
			return err
		}
	}
	d.counts.Runs++
	d.queue(func() error { return b.interleave(runs) })
	return nil
}

// interleave runs launches at the same time that do not wait for each other.
func (b *batch) interleave(runs []*launched) error {
	done, begun := make([]bool, len(runs)), make([]bool, len(runs))
	ready := func(i int) bool {
		if b.after == nil {
			return i == 0 || done[i-1]
		}
		return !slices.ContainsFunc(b.after[i], func(j int) bool { return !done[j] })
	}
	for left := len(runs); left > 0; {
		i := b.d.rng.IntN(len(runs))
		switch {
		case done[i]:
		case begun[i]:
			if err := runs[i].end(); err != nil {
				return err
			}
			done[i] = true
			left--
		case ready(i):
			runs[i].begin()
			begun[i] = true
		}
	}
	return nil
}
