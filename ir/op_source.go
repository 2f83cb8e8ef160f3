package ir

import (
	"fmt"
	"math"

	"jitc/ir/dim"
	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// sourceRows are the ops without operands.
func sourceRows() map[Op]OpRow {
	dtype := AttrSpec{Name: "dtype", Kind: KindDType, Doc: "element type", Required: true, FromType: true}
	shape := AttrSpec{Name: "shape", Kind: KindDims, Doc: "shape, [] for a scalar", Required: true, FromType: true}
	return map[Op]OpRow{
		OpConstant: {
			Name: "constant", Traits: Source, DTypes: Anything,
			Doc: "A tensor known at compile time: every element is value, or the elements are data. " +
				"A value of a float type is rounded to it; of an integer type it must be in range, but a u64 takes any 64 bits.",
			Attrs: []AttrSpec{
				{Name: "value", Kind: KindNumber, Doc: "every element"}, dtype, shape,
				{Name: "data", Kind: KindTensor, Doc: "the elements, instead of value; the shape is then static"},
			},
			Infer: inferConstant, Eval: evalConstant, Samples: constantSamples,
		},
		OpIota: {
			Name: "iota", Traits: Source, DTypes: Numbers,
			Doc: "Counts along an axis: element i is i[axis], converted as cast does.",
			Attrs: []AttrSpec{dtype, shape,
				{Name: "axis", Kind: KindInt, Doc: "axis to count along", Required: true}},
			Infer: inferIota, Eval: evalIota, Samples: iotaSamples,
		},
	}
}

// dtypeAttr returns an element-type attribute of the set.
func dtypeAttr(v *Value, name string, set DTypeSet) (tensor.DType, error) {
	dt := v.Attrs.DType(name)
	if !set.Has(dt) {
		return dt, attrError(v, name, "wrong element type", "one of "+set.String(), dt.String(), "")
	}
	return dt, nil
}

func inferConstant(v *Value, facts *dim.Facts) (Type, error) {
	dt, err := dtypeAttr(v, "dtype", Anything)
	if err != nil {
		return Type{}, err
	}
	shape, err := shapeAttr(v, "shape", facts)
	if err != nil {
		return Type{}, err
	}
	value, data := v.Attrs.Get("value"), v.Attrs.Tensor("data")
	t := T(dt, shape...)
	switch {
	case (value == nil) == (data == nil):
		return Type{}, attrError(v, "value", "a constant has either value or data", "one of them",
			map[bool]string{true: "none", false: "both"}[value == nil], "")
	case data != nil && !t.Equal(TConst(data.DType(), data.Shape()...)):
		return Type{}, attrError(v, "data", "data has another type", t.String(),
			fmt.Sprintf("%s%v", data.DType(), data.Shape()), "")
	case data == nil:
		err = checkSplat(v, dt, value)
	}
	return t, err
}

// checkSplat checks that a number can be an element of type dt.
func checkSplat(v *Value, dt tensor.DType, value any) error {
	ok, expected := false, "an integer in the range of "+dt.String()
	switch {
	case dt == tensor.Bool:
		_, ok = value.(bool)
		expected = "true or false"
	case dt.IsFloat():
		_, isBool := value.(bool)
		ok, expected = !isBool, "a number"
	default:
		n, isInt := value.(int64)
		ok = isInt && (dt == tensor.U64 || tensor.Ints(tensor.IntScalar(dt, n))[0] == n)
	}
	if !ok {
		return attrError(v, "value", "value does not fit the element type", expected, AttrString(value), "")
	}
	return nil
}

func evalConstant(c *Call) (*tensor.Tensor, error) {
	if data := c.V.Attrs.Tensor("data"); data != nil {
		return data.Clone(), nil
	}
	var scalar *tensor.Tensor
	switch n := c.V.Attrs.Get("value").(type) {
	case bool:
		scalar = tensor.Scalar(n)
	case int64:
		scalar = tensor.IntScalar(c.DType, n)
	case float64:
		scalar = tensor.FloatScalar(c.DType, n)
	}
	return refeval.Splat(scalar, c.Shape)
}

func constantSamples() []Sample {
	splat := func(value any, dt tensor.DType, shape ...int) Sample {
		return Sample{Attrs: NewAttrs(Attr{"value", value}, Attr{"dtype", dt}, Attr{"shape", Dims(shape...)})}
	}
	data := func(x *tensor.Tensor) Sample {
		return Sample{Attrs: NewAttrs(Attr{"data", x}, Attr{"dtype", x.DType()}, Attr{"shape", Dims(x.Shape()...)})}
	}
	return []Sample{
		splat(1.5, tensor.F32), splat(0.1, tensor.F16, 2, 3), splat(math.Copysign(0, -1), tensor.F64, 2, 4), splat(math.Inf(-1), tensor.F32, 0, 4),
		splat(int64(-7), tensor.I32, 5), splat(int64(255), tensor.U8, 1, 3), splat(true, tensor.Bool, 3),
		data(tensor.Arange(tensor.F32, 2, 3)), data(tensor.Arange(tensor.I64, 7)), data(tensor.Arange(tensor.BF16, 3, 1)),
	}
}

func inferIota(v *Value, facts *dim.Facts) (Type, error) {
	dt, err := dtypeAttr(v, "dtype", Numbers)
	if err != nil {
		return Type{}, err
	}
	shape, err := shapeAttr(v, "shape", facts)
	if err != nil {
		return Type{}, err
	}
	if _, err := axisAttr(v, "axis", len(shape), 0); err != nil {
		return Type{}, err
	}
	return T(dt, shape...), nil
}

// evalIota counts once along the axis and lays the count on the other axes.
func evalIota(c *Call) (*tensor.Tensor, error) {
	axis := int(c.V.Attrs.Int("axis", 0))
	counts := make([]int64, c.Shape[axis])
	for i := range counts {
		counts[i] = int64(i)
	}
	line := tensor.FromInts(c.DType, []int{len(counts)}, counts)
	strides := make([]int, len(c.Shape))
	strides[axis] = 1
	view, err := line.View(strides, line.Offset(), c.Shape)
	if err != nil {
		return nil, err
	}
	return view.Clone(), nil
}

func iotaSamples() []Sample {
	iota := func(dt tensor.DType, axis int64, shape ...int) Sample {
		return Sample{Attrs: NewAttrs(Attr{"dtype", dt}, Attr{"shape", Dims(shape...)}, Attr{"axis", axis})}
	}
	return []Sample{
		iota(tensor.I64, 0, 7), iota(tensor.I32, 1, 3, 5), iota(tensor.F32, 0, 3, 5), iota(tensor.F16, 2, 2, 3, 4),
		iota(tensor.I8, 0, 131), iota(tensor.U8, 1, 2, 0), iota(tensor.F64, 1, 2, 11, 3),
	}
}
