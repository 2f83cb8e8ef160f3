package trace

import (
	"fmt"
	"strconv"

	"jitc/ir/dim"
)

// Int is an integer argument of a compiled function: a guarded constant of its
// programs until a call gives another value, then a symbolic size. The zero value
// is 0.
type Int struct {
	n   int64 // first: package pytree reads it as one word
	src *source
}

// Float is a float argument of a compiled function: a guarded constant of its
// programs until a call gives another value, then an input. The zero value is 0.
type Float struct {
	f   float64 // first: package pytree reads it as one word
	src *source
}

// source is where a scalar of a trace comes from.
type source struct {
	rec   *recorder
	index int // among the trace's scalars
}

// NewInt is the integer n.
func NewInt(n int) Int { return Int{n: int64(n)} }

// NewFloat is the number f.
func NewFloat(f float64) Float { return Float{f: f} }

// use notes that a trace looked at the scalar, and finds it there.
func (s *source) use() (sc *ScalarSpec, promoted bool) {
	if s == nil || s.rec == nil {
		return nil, false
	}
	if s.rec.live() {
		s.rec.used[s.index] = true
	}
	sc = &s.rec.spec.Scalars[s.index]
	return sc, sc.Sym != "" || sc.Input
}

// Size is the integer as a size, which a trace may keep symbolic.
func (i Int) Size() Size {
	if sc, promoted := i.src.use(); promoted {
		return Size{e: dim.Sym(sc.Sym), rec: i.src.rec}
	}
	return Size{e: dim.Const(i.n)}
}

// Value is the integer as Go data. In a trace where it is symbolic this
// specialises it: the program then holds for this value only.
func (i Int) Value() int {
	if _, promoted := i.src.use(); promoted {
		return i.Size().specialise("Value")
	}
	return int(i.n)
}

// Tensor is the integer as an i64 scalar whose type gives way to the other
// operand's.
func (i Int) Tensor() *Tensor { return i.Size().Tensor() }

// String prints the value or, in a trace where it is symbolic, the symbol.
func (i Int) String() string { return i.Size().String() }

// Value is the number as Go data. In a trace where it is an input this
// specialises it: the program then holds for this value only.
func (f Float) Value() float64 {
	if sc, promoted := f.src.use(); promoted {
		rec := f.src.rec
		if rec.live() {
			rec.begin("Value", caller())
			rec.special = append(rec.special, Specialised{Scalar: f.src.index, Path: sc.Path, Pos: rec.pos, Why: "Value was asked"})
		}
	}
	return f.f
}

// Tensor is the number as an f64 scalar whose type gives way to the other
// operand's.
func (f Float) Tensor() *Tensor {
	if _, promoted := f.src.use(); promoted {
		return f.src.rec.reals[f.src.index]
	}
	return Scalar(f.f)
}

// String prints the value or, in a trace where it is an input, its path.
func (f Float) String() string {
	if f.src != nil && f.src.rec != nil && f.src.rec.spec.Scalars[f.src.index].Input {
		return fmt.Sprintf("float %s", f.src.rec.spec.Scalars[f.src.index].Path)
	}
	return strconv.FormatFloat(f.f, 'g', -1, 64)
}
