package executors

import (
	"fmt"

	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Updates are the ops whose result is their first operand but for what an update
// writes: scatter, and dynamic_update_slice. In a region of their own, by a Launch that
// is an InPlacer, they cost what the update does where the operand is given away.

// smallUpdated is the size in bytes of what is better rewritten as a part of a loop
// nest than updated by a launch of its own.
const smallUpdated = 4096

// ClaimUpdates is the claim of an executor that computes what ClaimLoops takes, and,
// as regions of their own with the views of MovesOf, updates that leave most of the
// operand as it is.
func ClaimUpdates(v *ir.Value) fusion.Claim {
	switch {
	case v.Op == ir.OpScatter:
		return fusion.Claim{Level: fusion.Strided, Why: "several updates may fall on one element; the operand's memory may be the result's"}
	case v.Op == ir.OpDynamicUpdateSlice && leavesMost(v):
		return fusion.Claim{Level: fusion.Strided, Why: "writes the update only, where the operand's memory is the result's"}
	}
	return ClaimLoops(v)
}

// leavesMost reports whether an update is of less than a quarter of an operand that
// is not small. Sizes that are not known are taken to be large.
func leavesMost(v *ir.Value) bool {
	x, ok := v.Type.Bytes().Const()
	if !ok {
		return !ir.ShapeEqual(nil, v.Type.Shape, v.Args[1].Type.Shape)
	}
	u, known := v.Args[1].Type.Bytes().Const()
	return x >= smallUpdated && (!known || u < x/4)
}

// UpdateOf is the update of a region that holds one, alone or with the views that
// ClaimUpdates lets it have; nil of others.
func UpdateOf(region *ir.Func) (update *ir.Value) {
	for _, v := range region.Values {
		switch {
		case (v.Op == ir.OpScatter || v.Op == ir.OpDynamicUpdateSlice) && update == nil:
			update = v
		case viewRules[v.Op] == nil:
			return nil
		}
	}
	if len(region.Results) != 1 {
		return nil
	}
	return update
}

// Scatter is a scatter at concrete sizes: Lead scatters of rows of Row elements, of
// Picks updates into Size places each; Outer of them in a row share their indices.
//
//	result   [Lead][Size][Row]     contiguous; what is updated is there
//	indices  [Lead/Outer][Picks]   contiguous
//	updates  [Lead][Picks][Row]    at LeadStride and PickStride, in elements; 1 in a row
type Scatter struct {
	Lead, Outer, Size, Picks, Row int
	Result, Indices, Updates      Place
	LeadStride, PickStride        int
}

// sized makes the sizes those of a value.
func (s *Scatter) sized(v *ir.Value, x, at []int) (err error) {
	axis, batch := int(v.Attrs.Int("axis", 0)), int(v.Attrs.Int("batch_dims", 0))
	s.Size = x[axis]
	for _, p := range []struct {
		to    *int
		shape []int
	}{{&s.Lead, x[:axis]}, {&s.Outer, x[batch:axis]}, {&s.Picks, at[batch:]}, {&s.Row, x[axis+1:]}} {
		if *p.to, err = tensor.CheckedElements(p.shape); err != nil {
			return err
		}
	}
	if s.Size == 0 && s.Elements() > 0 {
		return fmt.Errorf("scatter: expected at least 1 element on axis %d of the first operand, got 0: there is nothing to index", axis)
	}
	return nil
}

// strided makes the strides those of the updates; false if a row of them is not in
// order, or others are not at regular distances.
func (s *Scatter) strided(v *ir.Value, l lying) bool {
	axis, batch := int(v.Attrs.Int("axis", 0)), int(v.Attrs.Int("batch_dims", 0))
	end := axis + v.Args[1].Type.Rank() - batch
	row, ok := joined(l.Shape[end:], l.Strides[end:])
	if !ok || row != 1 && s.Row > 1 {
		return false
	}
	if s.PickStride, ok = joined(l.Shape[axis:end], l.Strides[axis:end]); !ok {
		return false
	}
	s.LeadStride, ok = joined(l.Shape[:axis], l.Strides[:axis])
	s.Updates = l.place
	return ok
}

// Elements is the number of elements of the updates.
func (s *Scatter) Elements() int { return s.Lead * s.Picks * s.Row }
