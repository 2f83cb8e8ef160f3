package x64

import (
	"encoding/binary"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Constants. A leaf is read from memory wherever it is used: a constant from the
// pool behind the code, a size and a position from the argument block. The ones
// used most are pinned to registers while there are any.

// splat is a memory operand of a constant that every lane reads: embedded
// broadcast on AVX-512, a replicated vector on AVX2.
func (g *emitter) splat(bits uint64, size int) operand {
	if g.p.z {
		if size == 8 {
			return operand{mem: true, m: g.Const64(bits), f: asm.Bc}
		}
		return operand{mem: true, m: g.Const32(uint32(bits)), f: asm.Bc}
	}
	var b [32]byte
	for i := 0; i < len(b); i += size {
		if size == 8 {
			binary.LittleEndian.PutUint64(b[i:], bits)
		} else {
			binary.LittleEndian.PutUint32(b[i:], uint32(bits))
		}
	}
	return operand{mem: true, m: g.ConstBytes(b[:])}
}

// setConst puts a constant into every lane of d.
func (g *emitter) setConst(d asm.V, bits uint64, size int, l asm.VL) {
	switch {
	case bits == 0:
		g.zero(d, l)
	case size == 8:
		g.RM(asm.VPBROADCASTQ, l, d, 0, g.Const64(bits), 0)
	default:
		g.RM(asm.VBROADCASTSS, l, d, 0, g.Const32(uint32(bits)), 0)
	}
}

// zero clears d: the 128-bit form clears all of it and needs no EVEX below 16.
func (g *emitter) zero(d asm.V, l asm.VL) {
	if d < 16 {
		g.RR(asm.VXORPS, asm.X128, d, d, d, 0)
		return
	}
	g.RR(asm.VPXORD, l, d, d, d, 0)
}

// leafOperand is a leaf as a memory operand.
func (g *emitter) leafOperand(v codegen.Val) (operand, bool) {
	in := &g.n.Insts[v]
	switch in.Op {
	case codegen.Const:
		if in.Type == tensor.Bool {
			return operand{}, false
		}
		if !g.kset[v] {
			g.kset[v] = true
			g.konst[v] = g.splat(in.Imm, in.Type.Size()).m
		}
		o := operand{mem: true, m: g.konst[v]}
		if g.p.z {
			o.f = asm.Bc
		}
		return o, true
	case codegen.Size:
		return operand{mem: true, m: asm.Ptr(asm.RDI, g.lay.sizes[v])}, true
	}
	if g.p.z {
		return operand{mem: true, m: g.position(in.Axis), f: asm.Bc}, true
	}
	return operand{}, false
}

// position is where the position on a scalar axis lies.
func (g *emitter) position(axis int) asm.Mem {
	for i := range g.lay.levels {
		if g.lay.levels[i].axis == axis {
			return asm.Ptr(asm.RDI, g.lay.levels[i].at)
		}
	}
	panic("BUG: x64: position on an axis that is no scalar loop")
}

// fetch loads v, which is in no register, into r.
func (g *emitter) fetch(r asm.V, v codegen.Val, l int32) {
	in := &g.n.Insts[v]
	vl := g.vl(v)
	if !g.p.vals[v].leaf {
		m, ok := g.stored(l)
		if !ok {
			panic("BUG: x64: " + in.Op.String() + " is used before it is computed")
		}
		g.RM(asm.VMOVUPSld, vl, r, 0, m, 0)
		return
	}
	switch in.Op {
	case codegen.Const:
		size := in.Type.Size()
		if in.Type == tensor.Bool { // AVX2: a mask of whole lanes
			size = 8
			g.setConst(r, -(in.Imm & 1), size, vl)
			return
		}
		g.setConst(r, in.Imm, size, vl)
	case codegen.Size:
		g.RM(asm.VMOVUPSld, vl, r, 0, asm.Ptr(asm.RDI, g.lay.sizes[v]), 0)
	default:
		if in.Type.Size() == 8 {
			g.RM(asm.VPBROADCASTQ, vl, r, 0, g.position(in.Axis), 0)
		} else {
			g.RM(asm.VPBROADCASTD, vl, r, 0, g.position(in.Axis), 0)
		}
	}
}

// index computes the positions of the lanes on the vector axis.
func index(g *emitter, v codegen.Val, in *codegen.Inst) {
	l, size := g.vl(v), in.Type.Size()
	d := g.defLate(v)
	g.MOV(asm.RDX, asm.RAX)
	if g.p.mode == modeOuter {
		g.ADDm(asm.RDX, asm.Ptr(asm.RDI, g.lay.vecLo))
	}
	iota := make([]byte, l.Bytes())
	for i := 0; i < len(iota)/size; i++ {
		n := uint64((g.base+g.c)*g.p.lanes + i)
		if size == 8 {
			binary.LittleEndian.PutUint64(iota[8*i:], n)
		} else {
			binary.LittleEndian.PutUint32(iota[4*i:], uint32(n))
		}
	}
	add, spread, zspread := asm.VPADDD, asm.VPBROADCASTD, asm.VPBROADCASTDr
	if size == 8 {
		add, spread, zspread = asm.VPADDQ, asm.VPBROADCASTQ, asm.VPBROADCASTQr
	}
	if g.p.z {
		g.Broadcast(zspread, l, d, asm.RDX, 0)
	} else {
		g.VMOVQr(d, asm.RDX)
		g.RR(spread, l, d, 0, d, 0)
	}
	g.RM(add, l, d, d, g.ConstBytes(iota), 0)
}
