package fusion

import (
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
	permuted way = 1 << iota // every element once, at another index
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

// isBijective reports whether every element is read once, at some index.
func (a access) isBijective() bool { return a.ways == permuted }

// viewRules have one row per view: the access through v of what a accesses.
var viewRules = map[ir.Op]func(a access, v *ir.Value, facts *dim.Facts) access{
	ir.OpReshape:   access.reshape,
	ir.OpTranspose: access.transpose,
	ir.OpBroadcast: access.broadcast,
	ir.OpSlice:     access.slice,
	ir.OpReverse:   access.shuffle,
}

// then is the access through one more view.
func (a access) then(v *ir.Value, facts *dim.Facts) access {
	a = viewRules[v.Op](a, v, facts)
	a.rank = v.Type.Rank()
	a.exact = a.exact && a.rank <= 63
	return a
}

func (a access) shuffle(*ir.Value, *dim.Facts) access {
	a.ways |= permuted
	a.exact = false
	return a
}

func (a access) slice(v *ir.Value, facts *dim.Facts) access {
	if !ir.ShapeEqual(facts, v.Args[0].Type.Shape, v.Type.Shape) {
		a.ways |= subset
		a.exact = false
	}
	return a
}

func (a access) transpose(v *ir.Value, facts *dim.Facts) access {
	for i, p := range v.Attrs.Ints("perm") {
		if int64(i) != p {
			return a.shuffle(v, facts)
		}
	}
	return a
}

// reshape keeps track of the axes if it only adds or drops axes of size 1.
func (a access) reshape(v *ir.Value, facts *dim.Facts) access {
	from, to := v.Args[0].Type.Shape, v.Type.Shape
	if !a.exact || len(to) > 63 {
		return a.shuffle(v, facts)
	}
	kept, i, j := uint64(0), 0, 0
	for i < len(from) || j < len(to) {
		switch {
		case i < len(from) && j < len(to) && ir.SizeEqual(facts, from[i], to[j]):
			kept |= a.kept >> i & 1 << j
			i, j = i+1, j+1
		case j < len(to) && isOne(to[j]):
			j++
		case i < len(from) && isOne(from[i]):
			i++
		default:
			return a.shuffle(v, facts)
		}
	}
	a.kept = kept
	if a.ways == 0 {
		// An axis of size 1 more or less leaves the elements in place, but not
		// their indices; a later broadcast makes it a plain one again.
		a.ways = permuted
	}
	return a
}

func (a access) broadcast(v *ir.Value, facts *dim.Facts) access {
	operand, shape := v.Args[0].Type.Shape, v.Type.Shape
	kept := uint64(0)
	for i, x := range v.Attrs.Ints("axes") {
		if x <= 63 && ir.SizeEqual(facts, operand[i], shape[x]) {
			kept |= a.kept >> i & 1 << x
		}
	}
	repeated := !ir.SizeEqual(facts, dim.Product(operand), dim.Product(shape))
	switch {
	case repeated && a.exact:
		a.ways = a.ways&^permuted | repeats
	case repeated:
		a.ways |= repeats
	case !ir.ShapeEqual(facts, operand, shape):
		a.ways |= permuted
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
