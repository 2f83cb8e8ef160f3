package conformance_test

import (
	"testing"

	"jitc/executors/conformance"
	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/ir"
)

func TestReference(t *testing.T) {
	conformance.Run(t, reference.Executor{}, conformance.Options{
		MustClaim: func(*ir.Value) bool { return true },
	})
}

// fusing is the reference, for regions of several values too: every variant runs.
func TestReferenceFusing(t *testing.T) {
	conformance.Run(t, executor{}, conformance.Options{MustClaim: all})
}

// expanding refuses every composite: their parts run in one region.
func TestReferenceExpanding(t *testing.T) {
	conformance.Run(t, executor{claim: func(v *ir.Value, c fusion.Claim) fusion.Claim {
		if v.Op.Composite() {
			return fusion.Claim{Why: "computed through its decomposition"}
		}
		return c
	}}, conformance.Options{Thin: true, MustClaim: func(v *ir.Value) bool { return !v.Op.Composite() }})
}
