package sim

import (
	"fmt"
	"slices"
)

// groupOps are the opcodes of warp groups, four warps that act together.
var groupOps = map[string]opcode{
	"wgmma":      groupInstruction,
	"setmaxnreg": movesRegisters,
}

// groupVersion is the version of the language that first knew them, and proxies.
const groupVersion = 80

func (d *decoder) needsGroupVersion() {
	if v := d.m.version; v < groupVersion {
		d.fail("expected .version 8.0 or up for %s, got %d.%d", d.inst.text, v/10, v%10)
	}
}

// needsWarpGroups fails unless the target is the only one that has them.
func (d *decoder) needsWarpGroups() {
	d.needsGroupVersion()
	if d.m.arch != 90 || !d.m.exact {
		d.fail("expected .target sm_90a for %s", d.inst.text)
	}
}

// groupInstruction is wgmma.fence and its like.
func groupInstruction(d *decoder) exec {
	d.needsWarpGroups()
	d.inst.meets = true
	kind := d.one("fence", "commit_group", "wait_group", "mma_async")
	d.one("sync")
	d.one("aligned")
	switch kind {
	case "mma_async":
		return multiplyInGroup(d)
	case "wait_group":
		keep := d.number()
		if keep < 0 {
			d.fail("expected a number of groups, got %d", keep)
		}
		return func(w *warp) {
			if w.together(groupStep{in: w.in}) {
				w.landProducts(keep)
			}
		}
	case "commit_group":
		return func(w *warp) {
			if w.together(groupStep{in: w.in}) {
				w.products.committed++
			}
		}
	}
	return func(w *warp) {
		if w.together(groupStep{in: w.in}) {
			w.products.fence = w.b.now()
		}
	}
}

// movesRegisters is setmaxnreg.inc.sync.aligned.u32 n. Registers are no bound here, but
// what groups take has to be what others give.
func movesRegisters(d *decoder) exec {
	d.needsWarpGroups()
	d.inst.meets = true
	d.one("inc", "dec")
	d.one("sync")
	d.one("aligned")
	d.typ("u32")
	n := d.number()
	if n < 24 || n > 256 || n%8 != 0 {
		d.fail("expected a multiple of 8 from 24 to 256, got %d", n)
	}
	return func(w *warp) {
		if w.together(groupStep{in: w.in}) {
			w.products.registers, w.products.moved = n, w.in
		}
	}
}

// Registers of a multiprocessor, and most of a thread.
const (
	allRegisters = 64 << 10
	maxRegisters = 256
)

// givenRegisters is how many registers each thread has at first; 0 where nothing in the
// entry says so, in which case the assembler ignores setmaxnreg.
func (b *block) givenRegisters() int {
	switch {
	case b.p.perThread > 0:
		return b.p.perThread
	case b.p.blocks > 0 && b.p.Threads > 0:
		return min(allRegisters/(b.p.Threads*b.p.blocks)&^7, maxRegisters)
	}
	return 0
}

// endRegisters checks at the end of a block that the groups together have taken no more
// registers than they were given: the hardware waits for them for ever.
func (b *block) endRegisters() {
	given := b.givenRegisters()
	total, most := 0, 0
	var moved *warp
	for i := 0; i < len(b.warps); i += 4 {
		w := b.warps[i]
		n := given
		if w.products.moved != nil {
			n = w.products.registers
			if n > given {
				moved = w
			}
		}
		total, most = total+n, most+given
	}
	if given > 0 && total > most && moved != nil {
		moved.in = moved.products.moved
		moved.fail(BarrierDeadlock, 0, "registers per thread add up to %d over the warp groups, which were given %d", total, most)
	}
}

// fencesProxies is fence.proxy.async: what its thread has written to shared memory
// may then be read by asynchronous products and copies, of others behind a barrier.
func fencesProxies(d *decoder) exec {
	d.needsGroupVersion()
	d.needs(90, d.inst.text)
	d.one("async")
	if d.any("global", "shared::cta", "shared::cluster") == "global" {
		return nothing
	}
	return func(w *warp) {
		s := &w.b.shared
		for lane := range 32 {
			if w.mask>>lane&1 != 0 {
				w.products.proxied[lane] = s.tick
			}
		}
		s.tick++
	}
}

// groupProduct is wgmma.mma_async, d = a*b + d, of 64 rows by n columns. A warp has
// 16 of the rows, in the fragments of mma, side by side.
type groupProduct struct {
	accs           []int32
	fragments      []int32 // a, if it is in registers
	a, b           int32   // descriptors
	add            int32   // predicate: d is added
	negate, always bool    // of add
	sign           float64
	aByMN, bByMN   bool
	n              int
	unpack         func(x uint64, to []float64)
}

// multiplyInGroup is wgmma.mma_async.sync.aligned.m64nNk16.f32.type.type d, a, b,
// add, sign-a, sign-b{, by-m}, by-n.
func multiplyInGroup(d *decoder) exec {
	p := &groupProduct{n: d.groupShape(), a: none, add: none}
	d.one("f32")
	name := d.one("bf16", "f16")
	d.one(name)
	p.unpack = elements[name].unpack
	// Sums are written when the product is waited for, not by this instruction.
	outputs := len(d.inst.dsts)
	p.accs = slices.Clone(d.dstVec(types["f32"], p.n/2))
	d.inst.dsts = d.inst.dsts[:outputs]
	if len(d.args) > 0 && d.args[0] != "" && d.args[0][0] == '{' {
		p.fragments = d.srcVec(types["b32"], 4)
	} else {
		p.a = d.src(types["b64"])
	}
	p.b = d.src(types["b64"])
	if len(d.args) > 0 && (d.args[0] == "0" || d.args[0] == "1") {
		p.always = d.number() == 1
	} else {
		p.add, p.negate = d.srcPred()
	}
	p.sign = d.sign() * d.sign()
	if p.fragments == nil {
		p.aByMN = d.bit()
	}
	p.bByMN = d.bit()
	return p.begin
}

// groupShape takes ".m64n128k16" and its like, and returns n.
func (d *decoder) groupShape() int {
	for n := 8; n <= 256; n += 8 {
		if d.has(fmt.Sprintf("m64n%dk16", n)) {
			return n
		}
	}
	d.fail("expected a shape such as .m64n128k16, n a multiple of 8 up to 256, got %s", d.nextMod())
	return 8
}

// sign takes an operand that is 1 or -1.
func (d *decoder) sign() float64 {
	n := d.number()
	if n != 1 && n != -1 {
		d.fail("expected 1 or -1, got %d", n)
	}
	return float64(n)
}

// bit takes an operand that is 0 or 1.
func (d *decoder) bit() bool {
	n := d.number()
	if n != 0 && n != 1 {
		d.fail("expected 0 or 1, got %d", n)
	}
	return n == 1
}
