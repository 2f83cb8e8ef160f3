package passes

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// valuesOf are all values of a type of up to 16 bits, and telling ones of the
// others.
func valuesOf(t *testing.T, dt tensor.DType) *tensor.Tensor {
	t.Helper()
	if size := dt.Size(); size <= 2 && dt != tensor.Bool {
		n := 1 << (8 * size)
		data := make([]byte, n*size)
		for i := range n {
			data[i*size] = byte(i)
			if size == 2 {
				data[i*size+1] = byte(i >> 8)
			}
		}
		x, err := tensor.FromBytes(dt, []int{n}, data)
		require.NoError(t, err)
		return x
	}
	if dt.IsFloat() {
		xs := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)}
		for e := -1074.0; e < 1024; e += 7 {
			xs = append(xs, math.Exp2(e), -1.00000012*math.Exp2(e), 1.0000000000000002*math.Exp2(e))
		}
		return tensor.FromFloats(dt, []int{len(xs)}, xs)
	}
	var xs []int64
	for shift := range 64 {
		xs = append(xs, 1<<shift-1, 1<<shift, -(1 << shift), 1<<shift+1)
	}
	return tensor.FromInts(dt, []int{len(xs)}, xs)
}

// TestCastThrough: where the rule says that a middle type does not show, it does
// not, for any triple of types; and it says so where that matters.
func TestCastThrough(t *testing.T) {
	through := map[[3]tensor.DType]bool{}
	for _, a := range tensor.DTypes() {
		x := valuesOf(t, a)
		for _, b := range tensor.DTypes() {
			if !holds(b, a) {
				continue
			}
			y := tensor.Cast(x, b)
			require.NoError(t, tensor.Check(tensor.Cast(y, a), x, tensor.Exact), "%s does not hold %s", b, a)
			for _, c := range tensor.DTypes() {
				if castThrough(a, b, c) {
					through[[3]tensor.DType{a, b, c}] = true
					require.NoError(t, tensor.Check(tensor.Cast(y, c), tensor.Cast(x, c), tensor.Exact), "%s to %s to %s", a, b, c)
				}
			}
		}
	}
	for _, want := range [][3]tensor.DType{
		{tensor.F16, tensor.F32, tensor.F16}, {tensor.BF16, tensor.F32, tensor.F64}, {tensor.F8E4M3, tensor.F16, tensor.I32},
		{tensor.F8E5M2, tensor.BF16, tensor.F32}, {tensor.U8, tensor.I32, tensor.F32}, {tensor.I8, tensor.BF16, tensor.I8},
		{tensor.I32, tensor.F64, tensor.I32}, {tensor.Bool, tensor.F32, tensor.I64}, {tensor.I16, tensor.I64, tensor.U8},
	} {
		assert.True(t, through[want], "%v", want)
	}
}

// TestEndsOfRanges: nothing is below the lowest element or above the highest.
func TestEndsOfRanges(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		if dt == tensor.Bool {
			continue
		}
		x := valuesOf(t, dt)
		for _, end := range []struct {
			of func(tensor.DType) (float64, int64)
			op ir.Op
		}{{lowest, ir.OpMax}, {highest, ir.OpMin}} {
			f, n := end.of(dt)
			c := tensor.FillInt(dt, x.Shape(), n)
			if dt.IsFloat() {
				c = tensor.Fill(dt, x.Shape(), f)
			}
			v := &ir.Value{Op: end.op, Type: ir.TConst(dt, x.Shape()...)}
			out, err := ir.EvalValue(v, []*tensor.Tensor{x, c}, nil)
			require.NoError(t, err)
			require.NoError(t, tensor.Check(out[0], x, tensor.Exact), "%s of %s", end.op, dt)
		}
	}
}

// TestSameValue: what makes two values of one hash different.
func TestSameValue(t *testing.T) {
	f := ir.NewFunc("f", nil)
	x, y := f.AddParam("x", ir.TConst(tensor.F32, 2, 2), nil), f.AddParam("y", ir.TConst(tensor.F32, 2, 2), nil)
	make := func(op ir.Op, dt tensor.DType, perm []int64, args ...*ir.Value) *ir.Value {
		v := &ir.Value{Op: op, Args: args, Type: ir.TConst(dt, 2, 2)}
		if perm != nil {
			v.Attrs = ir.NewAttrs(ir.Attr{Name: "perm", Value: perm})
		}
		return v
	}
	base := make(ir.OpAdd, tensor.F32, nil, x, y)
	assert.True(t, sameValue(base, make(ir.OpAdd, tensor.F32, nil, y, x)))
	assert.False(t, sameValue(base, make(ir.OpMul, tensor.F32, nil, x, y)))
	assert.False(t, sameValue(base, make(ir.OpAdd, tensor.F64, nil, x, y)))
	assert.False(t, sameValue(base, make(ir.OpAdd, tensor.F32, nil, x, x)))
	assert.False(t, sameValue(make(ir.OpSub, tensor.F32, nil, x, y), make(ir.OpSub, tensor.F32, nil, y, x)))
	assert.False(t, sameValue(make(ir.OpTranspose, tensor.F32, []int64{0, 1}, x), make(ir.OpTranspose, tensor.F32, []int64{1, 0}, x)))
}

// TestHash: operands that may be exchanged hash alike, everything else that tells
// values apart shows, for every kind of attribute.
func TestHash(t *testing.T) {
	f := ir.NewFunc("f", nil)
	x, y := f.AddParam("x", ir.TConst(tensor.F32), nil), f.AddParam("y", ir.TConst(tensor.F32), nil)
	n := newNumbering(0)
	hash := func(op ir.Op, args []*ir.Value, value any) uint64 {
		return n.hash(&ir.Value{Op: op, Args: args, Attrs: ir.Attrs{{Name: "a", Value: value}}})
	}
	xy, yx := []*ir.Value{x, y}, []*ir.Value{y, x}
	assert.Equal(t, hash(ir.OpAdd, xy, true), hash(ir.OpAdd, yx, true))
	assert.NotEqual(t, hash(ir.OpSub, xy, true), hash(ir.OpSub, yx, true))
	seen := map[uint64]any{}
	for _, value := range []any{int64(7), int64(-7), 1.5, math.Copysign(0, -1), 0.25, true, false, "max", "min", tensor.F16, tensor.BF16,
		[]int64{1, 2}, []int64{2, 1}, []int64{}, ir.Dims(1, 2, 3), []dim.Expr{dim.Sym("B")}, []dim.Expr{dim.Sym("S")},
		tensor.Arange(tensor.F32, 3), tensor.Arange(tensor.F32, 4)} {
		h := hash(ir.OpConstant, nil, value)
		assert.Nil(t, seen[h], "%v hashes like another", value)
		seen[h] = value
	}
}
