package attention

import (
	"math"

	"jitc/codegen/ptx/asm"
)

// What the entries of a pass take: addresses and strides in bytes, of 64 bits, then
// sizes and factors, of 32.

var strides = []string{
	"q0", "q1", "q2", "qrow", "k0", "k1", "k2", "krow", "v0", "v1", "v2", "vrow",
	"mask0", "mask1", "mask2", "maskrow", "maskcol", "o0", "o1", "o2", "orow",
}

var forwardParams = asm.ParamTable{
	Longs: append([]string{"q", "k", "v", "mask", "o", "stats", "part", "sums", "count"}, strides...),
	Words: []string{
		"lead",          // leading indices, all together
		"lead1",         // those of the second axis
		"lead2",         // and of the third
		"queries",       //
		"keys",          //
		"querytiles",    //
		"splits",        //
		"tilespersplit", // of keys
		"factor",        // see factors
		"negate",        //
	},
}

var backwardParams = asm.ParamTable{
	Longs: append([]string{
		"q", "k", "v", "mask", "o", "stats", "do", "dq", "dk", "dv", "delta",
		"do0", "do1", "do2", "dorow", "dq0", "dq1", "dq2", "dqrow",
		"dk0", "dk1", "dk2", "dkrow", "dv0", "dv1", "dv2", "dvrow",
	}, strides...),
	Words: []string{"lead", "lead1", "lead2", "queries", "keys", "querytiles", "keytiles", "factor", "negate", "scale"},
}

// factors are the parameters that stand for the scale: |scale|, times log2(e) where
// scores are kept as powers of two, and the bits to xor to words of q (in the
// backward pass, of k too), which carry its sign. A scale of 0 is the smallest number
// instead: a score of -Inf must stay what it is.
func (p Problem) factors(scale float64) (factor float32, negate uint32) {
	if math.Signbit(scale) {
		negate = 0x80000000
		if p.narrow() {
			negate = 0x80008000
		}
	}
	f := math.Abs(scale)
	if !p.natural() {
		f *= math.Log2E
	}
	return max(float32(f), math.SmallestNonzeroFloat32), negate
}

// setStrides fills in the strides of operands.
func setStrides(b *asm.Block, ops []operand) {
	for _, o := range ops {
		for i, n := range o.strides.Lead {
			b.Long(o.name+string(rune('0'+i)), n*o.size)
		}
		b.Long(o.name+"row", o.strides.Row*o.size)
		if o.name == "mask" {
			b.Long("maskcol", o.strides.Col*o.size)
		}
	}
}
