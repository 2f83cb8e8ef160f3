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

func ExampleFacts_Assume() {
	f := dim.NewFacts()
	for _, s := range []string{"S <= T", "T <= 512", "S + K == 4*T"} {
		c, _ := dim.ParseConstraint(s)
		if err := f.Assume(c); err != nil {
			fmt.Println(err)
		}
	}
	s, k := dim.Sym("S"), dim.Sym("K")
	fmt.Println(f.Decide(dim.Le(s, dim.Const(600))))
	fmt.Println(f.Decide(dim.Le(s.Mul(dim.Const(3)), k)))
	fmt.Println(f.Simplify(s.Max(dim.Sym("T"))))
	fmt.Println(f.Assume(dim.Gt(s, dim.Const(512))))
	// Output:
	// true true
	// true true
	// T
	// dim: S >= 513 contradicts what is known
}

func ExampleReduce() {
	var cs []dim.Constraint
	for _, s := range []string{"B >= 1", "B % 8 == 0", "S <= T", "S <= T + 4", "B != 0"} {
		c, _ := dim.ParseConstraint(s)
		cs = append(cs, c)
	}
	for _, i := range dim.Reduce(cs, nil) {
		fmt.Println(cs[i])
	}
	// Output:
	// B >= 1
	// B % 8 == 0
	// S <= T
}

func ExampleSmallest() {
	multiple, _ := dim.ParseConstraint("B % 8 == 0")
	relation, _ := dim.ParseConstraint("B < S")
	served, _ := dim.ParseConstraint("B <= 64")
	sizes, verdict := dim.Smallest(nil, []dim.Constraint{multiple, relation}, [][]dim.Constraint{{served}}, 1000)
	fmt.Println(verdict, sizes)
	// Output: found map[B:72 S:73]
}
