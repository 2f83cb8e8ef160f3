package sim

import "math"

// family is what the bits of a type mean.
type family uint8

const (
	bitsFamily family = iota
	unsigned
	signed
	floating
	predicate
)

// typ is a type of PTX. A register holds the value zero-extended to 64 bits, also
// where the type is signed.
type typ struct {
	name   string
	family family
	bytes  int // 0 for predicates
}

func (t typ) bits() uint { return uint(t.bytes) * 8 }

// mask has the bits of the type set.
func (t typ) mask() uint64 { return ^uint64(0) >> (64 - t.bits()) }

func (t typ) signed() bool { return t.family == signed }

var types = typeTable(
	typ{"b8", bitsFamily, 1}, typ{"b16", bitsFamily, 2}, typ{"b32", bitsFamily, 4}, typ{"b64", bitsFamily, 8},
	typ{"u8", unsigned, 1}, typ{"u16", unsigned, 2}, typ{"u32", unsigned, 4}, typ{"u64", unsigned, 8},
	typ{"s8", signed, 1}, typ{"s16", signed, 2}, typ{"s32", signed, 4}, typ{"s64", signed, 8},
	typ{"f32", floating, 4}, typ{"f64", floating, 8}, typ{"pred", predicate, 0},
	typ{"f16", floating, 2}, typ{"f16x2", floating, 4},
	// These are formats of untyped registers.
	typ{"bf16", bitsFamily, 2}, typ{"bf16x2", bitsFamily, 4}, typ{"tf32", bitsFamily, 4},
	typ{"e4m3x2", bitsFamily, 2}, typ{"e5m2x2", bitsFamily, 2},
)

func typeTable(rows ...typ) map[string]typ {
	m := map[string]typ{}
	for _, t := range rows {
		m[t.name] = t
	}
	return m
}

// takes reports whether an operand of type t may be a register of type reg. Loads,
// stores and conversions may use a register that is wider than t.
func (t typ) takes(reg typ, wider bool) bool {
	if reg.bytes != t.bytes && (!wider || reg.bytes < t.bytes || t.family == floating) {
		return false
	}
	switch {
	case reg.family == predicate || t.family == predicate:
		return reg.family == t.family
	case reg.family == bitsFamily || t.family == bitsFamily:
		return true
	}
	return (reg.family == floating) == (t.family == floating)
}

func signExtend(x uint64, bits uint) int64 { return int64(x<<(64-bits)) >> (64 - bits) }

func f32(x uint64) float32 { return math.Float32frombits(uint32(x)) }
func f64(x uint64) float64 { return math.Float64frombits(x) }

// The NaNs that the hardware makes.
const (
	nan32 = 0x7FFFFFFF
	nan64 = 0x7FF8000000000000
	nan16 = 0x7FFF // f16 and bf16
)

func bits32(f float32) uint64 {
	if f != f {
		return nan32
	}
	return uint64(math.Float32bits(f))
}

func bits64(f float64) uint64 {
	if f != f {
		return nan64
	}
	return math.Float64bits(f)
}
