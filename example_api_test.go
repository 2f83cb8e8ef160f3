package jitc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"jitc"
	rt "jitc/runtime"
)

// A traced function takes and gives tensors in any nesting. The first call makes a
// program for its sizes, the second size one for all of them.
func Example_traced() {
	type params struct{ W, B *jitc.Tensor }
	ctx := context.Background()
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	layer := jitc.Func2(engine, func(p params, x *jitc.Tensor) *jitc.Tensor {
		return x.MatMul(p.W).Add(p.B).Relu()
	}, jitc.Name("layer"), jitc.ArgNames("p", "x"))

	p := params{W: jitc.Ones(jitc.F32, 3, 2), B: jitc.Ones(jitc.F32, 2)}
	for _, n := range []int{1, 2, 5} {
		y, err := layer.Call(ctx, p, jitc.Ones(jitc.F32, n, 3))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(y.Shape(), len(layer.Traced().Entries()), "entries")
	}
	last := layer.Traced().Entries()[1]
	fmt.Println(last.Why[0])
	fmt.Print(last.Traced.F)
	// Output:
	// [1 2] 1 entries
	// [2 2] 2 entries
	// [5 2] 2 entries
	// entry 0 needs x.size(0) == 1; x.size(0) is 2 (example_api_test.go:23)
	// func @layer(%p.W: f32[3,2], %p.B: f32[2], %x: f32[s0,3]) -> f32[s0,2]
	//     where s0 in [0, 32767] {
	//   %0: f32[s0,2] = matmul(%x, %p.W)
	//   %1: f32[s0,2] = broadcast(%p.B) {axes=[1]}
	//   %2: f32[s0,2] = add(%0, %1)
	//   %3: f32[s0,2] = relu(%2)
	//   return %3
	// }
}

// A mark makes a size a symbol from the first call on, and checks it.
func ExampleMarks() {
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	batch := jitc.Dynamic("x", 0, jitc.Dim("B")).Range(1, 64).Divisible(4)
	norm := jitc.Func1(engine, func(x *jitc.Tensor) *jitc.Tensor { return x.Softmax(-1) },
		jitc.ArgNames("x"), jitc.Marks(batch))
	for _, n := range []int{4, 64, 68} {
		_, err := norm.Call(context.Background(), jitc.Ones(jitc.F32, n, 10))
		var mark *rt.MarkError
		fmt.Println(n, errors.As(err, &mark), len(norm.Traced().Entries()))
	}
	// Output:
	// 4 false 1
	// 64 false 1
	// 68 true 1
}

// Control flow on data that is traced is a value of the program.
func ExampleWhile() {
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	root := jitc.Func1(engine, func(a *jitc.Tensor) *jitc.Tensor { // Newton's iteration
		return jitc.While(a,
			func(x *jitc.Tensor) *jitc.Tensor { return x.Mul(x).Sub(a).Abs().Gt(1e-9) },
			func(x *jitc.Tensor) *jitc.Tensor { return x.Add(a.Div(x)).Mul(0.5) })
	})
	y, err := root.Call(context.Background(), jitc.Full(jitc.F64, 2))
	if err != nil {
		log.Fatal(err)
	}
	v, _ := jitc.Data[float64](y)
	fmt.Printf("%.6f\n", v[0])
	// Output: 1.414214
}
