package gemm

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/codegen/ptx/tensormap"
	"jitc/ir/tensor"
)

// bulkShapes are sizes of rows that are no multiple of a chunk, of tiles that are more
// than blocks, and of more tiles of k than stages.
var bulkShapes = []shape{
	{M: 125, N: 133, K: 77, Pad: 3},
	{M: 1, N: 1, K: 1, Pad: 7},
	{M: 264, N: 520, K: 72},
	{M: 129, N: 130, K: 521, Pad: 7, Offset: 8},
}

// The bulk template gives the exact product of whole numbers, for each layout, by
// blocks that go on from tile to tile.
func TestBulkProductsOfWholeNumbers(t *testing.T) {
	ps := groupProblems()
	ps = append(ps, Problem{A: tensor.F16, B: tensor.F16, Acc: tensor.F32, AContract: MNMajor, BContract: KMajor, Wgmma: true, Batch: 3})
	for _, p := range ps {
		t.Run(text(p), func(t *testing.T) {
			t.Parallel()
			b := buildKind(t, p, Bulk, nil)
			for _, sh := range slices.Concat(shapes[3:7], groupShapes[2:], bulkShapes) {
				sh.Batch = sh.batches(p)
				sh.Broadcast = sh.Pad == 8
				check(t, b, sh)
			}
		})
	}
}

// bulkConfig is the first configuration, of groups in turn or together.
func bulkConfig(p Problem, pingPong bool) Config {
	cs := Candidates(p, 90)
	return cs[slices.IndexFunc(cs, func(c Config) bool { return c.Kind == Bulk && c.PingPong == pingPong })]
}

// One block does all parts of all tiles, the last of which have fewer tiles of k.
func TestBulkSplits(t *testing.T) {
	p := groupProblems()[0]
	b := buildKind(t, p, Bulk, nil)
	s := shape{M: 136, N: 136, K: 456}.sizes(p)
	mem := sim.NewMemory()
	want, _ := operands(t, mem, p, s, integers)
	for i, c := range b.cs {
		pl := planOf(i, c, p, s)
		require.True(t, pl.usable() && pl.split(3))
		require.EqualValues(t, 3, pl.per)
		require.EqualValues(t, 8, pl.k)
		ch := pl.choice(b.cs[0].Group, 1)
		require.EqualValues(t, 1, ch.Main.Grid[0])
		got, _ := b.run(t, mem, ch, s, 0)
		require.True(t, slices.Equal(want, got), c.String())
	}
}

// Any sizes that have maps, in any number of parts, on any number of multiprocessors.
func TestBulkRandomProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for n := range 40 {
		p := groupProblems()[n%4]
		cs := slices.DeleteFunc(Candidates(p, 90), func(c Config) bool { return c.Kind != Bulk })
		c := cs[r.IntN(len(cs))]
		c.Group = 1 << r.IntN(4)
		b := buildOf(t, p, []Config{c}, nil)
		sh := shape{M: 1 + r.Int64N(300), N: 1 + r.Int64N(300), K: 1 + r.Int64N(400), Batch: []int64{2, 3}[:p.Batch],
			Offset: 8 * r.Int64N(3), Broadcast: r.IntN(2) == 0, Align: 16 << r.IntN(3)}
		if p.Batch > 1 {
			sh.M, sh.N, sh.K = 1+sh.M/3, 1+sh.N/3, 1+sh.K/3
		}
		s := sh.sizes(p)
		for _, o := range []*Operand{&s.A, &s.B} { // rows a multiple of 16 bytes apart, and more
			row, along := &o.MN, s.K
			if o.MN == 1 {
				row, along = &o.K, max(s.M, s.N)
			}
			*row = (along+7)/8*8 + 8*r.Int64N(3)
			stride := *row * max(s.M, s.N, s.K)
			for i := len(o.Batch) - 1; i >= 0; i-- {
				o.Batch[i], stride = min(o.Batch[i], 1)*stride, stride*sh.Batch[i]
			}
		}
		pl := planOf(0, c, p, s)
		require.True(t, pl.usable(), "%+v", s)
		if !pl.split(1 + r.Int64N(4)) {
			require.True(t, pl.split(1))
		}
		mem := sim.NewMemory()
		want, _ := operands(t, mem, p, s, integers)
		got, _ := b.run(t, mem, pl.choice(c.Group, 1+r.IntN(5)), s, int64(n))
		require.True(t, slices.Equal(want, got), "%s, %s, %+v, %d parts", text(p), c, s, pl.splits)
	}
}

// Products of reals are the same to the bit whatever the order of warps and blocks,
// and on any number of multiprocessors; and the same as those of the warp-group
// template, which adds in the same order.
func TestBulkProductsOfReals(t *testing.T) {
	p := groupProblems()[1]
	s := shape{M: 264, N: 264, K: 200, Batch: []int64{2}, Broadcast: true}.sizes(p)
	mem := sim.NewMemory()
	operands(t, mem, p, s, reals)
	group := buildKind(t, p, WarpGroup, nil)
	ch, ok := only(t, group, 0, s, 1)
	require.True(t, ok)
	want, _ := group.run(t, mem, ch, s, 0)
	b := buildKind(t, p, Bulk, nil)
	for i, c := range b.cs {
		pl := planOf(i, c, p, s)
		require.True(t, pl.usable() && pl.split(1))
		for _, sms := range []int{1, 5, 100} {
			got, _ := b.run(t, mem, pl.choice(4, sms), s, int64(sms))
			require.True(t, slices.Equal(want, got), "%s on %d multiprocessors", c, sms)
		}
	}
}

// Smaller groups give the same products, without bank conflicts either.
func TestBulkGroups(t *testing.T) {
	p := groupProblems()[0]
	for _, group := range []int{1, 2, 4} {
		cs := slices.DeleteFunc(Candidates(p, 90), func(c Config) bool { return c.Kind != Bulk })
		for i := range cs {
			require.Equal(t, 8, cs[i].Group)
			cs[i].Group = group
		}
		b := buildOf(t, p, cs, nil)
		check(t, b, shape{M: 136, N: 152, K: 256})
		st, ok := counts(t, b, 1)
		require.True(t, ok)
		assert.Zero(t, st.SharedConflicts, "groups of %d", group)
	}
}

// One wgmma of a warp is 64 x BN x 16; an operand's tile of k by mn are boxes of 64
// rows, and every element comes once.
func TestBulkCounts(t *testing.T) {
	for _, p := range groupProblems() {
		b := buildKind(t, p, Bulk, nil)
		require.Equal(t, 128, b.cs[1].BN)
		st, ok := counts(t, b, 1)
		require.True(t, ok)
		boxes := map[Major]int{KMajor: 1, MNMajor: 2}
		assert.EqualValues(t, 8*(128/16), st.GroupMMA, text(p))
		assert.EqualValues(t, 2*(boxes[p.AContract]+boxes[p.BContract]), st.Bulk, text(p))
		assert.EqualValues(t, 2*128*128*2, st.BulkBytes, text(p))
		assert.EqualValues(t, 1, st.Barriers, text(p))
		assert.Zero(t, st.Async, text(p))
		assert.Zero(t, st.SharedConflicts, text(p))
	}
}

// Whatever is left out of the pipeline is a fault of the interpreter.
func TestBulkPipelineIsTight(t *testing.T) {
	const (
		full  = `(mbarrier\.try_wait\S+ %p\d+, \[%r\d+\]), (%r\d+);\s+@!%p\d+ bra \$L\d+;`
		empty = `(mbarrier\.try_wait\S+ %p\d+, \[%r\d+\+32\]), (%r\d+);\s+@!%p\d+ bra \$L\d+;`
	)
	p := groupProblems()[0]
	c := bulkConfig(p, false)
	s := shape{M: 128, N: 256, K: 448}.sizes(p)
	for _, bug := range []plantedBug{
		{"no wait for a free stage", empty, "", 1, sim.BadBarrier},
		{"the wait for a free stage is for the phase to come", `xor\.b32 (%r\d+), (%r\d+), 1;`, "mov.b32 $1, $2;", 1, sim.BarrierDeadlock},
		{"no wait for a full stage", full, "", 1, sim.UnwrittenShared},
		{"the wait for a full stage is for the phase before", full, "xor.b32 %r1, $2, 1; $1, %r1;", 1, sim.UnwrittenShared},
		{"the parity stays", `xor\.b32 (%r\d+), (%r\d+), %r\d+;`, "", 2, sim.BadBarrier},
		{"fewer bytes expected than come", `_, (\S+), 49152;`, "_, $1, 49136;", 1, sim.BadTransaction},
		{"more bytes expected than come", `_, (\S+), 49152;`, "_, $1, 49168;", 1, sim.BadTransaction},
		{"no bytes expected", `mbarrier\.arrive\.expect_tx\S+ _, (\S+), 49152;`, "mbarrier.arrive.shared::cta.b64 _, $1;", 1, sim.AsyncNotWaited},
		{"no fence of the barriers", `fence\.mbarrier_init\S*;`, "", 1, sim.NotFenced},
		{"no barrier behind the first ones", `bar\.sync 0;`, "", 1, sim.SharedRace},
		{"a stage is given back before its product is waited for", `wait_group\.sync\.aligned 1;`, "wait_group.sync.aligned 2;", 1, sim.SharedRace},
		{"no fence of registers", `wgmma\.fence\.sync\.aligned;`, "", 1, sim.NotFenced},
		{"no wait for the last product", `wgmma\.wait_group\.sync\.aligned 0;`, "", 1, sim.ProductNotWaited},
		{"a stage is free when one warp is not done", `(mbarrier\.init\S+ \[[^;]*\]), 8;`, "$1, 7;", 1, sim.SharedRace},
		{"a stage is never free", `(mbarrier\.init\S+ \[[^;]*\]), 8;`, "$1, 9;", 1, sim.BarrierDeadlock},
		{"B lies where A does", `(cp\.async\.bulk\S+) \[(%r\d+)\+16384\]`, "$1 [$2]", 1, sim.AsyncNotWaited},
		{"B comes by the map of A", `g_bmap;`, "g_amap;", 1, sim.BadTransaction},
		{"a copy too many axes", `(cp\.async\.bulk\.tensor)\.2d(.*)\{`, "$1.3d$2{0, ", 1, sim.BadTensorMap},
	} {
		t.Run(bug.name, func(t *testing.T) { bug.requireFault(t, p, c, s) })
	}
	kept := plantedBug{"the last stage of a tile is kept", `(wgmma\.wait_group\.sync\.aligned 0;)\s+@%p\d+ mbarrier\.arrive\S+ _, \[[^;]*;`, "$1", 1, sim.BarrierDeadlock}
	kept.requireFault(t, p, c, shape{M: 512, N: 64, K: 320}.sizes(p)) // more tiles than blocks
}

// Whatever is left out of the groups' turns is a fault of the interpreter.
func TestPingPongIsTight(t *testing.T) {
	p := groupProblems()[0]
	c := bulkConfig(p, true)
	s := shape{M: 640, N: 128, K: 576}.sizes(p) // two tiles of two of three blocks, of more tiles of k than stages
	for _, bug := range []plantedBug{
		{"no wait for the turn", `(xor\.b32 (%r\d+), %r\d+, 1;\s+@!%p\d+ bra \$L\d+;)\s+\$L\d+:\s+mbarrier\.try_wait[^;]*;\s+@!%p\d+ bra \$L\d+;`, "$1", 1, sim.UnwrittenShared},
		{"no turn is passed on", `@%p\d+ mbarrier\.arrive\S+ _, \[%r\d+\];`, "", 1, sim.BarrierDeadlock},
		{"the stages of others are not passed over", `mad\.lo\.u32 %r\d+, %r\d+, 32768, %r\d+;`, "", 1, sim.SharedRace},
		{"a group gives back the stages of both", `(mbarrier\.init\S+ \[[^;]*\]), 4;`, "$1, 8;", 1, sim.BarrierDeadlock},
	} {
		t.Run(bug.name, func(t *testing.T) { bug.requireFault(t, p, c, s) })
	}
}

// Blocks are persistent: no more of them than multiprocessors, nor than tiles.
func TestBulkGrid(t *testing.T) {
	p := groupProblems()[0]
	cs := Candidates(p, 90)
	for _, c := range []struct {
		m, n, k int64
		sms     int
		blocks  uint32
	}{
		{8192, 8192, 8192, 132, 132},
		{1280, 2560, 4096, 132, 100},
		{8192, 8192, 8192, 0, 1},
	} {
		ch, err := Best(cs, p, shape{M: c.m, N: c.n, K: c.k}.sizes(p), c.sms)
		require.NoError(t, err)
		require.Equal(t, Bulk, cs[ch.Config].Kind)
		assert.Equal(t, c.blocks, ch.Main.Grid[0], "%+v", c)
		assert.EqualValues(t, 384, ch.Main.Block[0])
	}
}

// mapped are the maps of a product of 100 x 100 by 24 of k in a batch of 3 by 5, of
// which the outer axis moves A only, as change leaves its sizes.
func mapped(major Major, change func(*Sizes)) ([]Map, bool) {
	p := Problem{A: tensor.BF16, B: tensor.BF16, Acc: tensor.F32, AContract: KMajor, BContract: major, Batch: 2, Wgmma: true}
	s := Sizes{M: 100, N: 100, K: 24, Batch: []int64{3, 5},
		A: Operand{Offset: 16, MN: 32, K: 1, Batch: []int64{16000, 3200}, Align: 16},
		B: Operand{MN: 40, K: 1, Batch: []int64{0, 4000}, Align: 256}}
	if major == MNMajor {
		s.B.MN, s.B.K, s.B.Batch[1] = 1, 112, 112*24
	}
	change(&s)
	pl := planOf(0, Candidates(p, 90)[0], p, s)
	maps, ok := pl.maps()
	return maps, ok && pl.usable()
}

// The maps of operands, by layout.
func TestMaps(t *testing.T) {
	like := tensormap.Map{Type: tensor.BF16, Rank: 4, Swizzle: tensormap.Swizzle128}
	a, byK, byMN := like, like, like
	a.Sizes, a.Strides, a.Box = [5]uint64{24, 100, 5, 3}, [4]uint64{64, 6400, 32000}, [5]uint32{64, 128, 1, 1}
	byK.Sizes, byK.Strides, byK.Box = [5]uint64{24, 100, 5, 1}, [4]uint64{80, 8000, 8000}, [5]uint32{64, 256, 1, 1}
	byMN.Sizes, byMN.Strides, byMN.Box = [5]uint64{100, 24, 5, 1}, [4]uint64{224, 5376, 5376}, [5]uint32{64, 64, 1, 1}
	for major, b := range map[Major]tensormap.Map{KMajor: byK, MNMajor: byMN} {
		maps, ok := mapped(major, func(*Sizes) {})
		require.True(t, ok)
		assert.Equal(t, []Map{{0, OperandA, 32, a}, {tensormap.Bytes, OperandB, 0, b}}, maps)
	}
	one, ok := mapped(KMajor, func(s *Sizes) { s.M, s.A.MN = 1, 0 })
	require.True(t, ok, "the stride of one row does not count")
	assert.EqualValues(t, 48, one[0].Tensor.Strides[0])
}

// Operands that no map describes are left to other templates.
func TestOperandsWithoutMaps(t *testing.T) {
	for name, change := range map[string]func(*Sizes){
		"an address at a multiple of 8":        func(s *Sizes) { s.A.Align = 8 },
		"an address of which nothing is known": func(s *Sizes) { s.A.Align = 0 },
		"an offset of 8 bytes":                 func(s *Sizes) { s.A.Offset = 4 },
		"a stride of 72 bytes":                 func(s *Sizes) { s.A.MN = 36 },
		"rows that go backwards":               func(s *Sizes) { s.A.MN = -32 },
		"a batch that goes backwards":          func(s *Sizes) { s.A.Batch[0] = -16000 },
		"one row for all":                      func(s *Sizes) { s.A.MN = 0 },
		"a batch stride of 8 bytes":            func(s *Sizes) { s.A.Batch[1] = 4 },
		"elements that are not neighbours":     func(s *Sizes) { s.A.K = 2 },
		"a stride of 2^40 bytes":               func(s *Sizes) { s.A.Batch[0] = 1 << 39 },
		"nothing to add":                       func(s *Sizes) { s.K = 0 },
		"no rows":                              func(s *Sizes) { s.M = 0 },
		"an empty batch":                       func(s *Sizes) { s.Batch[0] = 0 },
	} {
		_, ok := mapped(KMajor, change)
		assert.False(t, ok, name)
	}
}
