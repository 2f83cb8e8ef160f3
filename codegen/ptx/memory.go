package ptx

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// memoryRow moves elements of one memory type between memory and registers of the
// compute type.
type memoryRow struct {
	typ    string    // of a load: "s8" extends by the sign
	raw    asm.Class // of the register loaded or stored
	load   func(k *asm.Kernel, raw asm.Reg) asm.Reg
	store  func(k *asm.Kernel, v asm.Reg) asm.Reg
	unpack func(k *asm.Kernel, word asm.Reg, i int) asm.Reg // element i of a 32-bit word; of types of less than 4 bytes
	pack   func(k *asm.Kernel, lo, hi asm.Reg) asm.Reg      // two elements in the low bits of a word
}

func same(_ *asm.Kernel, r asm.Reg) asm.Reg { return r }

var memoryRows = map[tensor.DType]memoryRow{
	tensor.F32: {typ: "f32", raw: asm.F32, load: same, store: same},
	tensor.F64: {typ: "f64", raw: asm.F64, load: same, store: same},
	tensor.I32: {typ: "b32", raw: asm.B32, load: same, store: same},
	tensor.U32: {typ: "b32", raw: asm.B32, load: same, store: same},
	tensor.I64: {typ: "b64", raw: asm.B64, load: same, store: same},
	tensor.U64: {typ: "b64", raw: asm.B64, load: same, store: same},

	tensor.I8:  bytesRow("s8", same, same),
	tensor.U8:  bytesRow("u8", same, same),
	tensor.I16: wordsRow("s16"),
	tensor.U16: wordsRow("u16"),
	tensor.Bool: bytesRow("u8",
		func(k *asm.Kernel, r asm.Reg) asm.Reg { return k.Op(asm.Pred, "setp.ne.u32", r, 0) },
		func(k *asm.Kernel, v asm.Reg) asm.Reg { return k.Op(asm.B32, "selp.b32", 1, 0, v) }),
	tensor.F8E4M3: bytesRow("u8", decoder(tensor.F8E4M3), encoder(tensor.F8E4M3)),
	tensor.F8E5M2: bytesRow("u8", decoder(tensor.F8E5M2), encoder(tensor.F8E5M2)),

	tensor.F16: {typ: "b16", raw: asm.B16,
		load:  func(k *asm.Kernel, r asm.Reg) asm.Reg { return k.Op(asm.F32, "cvt.f32.f16", r) },
		store: func(k *asm.Kernel, v asm.Reg) asm.Reg { return k.Op(asm.B16, "cvt.rn.f16.f32", v) },
		unpack: func(k *asm.Kernel, w asm.Reg, i int) asm.Reg {
			if i > 0 {
				w = k.Op(asm.B32, "shr.u32", w, 16)
			}
			return half(k, w)
		},
		pack: func(k *asm.Kernel, lo, hi asm.Reg) asm.Reg { return k.Op(asm.B32, "cvt.rn.f16x2.f32", hi, lo) }},
	tensor.BF16: {typ: "b16", raw: asm.B16,
		load: func(k *asm.Kernel, r asm.Reg) asm.Reg {
			w := k.Op(asm.B32, "cvt.u32.u16", r)
			return k.Op(asm.F32, "mov.b32", k.Op(asm.B32, "shl.b32", w, 16))
		},
		store: func(k *asm.Kernel, v asm.Reg) asm.Reg { return k.Op(asm.B16, "cvt.rn.bf16.f32", v) },
		unpack: func(k *asm.Kernel, w asm.Reg, i int) asm.Reg {
			if i > 0 {
				return k.Op(asm.F32, "mov.b32", k.Op(asm.B32, "and.b32", w, "0xFFFF0000"))
			}
			return k.Op(asm.F32, "mov.b32", k.Op(asm.B32, "shl.b32", w, 16))
		},
		pack: func(k *asm.Kernel, lo, hi asm.Reg) asm.Reg { return k.Op(asm.B32, "cvt.rn.bf16x2.f32", hi, lo) }},
}

func decoder(t tensor.DType) func(*asm.Kernel, asm.Reg) asm.Reg {
	return func(k *asm.Kernel, r asm.Reg) asm.Reg { return decode8(k, t, r) }
}

func encoder(t tensor.DType) func(*asm.Kernel, asm.Reg) asm.Reg {
	return func(k *asm.Kernel, v asm.Reg) asm.Reg { return encode8(k, t, v) }
}

// bytesRow is the row of a type of one byte.
func bytesRow(typ string, load, store func(*asm.Kernel, asm.Reg) asm.Reg) memoryRow {
	return memoryRow{typ: typ, raw: asm.B32, load: load, store: store,
		unpack: func(k *asm.Kernel, w asm.Reg, i int) asm.Reg {
			return load(k, k.Op(asm.B32, "bfe."+typ[:1]+"32", w, 8*i, 8))
		},
		pack: func(k *asm.Kernel, lo, hi asm.Reg) asm.Reg {
			return k.Op(asm.B32, "prmt.b32", store(k, lo), store(k, hi), "0x0040")
		}}
}

// wordsRow is the row of an integer type of two bytes.
func wordsRow(typ string) memoryRow {
	return memoryRow{typ: typ, raw: asm.B32, load: same, store: same,
		unpack: func(k *asm.Kernel, w asm.Reg, i int) asm.Reg {
			return k.Op(asm.B32, "bfe."+typ[:1]+"32", w, 16*i, 16)
		},
		pack: func(k *asm.Kernel, lo, hi asm.Reg) asm.Reg { return k.Op(asm.B32, "prmt.b32", lo, hi, "0x5410") }}
}

// place is where an element, or a run of them, lies.
type place struct {
	space string // global, shared
	at    asm.Addr
	pred  asm.Reg // access it where this holds; none: always
}

// loaded makes the values of a load that has been emitted. The first use of what a
// load brings waits for it: where several loads are to be under way, all are emitted
// before the first of these is called.
type loaded func() []asm.Reg

// loadOne loads one element; 0 where the predicate does not hold.
func loadOne(k *asm.Kernel, t tensor.DType, p place) asm.Reg { return beginOne(k, t, p)() }

// beginOne is loadOne's first half.
func beginOne(k *asm.Kernel, t tensor.DType, p place) func() asm.Reg {
	r := memoryRows[t]
	raw := k.Reg(r.raw)
	clearReg(k, raw, p.pred)
	k.EmitIf(p.pred, "ld."+p.space+"."+r.typ, raw, p.at)
	return func() asm.Reg { return r.load(k, raw) }
}

// clearReg zeroes what a load may leave alone.
func clearReg(k *asm.Kernel, r, pred asm.Reg) {
	if !pred.IsNone() {
		k.Set(r, fmt.Sprintf("mov.b%d", 8*r.Class().Bytes()), 0)
	}
}

func storeOne(k *asm.Kernel, t tensor.DType, p place, v asm.Reg) {
	r := memoryRows[t]
	raw := r.store(k, v)
	k.EmitIf(p.pred, "st."+p.space+"."+storeType(t), p.at, raw)
}

// storeType is the untyped suffix of a store.
func storeType(t tensor.DType) string { return fmt.Sprintf("b%d", 8*t.Size()) }

// words describes the registers of a run of elements in memory: how many, of what
// class, and the suffix of the instruction.
func words(t tensor.DType, n int) (count int, c asm.Class, suffix string) {
	r, bytes := memoryRows[t], n*t.Size()
	vec := map[int]string{1: "", 2: "v2.", 4: "v4."}
	switch {
	case t.Size() >= 4:
		return n, r.raw, vec[n] + storeType(t)
	case bytes == 2:
		return 1, asm.B32, "u16"
	}
	return bytes / 4, asm.B32, vec[bytes/4] + "b32"
}

// maxAccess is the size of the widest access.
const maxAccess = 16

// behind is the place some bytes further on.
func (p place) behind(bytes int) place {
	p.at.Offset += bytes
	return p
}

// loadRun loads n elements that lie next to one another, at a multiple of their
// size altogether, or of 16 bytes, which it is a multiple of if it is more.
func loadRun(k *asm.Kernel, t tensor.DType, n int, p place) []asm.Reg { return beginRun(k, t, n, p)() }

// beginRun is loadRun's first half.
func beginRun(k *asm.Kernel, t tensor.DType, n int, p place) loaded {
	if n*t.Size() > maxAccess {
		lo, hi := beginRun(k, t, n/2, p), beginRun(k, t, n/2, p.behind(n/2*t.Size()))
		return func() []asm.Reg { return append(lo(), hi()...) }
	}
	count, class, suffix := words(t, n)
	raw := k.Regs(class, count)
	for _, r := range raw {
		clearReg(k, r, p.pred)
	}
	k.EmitIf(p.pred, "ld."+p.space+"."+suffix, runOperand(raw), p.at)
	return func() []asm.Reg { return unpacked(k, t, n, raw) }
}

// unpacked are the elements of a run.
func unpacked(k *asm.Kernel, t tensor.DType, n int, raw []asm.Reg) []asm.Reg {
	r := memoryRows[t]
	out := make([]asm.Reg, n)
	for i := range out {
		if per := 4 / t.Size(); per > 1 {
			out[i] = r.unpack(k, raw[i/per], i%per)
		} else {
			out[i] = r.load(k, raw[i])
		}
	}
	return out
}

func runOperand(raw asm.Vec) any {
	if len(raw) == 1 {
		return raw[0]
	}
	return raw
}

// storeRun stores n elements as loadRun loads them.
func storeRun(k *asm.Kernel, t tensor.DType, p place, vals []asm.Reg) {
	if n := len(vals) / 2; 2*n*t.Size() > maxAccess {
		storeRun(k, t, p, vals[:n])
		storeRun(k, t, p.behind(n*t.Size()), vals[n:])
		return
	}
	count, _, suffix := words(t, len(vals))
	raw := make(asm.Vec, count)
	r := memoryRows[t]
	for i := range raw {
		switch t.Size() {
		case 1:
			raw[i] = r.pack(k, vals[4*i], vals[4*i+1])
			if len(vals) >= 4 {
				hi := r.pack(k, vals[4*i+2], vals[4*i+3])
				raw[i] = k.Op(asm.B32, "prmt.b32", raw[i], hi, "0x5410")
			}
		case 2:
			raw[i] = r.pack(k, vals[2*i], vals[2*i+1])
		default:
			raw[i] = r.store(k, vals[i])
		}
	}
	k.EmitIf(p.pred, "st."+p.space+"."+suffix, p.at, runOperand(raw))
}
