package runtime

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func four() dim.Expr { return dim.Const(4) }

func donated(t *testing.T, p *Program, params ...int) *Recording {
	return record(t, p.Donate(params), nil)
}

// update is w' = (w + g) + 1 in two steps: the second writes what no one reads.
func update(b *builder, w, g *ir.Value) *ir.Value {
	return b.one(addByte(1), b.region(Step{Kernel: summing()}, []dim.Expr{four()}, w, g))
}

func TestAnUpdateInPlace(t *testing.T) {
	b := newBuilder(t)
	w0, w1, g := b.param(four()), b.param(four()), b.param(four())
	r := donated(t, b.link(update(b, w0, g), update(b, w1, g)), 0, 1)
	require.Equal(t, []int{0, 1}, r.Donated(), "each its own")
	x, y, d := u8(1, 2, 3, 4), u8(10, 20, 30, 40), u8(1, 1, 1, 1)
	for range 3 {
		require.NoError(t, r.Run([]*tensor.Tensor{x, y, d}, []*tensor.Tensor{x, y}, serial{}))
	}
	assert.Equal(t, []uint8{7, 8, 9, 10}, tensor.Data[uint8](x))
	assert.Equal(t, []uint8{16, 26, 36, 46}, tensor.Data[uint8](y))
	require.NoError(t, r.Run([]*tensor.Tensor{x, y, d}, r.Results(), serial{}), "it may, it need not")

	whole := u8(0, 1, 2, 3, 4, 5, 6, 7)
	part := func(offset int) *tensor.Tensor {
		v, err := whole.View([]int{1}, offset, []int{4})
		require.NoError(t, err)
		return v
	}
	for name, c := range map[string]struct{ args, results []*tensor.Tensor }{
		"another's memory":     {[]*tensor.Tensor{x, y, d}, []*tensor.Tensor{y, x}},
		"one not donated":      {[]*tensor.Tensor{x, y, d}, []*tensor.Tensor{d, y}},
		"not exactly":          {[]*tensor.Tensor{part(0), y, d}, []*tensor.Tensor{part(2), y}},
		"also another's":       {[]*tensor.Tensor{x, y, x}, []*tensor.Tensor{x, y}},
		"the same for both":    {[]*tensor.Tensor{x, x, d}, []*tensor.Tensor{x, x}},
		"the other's too":      {[]*tensor.Tensor{x, x, d}, []*tensor.Tensor{x, y}},
		"part is another's":    {[]*tensor.Tensor{part(0), y, part(3)}, []*tensor.Tensor{part(0), y}},
		"part is both results": {[]*tensor.Tensor{part(0), part(4), d}, []*tensor.Tensor{part(0), part(2)}},
	} {
		err := r.Run(c.args, c.results, serial{})
		assert.ErrorContains(t, err, "expected memory of its own", name)
	}
}

func TestWhatMayTakeWhat(t *testing.T) {
	one := func(b *builder, x *ir.Value) *ir.Value { return b.one(addByte(1), x) }
	for name, c := range map[string]struct {
		make func(b *builder) []*ir.Value
		give []int
		want []int
	}{
		"nothing donated": {func(b *builder) []*ir.Value { return []*ir.Value{one(b, one(b, b.param(four())))} }, nil, []int{-1}},
		"read by the step that writes": {func(b *builder) []*ir.Value {
			return []*ir.Value{one(b, b.param(four()))}
		}, []int{0}, []int{-1}},
		"read after it is written": {func(b *builder) []*ir.Value {
			x, y := b.param(four()), b.param(four())
			return []*ir.Value{one(b, y), one(b, x)}
		}, []int{0}, []int{-1, -1}},
		"read before": {func(b *builder) []*ir.Value {
			x, y := b.param(four()), b.param(four())
			return []*ir.Value{one(b, x), one(b, y)}
		}, []int{0}, []int{-1, 0}},
		"never read": {func(b *builder) []*ir.Value {
			b.param(four())
			return []*ir.Value{one(b, b.param(four()))}
		}, []int{0, 0}, []int{0}},
		"another size": {func(b *builder) []*ir.Value {
			b.param(dim.Const(5))
			return []*ir.Value{one(b, b.param(four()))}
		}, []int{0}, []int{-1}},
		"another element type": {func(b *builder) []*ir.Value {
			b.f.AddParam("", ir.T(tensor.I8, four()), nil)
			return []*ir.Value{one(b, b.param(four()))}
		}, []int{0}, []int{-1}},
		"no elements": {func(b *builder) []*ir.Value {
			b.param(dim.Const(0))
			return []*ir.Value{one(b, b.param(dim.Const(0)))}
		}, []int{0}, []int{-1}},
		"returned as it is": {func(b *builder) []*ir.Value {
			x := b.param(four())
			return []*ir.Value{one(b, one(b, x)), x, x}
		}, []int{0}, []int{-1, 0, -1}},
		"a copy of another": {func(b *builder) []*ir.Value {
			x, y := b.param(four()), b.param(four())
			return []*ir.Value{one(b, one(b, x)), y}
		}, []int{0}, []int{0, -1}},
		"the first may take only one": {func(b *builder) []*ir.Value {
			x, y := b.param(four()), b.param(four())
			first := one(b, one(b, y)) // x is read later
			return []*ir.Value{first, one(b, one(b, x))}
		}, []int{0, 1}, []int{1, 0}},
	} {
		b := newBuilder(t)
		results := c.make(b)
		r := donated(t, b.link(results...), c.give...)
		assert.Equal(t, c.want, r.Donated(), name)
	}
	assert.PanicsWithValue(t, "BUG: runtime: parameter 1 of 1 is donated", func() {
		b := newBuilder(t)
		b.link(b.one(addByte(1), b.param(four()))).Donate([]int{1})
	})
}

func TestDonateLeavesTheProgramAlone(t *testing.T) {
	b := newBuilder(t)
	p := b.link(b.one(addByte(1), b.one(addByte(1), b.param(four()))))
	assert.Equal(t, []int{0}, donated(t, p, 0).Donated())
	assert.Equal(t, []int{-1}, record(t, p, nil).Donated())
}

// TestDonationChangesNoResult runs random programs with every result in the
// memory that it may take.
func TestDonationChangesNoResult(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	inPlace := 0
	for range 400 {
		b := newBuilder(t)
		var values []*ir.Value
		var give []int
		for i := range 1 + rng.IntN(4) {
			values = append(values, b.param(four()))
			if rng.IntN(4) > 0 {
				give = append(give, i)
			}
		}
		params := len(values)
		for range 1 + rng.IntN(8) {
			x, y := values[rng.IntN(len(values))], values[rng.IntN(len(values))]
			values = append(values, b.region(Step{Kernel: summing()}, []dim.Expr{four()}, x, y))
		}
		var results []*ir.Value
		for range 1 + rng.IntN(4) {
			results = append(results, values[rng.IntN(len(values))])
		}
		r := donated(t, b.link(results...), give...)
		var args, copies []*tensor.Tensor
		for range params {
			x := tensor.Fill(tensor.U8, []int{4}, float64(rng.IntN(50)))
			args, copies = append(args, x), append(copies, x.Clone())
		}
		want, out := mustRun(t, r, copies...), r.Results()
		for i, j := range r.Donated() {
			if j >= 0 {
				require.Contains(t, give, j)
				out[i] = args[j]
				inPlace++
			}
		}
		require.NoError(t, r.Run(args, out, serial{}), "%v", r.Donated())
		require.Nil(t, tensor.CompareAll(out, want, tensor.Exact), "%v", r.Donated())
	}
	assert.Greater(t, inPlace, 100)
}
