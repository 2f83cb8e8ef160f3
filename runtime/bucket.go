package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Buckets say to which sizes a dimension is padded, so that few recordings serve
// many sizes.
type Buckets interface {
	// Bucket is the least size of the buckets that is n or more; false if there is
	// none.
	Bucket(n int64) (int64, bool)
	String() string
}

// Listed buckets are the given sizes, in any order.
func Listed(sizes ...int64) Buckets { return sizeList(slices.Sorted(slices.Values(sizes))) }

type sizeList []int64

func (l sizeList) Bucket(n int64) (int64, bool) {
	at, _ := slices.BinarySearch(l, n)
	if at == len(l) {
		return 0, false
	}
	return l[at], true
}

func (l sizeList) String() string {
	parts := make([]string, len(l))
	for i, n := range l {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, ", ")
}

// PowersOfTwo are the powers of two from least on, which is rounded up to one.
func PowersOfTwo(least int64) Buckets { return powers(max(least, 1)) }

type powers int64

func (p powers) Bucket(n int64) (int64, bool) {
	for b := int64(1); b > 0; b <<= 1 {
		if b >= max(n, int64(p)) {
			return b, true
		}
	}
	return 0, false
}

func (p powers) String() string { return fmt.Sprintf("powers of two from %d", int64(p)) }

// Steps are the multiples of step, at least 1.
func Steps(step int64) Buckets { return steps(max(step, 1)) }

type steps int64

func (s steps) Bucket(n int64) (int64, bool) {
	if n > math.MaxInt64-int64(s) {
		return 0, false
	}
	return (max(n, 1) + int64(s) - 1) / int64(s) * int64(s), true
}

func (s steps) String() string { return fmt.Sprintf("multiples of %d", int64(s)) }

// Padded is a trace whose program takes padded arguments.
type Padded struct {
	F    *ir.Func // of the trace's parameters, then one i64 scalar per dimension: its true size
	Dims []PaddedDim
}

// PaddedDim is a symbol and the sizes that it is padded to.
type PaddedDim struct {
	Sym     string
	Buckets Buckets
}

// BucketError is a size that no bucket takes.
type BucketError struct {
	Sym     string
	Size    int64
	Buckets string
	Err     error // what the bucket's size breaks; nil if there is no bucket
}

// Error is one line.
func (e *BucketError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s = %d: its bucket cannot be: %v (buckets: %s; choose them inside the declared range)", e.Sym, e.Size, e.Err, e.Buckets)
	}
	return fmt.Sprintf("%s = %d is larger than every bucket: expected one of %s", e.Sym, e.Size, e.Buckets)
}

// Unwrap is what the bucket's size breaks.
func (e *BucketError) Unwrap() error { return e.Err }

// Bucket is the sizes to pad to. The error is a *BucketError where no bucket takes
// a size, or the bucket's breaks a fact.
func (p *Padded) Bucket(sizes map[string]int64) (map[string]int64, error) {
	out := maps.Clone(sizes)
	for _, d := range p.Dims {
		b, ok := d.Buckets.Bucket(sizes[d.Sym])
		if !ok {
			return nil, &BucketError{Sym: d.Sym, Size: sizes[d.Sym], Buckets: d.Buckets.String()}
		}
		out[d.Sym] = b
	}
	for sym := range out { // what others determine goes along
		if e := p.F.Facts.Simplify(dim.Sym(sym)); !e.Equal(dim.Sym(sym)) {
			n, err := e.Eval(out)
			if err != nil {
				return nil, err
			}
			out[sym] = n
		}
	}
	if err := p.F.Facts.Check(out); err != nil {
		var v *dim.Violation
		if !errors.As(err, &v) {
			return nil, err
		}
		d := p.Dims[max(0, slices.IndexFunc(p.Dims, func(d PaddedDim) bool { return d.Sym == v.Sym }))]
		return nil, &BucketError{Sym: d.Sym, Size: sizes[d.Sym], Buckets: d.Buckets.String(), Err: err}
	}
	return out, nil
}

// padding is how the tensors of one admission are padded. Immutable.
type padding struct {
	params  [][]int // by parameter: the padded shape, nil for one that fits as it is
	results [][]int // by result: the true shape
	valid   []*tensor.Tensor
}

func (p *Padded) padding(sizes, buckets map[string]int64) (*padding, error) {
	out := &padding{}
	n := len(p.F.Params) - len(p.Dims)
	for _, v := range p.F.Params[:n] {
		padded, err := ir.EvalShape(v.Type.Shape, buckets)
		if err != nil {
			return nil, err
		}
		exact, err := ir.EvalShape(v.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		if slices.Equal(padded, exact) {
			padded = nil
		}
		out.params = append(out.params, padded)
	}
	for _, d := range p.Dims {
		out.valid = append(out.valid, tensor.FromInts(tensor.I64, []int{}, []int64{sizes[d.Sym]}))
	}
	for _, r := range p.F.Results { // of which the first elements are those of the true sizes
		shape, err := ir.EvalShape(r.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		out.results = append(out.results, shape)
	}
	return out, nil
}

// padBuffers is the memory of padded arguments, by parameter. Elements beyond the
// true sizes are whatever was there: the program does not let them matter.
type padBuffers struct{ args []*tensor.Tensor }

// runPadded runs the recording on padded copies of the arguments.
func (a *Admission) runPadded(ctx context.Context, c *call.Call, results []*tensor.Tensor, w executors.Workers) ([]*tensor.Tensor, error) {
	buf, _ := a.recorded.pads.Get().(*padBuffers)
	if buf == nil {
		buf = &padBuffers{args: make([]*tensor.Tensor, len(a.padding.params))}
	}
	defer a.recorded.pads.Put(buf)
	if results != nil {
		if err := apart(a.Entry.Traced.arguments(c), results); err != nil {
			return nil, err
		}
	}
	in, err := a.padInputs(c, buf)
	if err != nil {
		return nil, err
	}
	in.ctx = ctx
	padded := a.Recording.Results()
	if err := a.Recording.run(in, padded, w, nil); err != nil {
		return nil, err
	}
	out, err := a.padding.cut(padded, results)
	if err != nil || results != nil {
		return out, err
	}
	return a.Recording.follow(c, out)
}

// padInputs are the arguments, padded, and the true sizes. Frozen sets stay sets
// where none of their tensors is padded.
func (a *Admission) padInputs(c *call.Call, buf *padBuffers) (*inputs, error) {
	in := &inputs{extra: append(slices.Clone(a.Entry.Traced.extra(c)), a.padding.valid...)}
	given, n := c.Tensors, c.NumTensors()
	if slices.ContainsFunc(a.padding.params[len(given):n], func(shape []int) bool { return shape != nil }) {
		given = a.Entry.Traced.arguments(c)[:n]
	} else {
		in.frozen = c.Frozen
	}
	for i, t := range given {
		p, err := a.padding.pad(i, t, buf)
		if err != nil {
			return nil, err
		}
		in.leaves = append(in.leaves, p)
	}
	return in, nil
}

// pad copies argument i to the head of its padded buffer.
func (p *padding) pad(i int, t *tensor.Tensor, buf *padBuffers) (*tensor.Tensor, error) {
	if p.params[i] == nil {
		return t, nil
	}
	if buf.args[i] == nil {
		if _, err := tensor.Affordable(t.DType(), p.params[i]); err != nil {
			return nil, err
		}
		buf.args[i] = tensor.New(t.DType(), p.params[i]...)
	}
	head, err := buf.args[i].View(buf.args[i].Strides(), 0, t.Shape())
	if err != nil {
		return nil, err
	}
	return buf.args[i], head.CopyFrom(t)
}

// cut takes the results out of the padded ones, into given tensors if there are
// any.
func (p *padding) cut(padded, results []*tensor.Tensor) ([]*tensor.Tensor, error) {
	heads := make([]*tensor.Tensor, len(padded))
	for i, t := range padded {
		head, err := t.View(t.Strides(), 0, p.results[i])
		if err != nil {
			return nil, err
		}
		heads[i] = head
		if results == nil && !head.IsContiguous() {
			heads[i] = head.Contiguous()
		}
	}
	return into(results)(heads, nil)
}

// resultLayouts are those of the true sizes.
func (p *padding) resultLayouts(r *Recording) []*tensor.Layout {
	out := make([]*tensor.Layout, len(p.results))
	for i, shape := range p.results {
		out[i] = tensor.LayoutOf(r.resultLayouts[i].DType, shape)
	}
	return out
}
