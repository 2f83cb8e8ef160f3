// Package spread says how far what an executor computes may be from what ir.Eval
// does, for any function, without a tolerance chosen by hand.
//
//	want, err := spread.New(rng, f, args, sizes) // evaluates f, and with errors
//	var sum spread.Tally
//	err = want.Check(&sum, results)
//
// for
//
//	func @f(%0: f32[S]) -> f32[S] { %1: f32[S] = exp(%0)  return %1 }
//
// each element of the result may be off by what a few ulp in exp make of it.
//
// That is found by evaluating the function again and again with the errors that an
// executor may make, drawn at random (Monte Carlo arithmetic): a few ulp in
// elementary functions, any order of sums, and narrow floats kept wider within a
// region. What the errors do to an element, times spreadMargin, is its tolerance.
// An element that they make NaN, infinite or another integer is not defined by
// the function, and is not compared; one that no inexact op reaches must be equal.
//
// Invariant: evaluations of equal generators are equal.
package spread

import (
	"math"
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/tensor"
)

const (
	fewSamples   = 5
	manySamples  = 200 // where a few do not explain a difference
	spreadMargin = 12
	ulpWide      = 4 // as executors/conformance allows
	ulpNarrow    = 2
	sumUlp       = 16
)

// sample evaluates a function with random errors.
type sample struct {
	rng       *rand.Rand
	wide      bool    // f32 in place of narrower types
	common    bool    // one error for all elements of a value, or none: equal ones stay equal
	undefined float64 // stands for what an executor may make anything of
}

// undefineds differ from sample to sample, so that they show.
var undefineds = []float64{math.NaN(), math.Inf(1), 0, math.Inf(-1), 1}

func (s *sample) dtype(dt tensor.DType) tensor.DType {
	if s.wide && dt.IsFloat() && dt.Size() < 4 {
		return tensor.F32
	}
	return dt
}

func (s *sample) widen(t *tensor.Tensor) *tensor.Tensor {
	if dt := s.dtype(t.DType()); dt != t.DType() {
		return tensor.Cast(t, dt)
	}
	return t
}

// eval is ir.Eval with errors; composites are evaluated by their parts.
func (s *sample) eval(f *ir.Func, args []*tensor.Tensor, sizes map[string]int64) ([]*tensor.Tensor, error) {
	env := make([]*tensor.Tensor, f.NumIDs)
	for i, p := range f.Params {
		env[p.ID] = s.widen(args[i])
	}
	for _, v := range f.Values {
		in := make([]*tensor.Tensor, len(v.Args))
		for i, a := range v.Args {
			in[i] = env[a.ID]
		}
		out, err := s.value(v, in, sizes)
		if err != nil {
			return nil, err
		}
		env[v.ID] = out
	}
	results := make([]*tensor.Tensor, len(f.Results))
	for i, r := range f.Results {
		results[i] = env[r.ID]
	}
	return results, nil
}

func (s *sample) value(v *ir.Value, in []*tensor.Tensor, sizes map[string]int64) (*tensor.Tensor, error) {
	if v.Op.Composite() {
		parts, err := ir.DecomposeValue(v)
		if err != nil {
			return nil, err
		}
		out, err := s.eval(parts, in, sizes)
		if err != nil {
			return nil, err
		}
		return out[0], nil
	}
	w := *v
	w.Type = v.Type.WithDType(s.dtype(v.Type.DType))
	if v.Attrs.Has("dtype") {
		w.Attrs = v.Attrs.With("dtype", w.Type.DType)
	}
	if v.Attrs.Has("data") {
		w.Attrs = w.Attrs.With("data", s.widen(v.Attrs.Tensor("data")))
	}
	out, err := ir.EvalValue(&w, in, sizes)
	if err != nil || !inexact(v) {
		return out[0], err
	}
	var terms []float64 // of sums, the sum of the magnitudes
	if accumulates(v) {
		sum, err := ir.EvalValue(&w, s.magnitudes(v, in), sizes)
		if err != nil {
			return nil, err
		}
		terms = tensor.Floats(sum[0])
	}
	return s.spoil(v, out[0], terms), nil
}

// inexact reports whether executors may differ on a value of exact operands.
func inexact(v *ir.Value) bool {
	return v.Type.DType.IsFloat() && (v.Is(ir.Approximate) || accumulates(v) || narrowStep(v))
}

func accumulates(v *ir.Value) bool {
	sums := v.Op == ir.OpReduceSum || v.Op == ir.OpReduceProd || v.Is(ir.Contract) ||
		v.Op == ir.OpReduceWindow && v.Attrs.Str("op", "") == "sum"
	return v.Type.DType.IsFloat() && sums
}

// narrowStep reports whether a value rounds to a type that may be kept wider.
func narrowStep(v *ir.Value) bool {
	return v.Type.DType.IsFloat() && v.Type.DType.Size() < 4 && !v.Is(ir.View|ir.Indexed|ir.Source) &&
		v.Op != ir.OpMax && v.Op != ir.OpMin && v.Op != ir.OpSelect
}

// magnitudes are the finite elements' magnitudes; of a product's factors, those
// and their inverses, at least 1, so that what overflows or underflows on the way
// shows.
func (s *sample) magnitudes(v *ir.Value, in []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		xs := tensor.Floats(t)
		for k, x := range xs {
			if x = math.Abs(x); math.IsNaN(x) || math.IsInf(x, 0) {
				x = 0
			}
			if xs[k] = x; v.Op == ir.OpReduceProd && x == 0 {
				xs[k] = 1
			} else if v.Op == ir.OpReduceProd {
				xs[k] = max(x, 1/x)
			}
		}
		out[i] = tensor.FromFloats(t.DType(), t.Shape(), xs)
	}
	return out
}

// relative is an error as a part of the largest: no small ones, since few samples
// must show what is possible.
func (s *sample) relative() float64 {
	return math.Copysign(1-s.rng.Float64()/2, s.rng.Float64()-0.5)
}

// spoil adds errors to the elements.
func (s *sample) spoil(v *ir.Value, t *tensor.Tensor, terms []float64) *tensor.Tensor {
	dt, xs := t.DType(), tensor.Floats(t)
	eps, acc, least, ulp := epsilon(dt), epsilon(tensor.F32), smallest(tensor.F32), float64(ulpWide)
	if dt == tensor.F64 {
		acc, least = eps, smallest(dt)
	}
	if dt.Size() < 4 {
		ulp = ulpNarrow
	}
	e := s.relative() * float64(s.rng.IntN(2))
	for i, x := range xs {
		if !s.common {
			e = s.relative()
		}
		switch {
		case terms != nil && math.IsInf(terms[i], 0):
			xs[i] = s.undefined // in another order it may overflow, and of a product also underflow
		case terms != nil && terms[i] == 0 && x == 0:
			xs[i] = math.Copysign(0, e) // the sign says where a sum started
		case math.IsNaN(x) || math.IsInf(x, 0) || x == 0 && terms == nil || s.rng.IntN(16) == 0:
		case terms != nil && v.Op != ir.OpReduceProd:
			xs[i] = tensor.RoundFloat(dt, x+e*(sumUlp*(acc*terms[i]+least)+ulp*eps*math.Abs(x)))
		case terms != nil:
			xs[i] = tensor.RoundFloat(dt, x+e*(sumUlp*acc+ulp*eps)*math.Abs(x))
		default:
			xs[i] = tensor.RoundFloat(dt, x+e*(ulp*eps*math.Abs(x)+2*smallest(dt)))
		}
	}
	return tensor.FromFloats(dt, t.Shape(), xs)
}

var mantissa = map[tensor.DType]int{tensor.F64: 52, tensor.F32: 23, tensor.F16: 10, tensor.BF16: 7, tensor.F8E4M3: 3, tensor.F8E5M2: 2}

// epsilon is the spacing of numbers at 1.
func epsilon(dt tensor.DType) float64 { return math.Ldexp(1, -mantissa[dt]) }

var leastNormal = map[tensor.DType]int{tensor.F64: -1022, tensor.F32: -126, tensor.F16: -14, tensor.BF16: -126, tensor.F8E4M3: -6, tensor.F8E5M2: -14}

// smallest is the spacing of numbers at 0.
func smallest(dt tensor.DType) float64 { return math.Ldexp(1, leastNormal[dt]-mantissa[dt]) }
