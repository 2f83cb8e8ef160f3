//go:build unix || windows

package exec

import (
	"fmt"
	"os"
	"sync"
)

// pages gives every kernel whole pages of its own, first writable, then executable. A page cannot be shared:
// making it writable for a second kernel would fault whoever runs the first.
type pages struct {
	mu   sync.Mutex
	maps map[uintptr][]byte // by address
}

// newPages tries a one-byte kernel, since a system may refuse executable memory altogether.
func newPages() (memory, error) {
	p := &pages{maps: map[uintptr][]byte{}}
	r, err := p.install([]byte{0xC3})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	p.remove(r)
	return p, nil
}

func (p *pages) install(code []byte) (region, error) {
	page := os.Getpagesize()
	mem, addr, err := mapWritable((len(code) + page - 1) &^ (page - 1))
	if err != nil {
		return region{}, fmt.Errorf("map: %w", err)
	}
	fill(mem[copy(mem, code):])
	if err := makeExecutable(mem); err != nil {
		unmap(mem)
		return region{}, fmt.Errorf("make executable: %w", err)
	}
	p.mu.Lock()
	p.maps[addr] = mem
	p.mu.Unlock()
	return region{addr, len(code)}, nil
}

func (p *pages) remove(r region) {
	p.mu.Lock()
	mem := p.maps[r.addr]
	delete(p.maps, r.addr)
	p.mu.Unlock()
	if mem == nil {
		panic("BUG: exec: removal of memory that is not mapped")
	}
	unmap(mem)
}

// fill overwrites memory with INT3, so that a jump astray traps at once.
func fill(mem []byte) {
	for i := range mem {
		mem[i] = 0xCC
	}
}
