package cuda

import (
	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/cumulative"
	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Cumulative reductions are regions of their own:
//
//	%0: f32[B,N] = cumulative(%x) {axis=1, combine="add"}
//
// becomes one launch of cumulative_rows or, where B is too small for the device, two,
// the first of which combines parts of lines.

// claimCumulative takes what the template takes; the rest is computed through its
// decomposition.
func (e *Executor) claimCumulative(v *ir.Value) fusion.Claim {
	m, err := e.probe()
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "there is no device"}
	}
	if err := cumulative.Supported(cumulativeOf(v), m.device.Arch); err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "computed through its decomposition: " + err.Error()}
	}
	return fusion.Claim{Level: fusion.Alone, Why: "carries what it has from one element to the next"}
}

// cumulativeOf is the template's problem of a value.
func cumulativeOf(v *ir.Value) cumulative.Problem {
	return cumulative.Problem{DType: v.Type.DType, Combine: v.Attrs.Str("combine", "")}
}

// cumulated is the planner of a cumulative reduction.
type cumulated struct {
	v      *ir.Value
	device ptx.Device
}

// cumulativeVersion is that of the PTX language which the template is written in.
const cumulativeVersion = "7.8"

// newCumulative makes the kernel of a region that is a cumulative reduction; it
// returns nil for others.
func newCumulative(e *Executor, m *machine, region *ir.Func, o executors.Options) (*kernel, error) {
	if len(region.Values) != 1 || region.Values[0].Op != ir.OpCumulative || len(region.Results) != 1 {
		return nil, nil
	}
	c := cumulated{region.Values[0], m.device}
	module := &asm.Module{Version: cumulativeVersion, Target: ptx.TargetName(m.device.Arch)}
	if err := cumulative.Emit(module, cumulativeOf(c.v), m.device.Arch); err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	k := &kernel{executor: e, machine: m, name: region.Name, opts: o}
	k.narrow = newForm(k, c, ptx.Texts(module))
	k.describe(region, "cumulative")
	return k, nil
}

// plan plans contiguous operands.
func (c cumulated) plan(sizes map[string]int64) (*planned, error) {
	shape, err := ir.EvalShape(c.v.Type.Shape, sizes)
	if err != nil {
		return nil, err
	}
	dt := c.v.Type.DType
	n, err := tensor.CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	s := cumulative.Sizes{Outer: 1, Inner: 1, Reverse: c.v.Attrs.Bool("reverse", false)}
	axis := int(c.v.Attrs.Int("axis", 0))
	for i, k := range shape {
		switch {
		case n == 0: // the other sizes may be of any product
		case i < axis:
			s.Outer *= k
		case i == axis:
			s.Axis = k
		default:
			s.Inner *= k
		}
	}
	plan, err := cumulative.Bind(cumulativeOf(c.v), c.device.Arch, s, c.device.Multiprocessors)
	if err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	p := &planned{Plan: plan}
	for i, name := range []string{"p0", "r0"} {
		p.buffers = append(p.buffers, buffer{name, n, uintptr(dt.Size()), i == 1})
	}
	return p, nil
}
