package runtime

import (
	"slices"
)

// maxOrdered bounds the steps of a group whose order is worked out: the sets of
// what each waits for take the square of it, in bits.
const maxOrdered = 4096

// order finds for each step of a group on a device the earlier ones that it must
// wait for, without those that these wait for; nil keeps all in order.
//
//	0: x -> t at [0, 4)     1 reads what 0 writes: it waits for 0
//	1: t -> u at [4, 8)     2 writes where t was, which 1 reads: it waits for 1
//	2: x -> v at [0, 4)     3 reads v and not u: it waits for 2, and so for 1
//	3: v -> w at [8, 12)
//
// Steps wait for the writers of what they read, and for all who use memory that
// they take over: of intermediates, of scratch, of a donated parameter.
func (r *Recording) order(g group) [][]int {
	n := g.hi - g.lo
	if n > maxOrdered {
		return nil
	}
	o := &orderer{r: r, g: g, users: make([][]int, len(r.p.slots)+n), waits: newWaitSets(n), after: make([][]int, n), taken: map[int][]int{}}
	for result, param := range r.donated {
		if param >= 0 && !r.p.results[result].copied {
			slot := r.p.results[result].slot
			o.taken[slot] = r.p.placed.copies[param]
		}
	}
	o.standing()
	for i := g.lo; i < g.hi; i++ {
		o.step(i)
	}
	return o.after
}

// orderer works out the order of one group. Blocks are slots, and behind them the
// scratch of each step.
type orderer struct {
	r     *Recording
	g     group
	users [][]int       // by block: the steps of the group that wrote or read it
	spans []ownedSpan   // of the arena, apart
	taken map[int][]int // by slot of a result: copies of the parameter whose memory it may take
	waits waitSets      // by step of the group: all that it waits for, directly or not
	after [][]int
}

// ownedSpan is the part [lo, hi) of the arena and the block that lies there.
type ownedSpan struct{ lo, hi, block int }

// standing are the intermediates that lie in the arena when the group begins.
func (o *orderer) standing() {
	r := o.r
	for _, n := range r.devices.sides[o.g.side].temps {
		s := &r.p.slots[n]
		if s.last >= o.g.lo && (s.first < o.g.lo || s.first == o.g.lo && s.of != n) {
			o.occupy(n, r.offsets[n], r.bytes[n], nil)
		}
	}
}

// step finds what step i waits for.
func (o *orderer) step(i int) {
	r, k := o.r, i-o.g.lo
	var wait []int
	for _, n := range r.p.steps[i].in {
		if s := &r.p.slots[n]; s.first >= o.g.lo && s.of == n && s.kind != slotCopy && r.bytes[n] > 0 {
			wait = append(wait, s.first-o.g.lo)
		}
		o.users[n] = append(o.users[n], k)
	}
	for _, n := range r.p.steps[i].out {
		if r.p.slots[n].kind == slotTemp {
			wait = o.occupy(n, r.offsets[n], r.bytes[n], wait)
		}
		for _, m := range o.taken[n] {
			wait = append(wait, o.users[m]...)
		}
		o.users[n] = append(o.users[n], k)
	}
	at, scratch := r.devices.scratch[i], len(r.p.slots)+k
	wait = o.occupy(scratch, at.offset, at.bytes, wait)
	o.users[scratch] = append(o.users[scratch], k)
	o.settle(k, wait)
}

// occupy puts a block into the arena, and appends the users of what lay there.
func (o *orderer) occupy(block, offset, bytes int, wait []int) []int {
	if bytes == 0 {
		return wait
	}
	lo, hi := offset, offset+bytes
	var kept []ownedSpan
	for _, s := range o.spans {
		if s.hi <= lo || hi <= s.lo {
			kept = append(kept, s)
			continue
		}
		wait = append(wait, o.users[s.block]...)
		if s.lo < lo {
			kept = append(kept, ownedSpan{s.lo, lo, s.block})
		}
		if hi < s.hi {
			kept = append(kept, ownedSpan{hi, s.hi, s.block})
		}
	}
	o.spans = append(kept, ownedSpan{lo, hi, block})
	return wait
}

// settle keeps of what step k waits for those that no other of them waits for.
func (o *orderer) settle(k int, wait []int) {
	slices.Sort(wait)
	for _, j := range slices.Backward(slices.Compact(wait)) {
		if j != k && !o.waits.has(k, j) {
			o.after[k] = append(o.after[k], j)
			o.waits.add(k, j)
		}
	}
	slices.Reverse(o.after[k])
}

// waitSets is a set of numbers below n for each number below n.
type waitSets struct {
	words int
	rows  []uint64
}

func newWaitSets(n int) waitSets {
	words := (n + 63) / 64
	return waitSets{words, make([]uint64, n*words)}
}

func (b waitSets) row(k int) []uint64 { return b.rows[k*b.words : (k+1)*b.words] }

func (b waitSets) has(k, j int) bool { return b.row(k)[j/64]>>(j%64)&1 != 0 }

// add puts j and the set of j into the set of k.
func (b waitSets) add(k, j int) {
	row := b.row(k)
	row[j/64] |= 1 << (j % 64)
	for i, w := range b.row(j) {
		row[i] |= w
	}
}
