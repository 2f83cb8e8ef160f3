package jitc_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"jitc/ir"
	"jitc/ir/tensor"
)

// How far an element of a random function's result may be from ir.Eval's is
// found by evaluating the function again and again with the errors that an
// executor may make, drawn at random (Monte Carlo arithmetic): a few ulp in
// elementary functions, any order of sums, and narrow floats kept wider within a
// region. What the errors do to an element, times spreadMargin, is its tolerance.
// An element that they make NaN, infinite or another integer is not defined by
// the function, and is not compared; one that no inexact op reaches must be equal.
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

// expectation is what a result must be.
type expectation struct {
	want   *tensor.Tensor
	spread []float64 // by element: what errors did; +Inf: not defined
	exact  bool      // no inexact op reaches the result
}

// oracle knows what a function must give for some arguments.
type oracle struct {
	f     *ir.Func
	args  []*tensor.Tensor
	sizes map[string]int64

	mu      sync.Mutex
	rng     *rand.Rand
	results []expectation
	samples int
}

// newOracle evaluates f and its first samples.
func newOracle(rng *rand.Rand, f *ir.Func, args []*tensor.Tensor, sizes map[string]int64) (*oracle, error) {
	want, err := ir.Eval(f, args, sizes)
	if err != nil {
		return nil, err
	}
	o := &oracle{f: f, args: args, sizes: sizes, rng: rng, results: make([]expectation, len(want))}
	reached := tainted(f)
	for i, w := range want {
		o.results[i] = expectation{w, make([]float64, w.NumElements()), !reached[f.Results[i].ID]}
	}
	return o, o.sample(fewSamples)
}

// sample draws until there are n samples.
func (o *oracle) sample(n int) error {
	if !slices.ContainsFunc(o.results, func(e expectation) bool { return !e.exact }) {
		return nil
	}
	for ; o.samples < n; o.samples++ {
		s := &sample{rng: o.rng, wide: o.samples%2 == 0, common: o.samples%3 == 2, undefined: undefineds[o.samples%len(undefineds)]}
		got, err := s.eval(o.f, o.args, o.sizes)
		if err != nil {
			return err
		}
		for i := range o.results {
			o.results[i].widen(got[i])
		}
	}
	return nil
}

// check holds results to what they must be. Where a few samples do not explain a
// difference, many have to fail to.
func (o *oracle) check(sum *tally, got []*tensor.Tensor) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.results {
		e := &o.results[i]
		if !got[i].SameShape(e.want.Shape()) || got[i].DType() != e.want.DType() {
			return fmt.Errorf("result %d: expected %s, got %s", i, e.want, got[i])
		}
		first, undefined := e.compare(got[i])
		if first >= 0 && !e.exact {
			if err := o.sample(manySamples); err != nil {
				return err
			}
			first, undefined = e.compare(got[i])
		}
		sum.elements += e.want.NumElements()
		sum.undefined += undefined
		if first >= 0 {
			return fmt.Errorf("result %d (%s%v), element %d: expected %s, got %s, spread %g, exact %v", i, e.want.DType(), e.want.Shape(),
				first, element(e.want, first), element(got[i], first), e.spread[first], e.exact)
		}
	}
	return nil
}

// tally counts what was compared.
type tally struct{ elements, undefined int }

func element(t *tensor.Tensor, i int) string {
	if t.DType().IsFloat() {
		return strconv.FormatFloat(tensor.Floats(t)[i], 'g', -1, 64)
	}
	return strconv.FormatInt(tensor.Ints(t)[i], 10)
}

// tainted reports, by ID, which values an inexact op reaches.
func tainted(f *ir.Func) []bool {
	t := make([]bool, f.NumIDs)
	for _, v := range f.Values {
		t[v.ID] = inexact(v) || v.Op.Composite() && v.Type.DType.IsFloat() || v.Op == ir.OpArgmax || v.Op == ir.OpArgmin
		for _, a := range v.Args {
			t[v.ID] = t[v.ID] || t[a.ID]
		}
	}
	return t
}

// widen takes one sample into account.
func (e *expectation) widen(got *tensor.Tensor) {
	if e.exact {
		return
	}
	if !e.want.DType().IsFloat() {
		w, g := tensor.Ints(e.want), tensor.Ints(got)
		for i := range w {
			if w[i] != g[i] {
				e.spread[i] = math.Inf(1)
			}
		}
		return
	}
	w, g := tensor.Floats(e.want), tensor.Floats(got)
	for i := range w {
		switch x := tensor.RoundFloat(e.want.DType(), g[i]); {
		case math.IsNaN(w[i]) && math.IsNaN(x), w[i] == x:
		case math.IsNaN(w[i]) || math.IsNaN(x) || math.IsInf(w[i], 0) || math.IsInf(x, 0):
			e.spread[i] = math.Inf(1)
		default:
			e.spread[i] = max(e.spread[i], math.Abs(w[i]-x))
		}
	}
}

// compare returns the first element that differs, or -1, and how many elements
// the function does not define.
func (e *expectation) compare(got *tensor.Tensor) (first int, undefined int) {
	if e.exact || !e.want.DType().IsFloat() {
		return e.compareEqual(got)
	}
	first = -1
	w, g, dt := tensor.Floats(e.want), tensor.Floats(got), e.want.DType()
	for i := range w {
		spread := e.spread[i]
		switch {
		case math.IsInf(spread, 0):
			undefined++
			continue
		case math.IsNaN(w[i]) && math.IsNaN(g[i]), w[i] == g[i]:
			continue
		}
		bound := spreadMargin*spread + 2*(epsilon(dt)*math.Abs(w[i])+smallest(dt))
		if !(math.Abs(w[i]-g[i]) <= bound) && first < 0 {
			first = i
		}
	}
	return first, undefined
}

func (e *expectation) compareEqual(got *tensor.Tensor) (first int, undefined int) {
	w, g := bitsOf(e.want), bitsOf(got)
	for i := range w {
		switch {
		case math.IsInf(e.spread[i], 0):
			undefined++
		case w[i] != g[i]:
			return i, undefined
		}
	}
	return -1, undefined
}

// bitsOf gives elements as bits: -0 differs from 0, any NaN equals any other.
func bitsOf(t *tensor.Tensor) []int64 {
	if !t.DType().IsFloat() {
		return tensor.Ints(t)
	}
	xs := tensor.Floats(t)
	out := make([]int64, len(xs))
	for i, x := range xs {
		if out[i] = int64(math.Float64bits(x)); math.IsNaN(x) {
			out[i] = int64(math.Float64bits(math.NaN()))
		}
	}
	return out
}
