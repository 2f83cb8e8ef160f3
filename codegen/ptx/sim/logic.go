package sim

import "math/bits"

// logicOps are the opcodes on bits.
var logicOps = map[string]opcode{
	"and":  bitwise(func(x, y uint64) uint64 { return x & y }),
	"or":   bitwise(func(x, y uint64) uint64 { return x | y }),
	"xor":  bitwise(func(x, y uint64) uint64 { return x ^ y }),
	"not":  complement,
	"shl":  shiftLeft,
	"shr":  shiftRight,
	"shf":  funnelShift,
	"prmt": permuteBytes,
	"lop3": threeInputs,
}

func bitwise(f func(x, y uint64) uint64) opcode {
	return func(d *decoder) exec {
		t := d.typ("pred", "b16", "b32", "b64")
		if t.family != predicate {
			return d.binary(t, f)
		}
		to := d.dst(t)
		a, notA := d.srcPred()
		b, notB := d.srcPred()
		return func(w *warp) {
			w.setPred(to, uint32(f(uint64(w.pred(a, notA)), uint64(w.pred(b, notB)))))
		}
	}
}

func complement(d *decoder) exec {
	t := d.typ("pred", "b16", "b32", "b64")
	if t.family != predicate {
		return d.unary(t, func(x uint64) uint64 { return ^x & t.mask() })
	}
	to := d.dst(t)
	a, negate := d.srcPred()
	return func(w *warp) { w.setPred(to, w.pred(a, !negate)) }
}

// shiftLeft is shl. An amount beyond the width counts as the width.
func shiftLeft(d *decoder) exec {
	t := d.typ("b16", "b32", "b64")
	to, a := d.dst(t), d.src(t)
	m := t.mask()
	return map2(to, a, d.src(types["u32"]), func(x, n uint64) uint64 { return x << n & m })
}

// shiftRight is shr.
func shiftRight(d *decoder) exec {
	t := d.typ("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64")
	to, a := d.dst(t), d.src(t)
	size, m := t.bits(), t.mask()
	if t.signed() {
		return map2(to, a, d.src(types["u32"]), func(x, n uint64) uint64 { return uint64(signExtend(x, size)>>n) & m })
	}
	return map2(to, a, d.src(types["u32"]), func(x, n uint64) uint64 { return x >> n })
}

// funnelShift is shf: the upper half of b:a shifted left, or the lower one of it
// shifted right.
func funnelShift(d *decoder) exec {
	left := d.one("l", "r") == "l"
	wrap := d.one("wrap", "clamp") == "wrap"
	t := d.typ("b32")
	to, a, b := d.dst(t), d.src(t), d.src(t)
	return map3(to, a, b, d.src(types["u32"]), func(lo, hi, n uint64) uint64 {
		if wrap {
			n &= 31
		} else {
			n = min(n, 32)
		}
		x := hi<<32 | lo
		if left {
			return x << n >> 32
		}
		return x >> n & t.mask()
	})
}

// permuteBytes is prmt: the nibbles of c select bytes of b:a, or their sign.
func permuteBytes(d *decoder) exec {
	mode := d.any("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	if mode != "" {
		d.fail("expected prmt without a mode, got .%s", mode)
	}
	t := d.typ("b32")
	return d.ternary(t, func(x, y, sel uint64) uint64 {
		source := y<<32 | x
		var out uint64
		for i := range 4 {
			pick := sel >> (4 * i) & 15
			v := source >> (8 * (pick & 7)) & 0xFF
			if pick&8 != 0 {
				v = uint64(int8(v)>>7) & 0xFF
			}
			out |= v << (8 * i)
		}
		return out
	})
}

// threeInputs is lop3: bit i of the table is the result for inputs whose bits
// spell i.
func threeInputs(d *decoder) exec {
	t := d.typ("b32")
	to, a, b, c := d.dst(t), d.src(t), d.src(t), d.src(t)
	table := d.number()
	if table < 0 || table > 255 {
		d.fail("expected a table between 0 and 255, got %d", table)
	}
	return map3(to, a, b, c, func(x, y, z uint64) uint64 {
		var out uint64
		for rest := uint(table); rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros(rest)
			out |= pickBits(x, i&4) & pickBits(y, i&2) & pickBits(z, i&1)
		}
		return out & t.mask()
	})
}

func pickBits(x uint64, set int) uint64 {
	if set != 0 {
		return x
	}
	return ^x
}
