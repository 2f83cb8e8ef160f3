package jitc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"jitc"
)

// A service loads what it learned before, and saves it when it ends.
func ExampleTraced_LoadFile() {
	dir, err := os.MkdirTemp("", "jitc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "scale.learned")

	serve := func() {
		engine, err := jitc.NewEngine(jitc.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer engine.Close()
		scale := jitc.Func2(engine, func(x *jitc.Tensor, by jitc.Float) *jitc.Tensor {
			fmt.Println("traced")
			return x.Mul(by)
		}, jitc.Name("scale"))
		report, err := scale.Traced().LoadFile(context.Background(), path)
		var stale *jitc.FileError
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.As(err, &stale): // it learns again
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println("entries loaded:", report.Entries)
		}
		x, err := jitc.From([]float32{1, 2})
		if err != nil {
			log.Fatal(err)
		}
		y, err := scale.Call(context.Background(), x, jitc.NewFloat(3))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(jitc.Data[float32](y))
		if err := scale.Traced().SaveFile(path); err != nil {
			log.Fatal(err)
		}
	}
	serve()
	serve()
	// Output:
	// traced
	// [3 6] <nil>
	// entries loaded: 1
	// [3 6] <nil>
}
