package native

import "jitc/ir/tensor"

// span is what of a scatter's result a chunk writes: columns [lo, hi) of the rows
// [first, end), each of so many elements. Row k of the updates is that many steps
// behind from.
type span struct{ row, lo, hi, first, end, from, step int }

// combineRows combines rows of dst with those of src, of which row k belongs to row
// at[k] of dst, in order.
type combineRows func(dst, src []byte, at []int64, s span)

// rowsOf are the combinations by name, of one element type.
type rowsOf map[string]combineRows

// numberRows are those of numbers that are calculated with as they are.
func numberRows[T number]() rowsOf {
	return rowsOf{"add": addRows[T], "mul": mulRows[T], "min": minRows[T], "max": maxRows[T]}
}

// scatterRows has a row for each element type that is combined as it is; narrower
// floats are carried in f32.
var scatterRows = map[tensor.DType]rowsOf{
	tensor.F32: numberRows[float32](), tensor.F64: numberRows[float64](),
	tensor.I8: numberRows[int8](), tensor.I16: numberRows[int16](), tensor.I32: numberRows[int32](), tensor.I64: numberRows[int64](),
	tensor.U8: numberRows[uint8](), tensor.U16: numberRows[uint16](), tensor.U32: numberRows[uint32](), tensor.U64: numberRows[uint64](),
	// Of 0 and 1, or is the maximum, and the minimum.
	tensor.Bool: {"add": maxRows[uint8], "mul": minRows[uint8], "min": minRows[uint8], "max": maxRows[uint8]},
}

// setters put rows of elements of so many bytes.
var setters = map[int]combineRows{1: setRows[uint8], 2: setRows[uint16], 4: setRows[uint32], 8: setRows[uint64]}

// The loops are one for each combination: a call for each element would cost more
// than it does. Rows of one element are walked without slicing.

func setRows[T number](dst, src []byte, at []int64, s span) {
	to, from := words[T](dst), words[T](src)
	if s.row == 1 { // too small for chunks of places
		for k, p := range at {
			to[p] = from[s.from+k*s.step]
		}
		return
	}
	for k, p := range at {
		if int(p) >= s.first && int(p) < s.end {
			copy(to[int(p)*s.row+s.lo:int(p)*s.row+s.hi], from[s.from+k*s.step+s.lo:])
		}
	}
}

func addRows[T number](dst, src []byte, at []int64, s span) {
	to, from := words[T](dst), words[T](src)
	if s.row == 1 {
		for k, p := range at {
			to[p] += from[s.from+k*s.step]
		}
		return
	}
	for k, p := range at {
		if int(p) >= s.first && int(p) < s.end {
			d := to[int(p)*s.row+s.lo : int(p)*s.row+s.hi]
			for j, x := range from[s.from+k*s.step+s.lo:][:len(d)] {
				d[j] += x
			}
		}
	}
}

func mulRows[T number](dst, src []byte, at []int64, s span) {
	to, from := words[T](dst), words[T](src)
	for k, p := range at {
		if int(p) >= s.first && int(p) < s.end {
			d := to[int(p)*s.row+s.lo : int(p)*s.row+s.hi]
			for j, x := range from[s.from+k*s.step+s.lo:][:len(d)] {
				d[j] *= x
			}
		}
	}
}

func minRows[T number](dst, src []byte, at []int64, s span) {
	to, from := words[T](dst), words[T](src)
	for k, p := range at {
		if int(p) >= s.first && int(p) < s.end {
			d := to[int(p)*s.row+s.lo : int(p)*s.row+s.hi]
			for j, x := range from[s.from+k*s.step+s.lo:][:len(d)] {
				d[j] = min(d[j], x)
			}
		}
	}
}

func maxRows[T number](dst, src []byte, at []int64, s span) {
	to, from := words[T](dst), words[T](src)
	for k, p := range at {
		if int(p) >= s.first && int(p) < s.end {
			d := to[int(p)*s.row+s.lo : int(p)*s.row+s.hi]
			for j, x := range from[s.from+k*s.step+s.lo:][:len(d)] {
				d[j] = max(d[j], x)
			}
		}
	}
}

// carries are the combinations of rows in f32, in place.
var carries = map[string]func(acc, x []float32){
	"add": func(acc, x []float32) {
		for i, v := range x[:len(acc)] {
			acc[i] += v
		}
	},
	"mul": func(acc, x []float32) {
		for i, v := range x[:len(acc)] {
			acc[i] *= v
		}
	},
	"min": func(acc, x []float32) {
		for i, v := range x[:len(acc)] {
			acc[i] = min(acc[i], v)
		}
	},
	"max": func(acc, x []float32) {
		for i, v := range x[:len(acc)] {
			acc[i] = max(acc[i], v)
		}
	},
}
