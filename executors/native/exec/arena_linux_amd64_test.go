package exec

import (
	"math/rand"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFreeList(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	const total = 4096
	f := freeList{{0, total}}
	var owner [total]int
	held := map[int]span{}
	for step := 1; step < 4000; step++ {
		if n := 1 + r.Intn(200); r.Intn(2) == 0 {
			off, ok := f.take(n)
			if !ok {
				continue
			}
			for i := off; i < off+n; i++ {
				require.Zero(t, owner[i], "byte %d handed out twice", i)
				owner[i] = step
			}
			held[step] = span{off, n}
		} else {
			for id, s := range held {
				f.give(s.off, s.n)
				clear(owner[s.off : s.off+s.n])
				delete(held, id)
				break
			}
		}
	}
	for _, s := range held {
		f.give(s.off, s.n)
	}
	assert.Equal(t, freeList{{0, total}}, f, "everything is joined again")
	assert.Panics(t, func() { f.give(10, 1) })
}

// run calls the code in a region.
func (r region) run() uint64 {
	got := uint64(0)
	call(r.addr, unsafe.Pointer(&got))
	return got
}

// TestArena fills several slabs, empties them in another order and fills them again.
func TestArena(t *testing.T) {
	a, err := newArena(4096)
	require.NoError(t, err)
	for range 3 {
		var regions []region
		for i := range 200 { // 64 fit into a slab
			r, err := a.install(setTo(byte(i)))
			require.NoError(t, err)
			regions = append(regions, r)
		}
		assert.Len(t, a.slabs, 4)
		for i, r := range regions {
			require.Equal(t, uint64(byte(i)), r.run())
		}
		for _, i := range rand.New(rand.NewSource(5)).Perm(len(regions)) {
			a.remove(regions[i])
		}
		assert.Len(t, a.slabs, 1, "empty slabs are unmapped, but for one")
		assert.Zero(t, a.slabs[0].kernels)
	}
	assert.Panics(t, func() { a.remove(region{1, 1}) })
}

// TestReuse installs different code where other code just ran.
func TestReuse(t *testing.T) {
	a, err := newArena(4096)
	require.NoError(t, err)
	first := uintptr(0)
	for i := range 500 {
		r, err := a.install(setTo(byte(i)))
		require.NoError(t, err)
		if i == 0 {
			first = r.addr
		}
		require.Equal(t, first, r.addr, "the same place each time")
		require.Equal(t, uint64(byte(i)), r.run())
		a.remove(r)
		require.Equal(t, byte(0xCC), a.slabs[0].rx[r.addr-a.slabs[0].base], "freed code is poisoned")
	}
}

// TestLargeKernel installs more than a slab holds.
func TestLargeKernel(t *testing.T) {
	a, err := newArena(4096)
	require.NoError(t, err)
	code := make([]byte, 20000)
	for i := range code {
		code[i] = 0x90
	}
	copy(code[len(code)-9:], setTo(7))
	r, err := a.install(code)
	require.NoError(t, err)
	assert.Equal(t, uint64(7), r.run())
	a.remove(r)
}

func TestPages(t *testing.T) {
	m, err := newPages()
	require.NoError(t, err)
	p := m.(*pages)
	one, err := p.install(setTo(1))
	require.NoError(t, err)
	two, err := p.install(setTo(2))
	require.NoError(t, err)
	assert.Equal(t, uint64(1), one.run())
	assert.Equal(t, uint64(2), two.run())
	p.remove(one)
	p.remove(two)
	assert.Empty(t, p.maps)
	assert.Panics(t, func() { p.remove(one) })
}
