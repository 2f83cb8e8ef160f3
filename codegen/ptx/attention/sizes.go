package attention

import (
	"fmt"
	"math"
)

// Strides say where the elements of an operand are, in elements.
type Strides struct {
	Lead []int // of the leading axes, as many as Sizes.Lead
	Row  int   // from a query, or key, to the next; of the mask: from a query
	Col  int   // from a column to the next: 1 but for the mask, where it is from a key
}

// Sizes are a problem's concrete sizes. An operand that is the same for all indices
// of an axis has stride 0 there (grouped heads, broadcast masks).
type Sizes struct {
	Lead          []int // of the leading axes: batch, heads, ...
	Queries, Keys int
	Q, K, V, O    Strides
	Mask          Strides // where there is one
	Scale         float64 // 1/sqrt(head dimension), usually
}

// Contiguous are the strides of an operand [lead..., rows, cols] in row-major order.
func Contiguous(lead []int, rows, cols int) Strides {
	s := Strides{Lead: make([]int, len(lead)), Row: cols, Col: 1}
	step := rows * cols
	for i := len(lead) - 1; i >= 0; i-- {
		s.Lead[i] = step
		step *= lead[i]
	}
	return s
}

const (
	maxLead   = 3                    // leading axes that kernels know
	maxLength = math.MaxInt32 - 1024 // queries, or keys: with a tile more, still an i32
)

// operand is one of those with strides.
type operand struct {
	name    string
	strides *Strides
	cols    int
	align   int // of its rows, in elements
	size    int // bytes of an element
}

// operands of a problem; strides are those of s.
func (p Problem) operands(s *Sizes) []operand {
	size := p.DType.Size()
	align := func(cols int) int { return chunkBytes(p.align(), cols*size) / size }
	out := align(p.ValueDim)
	if p.narrow() {
		out = 2
	}
	ops := []operand{
		{"q", &s.Q, p.HeadDim, align(p.HeadDim), size}, {"k", &s.K, p.HeadDim, align(p.HeadDim), size},
		{"v", &s.V, p.ValueDim, align(p.ValueDim), size}, {"o", &s.O, p.ValueDim, out, size},
	}
	switch p.Mask {
	case BoolMask:
		ops = append(ops, operand{"mask", &s.Mask, 0, 1, 1})
	case AddMask:
		ops = append(ops, operand{"mask", &s.Mask, 0, 1, size})
	}
	return ops
}

// check says what is wrong with sizes, and with the strides of operands.
func (s *Sizes) check(ops []operand) error {
	for _, n := range append([]int{s.Queries, s.Keys}, s.Lead...) {
		if n < 0 {
			return fmt.Errorf("attention: sizes: expected none below 0, got %v, %d queries, %d keys", s.Lead, s.Queries, s.Keys)
		}
	}
	if max(s.Queries, s.Keys) > maxLength {
		return fmt.Errorf("attention: sizes: expected at most %d queries and keys, got %d and %d", maxLength, s.Queries, s.Keys)
	}
	lead := 1
	for _, n := range s.Lead {
		if n > math.MaxInt32/max(lead, 1) {
			return fmt.Errorf("attention: sizes: expected fewer than 2**31 leading indices, got %v", s.Lead)
		}
		lead *= n
	}
	if math.IsNaN(s.Scale) || math.IsInf(s.Scale, 0) {
		return fmt.Errorf("attention: scale: expected a finite number, got %v", s.Scale)
	}
	for _, o := range ops {
		if err := o.check(s); err != nil {
			return err
		}
	}
	return nil
}

func (o operand) check(s *Sizes) error {
	if len(o.strides.Lead) != len(s.Lead) {
		return fmt.Errorf("attention: strides of %s: expected %d of leading axes, got %d", o.name, len(s.Lead), len(o.strides.Lead))
	}
	if o.cols > 1 && o.strides.Col != 1 {
		return fmt.Errorf("attention: strides of %s: expected 1 between columns, got %d (hint: copy it)", o.name, o.strides.Col)
	}
	for i, n := range append([]int{o.strides.Row}, o.strides.Lead...) {
		if i > 0 && s.Lead[i-1] == 1 {
			continue // nobody uses it
		}
		if n%o.align != 0 {
			return fmt.Errorf("attention: strides of %s: expected multiples of %d elements, got %d (hint: a smaller Problem.Align)", o.name, o.align, n)
		}
	}
	return nil
}

// folded are sizes with exactly maxLead leading axes: axes whose strides allow it
// are merged, and the innermost one becomes part of the queries where keys and values do
// not depend on it (grouped heads) and no operand tells its indices from queries.
func (p Problem) folded(s Sizes) (Sizes, error) {
	f := Sizes{Queries: s.Queries, Keys: s.Keys, Scale: s.Scale}
	ops := p.operands(&f)
	f.Lead = foldLead(s.Lead, p.operands(&s), ops)
	p.foldQueries(&f)
	var err error
	f.Lead, err = padLead(f.Lead, ops)
	return f, err
}

// foldLead merges leading axes whose strides, of all operands of from, allow it. It
// returns the extents, and sets the strides of to, which are the same operands.
func foldLead(extents []int, from, to []operand) []int {
	var lead []int
	for i := range to {
		to[i].strides.Row, to[i].strides.Col = from[i].strides.Row, from[i].strides.Col
	}
	for axis, n := range extents {
		if n == 1 {
			continue
		}
		last := len(lead) - 1
		merges := last >= 0
		for i := range to {
			merges = merges && to[i].strides.Lead[last] == n*from[i].strides.Lead[axis]
		}
		if !merges {
			lead = append(lead, 1)
			last++
		}
		lead[last] *= n
		for i := range to {
			to[i].strides.Lead = append(to[i].strides.Lead[:last:last], from[i].strides.Lead[axis])
		}
	}
	return lead
}

// padLead puts axes of extent 1 in front.
func padLead(lead []int, ops []operand) ([]int, error) {
	if len(lead) > maxLead {
		return nil, fmt.Errorf("attention: leading axes: expected strides by which they are at most %d, got %v (hint: copy to contiguous memory)",
			maxLead, lead)
	}
	for len(lead) < maxLead {
		lead = append([]int{1}, lead...)
		for i := range ops {
			ops[i].strides.Lead = append([]int{0}, ops[i].strides.Lead...)
		}
	}
	return lead, nil
}

// foldQueries makes queries of the innermost leading axis, if it can.
func (p Problem) foldQueries(f *Sizes) {
	last := len(f.Lead) - 1
	if p.Causal || last < 0 || f.Lead[last]*f.Queries > maxLength {
		return
	}
	for _, o := range p.operands(f) {
		step := o.strides.Lead[last]
		switch o.name {
		case "k", "v":
			if step != 0 {
				return
			}
		default:
			if f.Queries > 1 && step != f.Queries*o.strides.Row {
				return
			}
		}
	}
	for _, o := range p.operands(f) {
		if f.Queries == 1 && o.name != "k" && o.name != "v" {
			o.strides.Row = o.strides.Lead[last]
		}
		o.strides.Lead = o.strides.Lead[:last]
	}
	f.Queries *= f.Lead[last]
	f.Lead = f.Lead[:last]
}

// Takes reports whether the kernels can read an operand of sizes where it lies: with
// its strides, and its first element that many elements behind an address at a
// multiple of 16 bytes. Others are to be copied.
func (p Problem) Takes(which Operand, s Sizes, offset int) bool {
	for i, o := range p.operands(&s) {
		if which != [...]Operand{Q, K, V, O, Mask}[i] {
			continue
		}
		for axis, step := range o.strides.Lead {
			if step < 0 && s.Lead[axis] > 1 {
				return false
			}
		}
		return o.strides.Row >= 0 && o.strides.Col >= 0 && offset%o.align == 0 && o.check(&s) == nil
	}
	return false
}
