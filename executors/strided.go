package executors

import (
	"fmt"
	"slices"

	"jitc/ir"
)

// Strided says where the elements of a value lie in the memory of another one, of
// which it is a view: the element at index i at Offset + the sum of i[k]*Strides[k],
// in elements. A stride of 0 repeats, a negative one goes backwards; those of axes
// of one element mean nothing.
type Strided struct {
	Root    *ir.Value // whose elements are contiguous, in row-major order
	Offset  int
	Shape   []int
	Strides []int
}

// StridesOf follows views, at concrete sizes, to what v is a view of:
//
//	%1 = reshape(%0) {shape=[S,3,64]}       %0: f32[S,192], S = 7
//	%2 = transpose(%1) {perm=[1,0,2]}    -> 0, [3,7,64], [64,192,1]
//
// ok is false if its elements do not lie at regular distances, as those of a reshape
// that joins axes of a transposition: v is then its own root.
func StridesOf(v *ir.Value, sizes map[string]int64) (s Strided, ok bool, err error) {
	shape, err := ir.EvalShape(v.Type.Shape, sizes)
	if err != nil {
		return s, false, err
	}
	rule := viewRules[v.Op]
	if rule == nil {
		return InOrder(v, shape), true, nil
	}
	x, ok, err := StridesOf(v.Args[0], sizes)
	if err != nil {
		return s, false, err
	}
	if ok {
		s = Strided{Root: x.Root, Offset: x.Offset, Shape: shape}
		ok, err = rule(v, &x, &s, sizes)
	}
	if err != nil {
		return s, false, fmt.Errorf("%s at %s: %w", v.Op, v.Pos, err)
	}
	if !ok {
		s = InOrder(v, shape)
	}
	return s, ok, nil
}

// StridesInto says where the elements of root are to be stored so that v, which is
// root reshaped and transposed, lies in row-major order at concrete sizes:
//
//	%1 = transpose(%0) {perm=[1,0,2]}       %0: f32[3,S,64], S = 7
//	%2 = reshape(%1) {shape=[S,192]}     -> [3,7,64], [64,192,1]
//
// ok is false if they would not lie at regular distances. Other views than these
// are a programming error.
func StridesInto(v, root *ir.Value, sizes map[string]int64) (s Strided, ok bool, err error) {
	shape, err := ir.EvalShape(v.Type.Shape, sizes)
	if err != nil {
		return s, false, err
	}
	s = InOrder(v, shape)
	for ok = true; ok && v != root; v = v.Args[0] {
		x := Strided{Root: s.Root}
		if x.Shape, err = ir.EvalShape(v.Args[0].Type.Shape, sizes); err != nil {
			return s, false, err
		}
		switch v.Op {
		case ir.OpTranspose:
			x.Strides = make([]int, len(x.Shape))
			for i, p := range v.Attrs.Ints("perm") {
				x.Strides[p] = s.Strides[i]
			}
		case ir.OpReshape:
			ok, err = reshaped(nil, &s, &x, nil)
		default:
			panic(fmt.Sprintf("BUG: executors: a result is stored through %s", v.Op))
		}
		s = x
	}
	return s, ok, err
}

// viewRules find the place of a view, of root and shape as they are, from that of
// its operand.
var viewRules = map[ir.Op]func(v *ir.Value, x, s *Strided, sizes map[string]int64) (ok bool, err error){
	ir.OpReshape:   reshaped,
	ir.OpTranspose: transposed,
	ir.OpBroadcast: broadcasted,
	ir.OpSlice:     sliced,
	ir.OpReverse:   reversed,
}

// InOrder is a value of a shape whose elements lie side by side, in row-major order.
func InOrder(v *ir.Value, shape []int) Strided {
	return Strided{Root: v, Shape: shape, Strides: rowMajor(shape)}
}

// rowMajor are strides by which axes can be taken as one, empty ones too: those of
// tensor.RowMajor go on as if these had an element.
func rowMajor(shape []int) []int {
	out, step := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = step
		step *= shape[i]
	}
	return out
}

func transposed(v *ir.Value, x, s *Strided, _ map[string]int64) (bool, error) {
	for _, p := range v.Attrs.Ints("perm") {
		s.Strides = append(s.Strides, x.Strides[p])
	}
	return true, nil
}

func broadcasted(v *ir.Value, x, s *Strided, _ map[string]int64) (bool, error) {
	s.Strides = make([]int, len(s.Shape))
	for i, a := range v.Attrs.Ints("axes") {
		if x.Shape[i] == s.Shape[a] {
			s.Strides[a] = x.Strides[i]
		}
	}
	return true, nil
}

func sliced(v *ir.Value, x, s *Strided, sizes map[string]int64) (bool, error) {
	starts, err := ir.EvalShape(v.Attrs.Dims("starts"), sizes)
	if err != nil {
		return false, err
	}
	limits, err := ir.EvalShape(v.Attrs.Dims("limits"), sizes)
	if err != nil {
		return false, err
	}
	s.Strides = slices.Clone(x.Strides)
	steps := v.Attrs.Ints("strides")
	for i, n := range x.Shape {
		if starts[i] < 0 || starts[i] > limits[i] || limits[i] > n {
			return false, fmt.Errorf("bounds %d to %d of axis %d with %d elements", starts[i], limits[i], i, n)
		}
		s.Offset += starts[i] * x.Strides[i]
		if steps != nil {
			s.Strides[i] *= int(steps[i])
		}
	}
	return true, nil
}

func reversed(v *ir.Value, x, s *Strided, _ map[string]int64) (bool, error) {
	s.Strides = slices.Clone(x.Strides)
	for _, a := range v.Attrs.Ints("axes") {
		s.Offset += max(s.Shape[a]-1, 0) * s.Strides[a]
		s.Strides[a] = -s.Strides[a]
	}
	return true, nil
}

// reshaped splits axes, and joins those of which one lies within the other.
func reshaped(_ *ir.Value, x, s *Strided, _ map[string]int64) (bool, error) {
	if slices.Contains(s.Shape, 0) {
		s.Strides = rowMajor(s.Shape)
		return true, nil
	}
	s.Strides = make([]int, len(s.Shape))
	i, j := len(x.Shape)-1, len(s.Shape)-1
	for i >= 0 || j >= 0 {
		n, m, from, to := 1, 1, i, j // elements of x's axes (i, from] and of s's (j, to]
		for first := true; first || n != m; first = false {
			if i >= 0 && (n <= m || j < 0) {
				n *= x.Shape[i]
				i--
			} else {
				m *= s.Shape[j]
				j--
			}
		}
		step, ok := joined(x.Shape[i+1:from+1], x.Strides[i+1:from+1])
		if !ok {
			return false, nil
		}
		for k := to; k > j; k-- {
			s.Strides[k] = step
			step *= s.Shape[k]
		}
	}
	return true, nil
}

// joined is the stride of axes taken as one; 0 of axes of one element.
func joined(shape, strides []int) (step int, ok bool) {
	next, first := 0, true // the stride by which the next axis out continues these
	for i := len(shape) - 1; i >= 0; i-- {
		switch {
		case shape[i] == 1:
			continue
		case first:
			step, first = strides[i], false
		case strides[i] != next:
			return 0, false
		}
		next = strides[i] * shape[i]
	}
	return step, true
}
