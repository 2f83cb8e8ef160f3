package dim_test

import (
	"fmt"

	"jitc/ir/dim"
)

// The output size of a strided convolution: kernel 3, stride 2, padding 1.
func Example() {
	h := dim.Sym("H")
	out := h.Add(dim.Const(2 - 3)).FloorDiv(dim.Const(2)).Add(dim.Const(1))
	fmt.Println(out)

	f := dim.NewFacts()
	for _, s := range []string{"H in [8, 224]", "H % 8 == 0"} {
		if err := f.ParseFact(s); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(f.Simplify(out))
	fmt.Println(f.Range(out))
	// Output:
	// (H + 1) floordiv 2
	// H floordiv 2
	// 4 112
}

func ExampleBind() {
	e, _ := dim.Parse("2*B + 1")
	env := map[string]int64{}
	bound, err := dim.Bind(e, 9, env)
	fmt.Println(bound, err, env)
	_, err = dim.Bind(e, 8, env)
	fmt.Println(err)
	// Output:
	// true <nil> map[B:4]
	// dim: size of 2*B + 1: expected 9, got 8
}
