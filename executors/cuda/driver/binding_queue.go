package driver

import (
	"runtime"
	"unsafe"

	"jitc/executors/cuda/clib"
)

// Host memory of a copy is on the heap or not of Go: it comes through the interface,
// about which the compiler assumes no less.

func (d *binding) MemoryInfo() (free, total int, err error) {
	var f, t uintptr
	err = d.call(fnMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int(f), int(t), err
}

func (d *binding) Alloc(bytes int) (Ptr, error) {
	var p Ptr
	err := d.call(fnMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes))
	return p, err
}

func (d *binding) Free(p Ptr) error { return d.steady(fnMemFree, uintptr(p)) }

func (d *binding) AllocAsync(bytes int, s Stream) (Ptr, error) {
	l := launches.Get().(*launch)
	err := d.steady(fnMemAllocAsync, uintptr(unsafe.Pointer(&l.result)), uintptr(bytes), uintptr(s))
	p := l.result
	launches.Put(l)
	if err != nil {
		return 0, err
	}
	return p, nil
}

func (d *binding) FreeAsync(p Ptr, s Stream) error {
	return d.steady(fnMemFreeAsync, uintptr(p), uintptr(s))
}

func (d *binding) AllocHost(bytes int) ([]byte, error) {
	if bytes == 0 {
		return nil, nil
	}
	const portable = 1 // pinned for every context
	var p uintptr
	if err := d.call(fnMemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), portable); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(clib.Pointer(p)), bytes), nil
}

func (d *binding) FreeHost(mem []byte) error {
	if len(mem) == 0 {
		return nil
	}
	return d.call(fnMemFreeHost, uintptr(unsafe.Pointer(&mem[0])))
}

func (d *binding) CopyToDevice(dst Ptr, src []byte, s Stream) error {
	if len(src) == 0 {
		return nil
	}
	err := d.steady(fnMemcpyHtoDAsync, uintptr(dst), uintptr(unsafe.Pointer(&src[0])), uintptr(len(src)), uintptr(s))
	runtime.KeepAlive(src)
	return err
}

func (d *binding) CopyToHost(dst []byte, src Ptr, s Stream) error {
	if len(dst) == 0 {
		return nil
	}
	err := d.steady(fnMemcpyDtoHAsync, uintptr(unsafe.Pointer(&dst[0])), uintptr(src), uintptr(len(dst)), uintptr(s))
	runtime.KeepAlive(dst)
	return err
}

func (d *binding) CopyOnDevice(dst, src Ptr, bytes int, s Stream) error {
	if bytes == 0 {
		return nil
	}
	return d.steady(fnMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (d *binding) NewStream() (Stream, error) {
	const nonBlocking = 1 // does not wait for the default stream
	var s Stream
	err := d.call(fnStreamCreate, uintptr(unsafe.Pointer(&s)), nonBlocking)
	return s, err
}

func (d *binding) DestroyStream(s Stream) error { return d.call(fnStreamDestroy, uintptr(s)) }
func (d *binding) SyncStream(s Stream) error    { return d.steady(fnStreamSynchronize, uintptr(s)) }

func (d *binding) NewEvent() (Event, error) {
	const withoutTime = 2 // CU_EVENT_DISABLE_TIMING: recording and waiting cost less
	var e Event
	err := d.call(fnEventCreate, uintptr(unsafe.Pointer(&e)), withoutTime)
	return e, err
}

func (d *binding) DestroyEvent(e Event) error { return d.call(fnEventDestroy, uintptr(e)) }
func (d *binding) SyncEvent(e Event) error    { return d.steady(fnEventSynchronize, uintptr(e)) }

func (d *binding) RecordEvent(e Event, s Stream) error {
	return d.steady(fnEventRecord, uintptr(e), uintptr(s))
}

func (d *binding) WaitEvent(e Event, s Stream) error {
	return d.steady(fnStreamWaitEvent, uintptr(s), uintptr(e), 0)
}
