package ir

import (
	"fmt"
	"math"
	"slices"

	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// The evaluations below move elements by copying between strided views, so that
// one path serves every element type.

// part is the view of a contiguous tensor that starts at an index and steps
// along each axis; shape is within bounds.
func part(t *tensor.Tensor, start, steps, shape []int) (*tensor.Tensor, error) {
	strides, offset := slices.Clone(t.Strides()), t.Offset()
	for i := range strides {
		offset += start[i] * strides[i]
		if steps != nil {
			strides[i] *= steps[i]
		}
	}
	if slices.Contains(shape, 0) {
		offset = 0 // an empty part may start at the operand's end
	}
	return t.View(strides, offset, shape)
}

// copyInto overwrites the part of dst that starts at an index with src.
func copyInto(dst *tensor.Tensor, start []int, src *tensor.Tensor) error {
	to, err := part(dst, start, nil, src.Shape())
	if err != nil {
		return err
	}
	return to.CopyFrom(src)
}

// filled is a row-major tensor with every element that of the scalar.
func filled(scalar *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	all, err := scalar.View(make([]int, len(shape)), scalar.Offset(), shape)
	if err != nil {
		return nil, err
	}
	return all.Clone(), nil
}

func evalPad(c *Call) (*tensor.Tensor, error) {
	low, err := c.Dims("low")
	if err != nil {
		return nil, err
	}
	out, err := filled(c.Args[1], c.Shape)
	if err != nil {
		return nil, err
	}
	return out, copyInto(out, low, c.Args[0])
}

func evalConcat(c *Call) (*tensor.Tensor, error) {
	axis := c.V.Attrs.Int("axis", 0)
	out := tensor.New(c.DType, c.Shape...)
	start := make([]int, len(c.Shape))
	for _, x := range c.Args {
		if err := copyInto(out, start, x); err != nil {
			return nil, err
		}
		start[axis] += x.Shape()[axis]
	}
	return out, nil
}

func evalPatches(c *Call) (*tensor.Tensor, error) {
	x, out := c.Args[0].Contiguous(), tensor.New(c.DType, c.Shape...)
	n := x.Rank() - 2
	s, err := slideOf(c.V, n, nil)
	if err != nil {
		return nil, err
	}
	window := c.Shape[2 : 2+n]
	if out.NumElements() == 0 || x.NumElements() == 0 {
		return out, nil // windows of nothing hold padding only
	}
	return out, eachIndex(window, func(k []int) error {
		return copyPatch(out, x, s, k)
	})
}

// copyPatch copies, for one position k in the window, the elements of all
// windows: out[:,:,k,lo:hi] = x[:,:,from::strides].
func copyPatch(out, x *tensor.Tensor, s slide, k []int) error {
	n := len(k)
	from, steps := make([]int, n+2), []int{1, 1}
	to := append([]int{0, 0}, append(slices.Clone(k), make([]int, n)...)...)
	read := slices.Clone(x.Shape()[:2])
	write := append(slices.Clone(read), slices.Repeat([]int{1}, n)...)
	for i := range k {
		stride, shift := int(s.strides[i]), k[i]*int(s.dilation[i])-int(s.low[i])
		lo, hi := refeval.InRange(x.Shape()[2+i], out.Shape()[2+n+i], stride, shift)
		if lo >= hi {
			return nil
		}
		from[2+i], to[2+n+i] = lo*stride+shift, lo
		steps, read, write = append(steps, stride), append(read, hi-lo), append(write, hi-lo)
	}
	src, err := part(x, from, steps, read)
	if err != nil {
		return err
	}
	dst, err := part(out, to, nil, write)
	if err != nil {
		return err
	}
	// Drop the window's axes, of size 1 here, so that the shapes agree.
	keep := append([]int{dst.Strides()[0], dst.Strides()[1]}, dst.Strides()[2+n:]...)
	if dst, err = dst.View(keep, dst.Offset(), read); err != nil {
		return err
	}
	return dst.CopyFrom(src)
}

// eachIndex calls f with every index of a shape, in row-major order; f must not
// keep the slice.
func eachIndex(shape []int, f func(index []int) error) error {
	index := make([]int, len(shape))
	if slices.Contains(shape, 0) {
		return nil
	}
	for {
		if err := f(index); err != nil {
			return err
		}
		axis := len(shape) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
		if axis < 0 {
			return nil
		}
	}
}

// clampedIndices are the elements of an integer tensor, each clamped to [0, hi].
func clampedIndices(t *tensor.Tensor, hi int) []int {
	out := make([]int, t.NumElements())
	for i, v := range tensor.Ints(t) {
		if v < 0 && t.DType() == tensor.U64 {
			v = math.MaxInt64 // beyond int64, and so beyond every axis
		}
		out[i] = int(min(max(v, 0), int64(hi)))
	}
	return out
}

func evalGather(c *Call) (*tensor.Tensor, error) {
	x, axis, batch := c.Args[0], int(c.V.Attrs.Int("axis", 0)), int(c.V.Attrs.Int("batch_dims", 0))
	out := tensor.New(c.DType, c.Shape...)
	if out.NumElements() == 0 {
		return out, nil
	}
	size := x.Shape()[axis]
	if size == 0 {
		return nil, fmt.Errorf("axis %d of the first operand has size 0: there is nothing to index", axis)
	}
	at := clampedIndices(c.Args[1], size-1)
	src, _ := x.Contiguous().Bytes()
	dst, _ := out.Bytes()
	shared, outer := elements(x.Shape()[:batch]), elements(x.Shape()[batch:axis])
	row := elements(x.Shape()[axis+1:]) * c.DType.Size()
	picks := len(at) / shared
	for i := range shared * outer {
		for _, pick := range at[i/outer*picks:][:picks] {
			copy(dst[:row], src[(i*size+pick)*row:])
			dst = dst[row:]
		}
	}
	return out, nil
}

// elements is the number of elements of a shape.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// clampedStart reads the start operands, clamped so that a part of the given
// sizes fits into shape.
func clampedStart(starts []*tensor.Tensor, shape, sizes []int) ([]int, error) {
	at := make([]int, len(shape))
	for i, s := range starts {
		if sizes[i] < 0 || sizes[i] > shape[i] {
			return nil, fmt.Errorf("a part of size %d does not fit axis %d of size %d", sizes[i], i, shape[i])
		}
		at[i] = clampedIndices(s, shape[i]-sizes[i])[0]
	}
	return at, nil
}

func evalDynamicSlice(c *Call) (*tensor.Tensor, error) {
	x := c.Args[0].Contiguous()
	at, err := clampedStart(c.Args[1:], x.Shape(), c.Shape)
	if err != nil {
		return nil, err
	}
	out, err := part(x, at, nil, c.Shape)
	if err != nil {
		return nil, err
	}
	return out.Clone(), nil
}

func evalDynamicUpdateSlice(c *Call) (*tensor.Tensor, error) {
	x, update := c.Args[0].Clone(), c.Args[1]
	at, err := clampedStart(c.Args[2:], x.Shape(), update.Shape())
	if err != nil {
		return nil, err
	}
	return x, copyInto(x, at, update)
}
