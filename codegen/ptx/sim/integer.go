package sim

import "math/bits"

var integerTypes = []string{"u16", "u32", "u64", "s16", "s32", "s64"}

// integerOps are the opcodes that know integers only.
var integerOps = map[string]opcode{
	"rem":   integerBinary(remainder),
	"popc":  count(func(x uint64, _ uint) uint64 { return uint64(bits.OnesCount64(x)) }),
	"clz":   count(func(x uint64, n uint) uint64 { return uint64(bits.LeadingZeros64(x)) - uint64(64-n) }),
	"brev":  reverse,
	"bfind": findBit,
	"bfe":   extractField,
	"bfi":   insertField,
	"sad":   sumDifference,
}

// integerFunc is a function of two integers of a type, zero-extended.
type integerFunc func(t typ) func(x, y uint64) uint64

func integerBinary(f integerFunc) opcode {
	return func(d *decoder) exec {
		t := d.typ(integerTypes...)
		return d.binary(t, f(t))
	}
}

func sum(t typ) func(x, y uint64) uint64 {
	m := t.mask()
	return func(x, y uint64) uint64 { return (x + y) & m }
}

func difference(t typ) func(x, y uint64) uint64 {
	m := t.mask()
	return func(x, y uint64) uint64 { return (x - y) & m }
}

func product(t typ) func(x, y uint64) uint64 {
	m := t.mask()
	return func(x, y uint64) uint64 { return x * y & m }
}

// productHigh is the upper half of the product.
func productHigh(t typ) func(x, y uint64) uint64 {
	n := t.bits()
	switch {
	case n == 64 && t.signed():
		return func(x, y uint64) uint64 {
			hi, _ := bits.Mul64(x, y)
			return hi - x*(y>>63) - y*(x>>63) // two's complement: see Hacker's Delight, 8-3
		}
	case n == 64:
		return func(x, y uint64) uint64 { hi, _ := bits.Mul64(x, y); return hi }
	case t.signed():
		return func(x, y uint64) uint64 { return uint64(signExtend(x, n)*signExtend(y, n)>>n) & t.mask() }
	}
	return func(x, y uint64) uint64 { return x * y >> n }
}

// productWide is the product, of twice the width.
func productWide(t typ) func(x, y uint64) uint64 {
	n := t.bits()
	if t.signed() {
		m := ^uint64(0) >> (64 - 2*n)
		return func(x, y uint64) uint64 { return uint64(signExtend(x, n)*signExtend(y, n)) & m }
	}
	return func(x, y uint64) uint64 { return x * y }
}

// quotient rounds towards zero. A division by zero gives all ones, what the
// hardware does; the specification leaves it open.
func quotient(t typ) func(x, y uint64) uint64 {
	n, m := t.bits(), t.mask()
	return func(x, y uint64) uint64 {
		switch {
		case y == 0:
			return m
		case t.signed():
			return uint64(signExtend(x, n)/signExtend(y, n)) & m
		}
		return x / y
	}
}

func remainder(t typ) func(x, y uint64) uint64 {
	n, m := t.bits(), t.mask()
	return func(x, y uint64) uint64 {
		switch {
		case y == 0:
			return m
		case t.signed():
			return uint64(signExtend(x, n)%signExtend(y, n)) & m
		}
		return x % y
	}
}

func lesser(t typ) func(x, y uint64) uint64 {
	less := lessThan(t)
	return func(x, y uint64) uint64 {
		if less(y, x) {
			return y
		}
		return x
	}
}

func greater(t typ) func(x, y uint64) uint64 {
	less := lessThan(t)
	return func(x, y uint64) uint64 {
		if less(x, y) {
			return y
		}
		return x
	}
}

func lessThan(t typ) func(x, y uint64) bool {
	if n := t.bits(); t.signed() {
		return func(x, y uint64) bool { return signExtend(x, n) < signExtend(y, n) }
	}
	return func(x, y uint64) bool { return x < y }
}

// multiply is mul of integers.
func multiply(d *decoder) exec {
	part := d.one("lo", "hi", "wide")
	t := d.typ(integerTypes...)
	to := d.dst(d.productType(part, t))
	a := d.src(t)
	return map2(to, a, d.src(t), productOf(part)(t))
}

func productOf(part string) integerFunc {
	return map[string]integerFunc{"lo": product, "hi": productHigh, "wide": productWide, "": product}[part]
}

// productType is the type of a product: a wide one has twice the bits.
func (d *decoder) productType(part string, t typ) typ {
	if part != "wide" {
		return t
	}
	wide, ok := map[string]string{"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}[t.name]
	if !ok {
		d.fail("expected a type of at most 32 bits for .wide, got .%s", t.name)
		return t
	}
	return types[wide]
}

// multiplyAdd is mad of integers.
func multiplyAdd(d *decoder) exec {
	part := d.one("lo", "hi", "wide")
	t := d.typ(integerTypes...)
	wide := d.productType(part, t)
	to, a, b := d.dst(wide), d.src(t), d.src(t)
	c, m, mul := d.src(wide), wide.mask(), productOf(part)(t)
	switch {
	case part == "lo" && t.bytes == 4:
		return multiplyAdd32(to, a, b, c)
	case part == "wide" && t.name == "u32":
		return map3(to, a, b, c, func(x, y, z uint64) uint64 { return x*y + z })
	}
	return map3(to, a, b, c, func(x, y, z uint64) uint64 { return (mul(x, y) + z) & m })
}

// multiplyAdd32 is written out because address arithmetic is full of it.
func multiplyAdd32(to, a, b, c int32) exec {
	return func(w *warp) {
		d, x, y, z := &w.regs[to], &w.regs[a], &w.regs[b], &w.regs[c]
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			d[i] = uint64(uint32(x[i])*uint32(y[i]) + uint32(z[i]))
		}
	}
}

func negateInteger(d *decoder) exec {
	t := d.typ("s16", "s32", "s64")
	return d.unary(t, func(x uint64) uint64 { return -x & t.mask() })
}

func absInteger(d *decoder) exec {
	t := d.typ("s16", "s32", "s64")
	return d.unary(t, func(x uint64) uint64 {
		return uint64(max(signExtend(x, t.bits()), -signExtend(x, t.bits()))) & t.mask()
	})
}

// count is an opcode whose result is a number of bits.
func count(f func(x uint64, bits uint) uint64) opcode {
	return func(d *decoder) exec {
		t := d.typ("b32", "b64")
		to := d.dst(types["u32"])
		return map1(to, d.src(t), func(x uint64) uint64 { return f(x, t.bits()) })
	}
}

func reverse(d *decoder) exec {
	t := d.typ("b32", "b64")
	return d.unary(t, func(x uint64) uint64 { return bits.Reverse64(x) >> (64 - t.bits()) })
}

// findBit is bfind: the highest bit that differs from the sign, or all ones.
func findBit(d *decoder) exec {
	shift := d.has("shiftamt")
	t := d.typ("u32", "u64", "s32", "s64")
	to := d.dst(types["u32"])
	return map1(to, d.src(t), func(x uint64) uint64 {
		if t.signed() && signExtend(x, t.bits()) < 0 {
			x = ^x & t.mask()
		}
		at := bits.Len64(x) - 1
		if shift && at >= 0 {
			at = int(t.bits()) - 1 - at
		}
		return uint64(uint32(at))
	})
}

// extractField is bfe d, a, position, length.
func extractField(d *decoder) exec {
	t := d.typ("u32", "u64", "s32", "s64")
	to, a, pos := d.dst(t), d.src(t), d.src(types["u32"])
	return map3(to, a, pos, d.src(types["u32"]), func(x, pos, n uint64) uint64 {
		pos, n = pos&0xFF, n&0xFF
		size := uint64(t.bits())
		if n == 0 {
			return 0
		}
		v := x >> pos & (1<<n - 1)
		if t.signed() {
			sign := x >> min(pos+n-1, size-1) & 1
			if kept := min(n, max(size, pos)-pos); sign == 1 {
				v |= ^uint64(0) << kept
			}
		}
		return v & t.mask()
	})
}

// insertField is bfi d, field, into, position, length.
func insertField(d *decoder) exec {
	t := d.typ("b32", "b64")
	to, a, b, pos, n := d.dst(t), d.src(t), d.src(t), d.src(types["u32"]), d.src(types["u32"])
	return func(w *warp) {
		for m := w.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			p := w.regs[pos][i] & 0xFF
			field := (uint64(1)<<(w.regs[n][i]&0xFF) - 1) << p
			w.regs[to][i] = (w.regs[b][i]&^field | w.regs[a][i]<<p&field) & t.mask()
		}
	}
}

// sumDifference is sad: |a-b| + c.
func sumDifference(d *decoder) exec {
	t := d.typ(integerTypes...)
	less := lessThan(t)
	return d.ternary(t, func(x, y, z uint64) uint64 {
		if less(x, y) {
			x, y = y, x
		}
		return (x - y + z) & t.mask()
	})
}
