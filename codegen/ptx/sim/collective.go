package sim

import "math/bits"

// warpOps are the opcodes that the lanes of a warp carry out together.
var warpOps = map[string]opcode{
	"shfl":       shuffle,
	"vote":       vote,
	"match":      match,
	"redux":      reduceWarp,
	"activemask": activeMask,
}

// members checks that all lanes that a member mask names take part, and that a lane
// that takes part is named. Lanes that the block does not have need not.
func (w *warp) members(slot int32) bool {
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		named := uint32(w.regs[slot][lane])
		if missing := named & w.exists &^ w.mask; missing != 0 {
			w.fail(MissingLane, lane, "it names the lanes %#x, of which %#x are not here", named, missing)
			return false
		}
		if named>>lane&1 == 0 {
			w.fail(MissingLane, lane, "it names the lanes %#x, which this one is not among", named)
			return false
		}
	}
	return true
}

// sourceLane is the lane that shfl reads, and whether it is in range.
type sourceLane func(lane, b, first, last int) (from int, inRange bool)

var shuffles = map[string]sourceLane{
	"up":   func(lane, b, _, last int) (int, bool) { return lane - b, lane-b >= last },
	"down": func(lane, b, _, last int) (int, bool) { return lane + b, lane+b <= last },
	"bfly": func(lane, b, _, last int) (int, bool) { return lane ^ b, lane^b <= last },
	"idx": func(_, b, first, last int) (int, bool) {
		return first | b, first|b <= last
	},
}

// shuffle is shfl.sync.mode.b32 d|p, a, b, c, members.
func shuffle(d *decoder) exec {
	d.inst.meets = true
	d.one("sync")
	source := shuffles[d.one("up", "down", "bfly", "idx")]
	t := d.typ("b32")
	name, predName, pair := cutBar(d.arg())
	to, p := d.written(name, t, false), int32(none)
	if pair {
		p = d.written(predName, types["pred"], false)
	}
	a, b, c, who := d.src(t), d.src(t), d.src(t), d.src(t)
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		from := w.regs[a] // a copy: the target may be the same register
		var inRange uint32
		for m := w.mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			j, in := shuffleSource(source, lane, w.regs[b][lane], w.regs[c][lane])
			if in {
				inRange |= 1 << lane
			}
			w.regs[to][lane] = from[j]
			if w.mask>>j&1 == 0 { // its value is not defined
				w.written[to] &^= 1 << lane
			}
		}
		if p != none {
			w.setPred(p, inRange)
		}
	}
}

// shuffleSource is the lane that a lane reads: itself, if its source is not in range
// of its segment.
func shuffleSource(source sourceLane, lane int, b, c uint64) (int, bool) {
	segment, clamp := int(c>>8&31), int(c&31)
	first := lane & segment
	offset := int(b & 31)
	j, in := source(lane, offset, first, first|clamp&^segment)
	if !in {
		return lane, false
	}
	return j & 31, true
}

// vote is vote.sync.all p, {!}q, members and its like.
func vote(d *decoder) exec {
	d.inst.meets = true
	d.one("sync")
	mode := d.one("all", "any", "uni", "ballot")
	t := d.typ(map[bool]string{true: "b32", false: "pred"}[mode == "ballot"])
	to := d.dst(t)
	q, negate := d.srcPred()
	who := d.src(types["b32"])
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		yes := w.pred(q, negate) & w.mask
		if mode == "ballot" {
			for m := w.mask; m != 0; m &= m - 1 {
				lane := bits.TrailingZeros32(m)
				w.regs[to][lane] = uint64(yes & uint32(w.regs[who][lane]))
			}
			return
		}
		all, none := yes == w.mask, yes == 0
		holds := map[string]bool{"all": all, "any": !none, "uni": all || none}[mode]
		w.setPred(to, map[bool]uint32{true: allLanes, false: 0}[holds])
	}
}

// match is match.any.sync: the lanes that have the same value.
func match(d *decoder) exec {
	d.inst.meets = true
	d.one("any")
	d.one("sync")
	t := d.typ("b32", "b64")
	to := d.dst(types["b32"])
	a, who := d.src(t), d.src(types["b32"])
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		x := w.regs[a]
		for m := w.mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			same := uint64(0)
			for o := w.mask; o != 0; o &= o - 1 {
				if i := bits.TrailingZeros32(o); x[i] == x[lane] {
					same |= 1 << i
				}
			}
			w.regs[to][lane] = same
		}
	}
}

// reduceWarp is redux.sync: the same result in all lanes.
func reduceWarp(d *decoder) exec {
	d.inst.meets = true
	d.needs(80, "redux")
	d.one("sync")
	name := d.one("add", "min", "max", "and", "or", "xor")
	row := updateFuncs[name]
	names := []string{"u32", "s32"}
	if name == "and" || name == "or" || name == "xor" {
		names = []string{"b32"}
	}
	t := d.typ(names...)
	if d.err != nil {
		return nil
	}
	f := row.f(t, false)
	to := d.dst(t)
	a, who := d.src(t), d.src(types["b32"])
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		first := bits.TrailingZeros32(w.mask)
		x := w.regs[a][first]
		for m := w.mask & (w.mask - 1); m != 0; m &= m - 1 {
			x = f(x, w.regs[a][bits.TrailingZeros32(m)], 0)
		}
		for m := w.mask; m != 0; m &= m - 1 {
			w.regs[to][bits.TrailingZeros32(m)] = x
		}
	}
}

func activeMask(d *decoder) exec {
	to := d.dst(d.typ("b32"))
	return func(w *warp) {
		for m := w.mask; m != 0; m &= m - 1 {
			w.regs[to][bits.TrailingZeros32(m)] = uint64(w.mask)
		}
	}
}
