package cuda_test

import (
	"fmt"
	"testing"

	"jitc/executors/conformance"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir"
	"jitc/ir/tensor"
)

// The whole suite, with memory of exactly the size that is asked for, so that the
// interpreter sees every access beyond it. Halves of it run at the same time.
func TestConformance(t *testing.T) {
	var halves [2][]ir.Op
	for i, op := range ir.Ops() {
		halves[i%2] = append(halves[i%2], op)
	}
	for i, ops := range halves {
		t.Run(fmt.Sprint("half ", i), func(t *testing.T) {
			t.Parallel()
			e, _ := newExecutor(t, fake.Config{Eager: true, Races: true}, cuda.Options{NoReuse: true})
			o := conformance.Options{MustClaim: isPrimitive, Ops: ops}
			if testing.Short() {
				o.Thin, o.DTypes = true, []tensor.DType{tensor.F32}
			}
			conformance.Run(t, e, o)
		})
	}
}

// isPrimitive says what the executor may not refuse, nor fail to compile.
func isPrimitive(v *ir.Value) bool {
	data := v.Op == ir.OpConstant && v.Attrs.Has("data")
	return !v.Op.Composite() && !data && !v.Is(ir.Random)
}

// A few ops with everything as late as may be, in memory that is used again.
func TestConformanceLate(t *testing.T) {
	t.Parallel()
	for _, config := range []fake.Config{{Races: true}, {Major: 9, Seed: 7, Perturb: 1, Races: true}} {
		e, _ := newExecutor(t, config, cuda.Options{PieceBytes: 1 << 12})
		conformance.Run(t, e, conformance.Options{Thin: true, Ops: []ir.Op{ir.OpAdd, ir.OpTanh, ir.OpReduceSum, ir.OpDotGeneral,
			ir.OpGather, ir.OpSoftmax, ir.OpTranspose, ir.OpConcat}})
	}
}
