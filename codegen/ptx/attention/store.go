package attention

import "jitc/codegen/ptx/asm"

// result is a row's weighted sum of values, of which a thread has some groups of
// neighbouring columns: those from offsets[j] + col on.
type result struct {
	row
	groups []asm.Vec
}

// store ends a block: it divides by the sums, or leaves all to the tile's last block or
// the second launch.
type store struct {
	*gen
	b       *position
	col     asm.Reg // the thread's first column, at most maxCol
	maxCol  int
	offsets []int
	writer  asm.Reg // whether the thread writes what there is one of per row
	joins   *tile   // whose last block may combine the splits; nil: none does
}

// rows stores them; sums are still those of single threads, lanes share a row.
func (s *store) rows(rs []result, lanes []int) {
	for i := range rs {
		rs[i].sum = s.fold("add.rn.f32", rs[i].sum, lanes)
	}
	direct := s.Op(asm.Pred, "setp.eq.u32", s.b.splits, 1)
	parts, end := s.NewLabel(), s.NewLabel()
	s.EmitUnless(direct, "bra", parts)
	orow, stats := s.long("orow"), s.long("stats")
	at := s.Op(asm.B64, "add.u64", s.operand("o", s.b.lead), s.wide(s.Op(asm.B32, "mul.lo.u32", s.col, s.p.DType.Size())))
	for _, r := range rs {
		query := s.index(r.row)
		s.SkipUnless(s.less(query, s.b.queries), func() { s.final(r, s.address(at, query, orow), stats) })
	}
	s.Emit("bra", end)
	s.Place(parts)
	for _, r := range rs {
		s.SkipUnless(s.less(s.index(r.row), s.b.queries), func() { s.part(r) })
	}
	if s.joins != nil {
		s.join(*s.joins)
	}
	s.Place(end)
}

// flat is the row's number among all of them, in 64 bits.
func (s *store) flat(r result) asm.Reg {
	return s.address(s.wide(s.index(r.row)), s.b.flat, s.wide(s.b.queries))
}

func (s *store) final(r result, at, stats asm.Reg) {
	inverse := s.inverse(r.sum, s.b.keys)
	for j, group := range r.groups {
		scaled := make(asm.Vec, len(group))
		for i, x := range group {
			scaled[i] = s.mul(x, inverse)
		}
		s.group(asm.At(at, s.offsets[j]*s.p.DType.Size()), s.col, s.maxCol, s.offsets[j], s.p.ValueDim, scaled)
	}
	if s.p.Stats {
		four := s.Op(asm.B64, "mov.b64", 4)
		at := s.Op(asm.B64, "mad.lo.s64", s.flat(r), four, stats)
		s.EmitIf(s.writer, "st.global.f32", asm.At(at, 0), s.logSum(r.running))
	}
}

// group stores neighbours of a row of dim columns, those from col+offset on that are
// columns of it; col is at most maxCol. A group has an even number of 16-bit elements.
func (g *gen) group(at asm.Addr, col asm.Reg, maxCol, offset, dim int, xs asm.Vec) {
	n := len(xs)
	if g.p.narrow() {
		if live, some := g.live(col, maxCol+n, offset, dim); some {
			g.EmitIf(live, "st.global.b32", at, g.pack(xs[0], xs[1]))
		}
		return
	}
	if g.p.align() == 16 && dim%n == 0 {
		if live, some := g.live(col, maxCol+n, offset, dim); some {
			g.EmitIf(live, "st.global.v4.f32", at, xs)
		}
		return
	}
	for i, x := range xs {
		if live, some := g.live(col, maxCol+1, offset+i, dim); some {
			g.EmitIf(live, "st.global.f32", asm.At(at.Base, at.Offset+4*i), x)
		}
	}
}

// live is whether column col+offset is one of dim, none if that is so of all
// threads, whose columns end before span+offset. It is so of some if some.
func (g *gen) live(col asm.Reg, span, offset, dim int) (live asm.Reg, some bool) {
	switch {
	case offset >= dim:
		return asm.Reg{}, false
	case offset+span <= dim:
		return asm.Reg{}, true
	}
	return g.less(col, dim-offset), true
}

// partCols is the number of columns of a row of parts.
func (p Problem) partCols() int { return roundUp(p.ValueDim, 4) }

// part stores a split's sums of a row: part[row][split][partCols], and its maximum and
// sum of weights: sums[row][split][2].
func (s *store) part(r result) {
	index := s.address(s.wide(s.b.split), s.b.splits, s.flat(r))
	row := s.Op(asm.B64, "mov.b64", 4*s.p.partCols())
	at := s.Op(asm.B64, "mad.lo.s64", index, row, s.long("part"))
	at = s.Op(asm.B64, "add.u64", at, s.wide(s.Op(asm.B32, "shl.b32", s.col, 2)))
	typ := map[int]string{2: ".v2.f32", 4: ".v4.f32"}
	for j, group := range r.groups {
		off := s.offsets[j]
		if live, some := s.live(s.col, s.maxCol+len(group), off, s.p.partCols()); some {
			s.EmitIf(live, "st.global"+typ[len(group)], asm.At(at, 4*off), group)
		}
	}
	eight := s.Op(asm.B64, "mov.b64", 8)
	sums := s.Op(asm.B64, "mad.lo.s64", index, eight, s.long("sums"))
	s.EmitIf(s.writer, "st.global.v2.f32", asm.At(sums, 0), asm.Vec{r.max, r.sum})
}
