package ir

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// nd is a row-major tensor of float64 for definitions written element by element.
type nd struct {
	shape []int
	data  []float64
}

func ndOf(t *tensor.Tensor) nd { return nd{t.Shape(), tensor.Floats(t)} }

// at is the element at an index; outside of the shape it is 0 and false.
func (a nd) at(index ...int) (float64, bool) {
	flat := 0
	for i, x := range index {
		if x < 0 || x >= a.shape[i] {
			return 0, false
		}
		flat = flat*a.shape[i] + x
	}
	return a.data[flat], true
}

func (a nd) get(index ...int) float64 {
	v, ok := a.at(index...)
	if !ok {
		panic("index out of range")
	}
	return v
}

// indices lists every index of a shape.
func indices(shape []int) [][]int {
	out := [][]int{{}}
	for _, n := range shape {
		var next [][]int
		for _, p := range out {
			for i := range n {
				next = append(next, append(slices.Clone(p), i))
			}
		}
		out = next
	}
	return out
}

// call is one application of an op, as a definition sees it.
type call struct {
	v    *Value
	args []nd
	out  []int
}

// ints is a list attribute, n times def where it is absent.
func (c call) ints(name string, n, def int) []int {
	if !c.v.Attrs.Has(name) {
		return slices.Repeat([]int{def}, n)
	}
	out := []int{}
	for _, x := range c.v.Attrs.Ints(name) {
		out = append(out, int(x))
	}
	return out
}

func (c call) int(name string, def int) int { return int(c.v.Attrs.Int(name, int64(def))) }

// line is x's elements along an axis through index, which lacks that axis.
func line(x nd, axis int, index []int) []float64 {
	out := make([]float64, x.shape[axis])
	for i := range out {
		out[i] = x.get(slices.Insert(slices.Clone(index), axis, i)...)
	}
	return out
}

// over is x's elements along several axes through index, which lacks them.
func over(x nd, axes []int, index []int) []float64 {
	axes = slices.Sorted(slices.Values(axes))
	var sizes []int
	for _, a := range axes {
		sizes = append(sizes, x.shape[a])
	}
	var out []float64
	for _, pos := range indices(sizes) {
		full := slices.Clone(index)
		for i, a := range axes {
			full = slices.Insert(full, a, pos[i])
		}
		out = append(out, x.get(full...))
	}
	return out
}

// definition is the element at index of the op's result.
type definition func(c call, index []int) float64

// requireDefinitions evaluates every sample of each op, in f64 and, where the op
// takes it, i32, against its definition.
func requireDefinitions(t *testing.T, defs map[Op]definition, tol tensor.Tolerance) {
	for op, def := range defs {
		row := op.Row()
		t.Run(row.Name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(op)))
			for _, s := range row.Samples() {
				for _, dt := range []tensor.DType{tensor.F64, tensor.I32} {
					if row.DTypes.Has(dt) {
						requireDefinition(t, op, s.withDType(dt), rng, def, tol)
					}
				}
			}
		})
	}
}

func requireDefinition(t *testing.T, op Op, s Sample, rng *rand.Rand, def definition, tol tensor.Tolerance) {
	t.Helper()
	v, err := applied(op, s)
	require.NoError(t, err)
	c := call{v: v}
	var args []*tensor.Tensor
	for _, at := range s.Args {
		x := sampleTensor(rng, at, s.Lo, s.Hi)
		args, c.args = append(args, x), append(c.args, ndOf(x))
	}
	got, err := EvalValue(v, args, nil)
	require.NoError(t, err)
	c.out = got[0].Shape()
	var want []float64
	for _, index := range indices(c.out) {
		want = append(want, def(c, index))
	}
	require.NoError(t, tensor.Check(got[0], tensor.FromFloats(v.Type.DType, c.out, want), tol), "%s %v", argTypes(v), v.Attrs)
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

func softmaxOf(xs []float64) []float64 {
	top, sum := slices.Max(xs), 0.0
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = math.Exp(x - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
