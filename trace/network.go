package trace

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Softmax is exp(t) / sum(exp(t)) along an axis.
func (t *Tensor) Softmax(axis int) *Tensor { return t.normalise("Softmax", ir.OpSoftmax, axis) }

// LogSoftmax is the logarithm of Softmax.
func (t *Tensor) LogSoftmax(axis int) *Tensor {
	return t.normalise("LogSoftmax", ir.OpLogSoftmax, axis)
}

func (t *Tensor) normalise(name string, op ir.Op, axis int) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		return s.op(op, []term{s.floats(x[0])}, attr("axis", int64(s.axis(axis, x[0].rank()))))
	})
}

// LayerNorm is (t - mean) * rsqrt(variance + eps) * weight + bias over axes, by
// default as many of the last ones as weight has, else the last. Weight and bias
// have those axes' sizes; nil for none.
func (t *Tensor) LayerNorm(weight, bias *Tensor, eps float64, axes ...int) *Tensor {
	if weight == nil && bias != nil {
		return t.LayerNorm(nil, nil, eps, axes...).Add(bias)
	}
	return t.norm("LayerNorm", ir.OpLayerNorm, optional([]*Tensor{t}, weight, bias), eps, axes)
}

// RMSNorm is t * rsqrt(mean(t*t) + eps) * weight over axes, by default as many of
// the last ones as weight has, else the last. Nil for no weight.
func (t *Tensor) RMSNorm(weight *Tensor, eps float64, axes ...int) *Tensor {
	return t.norm("RMSNorm", ir.OpRMSNorm, optional([]*Tensor{t}, weight), eps, axes)
}

func (t *Tensor) norm(name string, op ir.Op, operands []any, eps float64, axes []int) *Tensor {
	return do(name, operands, func(s *scope, x []term) term {
		xs := s.promote(x...)
		xs[0] = s.floats(xs[0])
		n := 1
		if len(xs) > 1 {
			n = xs[1].rank()
		}
		if len(axes) == 0 {
			for i := range min(n, xs[0].rank()) {
				axes = append(axes, i-min(n, xs[0].rank()))
			}
		}
		at := s.axes(xs[0], axes)
		for _, w := range xs[1:] {
			for i := range min(len(at), w.rank()) {
				s.sameSize(xs[0], w, int(at[i]), i, "the weights fit the normalised axes")
			}
		}
		attrs := []ir.Attr{attr("eps", eps)}
		if len(at) != 1 || at[0] != int64(xs[0].rank()-1) {
			attrs = append(attrs, attr("axes", at))
		}
		return s.op(op, xs, attrs...)
	})
}

// BatchNorm is (t - mean) * rsqrt(variance + eps) * weight + bias per channel, axis
// 1; the others have one element for each channel.
func (t *Tensor) BatchNorm(mean, variance, weight, bias *Tensor, eps float64) *Tensor {
	return do("BatchNorm", anys([]*Tensor{t, mean, variance, weight, bias}), func(s *scope, x []term) term {
		xs := s.promote(x...)
		if xs[0].rank() >= 2 {
			for _, c := range xs[1:] {
				if c.rank() == 1 {
					s.sameSize(xs[0], c, 1, 0, "one element for each channel")
				}
			}
		}
		return s.op(ir.OpBatchNorm, xs, attr("eps", eps))
	})
}

// ConvOptions say how a convolution's windows lie over the spatial axes. A list of
// one element is for all of them; nil is the default.
type ConvOptions struct {
	Stride      []int // distance of neighbouring windows; default 1
	Padding     []int // zeros before and after; default 0
	PaddingHigh []int // zeros after, where they are not as many; default Padding
	Dilation    []int // distance of a window's neighbouring elements; default 1
	Groups      int   // of channels; default 1
}

// Conv2D is the cross-correlation of t[N, C, H, W] with w[O, C/groups, h, w], plus
// bias[O]; nil for none.
func (t *Tensor) Conv2D(w, bias *Tensor, o ConvOptions) *Tensor {
	return t.convolve("Conv2D", 2, w, bias, o)
}

// Conv1D is the cross-correlation of t[N, C, L] with w[O, C/groups, l], plus
// bias[O]; nil for none.
func (t *Tensor) Conv1D(w, bias *Tensor, o ConvOptions) *Tensor {
	return t.convolve("Conv1D", 1, w, bias, o)
}

func (t *Tensor) convolve(name string, spatial int, w, bias *Tensor, o ConvOptions) *Tensor {
	return do(name, optional([]*Tensor{t, w}, bias), func(s *scope, x []term) term {
		xs := s.promote(x...)
		if xs[0].rank() != spatial+2 || xs[1].rank() != spatial+2 {
			s.rec.fail("wrong rank", fmt.Sprintf("input and weights of rank %d", spatial+2), typesOf(xs[:2]), "")
		}
		high := o.PaddingHigh
		if high == nil {
			high = o.Padding
		}
		groups := max(o.Groups, 1)
		for i := range spatial {
			xs[1] = s.fixed(xs[1], i+2, "the size of a filter is a constant")
		}
		s.rec.equal(xs[0].size(1), xs[1].size(1).Mul(dim.Const(int64(groups))), "channels of the input and the weights")
		y := s.op(ir.OpConvolution, xs[:2], attr("strides", s.perAxis("Stride", o.Stride, 1, spatial)),
			attr("padding_low", s.perAxis("Padding", o.Padding, 0, spatial)), attr("padding_high", s.perAxis("PaddingHigh", high, 0, spatial)),
			attr("dilation", s.perAxis("Dilation", o.Dilation, 1, spatial)), attr("groups", int64(groups)))
		if len(xs) < 3 {
			return y
		}
		b := xs[2]
		if b.rank() != 1 || !s.rec.equal(b.size(0), y.size(1), "the bias has one element for each output channel") {
			s.rec.fail("the bias does not fit", fmt.Sprintf("[%s]", y.size(1)), b.typ().String(), "")
		}
		column := []dim.Expr{b.size(0)}
		for range spatial {
			column = append(column, dim.Const(1))
		}
		return s.op(ir.OpAdd, []term{y, s.toShape(s.reshape(b, column), y.shape())})
	})
}

// perAxis is an option as one integer for each axis.
func (s *scope) perAxis(name string, given []int, def, n int) []int64 {
	if len(given) == 0 {
		given = []int{def}
	}
	if len(given) != 1 && len(given) != n {
		s.rec.fail("wrong number of "+name, fmt.Sprintf("1 or %d", n), fmt.Sprint(given), "one for each spatial axis")
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(given[min(i, len(given)-1)])
	}
	return out
}

// PoolOptions say how a pool's windows lie over the spatial axes. A list of one
// element is for all of them; nil is the default.
type PoolOptions struct {
	Window     []int // size of the window; needed
	Stride     []int // distance of neighbouring windows; default the window
	Padding    []int // elements before and after; default 0
	Dilation   []int // distance of a window's neighbouring elements; default 1
	ExcludePad bool  // AvgPool2D: divide by the elements without padding
}

// MaxPool2D is the greatest element of each window of t[N, C, H, W].
func (t *Tensor) MaxPool2D(o PoolOptions) *Tensor { return t.pool("MaxPool2D", ir.OpMaxPool, o) }

// AvgPool2D is the mean of each window of t[N, C, H, W], padding counting as zeros.
func (t *Tensor) AvgPool2D(o PoolOptions) *Tensor {
	return t.pool("AvgPool2D", ir.OpAvgPool, o, attr("count_include_pad", !o.ExcludePad))
}

func (t *Tensor) pool(name string, op ir.Op, o PoolOptions, more ...ir.Attr) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		if x[0].rank() != 4 {
			s.rec.fail("wrong rank", "rank 4", x[0].typ().String(), "")
		}
		if len(o.Window) == 0 {
			s.rec.fail("no window", "PoolOptions.Window", "none", "")
		}
		stride := o.Stride
		if len(stride) == 0 {
			stride = o.Window
		}
		attrs := append(more, attr("window", s.perAxis("Window", o.Window, 1, 2)), attr("strides", s.perAxis("Stride", stride, 1, 2)),
			attr("padding", s.perAxis("Padding", o.Padding, 0, 2)), attr("dilation", s.perAxis("Dilation", o.Dilation, 1, 2)))
		return s.op(op, x, attrs...)
	})
}

// AttentionOptions say how Attention weighs keys.
type AttentionOptions struct {
	Mask   *Tensor // [L, S] or [..., L, S]: bool (true: attend), or added
	Causal bool    // query i attends to keys j <= i
	Scale  float64 // factor of the products; 0: 1/sqrt(E)
}

// Attention is softmax(scale * q k^T + mask) v of q[..., L, E], k[..., S, E] and
// v[..., S, D]; their leading axes are broadcast.
func Attention(q, k, v *Tensor, o AttentionOptions) *Tensor {
	return do("Attention", optional([]*Tensor{q, k, v}, o.Mask), func(s *scope, x []term) term {
		xs := s.promote(x[:3]...)
		for i, y := range xs {
			if xs[i] = s.floats(y); y.rank() < 2 {
				s.rec.fail("rank is too low", "rank 2 or more", typesOf(xs), "")
			}
		}
		s.alignAttention(xs)
		if len(x) == 4 {
			mask := x[3]
			if mask.dtype() != tensor.Bool {
				mask = s.to(mask, xs[0].dtype())
			}
			xs = append(xs, s.alignMask(mask, xs[0], xs[1]))
		}
		var attrs []ir.Attr
		if o.Causal {
			attrs = append(attrs, attr("causal", true))
		}
		if o.Scale != 0 {
			attrs = append(attrs, attr("scale", o.Scale))
		}
		return s.op(ir.OpAttention, xs, attrs...)
	})
}

// alignAttention broadcasts the leading axes of queries, keys and values.
func (s *scope) alignAttention(xs []term) {
	var lead []dim.Expr
	for _, x := range xs {
		lead = s.joinShape(lead, x.shape()[:x.rank()-2], xs)
	}
	for i, x := range xs {
		xs[i] = s.toShape(x, append(slices.Clone(lead), x.shape()[x.rank()-2:]...))
	}
	q, k, v := xs[0], xs[1], xs[2]
	s.sameSize(q, k, q.rank()-1, k.rank()-1, "queries and keys have one width")
	s.sameSize(k, v, k.rank()-2, v.rank()-2, "one value for each key")
}

// alignMask decides that the mask is [L, S], or that many with leading axes.
func (s *scope) alignMask(mask, q, k term) term {
	want := append(slices.Clone(q.shape()[:q.rank()-1]), k.size(k.rank()-2))
	if mask.rank() > len(want) {
		return mask // the type rule says what is wrong
	}
	s.joinShape(want, mask.shape(), []term{q, k, mask})
	n := mask.rank()
	if n >= 2 {
		last := mask.shape()[n-2:]
		if s.isOne(last[0]) || s.isOne(last[1]) {
			mask = s.toShape(mask, append(slices.Clone(mask.shape()[:n-2]), want[len(want)-2:]...))
		}
	} else {
		mask = s.toShape(mask, want[len(want)-2:])
	}
	if mask.rank() == 2 {
		return mask
	}
	shape := slices.Clone(mask.shape())
	for i, e := range shape[:len(shape)-2] {
		if s.isOne(e) {
			shape[i] = dim.Const(1)
		}
	}
	for len(shape) < len(want) {
		shape = slices.Insert(shape, 0, dim.Const(1))
	}
	return s.restate(mask, shape)
}

// CrossEntropyOptions say how CrossEntropy folds its losses.
type CrossEntropyOptions struct {
	Reduction   string // "mean", "sum" or "none"; default mean
	IgnoreIndex *int   // label that does not count; nil: none
}

// CrossEntropy is the loss of logits t[N, C] for integer labels[N].
func (t *Tensor) CrossEntropy(labels *Tensor, o CrossEntropyOptions) *Tensor {
	return do("CrossEntropy", []any{t, labels}, func(s *scope, x []term) term {
		var attrs []ir.Attr
		if o.Reduction != "" {
			attrs = append(attrs, attr("reduction", o.Reduction))
		}
		if o.IgnoreIndex != nil {
			attrs = append(attrs, attr("ignore_index", int64(*o.IgnoreIndex)))
		}
		if x[0].rank() == 2 && x[1].rank() == 1 {
			s.sameSize(x[0], x[1], 0, 0, "one label for each row")
		}
		return s.op(ir.OpCrossEntropy, []term{s.floats(x[0]), x[1]}, attrs...)
	})
}
