package cuda

import (
	"fmt"
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/attention"
	"jitc/executors"
	"jitc/ir"
)

// attentionOperands are the operands of attention at concrete sizes: where each
// lies, and which must be copied first.
type attentionOperands struct {
	of     attended
	v      *ir.Value
	sizes  attention.Sizes
	places [4]operandPlace // q, k, v, mask
	result operandPlace    // copied: from scratch memory to the result
}

// operandPlace is where an operand lies: in memory of a parameter, or in the
// scratch memory, as a copy.
type operandPlace struct {
	executors.Strided
	copied  bool
	scratch int64
}

// whichOperand is the template's name of argument i.
var whichOperand = [...]attention.Operand{attention.Q, attention.K, attention.V, attention.Mask}

// operands finds the places at concrete sizes.
func (a attended) operands(sizes map[string]int64) (o attentionOperands, err error) {
	o.of, o.v = a, attentionIn(a.region)
	for i, x := range o.v.Args {
		s, _, err := executors.StridesOf(x, sizes)
		if err != nil {
			return o, err
		}
		o.places[i] = operandPlace{Strided: s, copied: s.Root.Op != ir.OpParam}
	}
	q, k := o.places[0].Shape, o.places[1].Shape
	rank := len(q)
	o.sizes = attention.Sizes{Lead: q[:rank-2], Queries: q[rank-2], Keys: k[rank-2], Scale: a.scale}
	if err := o.placeResult(sizes); err != nil {
		return o, err
	}
	for i := range o.v.Args {
		o.place(i)
		if !o.places[i].copied && !a.problem.Takes(whichOperand[i], o.sizes, o.places[i].Offset) {
			o.copied(i)
		}
	}
	return o, nil
}

// placeResult finds where the result is stored. The operands' leading axes are its
// own.
func (o *attentionOperands) placeResult(sizes map[string]int64) error {
	s, ok, err := executors.StridesInto(o.of.region.Results[0], o.v, sizes)
	if err != nil {
		return err
	}
	if ok {
		o.result = operandPlace{Strided: s}
		o.sizes.O = stridesOf(s.Shape, s.Strides, len(o.sizes.Lead))
	}
	if !ok || !o.of.problem.Takes(attention.O, o.sizes, 0) {
		o.copyResult()
	}
	return nil
}

// copyResult has the result stored in order, and copied to where it belongs.
func (o *attentionOperands) copyResult() {
	o.result.copied = o.of.region.Results[0] != o.v
	o.sizes.O = attention.Contiguous(o.sizes.Lead, o.sizes.Queries, o.of.problem.ValueDim)
}

// copyAll has every operand copied that is a view, and the result.
func (o *attentionOperands) copyAll() {
	for i, x := range o.v.Args {
		if x.Op != ir.OpParam {
			o.copied(i)
		}
	}
	o.copyResult()
}

// copied has operand i copied, to contiguous memory.
func (o *attentionOperands) copied(i int) {
	p, x := &o.places[i], o.v.Args[i]
	*p = operandPlace{copied: x.Op != ir.OpParam, Strided: executors.InOrder(x, p.Shape)}
	o.place(i)
}

// place tells the template where operand i lies. A mask may have fewer leading axes
// than there are, and is spread over those where it has size 1.
func (o *attentionOperands) place(i int) {
	p := &o.places[i]
	*[]*attention.Strides{&o.sizes.Q, &o.sizes.K, &o.sizes.V, &o.sizes.Mask}[i] = stridesOf(p.Shape, p.Strides, len(o.sizes.Lead))
}

// stridesOf are strides with so many leading axes.
func stridesOf(shape, strides []int, lead int) attention.Strides {
	rank := len(shape)
	s := attention.Strides{Lead: make([]int, lead), Row: strides[rank-2], Col: strides[rank-1]}
	for k := 1; k <= rank-2 && k <= lead; k++ {
		if shape[rank-2-k] > 1 {
			s.Lead[lead-k] = strides[rank-2-k]
		}
	}
	return s
}

// at is where an operand begins.
func (o *attentionOperands) at(which attention.Operand) ptx.Pointer {
	if which == attention.O {
		if o.result.copied {
			return ptx.Pointer{Buf: ptx.Scratch, Offset: o.result.scratch}
		}
		return ptx.Pointer{Buf: len(o.of.region.Params)}
	}
	i := slices.Index(whichOperand[:], which)
	p := &o.places[i]
	if p.copied {
		return ptx.Pointer{Buf: ptx.Scratch, Offset: p.scratch}
	}
	size := o.v.Args[i].Type.DType.Size()
	return ptx.Pointer{Buf: slices.Index(o.of.region.Params, p.Root), Offset: int64(p.Offset * size)}
}

// copy adds the launches that make the copies; one value may be several operands.
func (o *attentionOperands) copy(p *ptx.Plan, sizes map[string]int64) error {
	made := map[*ir.Value]int64{}
	for i, x := range o.v.Args {
		place := &o.places[i]
		if !place.copied {
			continue
		}
		at, ok := made[x]
		if !ok {
			n, err := o.of.copies[x].plan(sizes)
			if err != nil {
				return err
			}
			at = int64(reserve(p, n.buffers[1].bytes))
			add(p, n, ptx.Pointer{Buf: slices.Index(o.of.region.Params, rootOf(x))}, ptx.Pointer{Buf: ptx.Scratch, Offset: at})
			made[x] = at
		}
		place.scratch = at
	}
	if o.result.copied {
		n, err := o.of.copies[o.of.region.Results[0]].plan(sizes)
		if err != nil {
			return err
		}
		o.result.scratch = int64(reserve(p, n.buffers[0].bytes))
	}
	return nil
}

// deliver adds the copy of a result that is not stored where it belongs; the memory
// that it comes from is reserved by copy.
func (o *attentionOperands) deliver(p *ptx.Plan, sizes map[string]int64) error {
	if !o.result.copied {
		return nil
	}
	n, err := o.of.copies[o.of.region.Results[0]].plan(sizes)
	if err != nil {
		return err
	}
	add(p, n, ptx.Pointer{Buf: ptx.Scratch, Offset: o.result.scratch}, ptx.Pointer{Buf: len(o.of.region.Params)})
	return nil
}

// add adds the launches of a copy to a plan, with its buffers where they are in the
// whole.
func add(p *ptx.Plan, n *planned, from, to ptx.Pointer) {
	scratch := int64(reserve(p, n.Scratch))
	for _, l := range n.Launches {
		l.Pointers = slices.Clone(l.Pointers)
		for i := range l.Pointers {
			q := &l.Pointers[i]
			at := ptx.Pointer{Buf: ptx.Scratch, Offset: scratch}
			if q.Buf >= 0 {
				at = []ptx.Pointer{from, to}[q.Buf]
			}
			q.Buf, q.Offset = at.Buf, at.Offset+q.Offset
		}
		p.Launches = append(p.Launches, l)
	}
}

// rootOf is what a chain of views begins with.
func rootOf(v *ir.Value) *ir.Value {
	for v.Is(ir.View) {
		v = v.Args[0]
	}
	return v
}

// copiesOf makes code that copies the operands which are views, and the result if it
// is one, for sizes at which the template cannot read or write them where they lie.
// Most is never assembled.
func copiesOf(region *ir.Func, d ptx.Device) (map[*ir.Value]nests, []ptx.Text, error) {
	copies, texts := map[*ir.Value]nests{}, []ptx.Text(nil)
	for _, x := range append(slices.Clone(attentionIn(region).Args), region.Results[0]) {
		if _, made := copies[x]; made || !x.Is(ir.View) {
			continue
		}
		f := ir.NewFunc(fmt.Sprintf("operand%d", len(copies)), region.Facts)
		f.Results = []*ir.Value{copyViews(ir.NewBuilder(f), x)}
		kernel, err := codegen.Lower(f, codegen.Options{})
		if err != nil {
			return nil, nil, err
		}
		legal, err := codegen.Legalize(kernel, ptx.Target(false, true))
		if err != nil {
			return nil, nil, err
		}
		code, err := ptx.Compile(legal, d, ptx.Options{})
		if err != nil {
			return nil, nil, err
		}
		copies[x], texts = nests{legal, code}, append(texts, code.Texts...)
	}
	return copies, texts, nil
}

// copyViews is a chain of views, of a parameter of the function in the making.
func copyViews(b *ir.Builder, v *ir.Value) *ir.Value {
	if !v.Is(ir.View) {
		return b.F.AddParam(v.Name, v.Type, nil)
	}
	return b.Clone(v, []*ir.Value{copyViews(b, v.Args[0])})
}
