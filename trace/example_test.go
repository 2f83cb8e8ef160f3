package trace_test

import (
	"fmt"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/trace"
)

// A function of a batch of any size: where it compares sizes, the trace takes the
// answer for the sizes at hand and notes it.
func ExampleRecord() {
	spec := trace.Spec{Name: "head", Inputs: []trace.Input{
		{Path: "x", DType: tensor.F32, Sizes: []dim.Expr{dim.Sym("B"), dim.Const(4)}, Hint: []int{32, 4}},
		{Path: "w", DType: tensor.F32, Sizes: ir.Dims(4, 2), Hint: []int{4, 2}},
	}}
	r, err := trace.Record(spec, func(in []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
		x, w := in[0], in[1]
		if x.Size(0).GreaterEq(16) {
			x = x.Mul(0.5)
		}
		return []*trace.Tensor{x.MatMul(w).Softmax(-1)}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(r.F)
	for _, c := range r.Conditions {
		fmt.Println("holds for", c.Constraint)
	}
	// Output:
	// func @head(%x: f32[B,4], %w: f32[4,2]) -> f32[B,2]
	//     where B >= 16 {
	//   %0: f32[B,4] = constant() {value=0.5}
	//   %1: f32[B,4] = mul(%x, %0)
	//   %2: f32[B,2] = matmul(%1, %w)
	//   %3: f32[B,2] = softmax(%2) {axis=1}
	//   return %3
	// }
	// holds for B >= 16
}

// Outside of a trace an op computes at once.
func ExampleWhile() {
	double := func(x *trace.Tensor) *trace.Tensor { return x.Mul(2) }
	y := trace.While(trace.Ones(tensor.I64, 2), func(x *trace.Tensor) *trace.Tensor { return x.Sum().Lt(100) }, double)
	fmt.Println(y)
	// Output: i64[2]
	// [64 64]
}
