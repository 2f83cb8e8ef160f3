package passes

import (
	"hash/maphash"
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// cse merges values of one op, equal operands (in either order, if the op is
// commutative), equal attributes and equal bodies. The first stays. Random values, effects and
// what defines symbols are never merged.
//
//	before  %a = add(%x, %y)     after  %a = add(%x, %y)
//	        %b = add(%y, %x)            %c = mul(%a, %a)
//	        %c = mul(%a, %b)
func cse(f *ir.Func, _ Options) (*ir.Func, error) { return rewrite(f, nil, true), nil }

// numbering finds values that were built before by what they compute.
type numbering struct {
	seed  maphash.Seed
	first map[uint64]*ir.Value   // by hash
	more  map[uint64][]*ir.Value // the others of a hash, which are rare
}

func newNumbering(n int) *numbering {
	return &numbering{seed: maphash.MakeSeed(), first: make(map[uint64]*ir.Value, n), more: map[uint64][]*ir.Value{}}
}

// find returns an earlier value equal to v; if there is none, v is remembered, in
// the expectation that it is appended next.
func (n *numbering) find(v *ir.Value) *ir.Value {
	if v.Op == ir.OpFused || v.Op == ir.OpParam || v.Is(ir.Dynamic) || v.HasEffect() {
		return nil
	}
	h := n.hash(v)
	w := n.first[h]
	switch {
	case w == nil:
		n.first[h] = v
		return nil
	case sameValue(v, w):
		return w
	}
	for _, w := range n.more[h] {
		if sameValue(v, w) {
			return w
		}
	}
	n.more[h] = append(n.more[h], v)
	return nil
}

func sameValue(v, w *ir.Value) bool {
	return v.Op == w.Op && sameOperands(v, w) && v.Attrs.Equal(w.Attrs) && v.Type.Equal(w.Type) && sameBodies(v.Bodies, w.Bodies)
}

func sameOperands(v, w *ir.Value) bool {
	if slices.Equal(v.Args, w.Args) {
		return true
	}
	return v.Is(ir.Commutative) && len(w.Args) == len(v.Args) && v.Args[0] == w.Args[1] && v.Args[1] == w.Args[0] &&
		slices.Equal(v.Args[2:], w.Args[2:])
}

// hash does not depend on the order of commutative operands. Types follow from
// the rest, where they do not say it twice.
func (n *numbering) hash(v *ir.Value) uint64 {
	h := mix(0, uint64(v.Op))
	for i, a := range v.Args {
		id := uint64(a.ID)
		if i < 2 && v.Is(ir.Commutative) {
			other := uint64(v.Args[1-i].ID)
			id = [2]uint64{min(id, other), max(id, other)}[i]
		}
		h = mix(h, id)
	}
	for _, a := range v.Attrs {
		h = n.attr(h, a.Value)
	}
	return h
}

func (n *numbering) attr(h uint64, value any) uint64 {
	switch x := value.(type) {
	case int64:
		return mix(h, uint64(x))
	case float64:
		return mix(h, math.Float64bits(x))
	case bool:
		if x {
			return mix(h, 1)
		}
		return mix(h, 2)
	case string:
		return mix(h, maphash.String(n.seed, x))
	case tensor.DType:
		return mix(h, uint64(x))
	case []int64:
		for _, i := range x {
			h = mix(h, uint64(i))
		}
		return mix(h, uint64(len(x)))
	case []dim.Expr:
		for _, e := range x {
			h = n.size(h, e)
		}
		return mix(h, uint64(len(x)))
	case *tensor.Tensor:
		data, _ := x.Contiguous().Bytes()
		return mix(h, maphash.Bytes(n.seed, data))
	}
	return h
}

func (n *numbering) size(h uint64, e dim.Expr) uint64 {
	if c, ok := e.Const(); ok {
		return mix(h, uint64(c))
	}
	return mix(h, maphash.String(n.seed, e.Key()))
}

// mix is a step of a 64-bit multiplicative hash.
func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9E3779B97F4A7C15
	return h ^ h>>29
}
