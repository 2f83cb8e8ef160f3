package runtime

import (
	"cmp"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jitc/executors"
	"jitc/ir/tensor"
)

// device is the queue of an accelerator, and what the process keeps for it: the
// arenas that runs on it share, and the account of the tensors that lie there.
// There is one for each queue; it is the tensor.Device of its tensors.
type device struct {
	queue  executors.Queue
	name   string
	arenas arenas

	live       atomic.Int64 // bytes of tensors
	limit      atomic.Int64 // of live, at which tensors that nobody has any more are looked for
	collecting atomic.Bool
}

// devices are those of the process, by executors.Queue.
var devices sync.Map

// deviceOf is the device of a queue.
func deviceOf(q executors.Queue) *device {
	if d, ok := devices.Load(q); ok {
		return d.(*device)
	}
	d := &device{queue: q, name: string(q.Device())}
	d.arenas.source = d
	d.limit.Store(leastLimit)
	actual, _ := devices.LoadOrStore(q, d)
	return actual.(*device)
}

// Name is that of the queue's device.
func (d *device) Name() string { return d.name }

// Download copies to the host and waits.
func (d *device) Download(dst, src []byte) error { return d.queue.Download(dst, src) }

// Upload copies from the host.
func (d *device) Upload(dst, src []byte) error { return d.queue.Upload(dst, src) }

// Free gives memory back behind what is queued.
func (d *device) Free(mem []byte) { d.queue.Free(mem) }

// Alloc asks the queue. Where it has too little memory, the idle slabs of the
// device go, and then the tensors there that the program has lost.
func (d *device) Alloc(bytes int) ([]byte, error) {
	mem, err := d.queue.Alloc(bytes)
	if err != nil && d.arenas.trim() {
		mem, err = d.queue.Alloc(bytes)
	}
	if err != nil && d.live.Load() > 0 {
		d.collect()
		mem, err = d.queue.Alloc(bytes)
	}
	return mem, err
}

const (
	// leastLimit is what tensors on a device may take before anyone looks whether
	// the program still has them.
	leastLimit = 256 << 20
	// settling is how long the cleanups that a collection found are waited for.
	settling = 5 * time.Millisecond
)

// collect runs the garbage collector, so that tensors that nobody has are freed.
func (d *device) collect() {
	goruntime.GC()
	time.Sleep(settling)
	d.limit.Store(max(2*d.live.Load(), leastLimit))
}

// account notes that tensors have so many bytes more. The collector of the host
// sees their headers only: when they have doubled since the last time, it is run as
// if they were its own.
func (d *device) account(bytes int) {
	if d.live.Add(int64(bytes)) > d.limit.Load() && bytes > 0 && d.collecting.CompareAndSwap(false, true) {
		go func() {
			d.collect()
			d.collecting.Store(false)
		}()
	}
}

// deviceMemory is what a tensor on a device owns. It is freed when it is
// unreachable.
type deviceMemory struct{ bytes []byte }

func (d *device) own(mem []byte) *deviceMemory {
	m := &deviceMemory{mem}
	d.account(len(mem))
	goruntime.AddCleanup(m, func(mem []byte) {
		d.account(-len(mem))
		d.queue.Free(mem)
	}, mem)
	return m
}

// tensor makes a tensor of undefined elements.
func (d *device) tensor(dt tensor.DType, shape []int) (*tensor.Tensor, error) {
	n, err := tensor.CheckedBytes(dt, shape)
	if err != nil || n == 0 {
		return tensorOn(d, dt, shape, nil, nil, err)
	}
	mem, err := d.Alloc(n)
	if err != nil {
		return nil, fmt.Errorf("a tensor %s%v on %s: %w", dt, shape, d.name, err)
	}
	return tensorOn(d, dt, shape, mem, d.own(mem), nil)
}

func tensorOn(d *device, dt tensor.DType, shape []int, mem []byte, owner any, err error) (*tensor.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return tensor.OnDevice(d, dt, shape, mem, owner)
}

// copyOf is a copy of t on the device.
func (d *device) copyOf(t *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := d.tensor(t.DType(), t.Shape())
	if err != nil {
		return nil, err
	}
	return out, out.CopyFrom(t)
}

// ToQueue is t itself if it lies in the queue's memory, else a copy there.
func ToQueue(t *tensor.Tensor, q executors.Queue) (*tensor.Tensor, error) {
	switch {
	case t == nil:
		return nil, errors.New("expected a tensor, got nil")
	case q == nil:
		return t.ToHost()
	}
	d := deviceOf(q)
	if t.Device() == tensor.Device(d) {
		return t, nil
	}
	return d.copyOf(t)
}

// memoryOf is the memory of a contiguous tensor, wherever it lies.
func memoryOf(t *tensor.Tensor) []byte {
	if b, ok := t.Bytes(); ok {
		return b
	}
	return t.DeviceBytes()
}

// onDevices reports whether one of the tensors lies on a device.
func onDevices(ts []*tensor.Tensor) bool {
	return slices.ContainsFunc(ts, func(t *tensor.Tensor) bool { return t != nil && t.Device() != nil })
}

// toHost brings tensors to the host: the list itself where all are there.
func toHost(ts []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if !onDevices(ts) {
		return ts, nil
	}
	out := make([]*tensor.Tensor, len(ts))
	for i, t := range ts {
		if t == nil {
			continue
		}
		h, err := t.ToHost()
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i, err)
		}
		out[i] = h
	}
	return out, nil
}

// sameDevice reports whether two tensors lie in the same place.
func sameDevice(a, b *tensor.Tensor) bool {
	x, y := a.Device(), b.Device()
	if x == nil || y == nil {
		return x == nil && y == nil
	}
	return x.Name() == y.Name()
}

// DeviceArena describes the memory that runs use on a device.
type DeviceArena struct {
	Device string `json:"device"`
	ArenaStats
	Tensors int64 `json:"tensors"` // bytes of tensors there: arguments, results, copies of frozen sets
}

// DeviceArenas describes the memory of runs on each device now, in the order of
// names. Queues of one name are added up.
func DeviceArenas() []DeviceArena {
	var out []DeviceArena
	devices.Range(func(_, v any) bool {
		d := v.(*device)
		i := slices.IndexFunc(out, func(a DeviceArena) bool { return a.Device == d.name })
		if i < 0 {
			i = len(out)
			out = append(out, DeviceArena{Device: d.name})
		}
		out[i].ArenaStats = out[i].plus(d.arenas.stats())
		out[i].Tensors += d.live.Load()
		return true
	})
	slices.SortFunc(out, func(a, b DeviceArena) int { return cmp.Compare(a.Device, b.Device) })
	return out
}

func (s ArenaStats) plus(o ArenaStats) ArenaStats {
	return ArenaStats{s.Lent + o.Lent, s.Idle + o.Idle, s.Peak + o.Peak, s.Blocks + o.Blocks, s.Made + o.Made}
}
