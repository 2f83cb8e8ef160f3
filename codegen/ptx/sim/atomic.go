package sim

var atomicOps = map[string]opcode{
	"atom": func(d *decoder) exec { return atomic(d, true) },
	"red":  func(d *decoder) exec { return atomic(d, false) },
}

// update is what an atomic operation makes of the old value and its operands.
type update func(old, x, y uint64) uint64

// updateFuncs are the atomic operations, and the types that each has.
var updateFuncs = map[string]struct {
	types []string
	f     func(t typ, flush bool) update
}{
	"add":  {[]string{"u32", "s32", "u64", "f32", "f64", "f16", "f16x2", "bf16", "bf16x2"}, addUpdate},
	"min":  {[]string{"u32", "s32", "u64", "s64"}, pairUpdate(lesser)},
	"max":  {[]string{"u32", "s32", "u64", "s64"}, pairUpdate(greater)},
	"and":  {[]string{"b32", "b64"}, bitUpdate(func(x, y uint64) uint64 { return x & y })},
	"or":   {[]string{"b32", "b64"}, bitUpdate(func(x, y uint64) uint64 { return x | y })},
	"xor":  {[]string{"b32", "b64"}, bitUpdate(func(x, y uint64) uint64 { return x ^ y })},
	"exch": {[]string{"b32", "b64"}, bitUpdate(func(_, y uint64) uint64 { return y })},
	"inc": {[]string{"u32"}, bitUpdate(func(x, y uint64) uint64 {
		if x >= y {
			return 0
		}
		return x + 1
	})},
	"dec": {[]string{"u32"}, bitUpdate(func(x, y uint64) uint64 {
		if x == 0 || x > y {
			return y
		}
		return x - 1
	})},
	"cas": {[]string{"b16", "b32", "b64"}, func(typ, bool) update {
		return func(old, expected, x uint64) uint64 {
			if old == expected {
				return x
			}
			return old
		}
	}},
}

func pairUpdate(f integerFunc) func(t typ, _ bool) update {
	return func(t typ, _ bool) update {
		g := f(t)
		return func(old, x, _ uint64) uint64 { return g(old, x) }
	}
}

func bitUpdate(f func(x, y uint64) uint64) func(typ, bool) update {
	return func(typ, bool) update {
		return func(old, x, _ uint64) uint64 { return f(old, x) }
	}
}

// addUpdate is the sum. Of f32 in global memory the hardware flushes subnormals.
func addUpdate(t typ, flush bool) update {
	if t.family == floating || t.name == "bf16" || t.name == "bf16x2" {
		f := addition.lane(t, floatMods{ftz: flush && t.name == "f32"})
		return func(old, x, _ uint64) uint64 { return f(old, x, 0) }
	}
	f := sum(t)
	return func(old, x, _ uint64) uint64 { return f(old, x) }
}

// atomic is atom d, [a], b and red [a], b.
func atomic(d *decoder, returns bool) exec {
	order, scope := d.order("acquire", "release", "acq_rel")
	if scope == "" {
		scope = d.any("cta", "cluster", "gpu", "sys")
	}
	between := scope != "cta" && scope != "cluster" // blocks
	releases := order == "release" || order == "acq_rel"
	acquires := order == "acquire" || order == "acq_rel"
	s := d.space("global", "shared", "shared::cta")
	name := d.one("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	d.hints()
	noftz := d.has("noftz")
	row := updateFuncs[name]
	t := d.typ(row.types...)
	if (t.bytes == 2 || t.name == "f16x2" || t.name == "bf16x2") && name == "add" && !noftz {
		d.fail("expected .noftz for .%s", t.name)
	}
	if t.name == "bf16" || t.name == "bf16x2" {
		d.needs(90, "an atomic sum of bf16")
	}
	if d.err != nil || !returns && (name == "cas" || name == "exch") {
		d.fail("expected an operation that %s has, got .%s", d.op, name)
		return nil
	}
	to := int32(0)
	if returns {
		to = d.dst(t)
	} else {
		to = d.slot()
	}
	a := d.accesses(s, t.bytes, updates)
	x := d.src(t)
	y := x
	if name == "cas" {
		y = d.src(t)
	}
	f := row.f(t, s != shared)
	return func(w *warp) {
		w.b.mem.atomics.Lock()
		defer w.b.mem.atomics.Unlock()
		if between && releases {
			w.fence()
		}
		a.each(w, func(lane int, data []byte) {
			old := load(data, t.bytes)
			store(data, t.bytes, f(old, w.regs[x][lane&31], w.regs[y][lane&31]))
			w.regs[to][lane&31] = old
		})
		if between && s == global && w.b.races != nil && w.b.fault == nil {
			w.meet(&a, returns)
		}
		if between && acquires {
			w.fence()
		}
	}
}
