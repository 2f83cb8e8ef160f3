package codegen

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// moves says how each op that places elements is pulled: an op is one row here.
var moves map[ir.Op]pullFunc

func init() {
	moves = map[ir.Op]pullFunc{
		ir.OpParam:     func(p *puller, v *ir.Value, _ []affine) *node { return p.need(v) },
		ir.OpConstant:  pullConstant,
		ir.OpIota:      pullIota,
		ir.OpReshape:   pullView,
		ir.OpBroadcast: pullView,
		ir.OpTranspose: pullView,
		ir.OpSlice:     pullView,
		ir.OpReverse:   pullView,

		ir.OpPad:                pullPad,
		ir.OpPatches:            pullPatches,
		ir.OpConcat:             pullConcat,
		ir.OpGather:             pullGather,
		ir.OpDynamicSlice:       pullDynamicSlice,
		ir.OpDynamicUpdateSlice: pullDynamicUpdateSlice,

		ir.OpReduceSum: pullReduce(Add), ir.OpReduceProd: pullReduce(Mul), ir.OpReduceMax: pullReduce(Max),
		ir.OpReduceMin: pullReduce(Min), ir.OpReduceAny: pullReduce(Or), ir.OpReduceAll: pullReduce(And),
		ir.OpReduceWindow: pullReduceWindow,
		ir.OpDotGeneral:   pullDot,
	}
	views = map[ir.Op]viewFunc{
		ir.OpReshape:   viewReshape,
		ir.OpBroadcast: viewBroadcast,
		ir.OpTranspose: viewTranspose,
		ir.OpSlice:     viewSlice,
		ir.OpReverse:   viewReverse,
	}
}

// viewFunc is the index of a view's operand for an index of the view; ok is false
// where it is not affine, and s is then an axis that could be split.
type viewFunc func(p prover, v *ir.Value, at []affine) (in []affine, s *split, ok bool)

var views map[ir.Op]viewFunc

func pullView(p *puller, v *ir.Value, at []affine) *node {
	x := v.Args[0]
	if v.Op == ir.OpReshape {
		if buf, ok := p.l.stored[x]; ok { // the same elements in the same order
			return p.load(buf, linear(at, v.Type.Shape))
		}
	}
	in, s, ok := views[v.Op](p.prover, v, at)
	switch {
	case s != nil:
		p.stop(retry{split: s})
	case !ok:
		return p.need(x)
	}
	if p.why != nil {
		return p.poison(v)
	}
	return p.pull(x, in)
}

func viewTranspose(_ prover, v *ir.Value, at []affine) ([]affine, *split, bool) {
	in := make([]affine, len(at))
	for i, axis := range v.Attrs.Ints("perm") {
		in[axis] = at[i]
	}
	return in, nil, true
}

func viewBroadcast(p prover, v *ir.Value, at []affine) ([]affine, *split, bool) {
	x := v.Args[0].Type
	in := make([]affine, x.Rank())
	for i, axis := range v.Attrs.Ints("axes") {
		if !p.one(x.Shape[i]) {
			in[i] = at[axis]
		}
	}
	return in, nil, true
}

func viewSlice(_ prover, v *ir.Value, at []affine) ([]affine, *split, bool) {
	starts, strides := v.Attrs.Dims("starts"), v.Attrs.Ints("strides")
	in := make([]affine, len(at))
	for i, a := range at {
		if strides != nil {
			a = a.scale(dim.Const(strides[i]))
		}
		in[i] = a.plus(starts[i])
	}
	return in, nil, true
}

func viewReverse(_ prover, v *ir.Value, at []affine) ([]affine, *split, bool) {
	in := slices.Clone(at)
	for _, axis := range v.Attrs.Ints("axes") {
		last := v.Type.Shape[axis].Sub(dim.Const(1))
		in[axis] = in[axis].scale(dim.Const(-1)).plus(last)
	}
	return in, nil, true
}

// viewReshape maps groups of dimensions with equal products, as small as can be:
// [A,B,6] -> [A*B,2,3] maps (A,B) to (A*B) and (6) to (2,3).
func viewReshape(p prover, v *ir.Value, at []affine) ([]affine, *split, bool) {
	from, to := v.Args[0].Type.Shape, v.Type.Shape
	var in []affine
	i, j := 0, 0
	for i < len(from) || j < len(to) {
		di, dj := p.group(from[i:], to[j:])
		part, s, ok := p.unravel(linear(at[j:j+dj], to[j:j+dj]), from[i:i+di])
		if !ok {
			return nil, s, false
		}
		in = append(in, part...)
		i, j = i+di, j+dj
	}
	return in, nil, true
}

// group is the length of the shortest prefixes with equal products, not both
// empty; all of both if no shorter ones are known to agree.
func (p prover) group(from, to []dim.Expr) (int, int) {
	x := dim.Const(1)
	for i := 0; i <= len(from); i++ {
		if i > 0 {
			x = x.Mul(from[i-1])
		}
		y := dim.Const(1)
		for j := 0; j <= len(to); j++ {
			if j > 0 {
				y = y.Mul(to[j-1])
			}
			if i+j > 0 && p.equal(x, y) {
				return i, j
			}
		}
	}
	return len(from), len(to)
}

func pullConstant(p *puller, v *ir.Value, _ []affine) *node {
	data := v.Attrs.Tensor("data")
	if data == nil {
		return p.splat(v.Type.DType, v.Attrs.Get("value"))
	}
	if n, ok := p.tensorSplat(data); ok {
		return n
	}
	p.stop(retry{never: "a constant with data inside of a region: pass it as a parameter"})
	return p.poison(v)
}

func pullIota(p *puller, v *ir.Value, at []affine) *node {
	x := p.position(at[v.Attrs.Int("axis", 0)])
	return p.cast(x.typ, v.Type.DType, x)
}

// pullPad selects between the operand, wanted under masks, and the padding.
func pullPad(p *puller, v *ir.Value, at []affine) *node {
	x, low := v.Args[0], v.Attrs.Dims("low")
	in, own, ok := make([]affine, len(at)), []*variable(nil), false
	for i := range at {
		if in[i], own, ok = p.masked(at[i].plus(low[i].Neg()), x.Type.Shape[i], own); !ok {
			return p.need(v)
		}
	}
	return p.unless(own, p.pull(x, in), p.pull(v.Args[1], nil))
}

// slide is how the windows of patches and reduce_window lie on the last axes of
// the operand.
type slide struct{ window, strides, low, dilation []int64 }

func slideOf(v *ir.Value) slide {
	window := v.Attrs.Ints("window")
	get := func(name string, def int64) []int64 {
		if xs := v.Attrs.Ints(name); xs != nil {
			return xs
		}
		return slices.Repeat([]int64{def}, len(window))
	}
	return slide{window, get("strides", 1), get("padding_low", 0), get("dilation", 1)}
}

// position is the operand's position for window o, element k, on the slide's
// axis i.
func (s slide) position(i int, o, k affine) affine {
	return o.scale(dim.Const(s.strides[i])).add(k.scale(dim.Const(s.dilation[i]))).plus(dim.Const(-s.low[i]))
}

func pullPatches(p *puller, v *ir.Value, at []affine) *node {
	x, s := v.Args[0], slideOf(v)
	n := len(s.window)
	in, own, ok := slices.Clone(at[:2+n]), []*variable(nil), false
	for i := range n {
		o, k := at[2+n+i], at[2+i]
		if in[2+i], own, ok = p.masked(s.position(i, o, k), x.Type.Shape[2+i], own); !ok {
			return p.need(v)
		}
	}
	return p.unless(own, p.pull(x, in), p.constInt(ComputeType(v.Type.DType), 0))
}

// pullConcat selects the first operand whose end the position is before.
func pullConcat(p *puller, v *ir.Value, at []affine) *node {
	axis := v.Attrs.Int("axis", 0)
	var parts []*node
	var own [][]*variable
	start := dim.Const(0)
	for _, x := range v.Args {
		size := x.Type.Shape[axis]
		a, ms, ok := p.masked(at[axis].plus(start.Neg()), size, nil)
		if !ok {
			return p.need(v)
		}
		in := slices.Clone(at)
		in[axis] = a
		parts, own = append(parts, p.pull(x, in)), append(own, ms)
		start = start.Add(size)
	}
	out := parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		out = p.unless(own[i], parts[i], out)
	}
	return out
}

// pullGather reads the operand at data-dependent positions of one axis.
//
//	at    = shared batch axes, axes up to axis, axes of the indices, the rest
//	index = shared batch axes, axes of the indices
func pullGather(p *puller, v *ir.Value, at []affine) *node {
	x, idx := v.Args[0], v.Args[1]
	axis, batch := int(v.Attrs.Int("axis", 0)), int(v.Attrs.Int("batch_dims", 0))
	picked := idx.Type.Rank() - batch
	i := p.pull(idx, slices.Concat(at[:batch], at[axis:axis+picked]))
	in := slices.Concat(at[:axis], []affine{p.index(i, x.Type.Shape[axis])}, at[axis+picked:])
	return p.pull(x, in)
}

// starts are the start positions of a dynamic slice of the given sizes.
func (p *puller) starts(x *ir.Value, args []*ir.Value, sizes []dim.Expr) []affine {
	out := make([]affine, len(args))
	for i, a := range args {
		places := x.Type.Shape[i].Sub(sizes[i]).Add(dim.Const(1))
		if !p.one(places) {
			out[i] = p.index(p.pull(a, nil), places)
		}
	}
	return out
}

func pullDynamicSlice(p *puller, v *ir.Value, at []affine) *node {
	in := p.starts(v.Args[0], v.Args[1:], v.Type.Shape)
	for i := range in {
		in[i] = in[i].add(at[i])
	}
	return p.pull(v.Args[0], in)
}

// pullDynamicUpdateSlice selects the update where every position lies within it.
// The update is read at the distance from the start, clamped to its size.
func pullDynamicUpdateSlice(p *puller, v *ir.Value, at []affine) *node {
	x, update := v.Args[0], v.Args[1]
	sizes := update.Type.Shape
	if isConst(update.Type.Elements(), 0) {
		return p.pull(x, at)
	}
	in := slices.Clone(at)
	var conds []*node
	for i, s := range p.starts(x, v.Args[2:], sizes) {
		if p.equal(sizes[i], x.Type.Shape[i]) {
			continue
		}
		d := p.position(at[i].add(s.scale(dim.Const(-1))))
		conds = append(conds, p.apply(Ge, d, p.constInt(d.typ, 0)), p.apply(Lt, d, p.sizeOf(d.typ, sizes[i])))
		in[i] = p.index(d, sizes[i])
	}
	if len(conds) == 0 {
		return p.pull(update, at)
	}
	return p.apply(Select, p.all(conds), p.pull(update, in), p.pull(x, at))
}
