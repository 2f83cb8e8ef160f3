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
// becomes one launch, or two where the keys are divided among blocks.

// claimAttention takes what the template takes; the rest comes back as its parts.
func (e *Executor) claimAttention(v *ir.Value) fusion.Claim {
	m, err := e.probe()
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "there is no device"}
	}
	if _, err := attentionOf(v, m.device.Arch); err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "computed through its decomposition: " + err.Error()}
	}
	return fusion.Claim{Level: fusion.Alone}
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
}

// attentionVersion is that of the PTX language which the template is written in.
const attentionVersion = "7.8"

// newAttention makes the kernel of a region that holds attention alone; it returns
// nil for others.
func newAttention(e *Executor, m *machine, region *ir.Func, o executors.Options) (*kernel, error) {
	if len(region.Values) != 1 || region.Values[0].Op != ir.OpAttention || len(region.Results) != 1 {
		return nil, nil
	}
	v := region.Values[0]
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
	k.narrow = newForm(k, attended{region, problem, m.device, scale}, ptx.Texts(module))
	k.describe(region, "attention")
	return k, nil
}

// plan plans attention on contiguous operands.
func (a attended) plan(sizes map[string]int64) (*planned, error) {
	p := &planned{}
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
		p.buffers = append(p.buffers, buffer{name, n * size, uintptr(size), result})
	}
	s, err := a.sizes(sizes)
	if err != nil {
		return nil, err
	}
	plan, err := attention.Bind(a.problem, a.device.Arch, s, a.device.Multiprocessors)
	if err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	p.Plan = a.launches(plan)
	return p, nil
}

// sizes are those of contiguous operands.
func (a attended) sizes(env map[string]int64) (s attention.Sizes, err error) {
	v := a.region.Values[0]
	shapes := make([][]int, len(v.Args))
	for i, x := range v.Args {
		if shapes[i], err = ir.EvalShape(x.Type.Shape, env); err != nil {
			return s, err
		}
	}
	q, k := shapes[0], shapes[1]
	lead := q[:len(q)-2]
	s = attention.Sizes{Lead: lead, Queries: q[len(q)-2], Keys: k[len(k)-2], Scale: a.scale}
	s.Q = attention.Contiguous(lead, s.Queries, a.problem.HeadDim)
	s.K = attention.Contiguous(lead, s.Keys, a.problem.HeadDim)
	s.V = attention.Contiguous(lead, s.Keys, a.problem.ValueDim)
	s.O = attention.Contiguous(lead, s.Queries, a.problem.ValueDim)
	if a.problem.Mask != attention.NoMask {
		s.Mask = maskStrides(shapes[3], len(lead))
	}
	return s, nil
}

// maskStrides are those of a contiguous mask, [L,S] or with as many leading axes as
// there are, which it is spread over where they have size 1.
func maskStrides(shape []int, lead int) attention.Strides {
	rank := len(shape)
	s := attention.Strides{Lead: make([]int, lead), Row: shape[rank-1], Col: 1}
	step := shape[rank-2] * shape[rank-1]
	for i := rank - 3; i >= 0; i-- {
		if shape[i] > 1 {
			s.Lead[i] = step
		}
		step *= shape[i]
	}
	return s
}

// launches are the plan's, with the caller's buffers numbered; one may be several
// operands.
func (a attended) launches(plan *attention.Plan) *ptx.Plan {
	places := map[attention.Operand]int{attention.O: len(a.region.Params), attention.Scratch: ptx.Scratch}
	for i, x := range a.region.Values[0].Args {
		places[[]attention.Operand{attention.Q, attention.K, attention.V, attention.Mask}[i]] = slices.Index(a.region.Params, x)
	}
	out := &ptx.Plan{Scratch: plan.Scratch}
	for _, l := range plan.Launches {
		x := ptx.Launch{Entry: l.Entry, Grid: l.Grid, Block: l.Block, Shared: l.Shared, Params: l.Params}
		for _, at := range l.Pointers {
			x.Pointers = append(x.Pointers, ptx.Pointer{At: at.At, Buf: places[at.Operand], Offset: at.Offset})
		}
		out.Launches = append(out.Launches, x)
	}
	return out
}
