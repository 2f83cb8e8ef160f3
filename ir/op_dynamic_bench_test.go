package ir

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// BenchmarkSizesFromData runs the ops at 4 Mi elements, of which one in so many is
// selected; the bytes are those of the operands.
func BenchmarkSizesFromData(b *testing.B) {
	const n = 4 << 20
	u := []dim.Expr{dim.Sym("U")}
	for _, every := range []int{1, 2, 1000} {
		rng := rand.New(rand.NewPCG(1, 2))
		x, mask := tensor.New(tensor.F32, n), tensor.New(tensor.Bool, n)
		flags, _ := mask.Bytes()
		for i := range n {
			if rng.IntN(every) == 0 {
				tensor.Data[float32](x)[i], flags[i] = 1, 1
			}
		}
		counts := tensor.Cast(mask, tensor.I64)
		for _, c := range []struct {
			name string
			v    *Value
			args []*tensor.Tensor
		}{
			{"nonzero f32", &Value{Op: OpNonzero, Attrs: NewAttrs(Attr{"count", u}), Type: T(tensor.I64, u[0], dim.Const(1))}, []*tensor.Tensor{x}},
			{"nonzero bool", &Value{Op: OpNonzero, Attrs: NewAttrs(Attr{"count", u}), Type: T(tensor.I64, u[0], dim.Const(1))}, []*tensor.Tensor{mask}},
			{"masked_select f32", &Value{Op: OpMaskedSelect, Attrs: NewAttrs(Attr{"count", u}), Type: T(tensor.F32, u[0])}, []*tensor.Tensor{x, mask}},
			{"repeat f32", &Value{Op: OpRepeat, Attrs: NewAttrs(Attr{"total", u}, Attr{"axis", int64(0)}), Type: T(tensor.F32, u[0])}, []*tensor.Tensor{x, counts}},
		} {
			b.Run(fmt.Sprintf("%s/1 in %d", c.name, every), func(b *testing.B) {
				bytes := 0
				for _, a := range c.args {
					bytes += a.NumBytes()
				}
				b.SetBytes(int64(bytes))
				for b.Loop() {
					if _, err := EvalValue(c.v, c.args, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
