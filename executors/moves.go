package executors

import (
	"fmt"
	"slices"

	"jitc/ir"
)

// Moves are an update at concrete sizes, with the views that its region holds, as
// copies one after another:
//
//	%0 = slice(%qkv) {starts=[0,768], limits=[1,1536]}        %cache -> result, whole
//	%1 = reshape(%0) {shape=[1,12,1,64]}                      %qkv+768 [12,64] -> result, strides
//	%2 = dynamic_update_slice(%cache, %1, %z, %z, %at, %z)      [C*64,1], shifted by 64 * %at
//
// What is of views that have no strides passes through scratch memory.
type Moves struct {
	List    []Move
	Scatter *Scatter // of a scatter: behind the list
	After   []Move   // behind that
	Scratch int      // bytes
	// InPlace is the parameter in whose memory the result may lie, with as many
	// elements, or -1. The first whole Move is then nothing to do.
	InPlace int
}

// Move copies elements between places at strides.
type Move struct {
	From, To Place
	// Sizes and strides, in elements, outermost first, at least one of each: with as few
	// axes as possible. Axes of one element are left out.
	Sizes, FromStrides, ToStrides []int
	// Starts shift To, each by a scalar of a parameter, or of what an earlier move brought
	// to the scratch memory.
	Starts []Start
	// Whole: all of one buffer, in order, goes to all of another.
	Whole bool
	Size  int // of an element, in bytes
}

// Place is an element of a parameter, of the result, whose number follows those of
// the parameters, or of the scratch memory.
type Place struct{ Buf, Offset int }

// InScratch is the Buf of places in the scratch memory.
const InScratch = -1

// Start is an integer that says where a move begins: clamped to [0, Limit], so many
// Steps behind To.
type Start struct {
	Place
	Limit, Step int
}

// Elements is the number of elements moved.
func (m *Move) Elements() int {
	n := 1
	for _, s := range m.Sizes {
		n *= s
	}
	return n
}

// MovesOf finds the moves of a region that UpdateOf takes. An error means that the
// sizes cannot be run.
func MovesOf(region *ir.Func, sizes map[string]int64) (*Moves, error) {
	m := &mover{region: region, v: UpdateOf(region), sizes: sizes, held: map[*ir.Value]Place{}, moves: Moves{InPlace: -1}}
	m.list = &m.moves.List
	if err := m.update(); err != nil {
		return nil, err
	}
	return &m.moves, nil
}

// mover finds moves.
type mover struct {
	region *ir.Func
	v      *ir.Value
	sizes  map[string]int64
	held   map[*ir.Value]Place // where values are in the scratch memory
	moves  Moves
	list   *[]Move // that moves go to
}

// lying says where the elements of a value lie.
type lying struct {
	Strided
	place Place
}

// ordered reports whether they lie in order, side by side.
func (l *lying) ordered() bool {
	_, steps, _ := joinedAxes(l.Shape, l.Strides, rowMajor(l.Shape))
	return len(steps) == 1 && (steps[0] == 1 || product(l.Shape) <= 1)
}

// contiguous reports whether they do from the first of their buffer on.
func (l *lying) contiguous() bool { return l.place.Offset == 0 && l.ordered() }

// find follows views to memory. A reshape of what has no strides for it is in order in
// the scratch memory.
func (m *mover) find(x *ir.Value) (l lying, err error) {
	if l.Shape, err = ir.EvalShape(x.Type.Shape, m.sizes); err != nil {
		return l, err
	}
	l.Strides = rowMajor(l.Shape)
	if at, ok := m.held[x]; ok {
		l.place = at
		return l, nil
	}
	if l.place.Buf = slices.Index(m.region.Params, x); l.place.Buf >= 0 {
		return l, nil
	}
	of, err := m.find(x.Args[0])
	if err != nil {
		return l, err
	}
	in, out := of.Strided, Strided{Shape: l.Shape}
	in.Offset, out.Offset = of.place.Offset, of.place.Offset
	ok, err := viewRules[x.Op](x, &in, &out, m.sizes)
	if err != nil {
		return l, fmt.Errorf("%s at %s: %w", x.Op, x.Pos, err)
	}
	if ok {
		return lying{out, Place{of.place.Buf, out.Offset}}, nil
	}
	l.place = m.hold(x, of)
	return l, nil
}

// hold moves elements of x's type to the scratch memory, in their order, and says
// where that of x is.
func (m *mover) hold(x *ir.Value, of lying) Place {
	to := lying{InOrder(of.Root, of.Shape), m.reserve(x, of.Shape)}
	m.move(x, of, to)
	return to.place
}

// reserve makes room for a value in the scratch memory, at a multiple of 64 bytes.
func (m *mover) reserve(x *ir.Value, shape []int) Place {
	size := x.Type.DType.Size()
	at := Place{InScratch, m.moves.Scratch / size}
	m.moves.Scratch += (product(shape)*size + 63) &^ 63
	m.held[x] = at
	return at
}

// move adds a move of elements of x's type from where they lie to where others do,
// which are of one shape.
func (m *mover) move(x *ir.Value, from, to lying) *Move {
	v := Move{From: from.place, To: to.place, Size: x.Type.DType.Size()}
	v.Sizes, v.FromStrides, v.ToStrides = joinedAxes(from.Shape, from.Strides, to.Strides)
	*m.list = append(*m.list, v)
	return &(*m.list)[len(*m.list)-1]
}

// update is the moves of the operand, of the update, and of a result that has no
// strides in which it could be stored.
func (m *mover) update() error {
	to, direct, err := m.target()
	if err != nil {
		return err
	}
	x, err := m.find(m.v.Args[0])
	if err != nil {
		return err
	}
	m.move(m.v, x, to).Whole = direct && x.place.Buf != InScratch && x.contiguous() && to.contiguous() && m.isAll(x)
	apply := m.box
	if m.v.Op == ir.OpScatter {
		apply = m.scatter
	}
	if err := apply(to); err != nil {
		return err
	}
	if direct {
		m.moves.InPlace = m.inPlace(x)
		return nil
	}
	if m.moves.Scatter != nil {
		m.list = &m.moves.After
	}
	from, err := m.find(m.region.Results[0])
	if err != nil {
		return err
	}
	m.move(m.v, from, lying{InOrder(from.Root, from.Shape), Place{Buf: len(m.region.Params)}})
	return nil
}

// target is where the update is made: in the result, if it has strides for that, which
// have to be in order for a scatter; else in the scratch memory.
func (m *mover) target() (to lying, direct bool, err error) {
	s, direct, err := StridesInto(m.region.Results[0], m.v, m.sizes)
	if err != nil {
		return to, false, err
	}
	to = lying{s, Place{len(m.region.Params), s.Offset}}
	if to.Shape, err = ir.EvalShape(m.v.Type.Shape, m.sizes); err != nil {
		return to, false, err
	}
	if !direct || m.v.Op == ir.OpScatter && !to.contiguous() {
		to.Strides, to.place = rowMajor(to.Shape), m.reserve(m.v, to.Shape)
		return to, false, nil
	}
	return to, true, nil
}

// scatter finds the indices and the updates, or moves them to where they lie as it
// wants.
func (m *mover) scatter(to lying) error {
	at, err := m.find(m.v.Args[1])
	if err != nil {
		return err
	}
	s := &Scatter{Result: to.place}
	if err := s.sized(m.v, to.Shape, at.Shape); err != nil {
		return err
	}
	if s.Indices = at.place; !at.ordered() {
		s.Indices = m.hold(m.v.Args[1], at)
	}
	u, err := m.find(m.v.Args[2])
	if err != nil {
		return err
	}
	if !s.strided(m.v, u) {
		u.place = m.hold(m.v.Args[2], u)
		u.Strides = rowMajor(u.Shape)
		s.strided(m.v, u)
	}
	m.moves.Scatter = s
	return nil
}

// isAll reports whether a view is of all elements of its buffer.
func (m *mover) isAll(l lying) bool {
	shape, err := ir.EvalShape(m.region.Params[l.place.Buf].Type.Shape, m.sizes)
	return err == nil && product(shape) == product(l.Shape)
}

// box moves the update to where the starts say.
func (m *mover) box(to lying) error {
	u, err := m.find(m.v.Args[1])
	if err != nil {
		return err
	}
	var starts []Start
	for i, x := range m.v.Args[2:] {
		at, err := m.find(x)
		if err != nil {
			return err
		}
		s := Start{at.place, to.Shape[i] - u.Shape[i], to.Strides[i]}
		if s.Limit < 0 {
			return fmt.Errorf("dynamic_update_slice: expected an update that fits, got size %d into %d on axis %d", u.Shape[i], to.Shape[i], i)
		}
		starts = append(starts, s)
	}
	to.Shape = u.Shape
	m.move(m.v, u, to).Starts = starts
	return nil
}

// inPlace is the parameter that is copied whole if no other move reads it.
func (m *mover) inPlace(x lying) int {
	read := 0
	for _, v := range m.moves.List {
		if v.From.Buf == x.place.Buf {
			read++
		}
		for _, s := range v.Starts {
			if s.Buf == x.place.Buf {
				read++
			}
		}
	}
	if s := m.moves.Scatter; s != nil && (s.Indices.Buf == x.place.Buf || s.Updates.Buf == x.place.Buf) {
		return -1
	}
	whole := slices.ContainsFunc(m.moves.List, func(v Move) bool { return v.Whole })
	if !whole || read != 1 {
		return -1
	}
	return x.place.Buf
}

// joinedAxes are the axes that elements at two lists of strides have, with neighbours
// that are as one in both taken as one, and those of one element left out.
func joinedAxes(shape, a, b []int) (sizes, as, bs []int) {
	sizes, as, bs = []int{1}, []int{1}, []int{1} // innermost first
	for i := len(shape) - 1; i >= 0; i-- {
		last := len(sizes) - 1
		switch {
		case shape[i] == 1:
		case sizes[last] == 1: // the first of more than one element
			sizes[last], as[last], bs[last] = shape[i], a[i], b[i]
		case a[i] == as[last]*sizes[last] && b[i] == bs[last]*sizes[last]:
			sizes[last] *= shape[i]
		default:
			sizes, as, bs = append(sizes, shape[i]), append(as, a[i]), append(bs, b[i])
		}
	}
	slices.Reverse(sizes)
	slices.Reverse(as)
	slices.Reverse(bs)
	return sizes, as, bs
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
