package gemm

import "jitc/codegen/ptx/asm"

// loader copies an operand's tiles of k, one after another, to shared memory. The
// block's threads take consecutive chunks; a thread's chunks are step rows apart.
//
//	memory rows are      m or n (by k)                  k (by mn)
//	rows left            fewer with the tile            fewer with k
//	elements left        fewer with k                   fewer with the tile
type loader struct {
	*emitter
	layout
	passes int     // chunks per thread
	step   int     // rows between them
	src    asm.Reg // B64, the first chunk of the tile to be loaded next
	pass   asm.Reg // B64, bytes between chunks
	next   asm.Reg // B64, bytes between tiles
	elem   asm.Reg // B64, bytes between elements
	dst    asm.Reg // B32, place of the first chunk in its tile
	left   asm.Reg // B32, rows left, from the first chunk's row on
	room   asm.Reg // B32, elements left, from the chunk's first on
	raw    asm.Vec // Scalar: elements on their way
}

// newLoader prepares the copies of a side; its tiles begin at that offset of a stage.
func (e *emitter) newLoader(s *side, offset int) *loader {
	l := &loader{emitter: e, layout: e.c.layoutOf(s.rows, s.dtype, s.major)}
	l.passes = l.lines() * l.chunks() / e.c.Threads()
	l.step = e.c.Threads() / l.chunks()
	chunk := e.b32("rem.u32", e.tid, l.chunks())
	row := e.b32("div.u32", e.tid, l.chunks())
	first := e.b32("mul.lo.u32", chunk, l.chunk())
	rows := e.b32("sub.u32", s.limit, s.first)
	if l.byK {
		l.left, l.room = e.b32("sub.u32", rows, row), e.b32("sub.u32", e.depth, first)
		l.src = e.wide(first, s.k, e.wide(row, s.mn, s.base))
		l.pass, l.elem = e.b64("mul.lo.s64", s.mn, l.step), s.k
	} else {
		l.left, l.room = e.b32("sub.u32", e.depth, row), e.b32("sub.u32", rows, first)
		l.src = e.wide(first, s.mn, e.wide(row, s.k, s.base))
		l.pass, l.elem = e.b64("mul.lo.s64", s.k, l.step), s.mn
	}
	l.next = e.b64("mul.lo.s64", s.k, l.bk)
	l.dst = e.b32("add.u32", l.at(e, row, chunk), offset)
	if e.c.Scalar {
		class := asm.B32
		if l.size == 2 {
			class = asm.B16
		}
		l.raw = e.Regs(class, l.passes*l.chunk())
	}
	return l
}

// each visits the thread's chunks of the tile to be loaded next, with the address
// of each and whether its row exists, and moves on to the tile after.
func (l *loader) each(visit func(pass int, src, row asm.Reg)) {
	src := l.src
	for i := range l.passes {
		if i > 0 {
			src = l.b64("add.s64", src, l.pass)
		}
		visit(i, src, l.pred("setp.gt.s32", l.left, i*l.step))
	}
	l.Set(l.src, "add.s64", l.src, l.next)
	if l.byK {
		l.Set(l.room, "sub.s32", l.room, l.bk)
	} else {
		l.Set(l.left, "sub.s32", l.left, l.bk)
	}
}

// async starts the copies of the next tile to the stage at a shared address. Chunks
// that do not exist are filled with zeros, all of them behind the last tile. There are no parts of chunks: copies of
// any number of bytes take a third more instructions.
func (l *loader) async(stage asm.Reg) {
	dst := l.b32("add.u32", stage, l.dst)
	there := l.pred("setp.gt.s32", l.room, 0)
	l.each(func(pass int, src, row asm.Reg) {
		l.Emit("cp.async.cg.shared.global.L2::128B", asm.At(dst, pass*l.step*l.pitch()), asm.At(src, 0), 16,
			l.b32("selp.b32", 16, 0, l.pred("and.pred", row, there)))
	})
}

// fetch starts loading the elements of the next tile.
func (l *loader) fetch() {
	l.each(func(pass int, src, row asm.Reg) {
		room := l.b32("selp.b32", l.room, 0, row)
		for i := range l.chunk() {
			if i > 0 {
				src = l.b64("add.s64", src, l.elem)
			}
			r := l.raw[pass*l.chunk()+i]
			if l.size == 2 {
				l.Set(r, "mov.b16", 0)
				l.EmitIf(l.pred("setp.gt.s32", room, i), "ld.global.nc.b16", r, asm.At(src, 0))
				continue
			}
			l.Set(r, "mov.b32", 0)
			l.EmitIf(l.pred("setp.gt.s32", room, i), "ld.global.nc.b32", r, asm.At(src, 0))
		}
	})
}

// commit stores what fetch has loaded to the stage at a shared address.
func (l *loader) commit(stage asm.Reg) {
	dst := l.b32("add.u32", stage, l.dst)
	for pass := range l.passes {
		raw := l.raw[pass*l.chunk() : (pass+1)*l.chunk()]
		words := raw
		if l.size == 2 {
			words = make(asm.Vec, 4)
			for i := range words {
				words[i] = l.b32("mov.b32", raw[2*i:2*i+2])
			}
		}
		l.Emit("st.shared.v4.b32", asm.At(dst, pass*l.step*l.pitch()), words)
	}
}
