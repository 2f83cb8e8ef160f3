package conformance

import (
	"math"

	"jitc/ir"
	"jitc/ir/tensor"
)

// How near results must be to ir.Eval, which evaluates in float64 and rounds
// once for each op. With eps the spacing of numbers at 1 in an element type, and
// scale the largest magnitude that the region meets (of a sum, the sum of the
// magnitudes):
//
//	integers, bool, data movement, comparisons,
//	IEEE arithmetic, max and min, conversions      equal, -0 too; any NaN for a NaN
//	one elementary function                        4 ulp; 2 ulp in types of 16 and 8 bits
//	one sum, product or contraction                4 ulp (2), or 16 eps32 scale + 64 eps32 |x|
//	arithmetic behind one of these                 4 eps scale more
//	n > 1 float operations in 16 or 8 bits         2 n eps scale more: an executor may keep
//	                                               what stays in a region in a wider type
//	a region with several of these                 4 ulp, or 16 eps scale + 16 eps |x|
//
// where eps32 is that of f32, in which narrower types may be accumulated, or that
// of f64 for f64.
const (
	ulpWide   = 4
	ulpNarrow = 2
	sumScale  = 16
	sumRel    = 64
	manyRel   = 16
)

// accuracy is how an op's results may differ from its evaluation.
type accuracy uint8

const (
	exact       accuracy = iota
	approximate          // a few ulp
	accumulated          // sums in any order
)

// accuracyOf classifies a value.
func accuracyOf(v *ir.Value) accuracy {
	row := v.Row()
	switch {
	case !v.Type.DType.IsFloat():
		return exact
	case row.Traits&ir.Approximate != 0:
		return approximate
	case row.Traits&(ir.Reduce|ir.Contract) == 0:
		return exact
	case v.Op == ir.OpReduceMax, v.Op == ir.OpReduceMin, v.Op == ir.OpMaxPool,
		v.Op == ir.OpReduceWindow && v.Attrs.Str("op", "") != "sum":
		return exact
	}
	return accumulated
}

// epsilon is the spacing of numbers at 1.
func epsilon(dt tensor.DType) float64 {
	bits := map[tensor.DType]int{tensor.F64: 52, tensor.F32: 23, tensor.F16: 10, tensor.BF16: 7, tensor.F8E4M3: 3, tensor.F8E5M2: 2}
	return math.Ldexp(1, -bits[dt])
}

// toleranceOf is how near the results of a region must be, given the largest
// magnitude that it meets.
func toleranceOf(region *ir.Func, scale float64) tensor.Tolerance {
	inexact, worst := 0, exact
	eps, dt := 0.0, tensor.F32
	for _, v := range region.Values {
		if v.Type.DType.IsFloat() {
			eps = max(eps, epsilon(v.Type.DType))
		}
		if a := accuracyOf(v); a != exact {
			inexact++
			worst, dt = a, v.Type.DType
			if v.Op.Composite() {
				inexact++ // it rounds several times
			}
		}
	}
	ulp := ulpWide
	if dt.Size() < 4 {
		ulp = ulpNarrow
	}
	acc := epsilon(tensor.F32)
	if dt == tensor.F64 {
		acc = epsilon(tensor.F64)
	}
	rounding := 0.0 // exact ops behind an inexact one keep its absolute error
	if usesInexact(region) {
		rounding = eps * ulpWide * scale
	}
	if n := narrowSteps(region); n > 1 {
		rounding += 2 * float64(n) * eps * scale
	}
	switch {
	case inexact == 0 && rounding == 0:
		return tensor.Exact
	case inexact == 0:
		return tensor.Tolerance{Abs: rounding, NaNEqual: true}
	case inexact == 1 && worst == approximate:
		return tensor.Tolerance{ULP: ulp, Abs: rounding, NaNEqual: true}
	case inexact == 1:
		return tensor.Tolerance{ULP: ulp, Rel: sumRel * acc, Abs: sumScale*acc*scale + rounding, NaNEqual: true}
	}
	return tensor.Tolerance{ULP: ulpWide, Rel: manyRel * eps, Abs: manyRel*eps*scale + rounding, NaNEqual: true}
}

// narrowSteps counts the operations that round to a type of 16 or 8 bits.
func narrowSteps(region *ir.Func) int {
	n := 0
	for _, v := range region.Values {
		moves := v.Row().Traits&(ir.View|ir.Indexed|ir.Source) != 0 || v.Op == ir.OpMax || v.Op == ir.OpMin
		if v.Type.DType.IsFloat() && v.Type.DType.Size() < 4 && !moves {
			n++
		}
	}
	return n
}

// usesInexact reports whether arithmetic follows on a value that is not exact.
func usesInexact(region *ir.Func) bool {
	for _, v := range region.Values {
		for _, a := range v.Args {
			if accuracyOf(a) != exact && v.Row().Traits&(ir.View|ir.Indexed) == 0 {
				return true
			}
		}
	}
	return false
}

// evaluate is ir.Eval of a region of single-result values, with the largest
// finite magnitude among operands, intermediate values and, of sums, the terms.
func evaluate(region *ir.Func, args []*tensor.Tensor, sizes map[string]int64) (results []*tensor.Tensor, scale float64, err error) {
	env := make([]*tensor.Tensor, region.NumIDs)
	for i, p := range region.Params {
		env[p.ID] = args[i]
		scale = max(scale, magnitude(args[i]))
	}
	for _, v := range region.Values {
		in, absolute := make([]*tensor.Tensor, len(v.Args)), make([]*tensor.Tensor, len(v.Args))
		for i, a := range v.Args {
			in[i] = env[a.ID]
		}
		out, err := ir.EvalValue(v, in, sizes)
		if err != nil {
			return nil, 0, err
		}
		env[v.ID] = out[0]
		scale = max(scale, magnitude(out[0]))
		if accuracyOf(v) != accumulated {
			continue
		}
		for i := range in {
			absolute[i] = absolutes(in[i])
		}
		if out, err = ir.EvalValue(v, absolute, sizes); err == nil {
			scale = max(scale, magnitude(out[0]))
		}
	}
	for _, r := range region.Results {
		results = append(results, env[r.ID])
	}
	return results, scale, nil
}

// magnitude is the largest finite magnitude of a float tensor's elements.
func magnitude(t *tensor.Tensor) float64 {
	m := 0.0
	if t.DType().IsFloat() {
		for _, x := range tensor.Floats(t) {
			if x = math.Abs(x); x > m && !math.IsInf(x, 1) {
				m = x
			}
		}
	}
	return m
}

func absolutes(t *tensor.Tensor) *tensor.Tensor {
	if !t.DType().IsFloat() {
		return t
	}
	xs := tensor.Floats(t)
	for i, x := range xs {
		xs[i] = math.Abs(x)
	}
	return tensor.FromFloats(t.DType(), t.Shape(), xs)
}
