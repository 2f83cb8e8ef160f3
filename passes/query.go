package passes

import (
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// number is a splat's element: rounded to the element type if it is a float
// (then f holds), else n holds; bool is 0 or 1.
type number struct {
	f float64
	n int64
}

// splatNumber is the element of a splat constant.
func splatNumber(v *ir.Value) (number, bool) {
	if v.Op != ir.OpConstant {
		return number{}, false
	}
	dt := v.Type.DType
	switch x := v.Attrs.Get("value").(type) {
	case bool:
		if x {
			return number{n: 1}, true
		}
		return number{}, true
	case int64:
		if dt.IsFloat() {
			return number{f: tensor.RoundFloat(dt, float64(x))}, true
		}
		return number{n: x}, true
	case float64:
		return number{f: tensor.RoundFloat(dt, x)}, true
	}
	return number{}, false
}

func isConstant(v *ir.Value) bool { return v.Op == ir.OpConstant }

func isSplat(v *ir.Value) bool {
	return v.Op == ir.OpConstant && v.Attrs.Has("value")
}

// splatIs reports whether v is a splat of x for floats, told from -x if x is 0,
// or of n for the other types.
func splatIs(v *ir.Value, x float64, n int64) bool {
	s, ok := splatNumber(v)
	switch {
	case !ok:
		return false
	case v.Type.DType.IsFloat():
		return s.f == x && math.Signbit(s.f) == math.Signbit(x)
	case v.Type.DType == tensor.Bool && n == -1:
		return s.n == 1
	}
	return s.n == tensor.Ints(tensor.IntScalar(v.Type.DType, n))[0]
}

// numberAttr is the value attribute of a splat of x for floats, of n for integers
// (wrapped), of n != 0 for bool.
func numberAttr(dt tensor.DType, x float64, n int64) any {
	switch {
	case dt.IsFloat():
		return x
	case dt == tensor.Bool:
		return n != 0
	}
	return tensor.Ints(tensor.IntScalar(dt, n))[0]
}

// lowest and highest are the ends of a type's range: infinities where it has them.
func lowest(dt tensor.DType) (float64, int64) {
	switch {
	case dt == tensor.F8E4M3:
		return -448, 0
	case dt.IsFloat():
		return math.Inf(-1), 0
	case dt.IsSigned():
		return 0, -1 << (8*dt.Size() - 1)
	}
	return 0, 0
}

func highest(dt tensor.DType) (float64, int64) {
	switch {
	case dt == tensor.F8E4M3:
		return 448, 0
	case dt.IsFloat():
		return math.Inf(1), 0
	case dt.IsSigned():
		return 0, math.MaxInt64 >> (64 - 8*dt.Size())
	}
	return 0, -1 // all bits set
}

// withoutAxes are the axes 0 to rank-1 that are not in axes.
func withoutAxes(rank int, axes []int64) []int64 {
	rest := []int64{}
	for a := range int64(rank) {
		if !slices.Contains(axes, a) {
			rest = append(rest, a)
		}
	}
	return rest
}

// pickSizes are the sizes at axes.
func pickSizes(shape []dim.Expr, axes []int64) []dim.Expr {
	out := make([]dim.Expr, len(axes))
	for i, a := range axes {
		out[i] = shape[a]
	}
	return out
}

// isConstOne reports whether a size is the constant 1.
func isConstOne(e dim.Expr) bool {
	n, ok := e.Const()
	return ok && n == 1
}

// unitReshape reports whether a reshape only adds and drops axes of size 1, and
// then gives for each axis of to its axis in from, -1 for those that are new.
// Axes of size 1 pair up between the same neighbours, first with first.
func (e *rewriter) unitReshape(from, to []dim.Expr) (axes []int64, ok bool) {
	axes = make([]int64, len(to))
	i := 0
	for j, size := range to {
		axes[j] = -1
		if isConstOne(size) {
			if i < len(from) && isConstOne(from[i]) {
				axes[j] = int64(i)
				i++
			}
			continue
		}
		for i < len(from) && isConstOne(from[i]) {
			i++
		}
		if i == len(from) || !e.equal(from[i], size) {
			return nil, false
		}
		axes[j] = int64(i)
		i++
	}
	for ; i < len(from); i++ {
		if !isConstOne(from[i]) {
			return nil, false
		}
	}
	return axes, true
}
