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
	"weak"

	"jitc/executors"
	"jitc/ir/tensor"
)

// device is the queue of an accelerator with what the process keeps for it. There is
// one for each queue as long as a program or a tensor has it; it is the tensor.Device
// of its tensors. When nobody has it any more its idle memory is given back.
type device struct{ *stock }

// stock is what the process keeps for a queue: the arenas that runs on it share, and
// the account of the tensors that lie there. It does not know the device that has it.
type stock struct {
	queue  executors.Queue
	name   string
	arenas arenas

	live       atomic.Int64 // bytes of tensors
	limit      atomic.Int64 // of live, at which tensors that nobody has any more are looked for
	collecting atomic.Bool
}

// devices are those of the process. It keeps none: programs, recordings and tensors
// do, so that a closed executor's queue, and what the process kept for it, end with
// the last of them.
var devices struct {
	mu   sync.Mutex
	list []weak.Pointer[device]
}

// deviceOf is the device of a queue.
func deviceOf(q executors.Queue) *device {
	devices.mu.Lock()
	defer devices.mu.Unlock()
	for _, d := range aliveDevices() {
		if d.queue == q {
			return d
		}
	}
	s := &stock{queue: q, name: string(q.Device())}
	s.arenas.source = s
	s.limit.Store(leastLimit)
	d := &device{s}
	goruntime.AddCleanup(d, func(s *stock) { s.arenas.trim() }, s)
	devices.list = append(devices.list, weak.Make(d))
	return d
}

// aliveDevices are those that somebody has; the list is kept to them. Under lock.
func aliveDevices() (alive []*device) {
	devices.list = slices.DeleteFunc(devices.list, func(w weak.Pointer[device]) bool {
		d := w.Value()
		if d != nil {
			alive = append(alive, d)
		}
		return d == nil
	})
	return alive
}

// Name is that of the queue's device.
func (d *stock) Name() string { return d.name }

// Download copies to the host and waits.
func (d *stock) Download(dst, src []byte) error { return d.queue.Download(dst, src) }

// Upload copies from the host.
func (d *stock) Upload(dst, src []byte) error { return d.queue.Upload(dst, src) }

// Free gives memory back behind what is queued.
func (d *stock) Free(mem []byte) { d.queue.Free(mem) }

// Alloc asks the queue. Where it has too little memory, the idle slabs of the
// device go, and then the tensors there that the program has lost.
func (d *stock) Alloc(bytes int) ([]byte, error) {
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
func (d *stock) collect() {
	goruntime.GC()
	time.Sleep(settling)
	d.limit.Store(max(2*d.live.Load(), leastLimit))
}

// account notes that tensors have so many bytes more. The collector of the host
// sees their headers only: when they have doubled since the last time, it is run as
// if they were its own.
func (d *stock) account(bytes int) {
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

func (d *stock) own(mem []byte) *deviceMemory {
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
	return out, copyTensor(out, t)
}

// copyTensor is dst.CopyFrom(src), on a device if both lie there.
func copyTensor(dst, src *tensor.Tensor) error {
	d, ok := dst.Device().(*device)
	from, to := src.DeviceBytes(), dst.DeviceBytes()
	if !ok || src.Device() != tensor.Device(d) || len(from) != len(to) || len(to) == 0 || src.DType() != dst.DType() || !src.SameShape(dst.Shape()) {
		return dst.CopyFrom(src)
	}
	if address(from) == address(to) {
		return nil
	}
	defer goruntime.KeepAlive(src)
	defer goruntime.KeepAlive(dst)
	return d.queue.Copy(to, from)
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

// DeviceArenas describes the memory of runs now on each device that a program or a
// tensor has, in the order of names. Queues of one name are added up.
func DeviceArenas() []DeviceArena {
	devices.mu.Lock()
	alive := aliveDevices()
	devices.mu.Unlock()
	var out []DeviceArena
	for _, d := range alive {
		i := slices.IndexFunc(out, func(a DeviceArena) bool { return a.Device == d.name })
		if i < 0 {
			i = len(out)
			out = append(out, DeviceArena{Device: d.name})
		}
		out[i].ArenaStats = out[i].plus(d.arenas.stats())
		out[i].Tensors += d.live.Load()
	}
	slices.SortFunc(out, func(a, b DeviceArena) int { return cmp.Compare(a.Device, b.Device) })
	return out
}

func (s ArenaStats) plus(o ArenaStats) ArenaStats {
	return ArenaStats{s.Lent + o.Lent, s.Idle + o.Idle, s.Peak + o.Peak, s.Blocks + o.Blocks, s.Made + o.Made}
}
