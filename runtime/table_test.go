package runtime

import (
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

type pair struct{ key, value int }

func is(key int) func(*pair) bool { return func(p *pair) bool { return p.key == key } }

// TestTableAgreesWithAMap uses few hashes, so that entries of equal hashes and
// of neighbouring places meet.
func TestTableAgreesWithAMap(t *testing.T) {
	var tab table[pair]
	assert.Nil(t, tab.Get(0, is(0)))
	assert.False(t, tab.Delete(0, &pair{}))
	assert.Empty(t, tab.All())
	want := map[int]*pair{}
	hash := func(key int) uint64 { return []uint64{3, 4, 11, math.MaxUint64, 3 << 32}[key%5] }
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 3000 {
		key := rng.IntN(60)
		if rng.IntN(3) == 0 {
			old := want[key]
			if old == nil {
				old = &pair{key: key}
			}
			require.Equal(t, want[key] != nil, tab.Delete(hash(key), old))
			delete(want, key)
		} else {
			e := &pair{key, i}
			require.Same(t, want[key], tab.Put(hash(key), e, is(key)))
			want[key] = e
		}
		require.Equal(t, len(want), tab.Len())
		probe := rng.IntN(60)
		require.Same(t, want[probe], tab.Get(hash(probe), is(probe)))
	}
	require.Len(t, tab.All(), len(want))
	for _, e := range tab.All() {
		require.Same(t, want[e.key], e)
	}
}

func TestTablesAreReadWhileTheyChange(t *testing.T) {
	var tab table[pair]
	for key := range 64 {
		tab.Put(uint64(key), &pair{key, key}, is(key))
	}
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for !stop.Load() {
				for key := range 32 { // these stay
					if e := tab.Get(uint64(key), is(key)); e == nil || e.value%64 != key {
						t.Errorf("%d gives %v", key, e)
						return
					}
				}
				goruntime.Gosched()
			}
		}()
	}
	for id := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := range 200 {
				kept, gone := i%16+16*id, 32+i%16+16*id
				tab.Put(uint64(kept), &pair{kept, kept + 64*i}, is(kept))
				old := tab.Get(uint64(gone), is(gone))
				assert.True(t, tab.Delete(uint64(gone), old))
				tab.Put(uint64(gone), &pair{gone, i}, is(gone))
			}
		}()
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	assert.Equal(t, 64, tab.Len())
}

// calls of different signatures, most of them near each other.
func someCalls() map[string]*call.Call {
	x, y := tensor.New(tensor.F32, 2, 3), tensor.New(tensor.F32, 3, 2)
	z, err := y.View([]int{1, 2}, 0, []int{2, 3})
	if err != nil {
		panic(err)
	}
	calls := map[string]*call.Call{"empty": {}, "one nil": {Tensors: []*tensor.Tensor{nil}}, "two nils": {Tensors: []*tensor.Tensor{nil, nil}}}
	for n := 1; n < 12; n++ {
		for at := range n {
			ts := make([]*tensor.Tensor, n)
			for i := range ts {
				ts[i] = x
			}
			for name, odd := range map[string]*tensor.Tensor{"y": y, "strided": z, "nil": nil} {
				one := append([]*tensor.Tensor{}, ts...)
				one[at] = odd
				calls[fmt.Sprint(n, name, at)] = &call.Call{Tensors: one}
			}
			consts := make([]call.Const, n)
			consts[at].Bits = 1
			calls[fmt.Sprint("bits", n, at)] = &call.Call{Tensors: []*tensor.Tensor{x}, Consts: consts}
			texts := make([]call.Const, n)
			texts[at].Text = strings.Repeat("a", 1+at)
			calls[fmt.Sprint("texts", n, at)] = &call.Call{Tensors: []*tensor.Tensor{x}, Consts: texts}
		}
	}
	delete(calls, "1nil0") // the same as "one nil"
	return calls
}

func TestCallsOfDifferentSignaturesHaveDifferentHashes(t *testing.T) {
	hashes, slots := map[uint64]string{}, map[uint64]int{}
	calls := someCalls()
	for name, c := range calls {
		h := hashCall(c, nil)
		require.Equal(t, h, hashCall(c, nil), name)
		require.Equal(t, h, hashCall(c.Remember(), nil), name)
		other, taken := hashes[h]
		require.False(t, taken, "%s and %s", name, other)
		hashes[h] = name
		slots[h%64]++
	}
	for s, n := range slots {
		assert.Less(t, n, 5*len(calls)/64+5, "slot %d", s)
	}
}

func TestHashesOfFrozenSetsAndOfSkippedConstants(t *testing.T) {
	x, y := tensor.New(tensor.F32, 2, 3), tensor.New(tensor.I64, 5)
	consts := []call.Const{call.IntConst(7), {Text: "seven"}}
	set := func() *call.Frozen { return call.NewFrozen([]*tensor.Tensor{y, x}, consts) }
	c := &call.Call{Tensors: []*tensor.Tensor{x}, Consts: []call.Const{call.FloatConst(2)}, Frozen: []*call.Frozen{set()}}
	h := hashCall(c, nil)
	c.Frozen[0] = set()
	assert.Equal(t, h, hashCall(c, nil), "new weights of the same layouts")
	assert.Equal(t, h, hashCall(c.Remember(), nil))
	c.Frozen[0] = call.NewFrozen([]*tensor.Tensor{x, y}, consts)
	assert.NotEqual(t, h, hashCall(c, nil))
	for skipped := range 3 {
		skip := func(i int) bool { return i == skipped }
		a := &call.Call{Consts: []call.Const{call.IntConst(1)}, Frozen: []*call.Frozen{set()}}
		want := hashCall(a, skip)
		for changed := range 3 {
			b := &call.Call{Consts: []call.Const{call.IntConst(1)}, Frozen: []*call.Frozen{call.NewFrozen([]*tensor.Tensor{y, x}, append([]call.Const{}, consts...))}}
			if changed == 0 {
				b.Consts[0].Bits = 99
			} else {
				b.Frozen[0].Consts[changed-1].Bits = 99
			}
			assert.Equal(t, changed == skipped, hashCall(b, skip) == want)
			assert.Equal(t, hashCall(b, skip), hashCall(b.Remember(), skip))
		}
	}
}

func TestTableLookupAllocatesNothing(t *testing.T) {
	var tab table[pair]
	c := someCalls()["11y3"]
	tab.Put(hashCall(c, nil), &pair{key: 1}, is(1))
	key := 1
	assertNoAllocs(t, func() {
		if tab.Get(hashCall(c, nil), func(p *pair) bool { return p.key == key }) == nil {
			t.Error("not found")
		}
	})
}

func BenchmarkHashCall(b *testing.B) {
	for _, n := range []int{2, 300} {
		c := &call.Call{}
		for i := range n {
			c.Tensors = append(c.Tensors, tensor.New(tensor.F32, 1+i%7, 3))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				hashCall(c, nil)
			}
		})
	}
}

func BenchmarkTableGet(b *testing.B) {
	var tab table[pair]
	for key := range 200 {
		tab.Put(uint64(key)*hashPrime>>7, &pair{key, key}, is(key))
	}
	i := 0
	for b.Loop() {
		i = (i + 1) % 200
		key := i
		if tab.Get(uint64(key)*hashPrime>>7, func(p *pair) bool { return p.key == key }) == nil {
			b.Fatal("not found")
		}
	}
}
