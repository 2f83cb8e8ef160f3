package runtime

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// table maps hashes to entries, of which the caller tells those of equal hashes
// apart. Reading waits for nobody: readers look at an array that never changes,
// and a writer puts another in its place. So writing takes time in proportion to
// the entries: it is for what is written once and read for ever. The zero value
// is empty. Safe for concurrent use.
//
//	slots   -   h1   -   h2   h2'   -    h2' is one place behind the one its hash
//	            e1       e2   e3         gives: a search ends at a free place
type table[E any] struct {
	mu    sync.Mutex // of writers
	slots atomic.Pointer[[]tableSlot[E]]
	n     atomic.Int64
}

// tableSlot is free if it has no entry.
type tableSlot[E any] struct {
	hash  uint64
	entry *E
}

// tableLoad is how many slots there are per entry, at least; their number is a
// power of two.
const tableLoad = 2

// Get is the entry of that hash for which same holds, or nil.
func (t *table[E]) Get(hash uint64, same func(*E) bool) *E {
	p := t.slots.Load()
	if p == nil {
		return nil
	}
	slots := *p
	for at := int(hash) & (len(slots) - 1); ; at = (at + 1) & (len(slots) - 1) {
		s := &slots[at]
		if s.entry == nil {
			return nil
		}
		if s.hash == hash && same(s.entry) {
			return s.entry
		}
	}
}

// Put adds an entry, or puts it in the place of the one of that hash for which
// same holds, which it returns.
func (t *table[E]) Put(hash uint64, e *E, same func(*E) bool) (replaced *E) {
	t.mu.Lock()
	defer t.mu.Unlock()
	replaced = t.Get(hash, same)
	t.rebuild(replaced, tableSlot[E]{hash, e})
	return replaced
}

// Delete removes that entry and reports whether it was there.
func (t *table[E]) Delete(hash uint64, e *E) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Get(hash, func(x *E) bool { return x == e }) == nil {
		return false
	}
	t.rebuild(e)
	return true
}

// DeleteFunc removes the entries for which drop holds.
func (t *table[E]) DeleteFunc(drop func(*E) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.slots.Load()
	if p == nil {
		return
	}
	keep := make([]tableSlot[E], 0, t.Len())
	for _, s := range *p {
		if s.entry != nil && !drop(s.entry) {
			keep = append(keep, s)
		}
	}
	if len(keep) < t.Len() {
		t.fill(keep)
	}
}

// Len is the number of entries.
func (t *table[E]) Len() int { return int(t.n.Load()) }

// All lists the entries, in no order.
func (t *table[E]) All() []*E {
	var all []*E
	if p := t.slots.Load(); p != nil {
		for _, s := range *p {
			if s.entry != nil {
				all = append(all, s.entry)
			}
		}
	}
	return all
}

// rebuild puts a new array in the place of the old one, without an entry and with
// more. Under the lock.
func (t *table[E]) rebuild(without *E, more ...tableSlot[E]) {
	keep := more
	if p := t.slots.Load(); p != nil {
		for _, s := range *p {
			if s.entry != nil && s.entry != without {
				keep = append(keep, s)
			}
		}
	}
	t.fill(keep)
}

// fill puts an array of those entries in the place of the old one. Under the lock.
func (t *table[E]) fill(keep []tableSlot[E]) {
	slots := make([]tableSlot[E], max(8, 1<<bits.Len(uint(tableLoad*len(keep)))))
	for _, s := range keep {
		at := int(s.hash) & (len(slots) - 1)
		for slots[at].entry != nil {
			at = (at + 1) & (len(slots) - 1)
		}
		slots[at] = s
	}
	t.slots.Store(&slots)
	t.n.Store(int64(len(keep)))
}

// callHash sums up words in four lanes, by turns, so that the processor multiplies
// four at a time.
type callHash struct {
	lanes [4]uint64
	n     int
}

const (
	hashPrime  = 0x9e3779b97f4a7c15
	hashPrime2 = 0xd6e8feb86659fd93
)

func mix(lane, x uint64) uint64 { return bits.RotateLeft64((lane^x)*hashPrime, 29) }

func (h *callHash) add(x uint64) {
	h.lanes[h.n&3] = mix(h.lanes[h.n&3], x)
	h.n++
}

// layoutWord is a layout's address, which tells it from every other as long as
// both live.
func layoutWord(l *tensor.Layout) uint64 { return uint64(uintptr(unsafe.Pointer(l))) }

func tensorWord(t *tensor.Tensor) uint64 {
	if t == nil {
		return 0
	}
	return layoutWord(t.Layout())
}

// tensors adds the layouts of tensors, four at a time where the lanes' turns allow.
func (h *callHash) tensors(ts []*tensor.Tensor) {
	for len(ts) > 0 && h.n&3 != 0 {
		h.add(tensorWord(ts[0]))
		ts = ts[1:]
	}
	h.n += len(ts) &^ 3
	a, b, c, d := h.lanes[0], h.lanes[1], h.lanes[2], h.lanes[3]
	for ; len(ts) >= 4; ts = ts[4:] {
		a, b = mix(a, tensorWord(ts[0])), mix(b, tensorWord(ts[1]))
		c, d = mix(c, tensorWord(ts[2])), mix(d, tensorWord(ts[3]))
	}
	h.lanes = [4]uint64{a, b, c, d}
	for _, t := range ts {
		h.add(tensorWord(t))
	}
}

var textSeed = maphash.MakeSeed()

// consts adds constants, of which the first is number at, but for those skipped.
func (h *callHash) consts(cs []call.Const, at int, skip func(int) bool) {
	for i := range cs {
		if skip != nil && skip(at+i) {
			continue
		}
		h.add(cs[i].Bits)
		if cs[i].Text != "" {
			h.add(maphash.String(textSeed, cs[i].Text))
		}
	}
}

// sum mixes the lanes, so that every bit counts in the low ones, which choose
// the slot.
func (h *callHash) sum() uint64 {
	x := uint64(h.n)
	for _, lane := range h.lanes {
		x = (x ^ lane) * hashPrime2
		x ^= x >> 32
	}
	return x
}

// hashSignature is hashCall but that frozen sets count by their number, and with
// them their constants: it takes no time per frozen tensor.
func hashSignature(c *call.Call, skip func(i int) bool) uint64 {
	var h callHash
	h.tensors(c.Tensors)
	for _, f := range c.Frozen {
		h.add(f.ID)
	}
	h.consts(c.Consts, 0, skip)
	return h.sum()
}

// hashCall is a hash of the layouts of a call's tensors and of its constants,
// but for the constants i for which skip, which may be nil, holds. A call and
// what Remember makes of it have the same hash, as long as the layouts live.
func hashCall(c *call.Call, skip func(i int) bool) uint64 {
	var h callHash
	for _, l := range c.Layouts {
		h.add(layoutWord(l))
	}
	if c.Layouts == nil {
		h.tensors(c.Tensors)
		for _, f := range c.Frozen {
			h.tensors(f.Tensors)
		}
	}
	h.consts(c.Consts, 0, skip)
	at := len(c.Consts)
	for _, f := range c.Frozen {
		h.consts(f.Consts, at, skip)
		at += len(f.Consts)
	}
	return h.sum()
}
