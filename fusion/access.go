package fusion

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// access says how a member reads its root: which views lie between, and what the
// member does with the operand.
type access struct {
	ways way
	// kept and rank describe an access that only repeats elements: the axes of
	// the operand that are the root's axes, in order, as bits. With no way set,
	// the access is the identity if kept are all axes.
	kept  uint64
	rank  int
	exact bool // kept is known
}

// way is a set of things that happen between a root and its reader.
type way uint8

const (
	permuted way = 1 << iota // every element once, in another order
	reshaped                 // every element once, in order, under another shape
	subset                   // some elements
	repeats                  // elements more than once
	partial                  // the reader's elements come from several operands (pad, concat)
	leaf                     // the reader needs the elements in memory
)

func identityAccess(rank int) access {
	if rank > 63 {
		return access{ways: permuted, rank: rank}
	}
	return access{kept: 1<<rank - 1, rank: rank, exact: true}
}

// isIdentity reports whether element i of the operand is element i of the root.
func (a access) isIdentity() bool { return a.ways == 0 && a.exact && a.kept == 1<<a.rank-1 }

// isBroadcast reports whether the access does nothing but repeat the root along
// the axes that are not in kept.
func (a access) isBroadcast() bool { return a.ways == repeats && a.exact }

// isBijective reports whether every element is read once, at another index.
func (a access) isBijective() bool { return a.ways != 0 && a.ways&^(permuted|reshaped) == 0 }

// viewRules have one row per view: the access through v of what a accesses.
var viewRules = map[ir.Op]func(a access, v *ir.Value, facts *dim.Facts) access{
	ir.OpReshape:   access.reshape,
	ir.OpTranspose: access.transpose,
	ir.OpBroadcast: access.broadcast,
	ir.OpSlice:     access.slice,
	ir.OpReverse:   access.reverse,
}

// then is the access through one more view.
func (a access) then(v *ir.Value, facts *dim.Facts) access {
	a = viewRules[v.Op](a, v, facts)
	a.rank = v.Type.Rank()
	a.exact = a.exact && a.rank <= 63
	return a
}

// inexact is a with one more way, which loses track of the axes.
func (a access) inexact(w way) access {
	a.ways |= w
	a.exact = false
	return a
}

func (a access) reverse(*ir.Value, *dim.Facts) access { return a.inexact(permuted) }

func (a access) slice(v *ir.Value, _ *dim.Facts) access {
	if !ir.ShapeEqual(nil, v.Args[0].Type.Shape, v.Type.Shape) {
		return a.inexact(subset)
	}
	return a
}

func (a access) transpose(v *ir.Value, _ *dim.Facts) access {
	for i, p := range v.Attrs.Ints("perm") {
		if int64(i) != p {
			return a.inexact(permuted)
		}
	}
	return a
}

// reshape keeps track of the axes if it only adds or drops axes of size 1.
func (a access) reshape(v *ir.Value, _ *dim.Facts) access {
	from, to := v.Args[0].Type.Shape, v.Type.Shape
	if !a.exact || len(to) > 63 {
		return a.inexact(reshaped)
	}
	kept, i, j := uint64(0), 0, 0
	for i < len(from) || j < len(to) {
		switch {
		case i < len(from) && j < len(to) && from[i].Equal(to[j]):
			kept |= a.kept >> i & 1 << j
			i, j = i+1, j+1
		case j < len(to) && isOne(to[j]):
			j++
		case i < len(from) && isOne(from[i]):
			i++
		default:
			return a.inexact(reshaped)
		}
	}
	a.kept = kept
	if a.ways == 0 {
		// An axis of size 1 more or less leaves the elements in place, but not
		// their indices; a later broadcast makes it a plain one again.
		a.ways = reshaped
	}
	return a
}

func (a access) broadcast(v *ir.Value, facts *dim.Facts) access {
	operand, shape := v.Args[0].Type.Shape, v.Type.Shape
	axes := v.Attrs.Ints("axes")
	kept, repeated := uint64(0), false
	for i, x := range axes {
		same := ir.SizeEqual(facts, operand[i], shape[x])
		repeated = repeated || !same
		if same && x <= 63 {
			kept |= a.kept >> i & 1 << x
		}
	}
	for x, size := range shape {
		repeated = repeated || !isOne(size) && !slices.Contains(axes, int64(x))
	}
	switch {
	case repeated && a.exact:
		a.ways = a.ways&^reshaped | repeats
	case repeated:
		a.ways |= repeats
	case len(operand) != len(shape):
		a.ways |= reshaped
	}
	a.kept = kept
	return a
}

func isOne(e dim.Expr) bool {
	n, ok := e.Const()
	return ok && n == 1
}

// readRules have one row per op that does not read operand i element by element.
var readRules = map[ir.Op]func(i int) way{
	ir.OpPad: func(i int) way {
		if i == 0 {
			return partial
		}
		return leaf
	},
	ir.OpConcat:             func(int) way { return partial },
	ir.OpGather:             func(int) way { return leaf },
	ir.OpDynamicSlice:       func(int) way { return leaf },
	ir.OpDynamicUpdateSlice: func(int) way { return leaf },
	ir.OpScatter:            func(int) way { return leaf },
	ir.OpPatches:            func(int) way { return leaf },
	ir.OpReduceWindow:       func(int) way { return leaf },
	ir.OpDotGeneral:         func(int) way { return leaf },
	ir.OpConvolution:        func(int) way { return leaf },
}

// at adds what member v does with its operand i.
func (a access) at(v *ir.Value, i int) access {
	if rule := readRules[v.Op]; rule != nil {
		a.ways |= rule(i)
	}
	return a
}
