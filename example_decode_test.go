package jitc_test

import (
	"context"
	"fmt"
	"log"

	"jitc"
	"jitc/trace"
)

// A decoder keeps the keys and values of what it has read in a cache of fixed size.
// The cache is donated: a step writes one row of it, in place where the executor can,
// and one program serves all positions.
func Example_decode() {
	type cache struct {
		Position *jitc.Tensor // i64[], of the next row
		K, V     *jitc.Tensor // [rows, width]
	}
	type step struct {
		Cache cache
		Out   *jitc.Tensor // [1, width]
	}
	ctx := context.Background()
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	attend := jitc.Func2(engine, func(c cache, x *jitc.Tensor) step {
		k := c.K.DynamicUpdateSlice(x, c.Position, 0)
		v := c.V.DynamicUpdateSlice(x.Mul(10), c.Position, 0)
		used := jitc.Arange(jitc.I64, k.Size(0)).Le(c.Position)
		y := jitc.Attention(x, k, v, trace.AttentionOptions{Mask: used})
		return step{cache{c.Position.Add(1), k, v}, y}
	}, jitc.ArgNames("cache", "x"), jitc.Donate("cache.K", "cache.V"))

	c := cache{jitc.Zeros(jitc.I64), jitc.Zeros(jitc.F32, 8, 2), jitc.Zeros(jitc.F32, 8, 2)}
	for i := range 3 {
		s, err := attend.Call(ctx, c, jitc.Full(jitc.F32, float64(i), 1, 2))
		if err != nil {
			log.Fatal(err)
		}
		c = s.Cache
		y, err := jitc.Data[float32](s.Out)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.3f\n", y)
	}
	rows, err := jitc.Data[float32](c.V)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows)
	fmt.Println(len(attend.Traced().Entries()), "entry")
	// Output:
	// [0.000 0.000]
	// [8.044 8.044]
	// [19.378 19.378]
	// [0 0 10 10 20 20 0 0 0 0 0 0 0 0 0 0]
	// 1 entry
}
