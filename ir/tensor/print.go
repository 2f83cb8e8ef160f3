package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	printColumns = 80
	printAll     = 1000 // tensors beyond this many elements are abbreviated
	printEdge    = 3    // elements shown at each end of an abbreviated dimension
	printLimit   = 8192 // tensors of so high a rank that more would be shown are not
)

// String is the type, the shape and the elements in nested brackets, within 80
// columns; beyond 1000 elements, only the first and last three of a dimension.
//
//	f32[2,3]
//	[[0 1 2]
//	 [3 4 5]]
//
// Of a tensor on a device the first line says so: "f32[2,3] on cuda:0".
func (t *Tensor) String() string {
	if t == nil {
		return "<nil tensor>"
	}
	dims := make([]string, len(t.shape))
	for i, d := range t.shape {
		dims[i] = strconv.Itoa(d)
	}
	p := &printer{abbreviate: t.count > printAll}
	p.b.WriteString(t.dtype.String() + "[" + strings.Join(dims, ",") + "]")
	if t.remote != nil {
		p.b.WriteString(" on " + t.place())
	}
	h, err := t.ToHost()
	if err != nil {
		return p.b.String() + " that cannot be read: " + err.Error()
	}
	t, p.t = h, h
	if t.count == 0 {
		p.b.WriteString(" []")
		return p.b.String()
	}
	if p.countShown() > printLimit {
		fmt.Fprintf(&p.b, " (%d elements)", t.count)
		return p.b.String()
	}
	p.measure(0, t.offset)
	if t.Rank() == 0 {
		p.b.WriteString(" " + p.element(t.offset))
		return p.b.String()
	}
	p.b.WriteString("\n")
	p.dimension(0, t.offset)
	return p.b.String()
}

// printer writes one tensor.
type printer struct {
	t          *Tensor
	b          strings.Builder
	abbreviate bool
	width      int // of the widest element shown
}

// countShown is the number of elements to show, or some number beyond the limit.
func (p *printer) countShown() int {
	n := 1
	for axis := range p.t.shape {
		if n *= len(p.shown(axis)); n > printLimit {
			break
		}
	}
	return n
}

// shown lists the positions of a dimension to show; -1 stands for the ellipsis.
func (p *printer) shown(axis int) []int {
	n := p.t.shape[axis]
	var at []int
	for i := 0; i < n; i++ {
		if p.abbreviate && n > 2*printEdge && i == printEdge {
			at = append(at, -1)
			i = n - printEdge
		}
		at = append(at, i)
	}
	return at
}

// element is the text of the element at a position of the storage.
func (p *printer) element(at int) string {
	dt := p.t.dtype
	raw := p.t.data[at*dt.Size() : (at+1)*dt.Size()]
	if dt.IsFloat() {
		var v [1]float64
		codecs[dt].floats(v[:], raw)
		return formatFloat(v[0])
	}
	var v [1]int64
	codecs[dt].ints(v[:], raw)
	switch dt {
	case Bool:
		return strconv.FormatBool(v[0] != 0)
	case U64:
		return strconv.FormatUint(uint64(v[0]), 10)
	}
	return strconv.FormatInt(v[0], 10)
}

func formatFloat(x float64) string {
	if x == 0 && math.Signbit(x) {
		return "-0"
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// measure finds the widest element that will be shown.
func (p *printer) measure(axis, at int) {
	if axis == p.t.Rank() {
		p.width = max(p.width, len(p.element(at)))
		return
	}
	for _, i := range p.shown(axis) {
		if i >= 0 {
			p.measure(axis+1, at+i*p.t.strides[axis])
		}
	}
}

// dimension writes one bracket.
func (p *printer) dimension(axis, at int) {
	p.b.WriteString("[")
	if axis == p.t.Rank()-1 {
		p.row(axis, at)
	} else {
		for k, i := range p.shown(axis) {
			if k > 0 {
				p.b.WriteString("\n" + strings.Repeat(" ", axis+1))
			}
			if i < 0 {
				p.b.WriteString("...")
				continue
			}
			p.dimension(axis+1, at+i*p.t.strides[axis])
		}
	}
	p.b.WriteString("]")
}

// row writes the innermost dimension, wrapped at the last column.
func (p *printer) row(axis, at int) {
	indent := p.t.Rank()
	column := indent
	for k, i := range p.shown(axis) {
		text := "..."
		if i >= 0 {
			text = fmt.Sprintf("%*s", p.width, p.element(at+i*p.t.strides[axis]))
		}
		if k > 0 {
			if column+1+len(text) > printColumns-indent { // room for the brackets
				p.b.WriteString("\n" + strings.Repeat(" ", indent))
				column = indent
			} else {
				p.b.WriteString(" ")
				column++
			}
		}
		p.b.WriteString(text)
		column += len(text)
	}
}
