package cublas

import (
	"cmp"
	"slices"
)

// axis is an axis of a product, or several that are like one: its size, and its stride
// in those of the tensors that have it.
type axis struct {
	size    int
	strides [3]int // lhs, rhs, out
}

// matrices are the axes of a product whose tensors are matrices, or batches of them:
//
//	lhs[batch, m, k]   rhs[batch, k, n]   out[batch, m, n]      in any order in memory
type matrices struct{ batch, m, n, k axis }

// layout takes the axes of each role together, if they lie in the memory of all tensors
// that have them as one axis does:
//
//	lhs[4,5,7,8]  free {0, 1}   like 20 rows 56 apart      contracted {2, 3}  like 56 columns
func (p *product) layout(at places) (x matrices, ok bool) {
	nb, nm := len(p.batchAxes[lhs]), len(p.freeAxes[lhs])
	for _, role := range []struct {
		to      *axis
		axes    [3][]int64 // by tensor, nil where it has none
		tensors []int      // the first says the order
	}{
		{&x.batch, [3][]int64{p.batchAxes[lhs], p.batchAxes[rhs], count(0, nb)}, []int{out, lhs, rhs}},
		{&x.m, [3][]int64{p.freeAxes[lhs], nil, count(nb, nm)}, []int{out, lhs}},
		{&x.n, [3][]int64{nil, p.freeAxes[rhs], count(nb+nm, len(p.freeAxes[rhs]))}, []int{out, rhs}},
		{&x.k, [3][]int64{p.contras[lhs], p.contras[rhs], nil}, []int{lhs, rhs}},
	} {
		var axes []axis
		first := role.tensors[0]
		for i, a := range role.axes[first] {
			one := axis{size: at[first].Shape[a]}
			for _, t := range role.tensors {
				one.strides[t] = at[t].Strides[role.axes[t][i]]
			}
			axes = append(axes, one)
		}
		if *role.to, ok = together(axes, role.tensors); !ok {
			return x, false
		}
	}
	return x, true
}

// count is n numbers from a first one on.
func count(first, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(first + i)
	}
	return out
}

// together is axes as one, in the order in which they lie in the first tensor, which is
// as good as any. Those of one element lie anywhere.
func together(axes []axis, tensors []int) (axis, bool) {
	axes = slices.DeleteFunc(axes, func(a axis) bool { return a.size == 1 })
	if len(axes) == 0 {
		return axis{size: 1}, true
	}
	slices.SortStableFunc(axes, func(a, b axis) int { return cmp.Compare(b.strides[tensors[0]], a.strides[tensors[0]]) })
	one := axes[len(axes)-1]
	for _, a := range slices.Backward(axes[:len(axes)-1]) {
		for _, t := range tensors {
			if a.strides[t] != one.strides[t]*one.size {
				return axis{}, false
			}
		}
		one.size *= a.size
	}
	return one, true
}
