package ptx

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// tiles is the schedule of a nest without inner axes that reads across the order
// in which it writes: a block takes squares of the last loop, v, and of the loop q
// along which those reads are contiguous, and turns them in shared memory. Several
// squares, one behind the other along v, keep more loads under way.
//
//	            lane -> q                          lane -> v
//	warp -> v   load, store tile[v][q]   barrier   warp -> q   tile[v][q], body, store
//
// A row of a tile is one element longer than the square, so that a column falls on
// different banks.
type tiles struct {
	e       *entry
	n       *codegen.Nest
	outer   []loop
	q       int   // of outer
	turned  []int // loads that go through a tile
	squares int   // of a block
	strided *points
}

const (
	tileSide    = 32
	tileThreads = 256
	tileRows    = tileThreads / tileSide // rows that a block moves at a time
	tileLeast   = 16                     // extents below it leave most of a tile empty
	tileLoads   = 32                     // bytes of loads that a thread has under way
	mostSquares = 4
	tileInsts   = 200 // that a body may have, copied for all squares or rows
)

// tiles is the schedule for a nest, nil where it does not suit.
func (c *compiler) tiles(step int, n *codegen.Nest) *tiles {
	t := &tiles{n: n, outer: loops(n, c.facts, n.Outer), q: -1}
	if len(t.outer) < 2 || !t.suits(c.kernel) {
		return nil
	}
	small, known := false, true
	for _, l := range []*loop{t.v(), &t.outer[t.q]} {
		small = small || l.constant() >= 0 && l.constant() < tileLeast
		known = known && l.constant() >= 0
	}
	if small {
		return nil
	}
	t.squares = t.squaresOf(c.kernel)
	t.e = c.entry(c.name(step, ""), tileThreads, n)
	t.emit()
	if !known {
		t.strided = c.points(step, "_strided", n, nil)
	}
	return t
}

func (t *tiles) v() *loop { return &t.outer[len(t.outer)-1] }

// suits finds the loads to turn: they move by a long step along v and by one
// element along q, the same for all of them, and need nothing but their position.
func (t *tiles) suits(k *codegen.Kernel) bool {
	stores := map[int]bool{}
	bytes := 0
	for i := range t.n.Insts {
		if in := &t.n.Insts[i]; in.Op == codegen.Store {
			stores[t.n.Accs[in.Acc].Buf] = true
			if t.n.Accs[in.Acc].Class(t.v().last()) != codegen.StrideOne {
				return false
			}
		}
	}
	for i := range t.n.Insts {
		in := &t.n.Insts[i]
		if in.Op != codegen.Load || in.Pred != codegen.None || len(t.n.Accs[in.Acc].Dyn) > 0 || stores[t.n.Accs[in.Acc].Buf] {
			continue
		}
		if q := t.across(&t.n.Accs[in.Acc]); q >= 0 && (t.q < 0 || q == t.q) {
			t.q, t.turned = q, append(t.turned, i)
			bytes += tileBytes(kindOf(in.Type))
		}
	}
	return t.q >= 0 && bytes <= smallShared
}

// across is the loop along which an access is contiguous, if that is not v and the
// access moves along v; else -1.
func (t *tiles) across(a *codegen.Access) int {
	if c := a.Class(t.v().last()); c == codegen.StrideZero || c == codegen.StrideOne {
		return -1
	}
	for i := range t.outer[:len(t.outer)-1] {
		if a.Class(t.outer[i].last()) == codegen.StrideOne {
			return i
		}
	}
	return -1
}

// cellBytes is the size of an element in a tile; bools take a word.
func cellBytes(k kind) int { return max(kinds[k].size, 4) }

func tileBytes(k kind) int { return tileSide * (tileSide + 1) * cellBytes(k) }

// squaresOf is how many squares a block turns.
func (t *tiles) squaresOf(k *codegen.Kernel) int {
	memory, shared := 0, 0
	for _, i := range t.turned {
		memory += tileSide / tileRows * k.Bufs[t.n.Accs[t.n.Insts[i].Acc].Buf].DType.Size()
		shared += tileBytes(kindOf(t.n.Insts[i].Type))
	}
	n := max(1, min(mostSquares, tileLoads/memory, smallShared/shared))
	if c := t.v().constant(); c >= 0 {
		n = min(n, int(ceilDiv(c, tileSide)))
	}
	for n > 1 && n*len(t.n.Insts) > tileInsts {
		n /= 2
	}
	return n
}

func (t *tiles) emit() {
	e, b := t.e, t.e.body()
	tid := e.Op(asm.B32, "mov.u32", "%tid.x")
	lane, warp := e.Op(asm.B32, "and.b32", tid, 31), e.Op(asm.B32, "shr.u32", tid, 5)
	for a := range b.addr {
		b.addr[a] = b.base(a)
	}
	firstV, firstQ := t.decompose(b)
	for j, i := range t.turned {
		e.Shared(fmt.Sprint("tile", j), t.squares*tileBytes(kindOf(t.n.Insts[i].Type)), 8)
	}
	t.read(b, lane, warp, firstV, firstQ)
	e.Emit("bar.sync", 0)
	t.write(b, lane, warp, firstV, firstQ)
}

// side is the extent of a block along a loop.
func (t *tiles) side(l *loop) int64 {
	switch l {
	case t.v():
		return tileSide * int64(t.squares)
	case &t.outer[t.q]:
		return tileSide
	}
	return 1
}

// decompose splits the block's number into a tile along v, a tile along q, and
// positions on the other loops.
func (t *tiles) decompose(b *body) (firstV, firstQ asm.Reg) {
	e := t.e
	rest := e.position(e.Op(asm.B32, "mov.u32", "%ctaid.x"))
	all := used(t.n, 0, len(t.n.Insts))
	order := []int{len(t.outer) - 1, t.q}
	for i := len(t.outer) - 2; i >= 0; i-- {
		if i != t.q {
			order = append(order, i)
		}
	}
	for _, i := range order {
		l, at := &t.outer[i], asm.Reg{}
		side, known := t.side(l), l.constant()
		if known >= 0 {
			known = ceilDiv(known, side)
		}
		rest, at = e.quotient(rest, fmt.Sprint("count of ", side, " ", l.extent.Key()), known, func(f *frame) int64 { return ceilDiv(l.length(f.nest), side) })
		switch {
		case l == t.v():
			firstV = e.product(at, side)
		case i == t.q:
			firstQ = e.product(at, side)
		default:
			b.pos[l.last()] = at
			b.addr = b.moved(b.addr, l, at, all)
		}
	}
	return firstV, firstQ
}

// inside is whether a position is within its loop.
func (t *tiles) inside(l *loop, i asm.Reg) asm.Reg {
	end := t.e.size(l.extent, 1, func(f *frame) int64 { return l.length(f.nest) })
	return t.e.Op(asm.Pred, "setp.lt."+t.e.indexType(), i, end)
}

// read fills the tiles: all loads of a thread first.
func (t *tiles) read(b *body, lane, warp, firstV, firstQ asm.Reg) {
	e, outer := t.e, b.addr
	q := e.ix("add", firstQ, e.position(lane))
	inQ := t.inside(&t.outer[t.q], q)
	vals := make([][]loaded, len(t.turned))
	uses := make([]bool, len(t.n.Accs))
	for _, i := range t.turned {
		uses[t.n.Insts[i].Acc] = true
	}
	across := b.moved(outer, &t.outer[t.q], q, uses)
	v := e.ix("add", firstV, e.position(warp))
	for r := range t.squares * tileSide / tileRows {
		if r > 0 {
			v = e.ix("add", v, tileRows)
		}
		b.addr = b.moved(across, t.v(), v, uses)
		b.loadIf = e.Op(asm.Pred, "and.pred", inQ, t.inside(t.v(), v))
		for j, i := range t.turned {
			vals[j] = append(vals[j], b.begin(i, &t.n.Insts[i]))
		}
	}
	for j, i := range t.turned {
		k := kindOf(t.n.Insts[i].Type)
		at := t.cell(j, k, warp, lane)
		for r, begun := range vals[j] {
			v := begun()[0]
			if k == kBool {
				v = e.Op(asm.B32, "selp.b32", 1, 0, v)
			}
			e.Emit(fmt.Sprintf("st.shared.b%d", 8*cellBytes(k)), asm.At(at, r*tileRows*(tileSide+1)*cellBytes(k)), v)
		}
	}
	b.addr, b.loadIf = outer, asm.Reg{}
}

// cell is the address of tile j's element in a row and a column.
func (t *tiles) cell(j int, k kind, row, col asm.Reg) asm.Reg {
	e := t.e
	base := e.Op(asm.B32, "mov.u32", fmt.Sprint("tile", j))
	i := e.Op(asm.B32, "mad.lo.u32", row, tileSide+1, col)
	return e.Op(asm.B32, "mad.lo.u32", i, cellBytes(k), base)
}

// tilePoint is a point of a thread: where it is, and where its tiles' elements are.
type tilePoint struct {
	v, q asm.Reg
	live asm.Reg
	addr []asm.Reg
	row  int // behind that of the cells
	nth  int // square
	have map[int]loaded
}

// write runs the body over the squares, warps along q: row by row, or, where the
// body is short, over all rows at once.
func (t *tiles) write(b *body, lane, warp, firstV, firstQ asm.Reg) {
	e, outer := t.e, b.addr
	uses := used(t.n, 0, len(t.n.Insts))
	columns := make([]tilePoint, t.squares)
	v := e.ix("add", firstV, e.position(lane))
	for s := range columns {
		if s > 0 {
			v = e.ix("add", v, tileSide)
		}
		columns[s] = tilePoint{v: v, live: t.inside(t.v(), v), addr: b.moved(outer, t.v(), v, uses), nth: s}
	}
	cells := make([]asm.Reg, len(t.turned))
	for j, i := range t.turned {
		cells[j] = t.cell(j, kindOf(t.n.Insts[i].Type), lane, warp)
	}
	q := e.copyOf(e.ix("add", firstQ, e.position(warp)))
	const rows = tileSide / tileRows
	if rows*t.squares*len(t.n.Insts) <= tileInsts {
		t.points(b, columns, cells, q, rows, uses)
		return
	}
	left := e.Op(asm.B32, "mov.u32", rows)
	head := e.NewLabel()
	e.Place(head)
	t.points(b, columns, cells, q, 1, uses)
	e.Set(q, "add."+e.indexType(), q, tileRows)
	for j, i := range t.turned {
		e.Set(cells[j], "add.u32", cells[j], tileRows*cellBytes(kindOf(t.n.Insts[i].Type)))
	}
	e.Set(left, "sub.u32", left, 1)
	e.EmitIf(e.Op(asm.Pred, "setp.gt.u32", left, 0), "bra.uni", head)
}

// points emits the body for some rows of all squares: loads that can go first do.
func (t *tiles) points(b *body, columns []tilePoint, cells []asm.Reg, q asm.Reg, rows int, uses []bool) {
	var all []tilePoint
	for r := range rows {
		if r > 0 {
			q = t.e.ix("add", q, tileRows)
		}
		inQ := t.inside(&t.outer[t.q], q)
		for _, p := range columns {
			p.q, p.row = q, r
			p.live = t.e.Op(asm.Pred, "and.pred", p.live, inQ)
			p.addr = b.moved(p.addr, &t.outer[t.q], q, uses)
			all = append(all, p)
		}
	}
	for i := range all {
		p := &all[i]
		t.enter(b, p, cells)
		p.have = map[int]loaded{}
		for j := range t.n.Insts {
			if in := &t.n.Insts[j]; in.Op == codegen.Load && b.given[j] == nil && early(t.n, 0, len(t.n.Insts), j) {
				p.have[j] = b.begin(j, in)
			}
		}
	}
	for i := range all {
		t.enter(b, &all[i], cells)
		b.have = all[i].have
		for _, p := range t.n.Phases {
			b.run(p.From, p.To)
		}
	}
}

// enter places the body at a point.
func (t *tiles) enter(b *body, p *tilePoint, cells []asm.Reg) {
	b.pos[t.v().last()], b.pos[t.outer[t.q].last()] = p.v, p.q
	b.addr, b.loadIf, b.storeIf = p.addr, p.live, p.live
	b.given = map[int]func() []asm.Reg{}
	for j, i := range t.turned {
		k := kindOf(t.n.Insts[i].Type)
		at := asm.At(cells[j], p.nth*tileBytes(k)+p.row*tileRows*cellBytes(k))
		b.given[i] = func() []asm.Reg { return []asm.Reg{t.take(k, at)} }
	}
}

// take reads an element of a tile.
func (t *tiles) take(k kind, at asm.Addr) asm.Reg {
	if k == kBool {
		return t.e.Op(asm.Pred, "setp.ne.u32", t.e.Op(asm.B32, "ld.shared.b32", at), 0)
	}
	return t.e.Op(k.class(), "ld.shared."+k.bits(), at)
}

func (t *tiles) bind(b *binding, step int) ([]Launch, error) {
	f := &frame{binding: b, step: 1}
	if f.setStep(step); f.nest.Empty {
		return nil, nil
	}
	q := &t.outer[t.q]
	if t.strided != nil && min(q.length(f.nest), t.v().length(f.nest)) < tileLeast {
		return t.strided.bind(b, step)
	}
	blocks := int64(1)
	for i := range t.outer {
		blocks *= ceilDiv(t.outer[i].length(f.nest), t.side(&t.outer[i]))
	}
	l := Launch{Block: [3]uint32{tileThreads, 1, 1}}
	if err := f.grid(&l, t.e, blocks); err != nil {
		return nil, err
	}
	return []Launch{l}, t.e.fill(f, &l)
}
