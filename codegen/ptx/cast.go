package ptx

import "jitc/codegen/ptx/asm"

// cast converts between compute types: floats to integers truncate and saturate,
// with NaN giving 0; integers wrap, and round to floats.
func cast(k *asm.Kernel, o op) asm.Reg {
	from, to := &kinds[o.k], &kinds[o.to]
	switch {
	case o.k == o.to || !from.float && !to.float && from.size == to.size && o.k != kBool && o.to != kBool:
		return copyValue(k, o)
	case o.k == kBool:
		return k.Op(to.class, "selp."+to.bits, o.to.literal(one64(o.to)), o.to.literal(0), o.a)
	case o.to == kBool:
		return truth(k, o.k, o.a)
	case from.float && to.float:
		name := "cvt.f64.f32"
		if o.to == kF32 {
			name = "cvt.rn.f32.f64"
		}
		return k.Op(to.class, name, o.a)
	case to.float:
		return k.Op(to.class, "cvt.rn."+to.typ+"."+from.typ, o.a)
	case from.float:
		return truncate(k, o)
	}
	// A narrower signed integer is extended by its sign, whatever it becomes.
	return k.Op(to.class, "cvt."+widerType(o.to, from.sgn)+"."+from.typ, o.a)
}

func widerType(to kind, signed bool) string {
	t := "u"
	if signed {
		t = "s"
	}
	if kinds[to].size == 8 {
		return t + "64"
	}
	return t + "32"
}

// one64 is the bits of 1.
func one64(k kind) uint64 {
	switch k {
	case kF32:
		return 0x3F800000
	case kF64:
		return 0x3FF0000000000000
	}
	return 1
}

// truth is a != 0, which holds for NaN.
func truth(k *asm.Kernel, from kind, a asm.Reg) asm.Reg {
	name := "setp.ne."
	if kinds[from].float {
		name = "setp.neu."
	}
	return k.Op(asm.Pred, name+from.typ(), a, from.literal(0))
}

// truncate relies on the conversion's saturation. It gives 0 for NaN only from F32
// to 32 bits.
func truncate(k *asm.Kernel, o op) asm.Reg {
	r := k.Op(o.to.class(), "cvt.rzi."+o.to.typ()+"."+o.k.typ(), o.a)
	if o.k == kF32 && kinds[o.to].size == 4 {
		return r
	}
	nan := k.Op(asm.Pred, "setp.nan."+o.k.typ(), o.a, o.a)
	return k.Op(o.to.class(), "selp."+o.to.bits(), 0, r, nan)
}
