package sim

import (
	"math/bits"
	"strings"
)

var moveOps = map[string]opcode{
	"mov":  move,
	"cvta": convertAddress,
}

// specialRegisters are the registers that the hardware sets.
var specialRegisters = map[string]func(w *warp, lane int) int{
	"%tid.x": func(w *warp, lane int) int { return w.thread(lane) % w.b.launch.Block[0] },
	"%tid.y": func(w *warp, lane int) int {
		return w.thread(lane) / w.b.launch.Block[0] % w.b.launch.Block[1]
	},
	"%tid.z": func(w *warp, lane int) int {
		return w.thread(lane) / w.b.launch.Block[0] / w.b.launch.Block[1]
	},
	"%ntid.x":            func(w *warp, _ int) int { return w.b.launch.Block[0] },
	"%ntid.y":            func(w *warp, _ int) int { return w.b.launch.Block[1] },
	"%ntid.z":            func(w *warp, _ int) int { return w.b.launch.Block[2] },
	"%ctaid.x":           func(w *warp, _ int) int { return w.b.at[0] },
	"%ctaid.y":           func(w *warp, _ int) int { return w.b.at[1] },
	"%ctaid.z":           func(w *warp, _ int) int { return w.b.at[2] },
	"%nctaid.x":          func(w *warp, _ int) int { return w.b.launch.Grid[0] },
	"%nctaid.y":          func(w *warp, _ int) int { return w.b.launch.Grid[1] },
	"%nctaid.z":          func(w *warp, _ int) int { return w.b.launch.Grid[2] },
	"%laneid":            func(_ *warp, lane int) int { return lane },
	"%warpid":            func(w *warp, _ int) int { return w.id },
	"%nwarpid":           func(w *warp, _ int) int { return len(w.b.warps) },
	"%lanemask_eq":       func(_ *warp, lane int) int { return 1 << lane },
	"%lanemask_lt":       func(_ *warp, lane int) int { return 1<<lane - 1 },
	"%lanemask_le":       func(_ *warp, lane int) int { return 2<<lane - 1 },
	"%lanemask_gt":       func(_ *warp, lane int) int { return int(allLanes &^ (2<<lane - 1)) },
	"%lanemask_ge":       func(_ *warp, lane int) int { return int(allLanes &^ (1<<lane - 1)) },
	"%dynamic_smem_size": func(w *warp, _ int) int { return w.b.launch.Shared },
	"%total_smem_size":   func(w *warp, _ int) int { return len(w.b.shared.data) },
}

// move is mov: of a value, of a variable's address, of a vector into a register,
// or the other way round.
func move(d *decoder) exec {
	t := d.typ(append([]string{"pred"}, movedTypes...)...)
	if t.family == predicate {
		to := d.dst(t)
		from, negate := d.srcPred()
		return func(w *warp) { w.setPred(to, w.pred(from, negate)) }
	}
	switch {
	case len(d.args) == 2 && strings.HasPrefix(d.args[0], "{"):
		return d.unpack(t)
	case len(d.args) == 2 && strings.HasPrefix(d.args[1], "{"):
		return d.pack(t)
	}
	to := d.dst(t)
	return copyRegister(to, d.moved(t))
}

// moved takes a value, or a variable, whose address it then is.
func (d *decoder) moved(t typ) int32 {
	name := strings.TrimSpace(strings.Join(d.args, ""))
	if v, ok := d.symbol(name); ok && (v.space != param || t.bytes == 8) && t.family != floating && t.bytes >= 4 {
		d.args = nil
		return d.constant(constSlot{symbol: name})
	}
	return d.src(t)
}

func copyRegister(to, from int32) exec {
	return func(w *warp) {
		if w.mask == allLanes {
			w.regs[to] = w.regs[from]
			return
		}
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			w.regs[to][i] = w.regs[from][i]
		}
	}
}

// part is the type of n-ths of a type.
func (d *decoder) part(t typ, n int) typ {
	name := map[int]string{1: "b8", 2: "b16", 4: "b32"}[t.bytes/max(n, 1)]
	if n != 2 && n != 4 || name == "" || name == "b8" && t.bytes != 4 && t.bytes != 2 {
		d.fail("expected .%s in 2 or 4 parts, got %d", t.name, n)
		return types["b16"]
	}
	return types[name]
}

func (d *decoder) pack(t typ) exec {
	to := d.dst(t)
	n := len(d.list(d.args[0]))
	part := d.part(t, n)
	from := d.srcVec(part, n)
	width := part.bits()
	return func(w *warp) {
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			var x uint64
			for k, s := range from {
				x |= w.regs[s][i] << (width * uint(k))
			}
			w.regs[to][i] = x
		}
	}
}

func (d *decoder) unpack(t typ) exec {
	n := len(d.list(d.args[0]))
	part := d.part(t, n)
	to := d.dstVec(part, n)
	from, width, mask := d.src(t), part.bits(), part.mask()
	return func(w *warp) {
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			x := w.regs[from][i]
			for k, s := range to {
				w.regs[s][i] = x >> (width * uint(k)) & mask
			}
		}
	}
}

// convertAddress is cvta{.to}.space: between addresses of a space and generic ones.
func convertAddress(d *decoder) exec {
	back := d.has("to")
	s := spaces[strings.TrimSuffix(d.one("global", "shared", "shared::cta", "local", "const", "param"), "::cta")]
	t := d.typ("u64")
	window := windows[s]
	if back {
		window = -window
	}
	to := d.dst(t)
	return map1(to, d.moved(t), func(x uint64) uint64 { return x + window })
}
