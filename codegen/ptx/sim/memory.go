package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// Memory is the global memory of a device: regions, each byte with a mark whether
// it has been written. Safe for concurrent use by launches and the host, as long as
// they do not access the same bytes at once.
type Memory struct {
	mu      sync.RWMutex
	regions []*region // by address, disjoint

	// atomics serialises atom and red of launches that run at once.
	atomics sync.Mutex
}

type region struct {
	addr    uint64
	data    []byte
	written []byte // one per byte: 1 once written. A byte, not a bit, so that neighbours can be marked at once
}

// poison is what the host reads where nobody has written: NaN, in every format.
const poison = 0xFF

// NewMemory is a memory without regions.
func NewMemory() *Memory { return &Memory{} }

// Map adds a region, none of whose bytes is written.
func (m *Memory) Map(addr uint64, bytes int) error {
	if bytes <= 0 || addr == 0 || addr >= genericBase || uint64(bytes) > genericBase-addr {
		return fmt.Errorf("sim: map: expected a region between 1 and %#x, got %d bytes at %#x", uint64(genericBase), bytes, addr)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.after(addr)
	if i > 0 && m.regions[i-1].end() > addr {
		return overlap(addr, bytes, m.regions[i-1])
	}
	if i < len(m.regions) && m.regions[i].addr < addr+uint64(bytes) {
		return overlap(addr, bytes, m.regions[i])
	}
	m.regions = slices.Insert(m.regions, i, &region{addr, make([]byte, bytes), make([]byte, bytes)})
	return nil
}

func overlap(addr uint64, bytes int, r *region) error {
	return fmt.Errorf("sim: map: %d bytes at %#x overlap the region of %d bytes at %#x", bytes, addr, len(r.data), r.addr)
}

// Unmap removes the region that begins at addr.
func (m *Memory) Unmap(addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.after(addr) - 1
	if i < 0 || m.regions[i].addr != addr {
		return fmt.Errorf("sim: unmap: no region begins at %#x", addr)
	}
	m.regions = slices.Delete(m.regions, i, i+1)
	return nil
}

// Write copies b to addr, from the host.
func (m *Memory) Write(addr uint64, b []byte) error {
	data, written, err := m.span("write", addr, len(b))
	if err != nil {
		return err
	}
	copy(data, b)
	mark(written)
	return nil
}

// Read copies from addr to b. A byte that nobody has written reads 0xFF.
func (m *Memory) Read(addr uint64, b []byte) error {
	data, written, err := m.span("read", addr, len(b))
	if err != nil {
		return err
	}
	copy(b, data)
	for i := 0; i < len(b); {
		if i+8 <= len(b) && binary.LittleEndian.Uint64(written[i:]) == allMarks {
			i += 8
			continue
		}
		if written[i] == 0 {
			b[i] = poison
		}
		i++
	}
	return nil
}

// Copy copies n bytes with their marks: what nobody has written at src is unwritten
// at dst. The two may overlap.
func (m *Memory) Copy(dst, src uint64, n int) error {
	to, toMarks, err := m.span("copy to", dst, n)
	if err != nil {
		return err
	}
	from, fromMarks, err := m.span("copy from", src, n)
	if err != nil {
		return err
	}
	copy(to, from)
	copy(toMarks, fromMarks)
	return nil
}

// Fill sets n bytes to v.
func (m *Memory) Fill(addr uint64, v byte, n int) error {
	data, written, err := m.span("fill", addr, n)
	if err != nil {
		return err
	}
	for i := range data {
		data[i] = v
	}
	mark(written)
	return nil
}

func mark(written []byte) {
	for i := range written {
		written[i] = 1
	}
}

// span are n bytes at addr, which must lie in one region.
func (m *Memory) span(what string, addr uint64, n int) (data, written []byte, err error) {
	if n == 0 {
		return nil, nil, nil
	}
	r := m.find(addr)
	if r == nil || n < 0 || uint64(n) > r.end()-addr {
		return nil, nil, fmt.Errorf("sim: %s: %d bytes at %#x do not lie in a region: %s", what, n, addr, m.near(addr))
	}
	o := addr - r.addr
	return r.data[o : o+uint64(n)], r.written[o : o+uint64(n)], nil
}

func (r *region) end() uint64 { return r.addr + uint64(len(r.data)) }

// after is the index of the first region that begins behind addr.
func (m *Memory) after(addr uint64) int {
	return sort.Search(len(m.regions), func(i int) bool { return m.regions[i].addr > addr })
}

// find is the region that holds addr, or nil.
func (m *Memory) find(addr uint64) *region {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := m.after(addr) - 1; i >= 0 && addr < m.regions[i].end() {
		return m.regions[i]
	}
	return nil
}

// near says which regions lie around addr.
func (m *Memory) near(addr uint64) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := m.after(addr)
	s := "there is no region"
	if i > 0 {
		r := m.regions[i-1]
		s = fmt.Sprintf("the region before is %d bytes at %#x (offset %d)", len(r.data), r.addr, addr-r.addr)
	}
	if i < len(m.regions) {
		r := m.regions[i]
		s += fmt.Sprintf(", the one behind is %d bytes at %#x", len(r.data), r.addr)
	}
	return s
}

const allMarks = 0x0101010101010101

// isWritten reports whether all bytes of an access are marked. Most accesses are of
// 4, 8 or 16 bytes.
func isWritten(written []byte) bool {
	switch len(written) {
	case 4:
		return binary.LittleEndian.Uint32(written) == allMarks&0xFFFFFFFF
	case 8:
		return binary.LittleEndian.Uint64(written) == allMarks
	case 16:
		return binary.LittleEndian.Uint64(written) == allMarks && binary.LittleEndian.Uint64(written[8:]) == allMarks
	}
	for _, w := range written {
		if w == 0 {
			return false
		}
	}
	return true
}
