package x64

import (
	"slices"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Transposed loads. A load whose lanes lie a stride apart, but whose neighbours
// on a scalar outer axis t are neighbours in memory, is read in square tiles:
//
//	        t, t+1, ...              lanes
//	lane 0  x00 x01 x02 x03          x00 x10 x20 x30   t
//	lane 1  x10 x11 x12 x13    ->    x01 x11 x21 x31   t+1
//	...     (rows of memory)         ...    (vectors in the argument block)
//
// Axis t becomes the innermost scalar loop and runs in steps of a tile's side:
// for each vector of lanes, the tiles of all such loads are transposed into the
// argument block, then the body runs for each position of t, reading its vector
// from there.

// tilePlan says which loads are tiled.
type tilePlan struct {
	axis  int // t
	loads []codegen.Val
	slot  []int32 // by load: its tile in the argument block
	back  []int32 // by stream: what undoes a tile's steps along t
	ahead []int32 // by stream: what makes them
}

// maxTiles bounds the tiled loads of a nest.
const maxTiles = 4

// planTile looks for transposed loads. It applies to nests without inner loops.
func (p *plan) planTile() {
	n := p.nest
	if p.mode != modeOuter || len(p.inner) > 0 || len(p.outer) == 0 {
		return
	}
	t, used := &tilePlan{axis: -1}, p.live()
	for i := range n.Insts {
		in := &n.Insts[i]
		if in.Op != codegen.Load || !used[i] || !p.tileable(in) {
			continue
		}
		for _, axis := range p.outer {
			if (t.axis < 0 || t.axis == axis) && n.Accs[in.Acc].Class(axis) == codegen.StrideOne && len(t.loads) < maxTiles {
				t.axis = axis
				t.loads = append(t.loads, codegen.Val(i))
				break
			}
		}
	}
	if t.axis < 0 || p.idxUsed>>t.axis&1 != 0 {
		return
	}
	p.tile = t
	p.outer = slices.DeleteFunc(slices.Clone(p.outer), func(a int) bool { return a == t.axis })
	p.outer = append(p.outer, t.axis)
}

// tileable: elements as wide as a lane, or narrow ones that a 4-byte lane holds
// widened; present at every point.
func (p *plan) tileable(in *codegen.Inst) bool {
	a := &p.accs[in.Acc]
	lane := int32(p.full.Bytes() / p.lanes)
	fits := a.esize == lane || lane == 4 && a.dtype != tensor.Bool
	return a.pitch == pitchAny && fits && in.Pred == codegen.None && len(a.dyn) == 0
}

// dropTile gives up tiling where a value computed once per row depends on t.
func (p *plan) dropTile() {
	if p.tile == nil || p.pre == nil {
		return
	}
	for _, v := range p.pre.insts {
		if p.vals[v].axes>>p.tile.axis&1 != 0 {
			p.tile = nil
			return
		}
	}
}

func (t *tilePlan) place(p *plan, l *layout) {
	for range t.loads {
		t.slot = append(t.slot, l.block(int32(p.lanes*p.full.Bytes()), 64))
	}
	for range p.streams {
		t.back, t.ahead = append(t.back, l.word()), append(t.ahead, l.word())
	}
}

// tileOf is where v's vector at the current position of t lies, if v is tiled:
// R15 counts the bytes of the positions before it.
func (g *emitter) tileOf(v codegen.Val) (asm.Mem, bool) {
	if !g.tiled {
		return asm.Mem{}, false
	}
	i := slices.Index(g.p.tile.loads, v)
	if i < 0 {
		return asm.Mem{}, false
	}
	return asm.PtrX(asm.RDI, asm.R15, 0, g.p.tile.slot[i]), true
}

// tileLoop emits the loop over t, the innermost scalar level, and all within.
func (g *emitter) tileLoop(used uint64) {
	lv := &g.lay.levels[g.lay.nOuter-1]
	lanes := int32(g.p.lanes)
	count := asm.Ptr(asm.RDI, lv.count)
	rest, top, end := g.NewLabel(), g.NewLabel(), g.NewLabel()
	g.MOVld(asm.RBX, asm.Ptr(asm.RDI, lv.n))
	g.MOVst(count, asm.RBX)
	g.CMPi(asm.RBX, lanes)
	g.Jcc(asm.LT, rest)
	g.Bind(top)
	g.tileRow(used)
	for s := range g.p.streams {
		if lv.inc[s] != 0 {
			g.moveStream(s, false, g.p.tile.ahead[s])
		}
	}
	g.SUBmi(count, lanes)
	g.CMPmi(count, lanes)
	g.Jcc(asm.GE, top)
	g.Bind(rest)
	g.CMPmi(count, 0)
	g.Jcc(asm.E, end)
	one := g.Here()
	g.outerPoint()
	for s := range g.p.streams {
		if lv.inc[s] != 0 {
			g.moveStream(s, false, lv.inc[s])
		}
	}
	g.DECm(count)
	g.Jcc(asm.NE, one)
	g.Bind(end)
}

// tileRow emits one step of t over all lanes: whole tiles, then a last one with
// fewer lanes, whose loads gather.
func (g *emitter) tileRow(used uint64) {
	if len(g.p.pre.insts) > 0 {
		g.uniform = true
		g.body(g.p.pre, 1, 0, false)
		g.uniform = false
	}
	for s := range g.p.streams {
		if used>>s&1 != 0 && g.p.streams[s].lane {
			g.MOVld(asm.RBX, asm.Ptr(asm.RDI, g.lay.ptr[s]))
			g.MOVst(asm.Ptr(asm.RDI, g.lay.lanePtr[s]), asm.RBX)
		}
	}
	tail, end := g.NewLabel(), g.NewLabel()
	g.XORL(asm.RAX, asm.RAX)
	g.MOVld(asm.RCX, asm.Ptr(asm.RDI, g.lay.vecN))
	g.SUBi(asm.RCX, int32(g.p.lanes))
	g.Jcc(asm.LT, tail)
	g.vectors(1, used, func() {
		for i, v := range g.p.tile.loads {
			g.transpose(v, g.p.tile.slot[i])
		}
		g.tiled = true
		g.positions(used, false)
		g.tiled = false
	})
	g.Bind(tail)
	g.MOVld(asm.RDX, asm.Ptr(asm.RDI, g.lay.vecN))
	g.SUB(asm.RDX, asm.RAX)
	g.Jcc(asm.E, end)
	g.setTail()
	g.positions(used, true)
	g.Bind(end)
}

// positions emits the loop over a tile's positions of t.
func (g *emitter) positions(used uint64, tail bool) {
	lv := &g.lay.levels[g.lay.nOuter-1]
	g.XORL(asm.R15, asm.R15)
	top := g.Here()
	g.segments(1, tail)
	for s := range g.p.streams {
		if used>>s&1 != 0 && lv.inc[s] != 0 && !g.onlyTiled(s) {
			g.moveStream(s, true, lv.inc[s])
		}
	}
	g.ADDi(asm.R15, int32(g.p.full.Bytes()))
	g.CMPi(asm.R15, int32(g.p.full.Bytes()*g.p.lanes))
	g.Jcc(asm.NE, top)
	for s := range g.p.streams {
		if used>>s&1 != 0 && lv.inc[s] != 0 && !g.onlyTiled(s) {
			g.moveStream(s, true, g.p.tile.back[s])
		}
	}
}

// onlyTiled reports whether, in a whole tile, nothing reads stream s directly.
func (g *emitter) onlyTiled(s int) bool {
	if !g.tiled {
		return false
	}
	for i := range g.n.Insts {
		in := &g.n.Insts[i]
		if isMemory(in.Op) && g.p.accs[in.Acc].stream == s && !slices.Contains(g.p.tile.loads, codegen.Val(i)) {
			return false
		}
	}
	return true
}

// transpose reads the tile of load v and stores its vectors at slot. A 128-bit
// lane holds q elements, narrow ones widened to 4 bytes. For q columns at a time, register r collects rows r,
// q+r, 2q+r, ... of memory, one per 128-bit lane; a transposition of the q by q
// blocks within the lanes then gives whole columns.
func (g *emitter) transpose(v codegen.Val, slot int32) {
	in := &g.n.Insts[v]
	a := &g.p.accs[in.Acc]
	l, width, side := g.p.full, int32(g.p.full.Bytes()), int32(g.p.lanes)
	q := 16 / max(a.esize, 4)
	g.MOVst(asm.Ptr(asm.RDI, g.lay.save[0]), asm.RAX)
	g.MOVst(asm.Ptr(asm.RDI, g.lay.save[1]), asm.RCX)
	g.MOVld(asm.R15, asm.Ptr(asm.RDI, g.lay.lanePtr[a.stream]))
	g.MOVld(asm.RBX, asm.Ptr(asm.RDI, g.lay.vecStep[a.stream])) // one row
	g.LEA(asm.RCX, asm.PtrX(asm.RBX, asm.RBX, 1, 0))            // three rows
	g.LEA(asm.RAX, asm.PtrX(asm.RBX, asm.RBX, 0, 0))            // q rows
	if q == 4 {
		g.ADD(asm.RAX, asm.RAX)
	}
	var x, y [4]asm.V
	t := g.tmp()
	for i := range q {
		x[i], y[i] = g.tmp(), g.tmp()
	}
	rows := [4]asm.Mem{asm.Ptr(asm.RDX, 0), asm.PtrX(asm.RDX, asm.RBX, 0, 0), asm.PtrX(asm.RDX, asm.RBX, 1, 0), asm.PtrX(asm.RDX, asm.RCX, 0, 0)}
	for c := int32(0); c < side; c += q {
		g.MOV(asm.RDX, asm.R15)
		for group := range side / q {
			if group > 0 {
				g.ADD(asm.RDX, asm.RAX)
			}
			for r := range q {
				g.insertPiece(a, x[r], t, rows[r].Plus(a.disp+c*a.esize), uint8(group))
			}
		}
		for i, o := range g.transposeLanes(l, int(q), x, y) {
			g.RM(asm.VMOVUPSst, l, o, 0, asm.Ptr(asm.RDI, slot+(c+int32(i))*width), 0)
		}
	}
	g.freeTemps()
	g.MOVld(asm.RAX, asm.Ptr(asm.RDI, g.lay.save[0]))
	g.MOVld(asm.RCX, asm.Ptr(asm.RDI, g.lay.save[1]))
}

// insertPiece loads the elements at m, widened to 4 bytes, into 128-bit lane
// group of x; the first one clears the others. t is scratch.
func (g *emitter) insertPiece(a *access, x, t asm.V, m asm.Mem, group uint8) {
	l, insert := g.p.full, pick(g.p.z, asm.VINSERTF32X4, asm.VINSERTF128)
	switch {
	case a.esize >= 4 && group == 0:
		g.RM(asm.VMOVUPSld, asm.X128, x, 0, m, 0)
	case a.esize >= 4:
		g.RMi(insert, l, x, x, m, 0, group)
	case group == 0:
		g.RM(extends[a.dtype], asm.X128, x, 0, m, 0)
	default:
		g.RM(extends[a.dtype], asm.X128, t, 0, m, 0)
		g.RRi(insert, l, x, x, t, 0, group)
	}
}

// transposeLanes transposes the q by q block in each 128-bit lane of x[:q]; y is
// scratch. It returns the registers of the result.
func (g *emitter) transposeLanes(l asm.VL, q int, x, y [4]asm.V) []asm.V {
	if q == 2 {
		g.RR(asm.VUNPCKLPD, l, y[0], x[0], x[1], 0)
		g.RR(asm.VUNPCKHPD, l, y[1], x[0], x[1], 0)
		return y[:2:2]
	}
	g.RR(asm.VUNPCKLPS, l, y[0], x[0], x[1], 0)
	g.RR(asm.VUNPCKHPS, l, y[1], x[0], x[1], 0)
	g.RR(asm.VUNPCKLPS, l, y[2], x[2], x[3], 0)
	g.RR(asm.VUNPCKHPS, l, y[3], x[2], x[3], 0)
	g.RR(asm.VUNPCKLPD, l, x[0], y[0], y[2], 0)
	g.RR(asm.VUNPCKHPD, l, x[1], y[0], y[2], 0)
	g.RR(asm.VUNPCKLPD, l, x[2], y[1], y[3], 0)
	g.RR(asm.VUNPCKHPD, l, x[3], y[1], y[3], 0)
	return x[:4:4]
}
