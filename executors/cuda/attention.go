package cuda

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/attention"
	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Attention is taken whole where there is a template for it: computed by its parts
// it would store, and read again, a score for each query and key.
//
//	%4 = scaled_dot_product_attention(%q, %k, %v) {causal=true}
//	     q, k, v: bf16[B,H,L,64]
//
// becomes one launch, or two where the keys are divided among blocks. The operands
// are read through views: heads that are split by a transposition, the used part of
// a cache.

// claimAttention takes what the template takes; the rest comes back as its parts.
func (e *Executor) claimAttention(v *ir.Value) fusion.Claim {
	m, err := e.probe()
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "there is no device"}
	}
	if _, err := attentionOf(v, m.device.Arch); err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "computed through its decomposition: " + err.Error()}
	}
	return fusion.Claim{Level: fusion.Strided}
}

// attentionOf is the template's problem of a value.
func attentionOf(v *ir.Value, arch int) (p attention.Problem, err error) {
	q, val := v.Args[0].Type, v.Args[2].Type
	p.DType, p.Causal = q.DType, v.Attrs.Bool("causal", false)
	for _, x := range []struct {
		to  *int
		dim dim.Expr
	}{{&p.HeadDim, q.Shape[q.Rank()-1]}, {&p.ValueDim, val.Shape[val.Rank()-1]}} {
		n, ok := x.dim.Const()
		if !ok || n > attention.MaxDim {
			return p, fmt.Errorf("a head dimension of %s, the template takes constants to %d", x.dim, attention.MaxDim)
		}
		*x.to = int(n)
	}
	if v.Attrs.Float("scale", 1) == 0 { // which makes NaN of an infinite score: the template scales differences
		return p, errors.New("a scale of 0")
	}
	if len(v.Args) == 4 {
		if p.Mask = attention.AddMask; v.Args[3].Type.DType == tensor.Bool {
			p.Mask = attention.BoolMask
		}
	}
	return p, attention.Supported(p, arch)
}

// attended is the planner of attention.
type attended struct {
	region  *ir.Func
	problem attention.Problem
	device  ptx.Device
	scale   float64
	copies  map[*ir.Value]nests // of operands that are views
}

// attentionVersion is that of the PTX language which the template is written in.
const attentionVersion = "7.8"

// newAttention makes the kernel of a region that holds attention and the views
// through which it reads; it returns nil for others.
func newAttention(e *Executor, m *machine, region *ir.Func, o executors.Options) (*kernel, error) {
	v := attentionIn(region)
	if v == nil {
		return nil, nil
	}
	problem, err := attentionOf(v, m.device.Arch)
	if err != nil {
		return nil, err
	}
	module := &asm.Module{Version: attentionVersion, Target: ptx.TargetName(m.device.Arch)}
	if err := attention.Emit(module, problem, m.device.Arch); err != nil {
		return nil, err
	}
	k := &kernel{executor: e, machine: m, name: region.Name, opts: o}
	scale := v.Attrs.Float("scale", 1/math.Sqrt(float64(problem.HeadDim)))
	copies, texts, err := copiesOf(region, m.device)
	if err != nil {
		return nil, err
	}
	k.narrow = newForm(k, attended{region, problem, m.device, scale, copies}, append(ptx.Texts(module), texts...))
	k.describe(region, "attention")
	return k, nil
}

// attentionIn is the attention of a region that holds nothing else but views.
func attentionIn(region *ir.Func) *ir.Value {
	if len(region.Results) != 1 {
		return nil
	}
	found := rootOf(region.Results[0])
	if found.Op != ir.OpAttention {
		return nil
	}
	for _, v := range region.Values {
		if v != found && !v.Is(ir.View) {
			return nil
		}
	}
	return found
}

// plan plans attention on operands that are read where they lie, if the template can,
// and else copied to scratch memory first; and a result that is stored where it
// belongs, or copied there.
func (a attended) plan(sizes map[string]int64) (*planned, error) {
	buffers, err := a.buffers(sizes)
	if err != nil {
		return nil, err
	}
	p := &planned{Plan: &ptx.Plan{}, buffers: buffers}
	o, err := a.operands(sizes)
	if err != nil {
		return nil, err
	}
	plan, err := attention.Bind(a.problem, a.device.Arch, o.sizes, a.device.Multiprocessors)
	if err != nil { // which axes can be taken together depends on all strides
		o.copyAll()
		plan, err = attention.Bind(a.problem, a.device.Arch, o.sizes, a.device.Multiprocessors)
	}
	if err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	if len(plan.Launches) == 0 {
		return p, nil
	}
	if err := o.copy(p.Plan, sizes); err != nil {
		return nil, err
	}
	a.attend(p.Plan, plan, &o)
	return p, o.deliver(p.Plan, sizes)
}

// buffers are the caller's.
func (a attended) buffers(sizes map[string]int64) (out []buffer, err error) {
	for i, v := range slices.Concat(a.region.Params, a.region.Results) {
		shape, err := ir.EvalShape(v.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		n, err := tensor.CheckedElements(shape)
		if err != nil {
			return nil, err
		}
		size, result := v.Type.DType.Size(), i == len(a.region.Params)
		name := fmt.Sprintf("p%d", i)
		if result {
			name = "r0"
		}
		out = append(out, buffer{name, n * size, uintptr(size), result})
	}
	return out, nil
}

// attend adds the template's launches to a plan.
func (a attended) attend(p *ptx.Plan, plan *attention.Plan, o *attentionOperands) {
	scratch := int64(reserve(p, plan.Scratch))
	zeros := int64(p.Zeros)
	p.Zeros += plan.Counters
	for _, l := range plan.Launches {
		x := ptx.Launch{Entry: l.Entry, Grid: l.Grid, Block: l.Block, Shared: l.Shared, Params: l.Params}
		for _, at := range l.Pointers {
			to := ptx.Pointer{Buf: ptx.Scratch, Offset: scratch}
			switch at.Operand {
			case attention.Scratch:
			case attention.Counters:
				to = ptx.Pointer{Buf: ptx.Zeros, Offset: zeros}
			default:
				to = o.at(at.Operand)
			}
			x.Pointers = append(x.Pointers, ptx.Pointer{At: at.At, Buf: to.Buf, Offset: to.Offset + at.Offset})
		}
		p.Launches = append(p.Launches, x)
	}
}

// reserve adds scratch memory to a plan, at a multiple of vectors.
func reserve(p *ptx.Plan, bytes int) (offset int) {
	offset = (p.Scratch + 255) &^ 255
	p.Scratch = offset + bytes
	return offset
}
