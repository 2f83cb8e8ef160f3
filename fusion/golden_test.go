package fusion

import (
	"testing"

	"jitc/internal/golden"
	"jitc/ir"
)

// Traces are in primitives, so that the cases do not change with decompositions.
// Flags of the cases: "off", "alone-<op>" (a first executor takes that op alone),
// "strided-<op>" (it takes it at any strides),
// "refuse-<op>" (the native one refuses it, a last executor takes everything alone).
func TestGolden(t *testing.T) {
	golden.Run(t, "../testdata/fusion", func(t *testing.T, c *golden.Case) {
		r := partition(t, parse(t, c.In), claimers(c.Flags), Options{Off: c.Flags["off"]})
		c.Want(t, "want.fused", r.F.String())
		c.Want(t, "want.reasons", r.Report())
	})
}

func claimers(flags map[string]bool) []Claimer {
	special, refused, all := map[ir.Op]Level{}, map[ir.Op]Level{}, map[ir.Op]Level{}
	first, last := false, false
	for _, op := range ir.Ops() {
		special[op], all[op] = Refused, Alone
		if flags["alone-"+op.String()] {
			special[op], first = Alone, true
		}
		if flags["strided-"+op.String()] {
			special[op], first = Strided, true
		}
		if flags["refuse-"+op.String()] {
			refused[op], last = Refused, true
		}
	}
	cs := []Claimer{fake{"native", refused}}
	if first {
		cs = append([]Claimer{fake{"special", special}}, cs...)
	}
	if last {
		cs = append(cs, fake{"reference", all})
	}
	return cs
}
