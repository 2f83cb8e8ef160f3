package sim

import (
	"math"
	"math/bits"
)

// compareOps are the opcodes that compare and select.
var compareOps = map[string]opcode{
	"setp":  setPredicate,
	"set":   setValue,
	"selp":  selectByPredicate,
	"slct":  selectBySign,
	"testp": testProperty,
}

// relation is a comparison: which of less, equal, greater and unordered satisfy it.
type relation uint8

const (
	less relation = 1 << iota
	equal
	more
	unordered
)

var relations = map[string]relation{
	"eq": equal, "ne": less | more, "lt": less, "le": less | equal, "gt": more, "ge": more | equal,
	"equ": equal | unordered, "neu": less | more | unordered, "ltu": less | unordered, "leu": less | equal | unordered,
	"gtu": more | unordered, "geu": more | equal | unordered, "num": less | equal | more, "nan": unordered,
	"lo": less, "ls": less | equal, "hi": more, "hs": more | equal,
}

var (
	orderings      = []string{"eq", "ne", "lt", "le", "gt", "ge"}
	floatOrderings = append([]string{"equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"}, orderings...)
	allOrderings   = append([]string{"lo", "ls", "hi", "hs"}, floatOrderings...)
	comparedTypes  = []string{"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64", "f16", "bf16"}
)

// comparison takes ".lt.and.ftz" and the type.
func (d *decoder) comparison() (cmp func(x, y uint64) bool, combine string, dtype, t typ) {
	name := d.one(allOrderings...)
	combine = d.any("and", "or", "xor")
	ftz := d.has("ftz")
	if d.op == "set" {
		dtype = d.typ("u32", "s32", "f32")
	}
	t = d.typ(comparedTypes...)
	if t.name == "bf16" {
		d.needs(90, "a comparison of bf16")
	}
	if !d.permits(t, name) || ftz && t.name != "f32" && t.name != "f16" {
		d.fail("expected a comparison that .%s has, got .%s", t.name, name)
	}
	return compareFunc(t, relations[name], ftz), combine, dtype, t
}

func (d *decoder) permits(t typ, name string) bool {
	switch {
	case t.family == floating || t.name == "bf16":
		return contains(floatOrderings, name)
	case t.family == bitsFamily:
		return name == "eq" || name == "ne"
	case t.signed():
		return contains(orderings, name)
	}
	return contains(orderings, name) || contains([]string{"lo", "ls", "hi", "hs"}, name)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// compareFunc is a comparison of two values of a type.
func compareFunc(t typ, r relation, ftz bool) func(x, y uint64) bool {
	if t.name == "f32" && !ftz { // as below, without the detour
		return func(x, y uint64) bool { return r&relate(float64(f32(x)), float64(f32(y))) != 0 }
	}
	if value := valueOf(t, ftz); value != nil {
		return func(x, y uint64) bool { return r&relate(value(x), value(y)) != 0 }
	}
	lt := lessThan(t)
	return func(x, y uint64) bool {
		switch {
		case x == y:
			return r&equal != 0
		case lt(x, y):
			return r&less != 0
		}
		return r&more != 0
	}
}

// valueOf is the value of floats of a type; nil for other types.
func valueOf(t typ, ftz bool) func(x uint64) float64 {
	switch t.name {
	case "f32":
		if ftz {
			return func(x uint64) float64 { return float64(f32(flush32(x))) }
		}
		return func(x uint64) float64 { return float64(f32(x)) }
	case "f64":
		return f64
	case "f16":
		return decodeHalf
	case "bf16":
		return bfloat16.decode
	}
	return nil
}

func relate(x, y float64) relation {
	switch {
	case x < y:
		return less
	case x == y:
		return equal
	case x > y:
		return more
	}
	return unordered
}

// setPredicate is setp p|q, a, b, c: q is the comparison's opposite.
func setPredicate(d *decoder) exec {
	cmp, combine, _, t := d.comparison()
	p, q, pair := d.predPair()
	a, b := d.src(t), d.src(t)
	c, negate := int32(0), false
	if combine != "" {
		c, negate = d.srcPred()
	}
	return func(w *warp) {
		r := w.choose(a, b, cmp)
		with := w.pred(c, negate)
		w.setPred(p, combineMasks(combine, r, with))
		if pair {
			w.setPred(q, combineMasks(combine, ^r, with))
		}
	}
}

func combineMasks(op string, r, c uint32) uint32 {
	switch op {
	case "and":
		return r & c
	case "or":
		return r | c
	case "xor":
		return r ^ c
	}
	return r
}

// predPair takes a destination "p" or "p|q".
func (d *decoder) predPair() (p, q int32, pair bool) {
	first, second, pair := cutBar(d.arg())
	p = d.written(first, types["pred"], false)
	if pair {
		q = d.written(second, types["pred"], false)
	}
	return p, q, pair
}

// setValue is set: all ones or 1.0 where the comparison holds.
func setValue(d *decoder) exec {
	cmp, combine, dtype, t := d.comparison()
	yes := dtype.mask()
	if dtype.family == floating {
		yes = bits32(1)
	}
	to, a, b := d.dst(dtype), d.src(t), d.src(t)
	c, negate := int32(0), false
	if combine != "" {
		c, negate = d.srcPred()
	}
	return func(w *warp) {
		r := combineMasks(combine, w.choose(a, b, cmp), w.pred(c, negate))
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			w.regs[to][i] = yes * uint64(r>>i&1)
		}
	}
}

var movedTypes = []string{"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64"}

// selectByPredicate is selp d, a, b, p.
func selectByPredicate(d *decoder) exec {
	t := d.typ(movedTypes...)
	to, a, b := d.dst(t), d.src(t), d.src(t)
	p, negate := d.srcPred()
	return func(w *warp) {
		x, y, out := &w.regs[a], &w.regs[b], &w.regs[to]
		yes := w.pred(p, negate)
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			if yes>>i&1 != 0 {
				out[i] = x[i]
			} else {
				out[i] = y[i]
			}
		}
	}
}

// selectBySign is slct d, a, b, c: a where c >= 0.
func selectBySign(d *decoder) exec {
	ftz := d.has("ftz")
	t := d.typ(movedTypes...)
	sign := d.typ("s32", "f32")
	to, a, b := d.dst(t), d.src(t), d.src(t)
	return map3(to, a, b, d.src(sign), func(x, y, c uint64) uint64 {
		if ftz {
			c = flush32(c)
		}
		if sign.name == "s32" && int32(c) >= 0 || sign.name == "f32" && f32(c) >= 0 {
			return x
		}
		return y
	})
}

var properties = map[string]func(x float64, normal bool) bool{
	"finite":     func(x float64, _ bool) bool { return x-x == 0 },
	"infinite":   func(x float64, _ bool) bool { return math.IsInf(x, 0) },
	"number":     func(x float64, _ bool) bool { return x == x },
	"notanumber": func(x float64, _ bool) bool { return x != x },
	"normal":     func(x float64, normal bool) bool { return normal && x-x == 0 },
	"subnormal":  func(x float64, normal bool) bool { return !normal && x != 0 && x == x },
}

// testProperty is testp.
func testProperty(d *decoder) exec {
	holds := properties[d.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")]
	t := d.typ("f32", "f64")
	value, smallest := valueOf(t, false), 0x1p-126
	if t.name == "f64" {
		smallest = 0x1p-1022
	}
	p := d.dst(types["pred"])
	a := d.src(t)
	return func(w *warp) {
		w.setPred(p, w.choose(a, a, func(x, _ uint64) bool {
			v := value(x)
			return holds(v, math.Abs(v) >= smallest)
		}))
	}
}
