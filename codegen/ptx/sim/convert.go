package sim

import (
	"math"
	"strings"
)

var convertOps = map[string]opcode{"cvt": convert}

var (
	convertedTypes = []string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f16", "bf16", "f32", "f64"}
	packedTypes    = []string{"f16x2", "bf16x2", "e4m3x2", "e5m2x2", "tf32"}
	allConverted   = append(append([]string{}, packedTypes...), convertedTypes...)
)

// conversionMods are the modifiers of cvt.
type conversionMods struct {
	mode                      rounding
	rounded                   bool // a mode is given
	integral                  bool // it rounds to an integral value
	ftz, sat, relu, satfinite bool
}

// convert is cvt{.rnd}{.relu}{.satfinite}{.ftz}{.sat}.to.from.
func convert(d *decoder) exec {
	var m conversionMods
	if name := d.any("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi"); name != "" {
		m.mode, m.rounded, m.integral = roundings[name], true, strings.HasSuffix(name, "i")
	}
	m.satfinite = d.has("satfinite")
	m.relu = d.has("relu")
	m.satfinite = d.has("satfinite") || m.satfinite
	m.ftz, m.sat = d.has("ftz"), d.has("sat")
	to := d.typ(allConverted...)
	from := d.typ(append([]string{"e4m3x2", "e5m2x2", "f16x2"}, convertedTypes...)...)
	switch {
	case d.err != nil:
		return nil
	case contains(packedTypes, to.name) || contains(packedTypes, from.name):
		return d.packed(to, from, m)
	}
	return d.scalar(to, from, m)
}

// scalar is a conversion between integers and floats.
func (d *decoder) scalar(to, from typ, m conversionMods) exec {
	value, integers := valueOf(from, m.ftz && from.name == "f32"), valueOf(to, false) == nil
	narrows := value != nil && !integers && (to.bytes < from.bytes || to.name != from.name && to.bytes == from.bytes)
	switch {
	case value == nil && integers && m.rounded, value != nil && integers && !m.integral:
		d.fail("expected an integer rounding such as .rzi between floats and integers, and none between integers")
	case value == nil && !integers && (!m.rounded || m.integral), narrows && (!m.rounded || m.integral):
		d.fail("expected a rounding such as .rn")
	case from.name == "bf16" || to.name == "bf16" && from.name != "f32":
		d.needs(90, d.inst.text)
	case m.satfinite || m.mode == nearestAway:
		d.fail("expected a conversion with modifiers that .%s.%s has", to.name, from.name)
	}
	dst := d.written(d.arg(), to, true)
	wide := d.masks[dst]
	src := d.read(d.arg(), from, true)
	switch {
	case value == nil && integers:
		return map1(dst, src, integerToInteger(to, from, m.sat, wide))
	case value == nil:
		return map1(dst, src, integerToFloat(to, from, m))
	case integers:
		return map1(dst, src, floatToInteger(to, value, m, wide))
	}
	return map1(dst, src, floatToFloat(to, from, value, m))
}

// integerToInteger truncates or extends by the sign of from, up to the width of the
// register.
func integerToInteger(to, from typ, sat bool, wide uint64) func(x uint64) uint64 {
	n, m := from.bits(), to.mask()
	return func(x uint64) uint64 {
		x &= from.mask()
		if from.signed() {
			x = uint64(signExtend(x, n))
		}
		if sat {
			x = saturateInteger(x, from.signed(), to)
		}
		if to.signed() {
			return uint64(signExtend(x&m, to.bits())) & wide
		}
		return x & m
	}
}

// saturateInteger limits x, 64 bits of that signedness, to a type.
func saturateInteger(x uint64, isSigned bool, to typ) uint64 {
	most := greatest(to)
	switch {
	case !isSigned || int64(x) >= 0:
		return min(x, most)
	case to.signed():
		return uint64(max(int64(x), -1-int64(most)))
	}
	return 0
}

func integerToFloat(to, from typ, m conversionMods) func(x uint64) uint64 {
	n := from.bits()
	return func(x uint64) uint64 {
		x &= from.mask()
		negative := from.signed() && x>>(n-1) == 1
		if negative {
			x = uint64(-signExtend(x, n))
		}
		// Two exact halves; their sum is rounded once, by the target's format.
		high, low := float64(x>>32)*0x1p32, float64(x&0xFFFFFFFF)
		if negative {
			high, low = -high, -low
		}
		if to.name == "f64" && m.mode == nearestEven {
			return bits64(high + low)
		}
		return encodeFloat(to, high, low, m)
	}
}

// encodeFloat is high+low, rounded.
func encodeFloat(to typ, high, low float64, m conversionMods) uint64 {
	if to.name == "f64" {
		return bits64(addition.directed(high, low, 0, m.mode))
	}
	v := addOdd(high, low, 0)
	if m.sat {
		v = clamp01(v)
	}
	return formatOf(to).encode(v, m.mode)
}

// formatOf is the format of the halves of a type.
func formatOf(t typ) format {
	switch t.name {
	case "f16", "f16x2":
		return float16
	case "bf16", "bf16x2":
		return bfloat16
	case "e4m3x2":
		return float8e4m3
	case "e5m2x2":
		return float8e5m2
	}
	return float32s
}

// floatToInteger rounds and saturates; NaN becomes 0.
func floatToInteger(to typ, value func(uint64) float64, m conversionMods, wide uint64) func(x uint64) uint64 {
	low, high := 0.0, float64(to.mask()) // of 64 bits: 2^64
	if to.signed() {
		high = float64(to.mask() >> 1)
		low = -float64(to.mask()>>1) - 1
	}
	return func(x uint64) uint64 {
		v := integral(value(x), m.mode)
		switch {
		case v != v:
			return 0
		case v <= low:
			v = low
		case v >= high:
			return greatest(to)
		}
		if v < 0 {
			return uint64(int64(v)) & wide
		}
		return uint64(v)
	}
}

// greatest is the largest value of an integer type.
func greatest(t typ) uint64 {
	if t.signed() {
		return t.mask() >> 1
	}
	return t.mask()
}

// integral rounds to an integral value.
func integral(x float64, mode rounding) float64 {
	switch mode {
	case towardsZero:
		return math.Trunc(x)
	case towardsMinus:
		return math.Floor(x)
	case towardsPlus:
		return math.Ceil(x)
	}
	return math.RoundToEven(x)
}

func floatToFloat(to, from typ, value func(uint64) float64, m conversionMods) func(x uint64) uint64 {
	if to.name == "bf16" && from.name == "f32" && m.mode == nearestEven && !m.relu {
		return func(x uint64) uint64 { return encodeBfloat(f32(x)) }
	}
	return func(x uint64) uint64 {
		v := value(x)
		if m.integral {
			v = integral(v, m.mode)
		}
		if m.sat {
			v = clamp01(v)
		}
		if m.relu && v < 0 {
			v = 0
		}
		if to.name == "f64" {
			return bits64(v)
		}
		out := formatOf(to).encode(v, m.mode)
		if m.ftz && to.name == "f32" {
			return flush32(out)
		}
		return out
	}
}

// packed is a conversion from or to two values in one register, or to tf32.
func (d *decoder) packed(to, from typ, m conversionMods) exec {
	eight := strings.HasPrefix(to.name, "e") || strings.HasPrefix(from.name, "e")
	if eight {
		d.needs(89, d.inst.text)
	}
	switch {
	case m.ftz || m.sat || m.integral:
	case to.name == "tf32" && from.name == "f32" && m.mode == nearestAway && !m.relu:
		dst := d.dst(types["b32"])
		return map1(dst, d.src(from), func(x uint64) uint64 {
			if f32(x) != f32(x) {
				return nan32
			}
			return (x + 0x1000) & 0xFFFFE000
		})
	case from.name == "f32" && to.name != "tf32" && (m.satfinite || !eight) && (m.mode == nearestEven || m.mode == towardsZero && !eight) && m.rounded:
		return d.packFloats(to, m)
	case from.name == "f16x2" && eight && m.satfinite && m.mode == nearestEven && m.rounded:
		return d.convertHalves(to, from, m)
	case to.name == "f16x2" && eight && m.mode == nearestEven && m.rounded && !m.satfinite:
		return d.convertHalves(to, from, m)
	}
	d.fail("expected a conversion that exists, got .%s from .%s with these modifiers", to.name, from.name)
	return nil
}

// packFloats is cvt d, a, b: a becomes the upper half, b the lower one.
func (d *decoder) packFloats(to typ, m conversionMods) exec {
	f := formatOf(to)
	one := func(x uint64) uint64 { return f.convert(float64(f32(x)), m) }
	if to.name == "bf16x2" && m == (conversionMods{mode: nearestEven, rounded: true}) {
		one = func(x uint64) uint64 { return encodeBfloat(f32(x)) }
	}
	half := to.bits() / 2
	dst, a := d.dst(to), d.src(types["f32"])
	return map2(dst, a, d.src(types["f32"]), func(x, y uint64) uint64 { return one(x)<<half | one(y) })
}

// convertHalves converts both halves of a register.
func (d *decoder) convertHalves(to, from typ, m conversionMods) exec {
	f, g := formatOf(to), formatOf(from)
	n, k := to.bits()/2, from.bits()/2
	dst := d.dst(to)
	return map1(dst, d.src(from), func(x uint64) uint64 {
		return f.convert(g.decode(x&(1<<k-1)), m) | f.convert(g.decode(x>>k), m)<<n
	})
}

// convert rounds, with .relu and .satfinite.
func (f format) convert(v float64, m conversionMods) uint64 {
	if m.relu && v < 0 {
		v = 0
	}
	out := f.encode(v, m.mode)
	if m.satfinite {
		return f.saturate(v, out)
	}
	return out
}
