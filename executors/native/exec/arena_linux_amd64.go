package exec

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	slabBytes = 1 << 20
	alignment = 64 // a kernel's constants are aligned to at most this
)

// From linux/membarrier.h.
const (
	membarrierSyncCore         = 1 << 5
	membarrierRegisterSyncCore = 1 << 6
)

// arena packs kernels into slabs of memory that are mapped twice:
//
//	memory file    [ kernel A | kernel B | free .......... ]
//	writable at    rw^                                        copied to, never run
//	executable at  rx^                                        run, never written
type arena struct {
	mu    sync.Mutex
	size  int // of a slab, unless a kernel is larger
	slabs []*slab
}

// newArena maps the first slab, to learn whether the system permits it.
func newArena(size int) (*arena, error) {
	if err := membarrier(membarrierRegisterSyncCore); err != nil {
		return nil, fmt.Errorf("membarrier: %w", err)
	}
	a := &arena{size: size}
	s, err := newSlab(size)
	if err != nil {
		return nil, err
	}
	a.slabs = append(a.slabs, s)
	return a, nil
}

func (a *arena) install(code []byte) (region, error) {
	n := (len(code) + alignment - 1) &^ (alignment - 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.slabs {
		if off, ok := s.free.take(n); ok {
			return s.write(off, n, code)
		}
	}
	s, err := newSlab(max(a.size, n))
	if err != nil {
		return region{}, err
	}
	a.slabs = append(a.slabs, s)
	off, _ := s.free.take(n)
	return s.write(off, n, code)
}

func (a *arena) remove(r region) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, s := range a.slabs {
		off := int(r.addr - s.base)
		if r.addr < s.base || off >= len(s.rx) {
			continue
		}
		n := (r.size + alignment - 1) &^ (alignment - 1)
		fill(s.rw[off : off+n])
		s.free.give(off, n)
		if s.kernels--; s.kernels == 0 && len(a.slabs) > 1 { // keep one for the next kernel
			a.slabs = append(a.slabs[:i], a.slabs[i+1:]...)
			s.unmap()
		}
		return
	}
	panic("BUG: exec: removal of memory that is not mapped")
}

// slab is one doubly mapped piece of memory. Invariant: it is unmapped only when it holds no kernel.
type slab struct {
	rw, rx  []byte
	base    uintptr // of rx
	free    freeList
	kernels int
	used    int // bytes from here on never held code
}

func newSlab(n int) (*slab, error) {
	n = (n + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	fd, err := unix.MemfdCreate("jitc", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	defer unix.Close(fd) // the mappings keep it
	if err := unix.Ftruncate(fd, int64(n)); err != nil {
		return nil, fmt.Errorf("memory file of %d bytes: %w", n, err)
	}
	rw, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map writable: %w", err)
	}
	rx, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED)
	if err != nil {
		unmap(rw)
		return nil, fmt.Errorf("map executable: %w", err)
	}
	return &slab{rw: rw, rx: rx, base: uintptr(unsafe.Pointer(&rx[0])), free: freeList{{0, n}}}, nil
}

// write copies code to n bytes at off. Where other code lay before, every core must drop what it decoded:
// the processor watches writes through the executable address only.
func (s *slab) write(off, n int, code []byte) (region, error) {
	fill(s.rw[off+copy(s.rw[off:], code) : off+n])
	if off < s.used {
		if err := membarrier(membarrierSyncCore); err != nil {
			s.free.give(off, n)
			return region{}, fmt.Errorf("membarrier: %w", err)
		}
	}
	s.used = max(s.used, off+n)
	s.kernels++
	return region{s.base + uintptr(off), len(code)}, nil
}

func (s *slab) unmap() {
	unmap(s.rw)
	unmap(s.rx)
}

func membarrier(command uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, command, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
