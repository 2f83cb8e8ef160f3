package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// deviceAlign is the alignment of what runs place in a device's memory, in bytes.
const deviceAlign = 256

// deviceRecording is the part of a recording that is about devices.
//
//	a run's memory on a side   | arena: intermediates, scratch | arguments and results that lie elsewhere |
//
// Immutable but for idle.
type deviceRecording struct {
	sides   []sideRecording
	scratch []piece          // by step, in the arena of its side
	after   [][][]int        // by group: which steps of a batch wait for which
	kept    []*tensor.Tensor // the constants on devices
	reports []BatchReport    // by group that is a batch, when the first ones were made

	mu   sync.Mutex
	idle []*rounds
}

// sideRecording is what a run needs of a device; that of the host is empty.
type sideRecording struct {
	arena, live int
	temps       []int // slots
}

// piece is a part of an arena.
type piece struct{ offset, bytes int }

// batches are those of one run, by group; nil for groups that are none.
type batches []executors.Batch

// rounds are the batches of a run: the first, or the only ones, and those for odd and
// for even iterations of the loop whose body it is. They are made when they run first.
type rounds [3]batches

// BatchReport describes the steps [First, Last] of a program, or of a body of its
// control flow, which a device runs as one.
type BatchReport struct {
	Device     string `json:"device"`
	First      int    `json:"first"`
	Last       int    `json:"last"`
	In         string `json:"in,omitempty"`         // the body whose steps they are; empty for the program's
	Unrecorded string `json:"unrecorded,omitempty"` // why the device does not replay a recording; empty if it does
}

// Batches lists what the recording gives to devices at once; behind the program's
// own, what bodies do in an iteration.
func (r *Recording) Batches() []BatchReport {
	if r.devices == nil {
		return nil
	}
	out := r.devices.reportNow()
	for i, c := range r.controls {
		if c == nil {
			continue
		}
		for k := range c.bodies {
			in := fmt.Sprintf("%s of the %s", ir.BodyRole(c.op, k), &r.p.Steps[i])
			for _, b := range c.bodies[k].rec.Batches() {
				if b.In != "" {
					b.In = in + ", " + b.In
				} else {
					b.In = in
				}
				out = append(out, b)
			}
		}
	}
	return out
}

// reportNow is what batches say that wait for a run: a device may have given its
// recording up since they were made. Of those of a loop's iterations it is the later
// ones.
func (d *deviceRecording) reportNow() []BatchReport {
	out := slices.Clone(d.reports)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) == 0 {
		return out
	}
	rs := d.idle[len(d.idle)-1]
	at := 0
	for i, b := range rs[0] {
		if b == nil {
			continue
		}
		for _, later := range rs[1:] {
			if later != nil {
				b = later[i]
			}
		}
		out[at].Unrecorded = ""
		if err := b.Recorded(); err != nil {
			out[at].Unrecorded = err.Error()
		}
		at++
	}
	return out
}

// DevicePlan is what a run needs of a device's memory beside what its arguments and
// results take where they lie elsewhere.
type DevicePlan struct {
	Device string `json:"device"`
	Arena  int    `json:"arena"` // bytes of intermediates and scratch
	Live   int    `json:"live"`  // the most of them at one step
}

// Devices lists the devices' memory plans.
func (r *Recording) Devices() []DevicePlan {
	if r.devices == nil {
		return nil
	}
	var out []DevicePlan
	for side, d := range r.p.placed.devices {
		if side > 0 {
			out = append(out, DevicePlan{d.name, r.devices.sides[side].arena, r.devices.sides[side].live})
		}
	}
	return out
}

// onDevices is how much of all devices' memory the plans take.
func (r *Recording) onDevices() (sum int) {
	for _, d := range r.Devices() {
		sum += d.Arena
	}
	return sum
}

// recordDevices plans the devices' memory and makes the batches of a first run.
func (r *Recording) recordDevices() error {
	if r.p.placed == nil {
		return nil
	}
	r.devices = &deviceRecording{sides: make([]sideRecording, len(r.p.placed.devices)), scratch: make([]piece, len(r.p.steps))}
	for _, prepare := range []func() error{r.planDevices, r.copyConstants, r.orderGroups, r.firstBatches} {
		if err := prepare(); err != nil {
			return err
		}
	}
	return nil
}

// planDevices places intermediates and scratch in the arena of each device.
func (r *Recording) planDevices() (err error) {
	for side := 1; side < len(r.devices.sides); side++ {
		s, l := &r.devices.sides[side], layout{of: r}
		for i := range r.p.slots {
			l.temp(i, side, deviceAlign)
			if t := &r.p.slots[i]; t.kind == slotTemp && t.side == side {
				s.temps = append(s.temps, i)
			}
		}
		for _, g := range r.p.placed.groups {
			if g.side == side && g.batch {
				r.planScratch(g, &l)
			}
		}
		if s.arena, s.live, err = l.place(); err != nil {
			return fmt.Errorf("%s: %w", r.p.placed.devices[side].name, err)
		}
	}
	return nil
}

// apartBytes is how much scratch memory a group may have before its steps share it:
// those that share memory wait for each other.
const apartBytes = 1 << 20

func (r *Recording) planScratch(g group, l *layout) {
	total := 0
	for i := g.lo; i < g.hi; i++ {
		r.devices.scratch[i].bytes = r.launches[i].ScratchBytes(1)
		total = min(total+r.devices.scratch[i].bytes, MaxBytes)
	}
	for i := g.lo; i < g.hi; i++ {
		first, last := g.lo, g.hi-1
		if total > apartBytes {
			first, last = i, i
		}
		l.add(r.devices.scratch[i].bytes, deviceAlign, first, last, &r.devices.scratch[i].offset)
	}
}

// copyConstants brings the constants to the devices that read them.
func (r *Recording) copyConstants() error {
	for m, s := range r.p.slots {
		if s.kind != slotCopy || r.p.slots[s.of].kind != slotConst {
			continue
		}
		d := r.p.placed.devices[s.side]
		t, err := d.tensor(s.typ.DType, r.shapes[m])
		if err != nil {
			return fmt.Errorf("a constant: %w", err)
		}
		if r.bytes[m] > 0 {
			if err := d.Upload(t.DeviceBytes(), r.fixed[s.of]); err != nil {
				return fmt.Errorf("a constant: %w", err)
			}
		}
		r.fixed[m] = t.DeviceBytes()
		r.consts = append(r.consts, m)
		r.devices.kept = append(r.devices.kept, t)
	}
	return nil
}

// orderGroups finds what waits for what.
func (r *Recording) orderGroups() error {
	for _, g := range r.p.placed.groups {
		var after [][]int
		if g.batch {
			after = r.order(g)
		}
		r.devices.after = append(r.devices.after, after)
	}
	return nil
}

// firstBatches makes batches for the first run, and reports on them.
func (r *Recording) firstBatches() error {
	bs, err := r.newBatches()
	if err != nil {
		return err
	}
	r.devices.idle = append(r.devices.idle, &rounds{bs})
	for i, g := range r.p.placed.groups {
		if !g.batch {
			continue
		}
		report := BatchReport{Device: r.p.placed.devices[g.side].name, First: g.lo, Last: g.hi - 1}
		if err := bs[i].Recorded(); err != nil {
			report.Unrecorded = err.Error()
		}
		r.devices.reports = append(r.devices.reports, report)
	}
	return nil
}

func (r *Recording) newBatches() (batches, error) {
	out := make(batches, len(r.p.placed.groups))
	for i, g := range r.p.placed.groups {
		if !g.batch {
			continue
		}
		d := r.p.placed.devices[g.side]
		b, err := d.queue.Batch(r.launches[g.lo:g.hi], r.devices.after[i])
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", r.stepsText(g), d.name, err)
		}
		out[i] = b
	}
	return out, nil
}

// takeBatches are batches that no other run has.
func (r *Recording) takeBatches() *rounds {
	d := r.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.idle)
	if n == 0 {
		return new(rounds)
	}
	rs := d.idle[n-1]
	d.idle = d.idle[:n-1]
	return rs
}

// batchesOf are the batches of a round.
func (r *Recording) batchesOf(rs *rounds, round int) (_ batches, err error) {
	if rs[round] == nil {
		rs[round], err = r.newBatches()
	}
	return rs[round], err
}

// maxIdle bounds the batches that wait for runs, of which that many were under way
// at one time.
const maxIdle = 16

func (r *Recording) giveBatches(rs *rounds) {
	d := r.devices
	d.mu.Lock()
	if len(d.idle) < maxIdle {
		d.idle = append(d.idle, rs)
	}
	d.mu.Unlock()
}

// stepsText names the steps of a group, for messages.
func (r *Recording) stepsText(g group) string {
	first := r.p.Steps[g.lo].String()
	if g.hi-g.lo == 1 {
		return first
	}
	return fmt.Sprintf("steps %d to %d, from the %s to the %s", g.lo, g.hi-1, first, &r.p.Steps[g.hi-1])
}

// sizesText prints the recording's sizes, for messages.
func (r *Recording) sizesText() string {
	var b strings.Builder
	for _, s := range slices.Sorted(maps.Keys(r.Sizes)) {
		fmt.Fprintf(&b, ", %s=%d", s, r.Sizes[s])
	}
	return strings.TrimPrefix(b.String(), ", ")
}
