package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
)

func isMemory(c codegen.Code) bool { return c == codegen.Load || c == codegen.Store }

// ntStore reports whether instruction v may be a non-temporal store: whole
// vectors of neighbours to a buffer that the caller says is not read again soon.
func (p *plan) ntStore(s *segment, v codegen.Val) bool {
	in := &p.nest.Insts[v]
	if in.Op != codegen.Store || in.Pred != codegen.None || p.nt == nil {
		return false
	}
	a := &p.accs[in.Acc]
	return p.nt[p.nest.Accs[in.Acc].Buf] && p.pitchIn(s, in.Acc) == pitchOne && len(a.dyn) == 0 && a.esize >= 4 &&
		(!p.wide || a.esize == 8)
}

// streamsNT reports whether the nest has non-temporal stores.
func (g *emitter) streamsNT() bool {
	for i := range g.p.segs {
		for _, v := range g.p.segs[i].insts {
			if g.p.ntStore(&g.p.segs[i], v) {
				return true
			}
		}
	}
	return false
}

// unalignedNT emits a test whether some non-temporal store would be unaligned in
// the vector loop that starts here (NE if so); false if there are none. In a nest
// whose vector axis is outer, stores inside of inner loops move: they stay plain.
func (g *emitter) unalignedNT(used uint64) bool {
	if g.p.mode == modeOuter && g.lay.nOuter != len(g.lay.levels) {
		return false
	}
	any := false
	for i := range g.p.segs {
		s := &g.p.segs[i]
		for _, v := range s.insts {
			a := &g.p.accs[g.n.Insts[v].Acc]
			if !g.p.ntStore(s, v) || used>>a.stream&1 == 0 {
				continue
			}
			ptr := g.p.streams[a.stream].reg
			if ptr == asm.NoReg {
				g.MOVld(asm.RDX, asm.Ptr(asm.RDI, g.lay.ptr[a.stream]))
				ptr = asm.RDX
			}
			g.LEA(asm.RDX, asm.Ptr(ptr, a.disp))
			if any {
				g.OR(asm.RBX, asm.RDX)
			} else {
				g.MOV(asm.RBX, asm.RDX)
			}
			any = true
		}
	}
	if any {
		g.TESTi(asm.RBX, int32(g.p.full.Bytes()-1))
	}
	return any
}

// streaming reports whether a store in the aligned copy of a loop is non-temporal.
func (g *emitter) streaming(in *codegen.Inst) bool {
	a := &g.p.accs[in.Acc]
	return g.p.nt[g.n.Accs[in.Acc].Buf] && in.Pred == codegen.None && len(a.dyn) == 0 && (!g.p.wide || a.esize == 8)
}
