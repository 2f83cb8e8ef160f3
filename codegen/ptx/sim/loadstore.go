package sim

import "strings"

var memoryOps = map[string]opcode{
	"ld":        loads,
	"ldu":       loads,
	"st":        stores,
	"prefetch":  prefetches,
	"prefetchu": prefetches,
	"membar":    fencesMemory,
	"fence":     fences,
}

var accessedTypes = []string{"b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64"}

// hints are modifiers that change nothing here.
func (d *decoder) hints() {
	d.any("ca", "cg", "cs", "lu", "cv", "wb", "wt")
	for len(d.mods) > 0 && (strings.HasPrefix(d.mods[0], "L1::") || strings.HasPrefix(d.mods[0], "L2::")) && d.mods[0] != "L2::cache_hint" {
		d.mods = d.mods[1:]
	}
}

// order takes the memory ordering of an access, and its scope.
func (d *decoder) order(orders ...string) (o, scope string) {
	if o = d.any(append(orders, "weak", "volatile", "relaxed")...); o != "" && o != "weak" && o != "volatile" {
		scope = d.one("cta", "cluster", "gpu", "sys")
	}
	return o, scope
}

// space takes the address space of an access; without one it is generic.
func (d *decoder) space(allowed ...string) space {
	return spaces[strings.TrimSuffix(d.any(allowed...), "::cta")]
}

// elements takes ".v4" and the type.
func (d *decoder) elements() (t typ, n int) {
	n = map[string]int{"v2": 2, "v4": 4, "": 1}[d.any("v2", "v4")]
	t = d.typ(accessedTypes...)
	if n*t.bytes > 16 {
		d.fail("expected at most 16 bytes, got %d of .%s", n, t.name)
		n = 1
	}
	return t, n
}

// loads is ld.
func loads(d *decoder) exec {
	d.order("acquire")
	s := d.space("global", "shared", "shared::cta", "local", "const", "param")
	d.hints()
	if d.has("nc") && s != global {
		d.fail("expected .nc of global memory only")
	}
	d.hints()
	t, n := d.elements()
	to := d.vec(n, t, d.written, true)
	a := d.accesses(s, t.bytes*n, reads)
	if s == param && a.at.symbol.typ.bytes == 0 {
		d.fail("expected the name of a parameter")
	}
	if !t.signed() {
		return loadElements(a, t.bytes, to)
	}
	masks := make([]uint64, n)
	for i, r := range to {
		masks[i] = d.masks[r]
	}
	return func(w *warp) {
		a.each(w, func(lane int, data []byte) {
			for i, r := range to {
				w.regs[r][lane&31] = uint64(signExtend(load(data[i*t.bytes:], t.bytes), t.bits())) & masks[i]
			}
		})
	}
}

func loadElements(a memoryAccess, bytes int, to []int32) exec {
	return func(w *warp) {
		a.each(w, func(lane int, data []byte) {
			for i, r := range to {
				w.regs[r][lane&31] = load(data[i*bytes:], bytes)
			}
		})
	}
}

// stores is st.
func stores(d *decoder) exec {
	d.order("release")
	s := d.space("global", "shared", "shared::cta", "local")
	d.hints()
	t, n := d.elements()
	a := d.accesses(s, t.bytes*n, writes)
	from := d.vec(n, t, d.read, true)
	return func(w *warp) {
		a.each(w, func(lane int, data []byte) {
			for i, r := range from {
				store(data[i*t.bytes:], t.bytes, w.regs[r][lane&31])
			}
		})
	}
}

func nothing(*warp) {}

// prefetches is prefetch, which no address makes wrong.
func prefetches(d *decoder) exec {
	s := d.space("global", "local", "const", "param")
	if d.has("tensormap") {
		return prefetchesMap(d, s)
	}
	d.one("L1", "L2", "L2::evict_last", "L2::evict_normal")
	d.addr(s)
	return nothing
}

// fences is fence, of which there are three kinds.
func fences(d *decoder) exec {
	switch {
	case d.has("mbarrier_init"):
		return fencesMbarriers(d)
	case d.has("proxy"):
		return fencesProxies(d)
	}
	return fencesMemory(d)
}

// fencesMemory is membar, and fence of a scope: here memory is always in order, but
// blocks hand nothing over without one.
func fencesMemory(d *decoder) exec {
	scope := ""
	if d.op == "membar" {
		scope = d.one("gl", "cta", "sys")
	} else {
		d.any("sc", "acq_rel")
		scope = d.one("cta", "cluster", "gpu", "sys")
	}
	if scope == "cta" || scope == "cluster" {
		return nothing
	}
	return (*warp).fence
}
