package sim

import (
	"math/bits"
	"strings"
)

// controlOps are the opcodes that steer.
var controlOps = map[string]opcode{
	"bra":       branch,
	"ret":       end,
	"exit":      end,
	"bar":       barriers,
	"barrier":   barriers,
	"nanosleep": sleep,
	"trap":      trap,
}

// cutBar splits "a|b".
func cutBar(operand string) (first, second string, both bool) {
	first, second, both = strings.Cut(operand, "|")
	return strings.TrimSpace(first), strings.TrimSpace(second), both
}

func branch(d *decoder) exec {
	d.has("uni")
	d.inst.control = branches
	d.jumps = append(d.jumps, jump{inst: len(d.code), line: d.inst.line, label: d.arg()})
	return nothing
}

func end(d *decoder) exec {
	d.has("uni")
	d.inst.control = ends
	return nothing
}

// barriers is bar.sync, bar.arrive, barrier.sync and bar.warp.sync.
func barriers(d *decoder) exec {
	d.inst.meets = true
	if d.has("warp") {
		d.one("sync")
		return syncWarp(d)
	}
	d.has("cta")
	kind := d.one("sync", "arrive")
	d.has("aligned")
	d.inst.control = waits
	bar := barrier{slot: none, arrives: kind == "arrive"}
	if len(d.args) > 0 && strings.HasPrefix(d.args[0], "%") {
		bar.slot = d.src(types["u32"])
	} else {
		bar.id = d.number()
	}
	if len(d.args) > 0 || bar.arrives {
		d.partial = true
		if bar.threads = d.number(); bar.threads < 32 || bar.threads > maxThreads || bar.threads%32 != 0 {
			d.fail("expected a multiple of 32 threads, got %d", bar.threads)
		}
	}
	if bar.id < 0 || bar.id >= numBarriers {
		d.fail("expected a barrier between 0 and %d, got %d", numBarriers-1, bar.id)
	}
	d.inst.barrier = bar
	return nothing
}

// syncWarp is bar.warp.sync members: what the lanes did to memory before it is
// ordered before what they do after it.
func syncWarp(d *decoder) exec {
	who := d.src(types["b32"])
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		s := &w.b.shared
		for m := w.mask; m != 0; m &= m - 1 {
			w.synced[bits.TrailingZeros32(m)] = syncPoint{tick: s.tick, lanes: w.mask}
		}
		if w.holders != 0 && w.holders&^w.mask == 0 {
			w.holders = w.mask
		}
		s.tick++
	}
}

func sleep(d *decoder) exec {
	t := d.typ("u32")
	d.src(t)
	return nothing
}

func trap(*decoder) exec {
	return func(w *warp) { w.fail(Trapped, bits.TrailingZeros32(w.mask), "the program says so") }
}
