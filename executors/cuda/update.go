package cuda

import (
	"fmt"
	"slices"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/update"
	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Updates (see executors.ClaimUpdates) are regions of their own, with the views that
// they read through. The operand is copied by blocks that do nothing where the
// result's memory is the operand's.
//
//	%0 = slice(%qkv) {starts=[0,768], limits=[1,1536]}
//	%1 = dynamic_update_slice(%cache, %0, %at, %zero)
//
// becomes one launch, of update_both.

// claimUpdate takes updates as regions of their own, and what else loop nests can say.
func (e *Executor) claimUpdate(v *ir.Value) fusion.Claim {
	claim := executors.ClaimUpdates(v)
	if claim.Level == fusion.Fusible || claim.Level == fusion.Refused {
		return claim
	}
	m, err := e.probe()
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "there is no device"}
	}
	if err := update.Supported(updateOf(v, executors.Options{}), m.device.Arch); err != nil {
		return executors.ClaimLoops(v)
	}
	return claim
}

// updateOf is the template's problem of a value.
func updateOf(v *ir.Value, o executors.Options) update.Problem {
	p := update.Problem{DType: v.Type.DType, FastMath: o.FastMath}
	if v.Op == ir.OpScatter {
		p.Index, p.Combine = v.Args[1].Type.DType, v.Attrs.Str("combine", "")
	} else if p.Starts = len(v.Args) - 2; p.Starts > 0 {
		p.Index = v.Args[2].Type.DType
	}
	return p
}

// updateIn is the problem of a region: moves may have as many axes as its views.
func updateIn(region *ir.Func, v *ir.Value, o executors.Options) update.Problem {
	p := updateOf(v, o)
	p.Views = len(region.Values) > 1
	for _, x := range slices.Concat(region.Params, region.Values) {
		p.Axes = max(p.Axes, x.Type.Rank())
	}
	return p
}

// updated is the planner of an update.
type updated struct {
	region  *ir.Func
	v       *ir.Value
	problem update.Problem
	device  ptx.Device
}

// newUpdate makes the kernel of a region that holds an update which is taken alone; it
// returns nil for others.
func newUpdate(e *Executor, m *machine, region *ir.Func, o executors.Options) (*kernel, error) {
	v := executors.UpdateOf(region)
	if v == nil || e.Claim(v).Level == fusion.Fusible {
		return nil, nil
	}
	u := updated{region, v, updateIn(region, v, o), m.device}
	module := &asm.Module{Version: updateVersion, Target: ptx.TargetName(m.device.Arch)}
	if err := update.Emit(module, u.problem, m.device.Arch); err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	k := &kernel{executor: e, machine: m, name: region.Name, opts: o}
	k.narrow = newForm(k, u, ptx.Texts(module))
	k.describe(region, "update")
	return k, nil
}

// updateVersion is that of the PTX language which the template is written in.
const updateVersion = "7.8"

// plan plans the update on contiguous operands.
func (u updated) plan(sizes map[string]int64) (*planned, error) {
	p := &planned{}
	for i, v := range slices.Concat(u.region.Params, u.region.Results) {
		shape, err := ir.EvalShape(v.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		n, err := tensor.CheckedBytes(v.Type.DType, shape)
		if err != nil {
			return nil, err
		}
		name, result := fmt.Sprintf("p%d", i), i == len(u.region.Params)
		if result {
			name = "r0"
		}
		p.buffers = append(p.buffers, buffer{name, n, uintptr(v.Type.DType.Size()), result})
	}
	moves, err := executors.MovesOf(u.region, sizes)
	if err != nil {
		return nil, err
	}
	p.Plan = &ptx.Plan{Scratch: moves.Scratch}
	if moves.InPlace >= 0 {
		p.updates = &moves.InPlace
	}
	if err := u.launches(p.Plan, moves); err != nil {
		return nil, &ptx.Unsupported{Reason: err.Error()}
	}
	return p, nil
}

// launches adds those of the moves and of the scatter, in order.
func (u updated) launches(p *ptx.Plan, moves *executors.Moves) error {
	list, s := moves.List, moves.Scatter
	x := executors.Place{}
	if s != nil { // which copies what is copied whole itself
		if x = s.Result; list[0].Whole {
			x, list = list[0].From, list[1:]
		}
	}
	if err := u.moves(p, list); err != nil {
		return err
	}
	if s != nil {
		sizes := update.ScatterSizes{Lead: s.Lead, Outer: s.Outer, Size: s.Size, Picks: s.Picks, Row: s.Row,
			X: update.Place(x), Result: update.Place(s.Result), Indices: update.Place(s.Indices), Updates: update.Place(s.Updates), LeadStride: s.LeadStride, PickStride: s.PickStride}
		plan, err := update.BindScatter(u.problem, u.device.Arch, sizes, u.device.Multiprocessors)
		if err != nil {
			return err
		}
		p.Launches = append(p.Launches, plan.Launches...)
	}
	return u.moves(p, moves.After)
}

func (u updated) moves(p *ptx.Plan, list []executors.Move) error {
	moves := make([]update.Move, len(list))
	for i, m := range list {
		moves[i] = update.Move{From: update.Place(m.From), To: update.Place(m.To), Sizes: m.Sizes, FromStrides: m.FromStrides, ToStrides: m.ToStrides,
			Whole: m.Whole, Size: m.Size}
		for _, s := range m.Starts {
			moves[i].Starts = append(moves[i].Starts, update.Start{Place: update.Place(s.Place), Limit: s.Limit, Step: s.Step})
		}
	}
	plan, err := update.BindMoves(u.problem, u.device.Arch, moves, u.device.Multiprocessors)
	if err != nil {
		return err
	}
	p.Launches = append(p.Launches, plan.Launches...)
	return nil
}

var _ executors.InPlacer = (*launch)(nil)

// InPlace is the operand of an update in whose memory the result may lie.
func (l *launch) InPlace(int) int {
	if l.updates == nil {
		return -1
	}
	return *l.updates
}
