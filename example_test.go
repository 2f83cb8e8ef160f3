package jitc_test

import (
	"context"
	"fmt"

	"jitc"
	"jitc/ir/tensor"
	"jitc/trace"
)

// A trace becomes a function of tensors. The sizes B and N take their values
// from the arguments.
func Example() {
	file, err := trace.Parse("rows.trace", `func @rows(%x: f32[B,N]) -> f32[B] {
  %sq: f32[B,N] = mul(%x, %x)
  %sum: f32[B] = reduce_sum(%sq) {axes=[1]}
  %norm: f32[B] = sqrt(%sum)
  return %norm
}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	norms := engine.Function(file.Func)

	x := tensor.FromFloats(tensor.F32, []int{2, 2}, []float64{3, 4, 6, 8})
	results, err := norms.Call(context.Background(), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tensor.Floats(results[0]))
	// Output: [5 10]
}
