package call

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func TestPartsAreCountedThroughFrozenSets(t *testing.T) {
	a, b, c := tensor.New(tensor.F32, 2), tensor.New(tensor.I64, 3), tensor.New(tensor.F64)
	one := NewFrozen([]*tensor.Tensor{b, c}, []Const{IntConst(7)})
	none := NewFrozen(nil, nil)
	assert.NotEqual(t, one.ID, none.ID)
	cl := &Call{Tensors: []*tensor.Tensor{a, nil}, Consts: []Const{FloatConst(0.5), {Text: "relu"}}, Frozen: []*Frozen{none, one}}

	want := []*tensor.Tensor{a, nil, b, c}
	assert.Equal(t, len(want), cl.NumTensors())
	for i, x := range want {
		assert.Same(t, x, cl.Tensor(i))
		if x == nil {
			assert.Nil(t, cl.Layout(i))
		} else {
			assert.Same(t, x.Layout(), cl.Layout(i))
		}
	}
	assert.Nil(t, cl.Tensor(4))
	consts := []Const{FloatConst(0.5), {Text: "relu"}, IntConst(7)}
	assert.Equal(t, len(consts), cl.NumConsts())
	for i, x := range consts {
		v, ok := cl.Const(i)
		assert.True(t, ok)
		assert.Equal(t, x, v)
	}
	_, ok := cl.Const(3)
	assert.False(t, ok)

	m := cl.Remember()
	assert.Nil(t, m.Tensors)
	assert.Equal(t, 4, m.NumTensors())
	assert.Same(t, c.Layout(), m.Layout(3))
	assert.Nil(t, m.Layout(1))
	assert.Equal(t, consts, m.Consts)
}

func TestConstantsReadAsTheirKind(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		v    Const
		want string
	}{
		{Bool, Const{Bits: 1}, "true"}, {Int, IntConst(-3), "-3"}, {Uint, Const{Bits: math.MaxUint64}, "18446744073709551615"},
		{Float, FloatConst(math.Copysign(0, -1)), "-0"}, {Real, FloatConst(math.NaN()), "NaN"},
		{String, Const{Text: "a\"b"}, `"a\"b"`}, {Key, Const{Text: "w"}, `"w"`}, {Len, IntConst(2), "2"}, {Size, IntConst(9), "9"},
	} {
		assert.Equal(t, c.want, c.v.Format(c.kind), "%s", c.kind)
	}
	assert.Equal(t, "kind(99)", Kind(99).String())
}

func TestSchemasNameWhatTheyLack(t *testing.T) {
	var none *Schema
	assert.Equal(t, "argument 2", none.TensorPath(2))
	s := &Schema{Tensors: []string{"x"}, Consts: []Place{{Path: "x.Scale", Kind: Float}}}
	assert.Equal(t, "x", s.TensorPath(0))
	assert.Equal(t, Place{Path: "x.Scale", Kind: Float}, s.Place(0))
	assert.Equal(t, "constant 1", s.Place(1).Path)
}

func TestEpochsRise(t *testing.T) {
	before := Epoch()
	NextEpoch()
	assert.Greater(t, Epoch(), before)
}

func TestCopiesOfASetAreMadeOnce(t *testing.T) {
	set := NewFrozen([]*tensor.Tensor{tensor.Scalar(float32(1)), tensor.Scalar(float32(2))}, nil)
	made := 0
	double := func(x *tensor.Tensor) (*tensor.Tensor, error) {
		made++
		return tensor.Scalar(2 * tensor.Data[float32](x)[0]), nil
	}
	boom := errors.New("boom")
	_, err := set.Copy("here", 1, func(*tensor.Tensor) (*tensor.Tensor, error) { return nil, boom })
	require.ErrorIs(t, err, boom)
	first, err := set.Copy("here", 1, double)
	require.NoError(t, err, "an error is not kept")
	assert.Equal(t, []float32{4}, tensor.Data[float32](first))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			again, err := set.Copy("here", 1, double)
			assert.NoError(t, err)
			assert.Same(t, first, again)
		})
	}
	all.Wait()
	assert.Equal(t, 1, made)
	for _, k := range []struct {
		place any
		i     int
	}{{"here", 0}, {"there", 1}, {7, 1}} {
		other, err := set.Copy(k.place, k.i, double)
		require.NoError(t, err)
		assert.NotSame(t, first, other)
	}
	assert.Equal(t, 4, made)
}
