package refeval

// Convolution is the geometry of a convolution of row-major operands
//
//	x   [N, Groups*C, In...]
//	w   [Groups*O, C, Kernel...]
//	out [N, Groups*O, Out...]
//
// where every list has the (positive) number of spatial axes as its length.
// Out positions read x at out*Stride + k*Dilation - PadLow; what lies outside
// of x counts as zero.
type Convolution struct {
	N, Groups, C, O          int
	In, Kernel, Out          []int
	Stride, Dilation, PadLow []int
}

// Convolve computes the cross-correlation into out, which holds zeros.
func Convolve[A Accum](out, x, w []A, g Convolution) {
	in, kernel, result := product(g.In), product(g.Kernel), product(g.Out)
	if in == 0 || result == 0 {
		return
	}
	channels := g.Groups * g.O
	Parallel(g.N*channels, func(task int) {
		n, o := task/channels, task%channels
		p := plane[A]{g: &g, out: out[task*result:][:result]}
		for c := range g.C {
			p.x = x[(n*g.Groups*g.C+o/g.O*g.C+c)*in:][:in]
			p.w = w[(o*g.C+c)*kernel:][:kernel]
			p.add(0, 0, 0, 0)
		}
	})
}

// plane adds the correlation of one input channel with one filter channel to
// one output channel.
type plane[A Accum] struct {
	g         *Convolution
	out, x, w []A
}

// add walks the spatial axes from axis on; o, i and k are the flat positions
// that the outer axes have chosen in out, x and w.
func (p *plane[A]) add(axis, o, i, k int) {
	g := p.g
	o, i, k = o*g.Out[axis], i*g.In[axis], k*g.Kernel[axis]
	for at := range g.Kernel[axis] {
		shift := at*g.Dilation[axis] - g.PadLow[axis]
		lo, hi := InRange(g.In[axis], g.Out[axis], g.Stride[axis], shift)
		if axis == len(g.Kernel)-1 {
			addRow(p.out[o+lo:o+max(lo, hi)], p.x[i:i+g.In[axis]], p.w[k+at], g.Stride[axis], lo*g.Stride[axis]+shift)
			continue
		}
		for pos := lo; pos < hi; pos++ {
			p.add(axis+1, o+pos, i+pos*g.Stride[axis]+shift, k+at)
		}
	}
}

func addRow[A Accum](out, x []A, w A, stride, at int) {
	for j := range out {
		out[j] += w * x[at]
		at += stride
	}
}

// InRange is the range [lo, hi) of output positions, below outs, whose input
// position pos*stride + shift lies in [0, size); stride is positive.
func InRange(size, outs, stride, shift int) (lo, hi int) {
	if shift < 0 {
		lo = (-shift + stride - 1) / stride
	}
	if last := size - 1 - shift; last >= 0 {
		hi = last/stride + 1
	}
	return min(lo, outs), min(hi, outs)
}

func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}
