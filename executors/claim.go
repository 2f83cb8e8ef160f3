package executors

import (
	"jitc/fusion"
	"jitc/ir"
)

// ClaimLoops is the claim of an executor that computes whatever loop nests can say:
// every primitive; composites come back to it as their parts.
func ClaimLoops(v *ir.Value) fusion.Claim {
	switch {
	case v.Is(ir.Structural):
		return fusion.Claim{Level: fusion.Refused, Why: "not a computation"}
	case v.Is(ir.Dynamic):
		return fusion.Claim{Level: fusion.Refused, Why: "its size depends on data: a chain of segments runs it"}
	case v.Op.Composite():
		return fusion.Claim{Level: fusion.Refused, Why: "computed through its decomposition"}
	case v.Op == ir.OpConstant && v.Attrs.Has("data"):
		return fusion.Claim{Level: fusion.Refused, Why: "constant data is an operand, not code"}
	case v.Is(ir.Random) || v.Is(ir.Effect):
		return fusion.Claim{Level: fusion.Refused, Why: "random and effectful ops have no loop nest"}
	case v.Op == ir.OpScatter:
		return fusion.Claim{Level: fusion.Refused, Why: "several updates may fall on one element: there is no loop nest"}
	}
	return fusion.Claim{Level: fusion.Fusible}
}
