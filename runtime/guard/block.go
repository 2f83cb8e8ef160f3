package guard

import (
	"cmp"
	"encoding/binary"
	"slices"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// block is guards that must all hold. What is asked of layouts is asked once per
// layout: tensors of which the same is expected stand together, and as layouts
// are interned, most need one comparison with the layout before.
type block struct {
	classes []class
	rest    []*Guard // cheapest first
}

// class is the tensors of which the same is expected.
type class struct {
	want expectation
	args []int32
}

// expectation is what guards ask of the layout of one tensor.
type expectation struct {
	dtype tensor.DType // Invalid: any
	rank  int          // negative: any
	axes  []axisSize
}

type axisSize struct {
	axis int
	size int64
}

func (e *expectation) holds(l *tensor.Layout) bool {
	if l == nil || e.dtype != tensor.Invalid && l.DType != e.dtype || e.rank >= 0 && len(l.Shape) != e.rank {
		return false
	}
	for _, a := range e.axes {
		if uint(a.axis) >= uint(len(l.Shape)) || int64(l.Shape[a.axis]) != a.size {
			return false
		}
	}
	return true
}

func (b *block) holds(c *call.Call) bool {
	for i := range b.classes {
		k := &b.classes[i]
		var last *tensor.Layout
		for _, arg := range k.args {
			l := layout(c, int(arg))
			if l == last && l != nil {
				continue
			}
			if !k.want.holds(l) {
				return false
			}
			last = l
		}
	}
	for _, g := range b.rest {
		if !g.Holds(c) {
			return false
		}
	}
	return true
}

// newBlock compiles guards.
func newBlock(guards []*Guard) block {
	var b block
	var ofLayout []*Guard
	for _, g := range guards {
		switch {
		case g.layoutOnly():
			ofLayout = append(ofLayout, g)
		default:
			b.rest = append(b.rest, g)
		}
	}
	slices.SortStableFunc(b.rest, func(x, y *Guard) int { return cmp.Compare(x.Kind.row().cost, y.Kind.row().cost) })
	byArg := func(x, y *Guard) int { return cmp.Compare(x.Arg, y.Arg) }
	if !slices.IsSortedFunc(ofLayout, byArg) {
		slices.SortStableFunc(ofLayout, byArg)
	}
	at := map[string]int{}
	for len(ofLayout) > 0 {
		n := 1
		for n < len(ofLayout) && ofLayout[n].Arg == ofLayout[0].Arg {
			n++
		}
		b.expect(ofLayout[:n], at)
		ofLayout = ofLayout[n:]
	}
	return b
}

// layoutOnly reports whether an expectation can say what the guard does. Guards
// of impossible layouts (a rank below 0) are evaluated as they are.
func (g *Guard) layoutOnly() bool {
	switch g.Kind {
	case Present, Size:
		return true
	case DType:
		return g.DType != tensor.Invalid
	case Rank:
		return g.Want >= 0
	}
	return false
}

// expect adds what guards ask of one tensor to the class of those of which the
// same is asked; at holds the classes by their expectation.
func (b *block) expect(guards []*Guard, at map[string]int) {
	want := expectation{rank: -1}
	for _, g := range guards {
		switch {
		case g.Kind == DType && want.dtype == tensor.Invalid:
			want.dtype = g.DType
		case g.Kind == Rank && want.rank < 0:
			want.rank = int(g.Want)
		case g.Kind == DType || g.Kind == Rank: // said twice, or contradicted
			b.rest = append(b.rest, g)
		case g.Kind == Size:
			want.axes = append(want.axes, axisSize{g.Axis, g.Want})
		}
	}
	slices.SortFunc(want.axes, func(x, y axisSize) int { return cmp.Compare(x.axis, y.axis) })
	var room [64]byte
	key := append(room[:0], byte(want.dtype))
	key = binary.AppendVarint(key, int64(want.rank))
	for _, a := range want.axes {
		key = binary.AppendVarint(binary.AppendVarint(key, int64(a.axis)), a.size)
	}
	i, ok := at[string(key)]
	if !ok {
		i = len(b.classes)
		at[string(key)] = i
		b.classes = append(b.classes, class{want: want})
	}
	b.classes[i].args = append(b.classes[i].args, int32(guards[0].Arg))
}
