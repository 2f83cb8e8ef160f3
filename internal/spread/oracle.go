package spread

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

// expectation is what a result must be.
type expectation struct {
	want   *tensor.Tensor
	spread []float64 // by element: what errors did; +Inf: not defined
	exact  bool      // no inexact op reaches the result
}

// Oracle knows what a function must give for some arguments. Safe for concurrent
// use.
type Oracle struct {
	f     *ir.Func
	args  []*tensor.Tensor
	sizes map[string]int64

	mu      sync.Mutex
	rng     *rand.Rand
	results []expectation
	samples int
}

// New evaluates f and its first samples.
func New(rng *rand.Rand, f *ir.Func, args []*tensor.Tensor, sizes map[string]int64) (*Oracle, error) {
	want, err := ir.Eval(f, args, sizes)
	if err != nil {
		return nil, err
	}
	o := &Oracle{f: f, args: args, sizes: sizes, rng: rng, results: make([]expectation, len(want))}
	reached := tainted(f)
	for i, w := range want {
		o.results[i] = expectation{w, make([]float64, w.NumElements()), !reached[f.Results[i].ID]}
	}
	return o, o.sample(fewSamples)
}

// Results are those of ir.Eval. They must not be written.
func (o *Oracle) Results() []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(o.results))
	for i, r := range o.results {
		out[i] = r.want
	}
	return out
}

// sample draws until there are n samples.
func (o *Oracle) sample(n int) error {
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

// Check holds results to what they must be. Where a few samples do not explain a
// difference, many have to fail to.
func (o *Oracle) Check(sum *Tally, got []*tensor.Tensor) error {
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
		sum.Elements += e.want.NumElements()
		sum.Undefined += undefined
		if first >= 0 {
			return fmt.Errorf("result %d (%s%v), element %d: expected %s, got %s, spread %g, exact %v", i, e.want.DType(), e.want.Shape(),
				first, element(e.want, first), element(got[i], first), e.spread[first], e.exact)
		}
	}
	return nil
}

// Tally counts what was compared.
type Tally struct{ Elements, Undefined int }

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
