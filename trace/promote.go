package trace

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// The element type of a result. Tensors of one type keep it; others meet at the
// narrowest type that holds both:
//
//	bool < u8 < u16 < u32 < u64
//	bool < i8 < i16 < i32 < i64        u8 < i16, u16 < i32, u32 < i64
//	any integer < any float            i64 with f16 is f16
//	f8e4m3, f8e5m2 < f16 < f32 < f64   f8e4m3 with f8e5m2 is f16, f16 with bf16 f32
//
// Nothing holds u64 and a signed type: that is an error. Numbers that are no
// tensors (Go numbers, Scalar, Int, Float) are weak: they take the tensors' type
// if their kind fits there (an integer with f16 is f16), and else the default one
// of their kind: a float with i32 is f32, an integer with bool is i64.

// join is the element type that two tensors meet at; ok is false if there is none.
func join(a, b tensor.DType) (dt tensor.DType, ok bool) {
	ka, kb := kindOfDType(a), kindOfDType(b)
	switch {
	case a == b:
		return a, true
	case ka != kb:
		if ka < kb {
			return b, true
		}
		return a, true
	case ka == kindFloat:
		return joinFloats(a, b), true
	case a.IsSigned() == b.IsSigned():
		return wider(a, b), true
	}
	if a.IsSigned() {
		a, b = b, a
	}
	signed := map[tensor.DType]tensor.DType{tensor.U8: tensor.I16, tensor.U16: tensor.I32, tensor.U32: tensor.I64}[a]
	return wider(signed, b), signed != tensor.Invalid
}

func joinFloats(a, b tensor.DType) tensor.DType {
	if a.Size() != b.Size() {
		return wider(a, b)
	}
	if a.Size() == 1 {
		return tensor.F16
	}
	return tensor.F32 // f16 with bf16
}

func wider(a, b tensor.DType) tensor.DType {
	if a.Size() >= b.Size() {
		return a
	}
	return b
}

// joinWeak is the type of dt, or of the default type of a weak kind beyond it.
func joinWeak(dt tensor.DType, k kind) tensor.DType {
	if k <= kindOfDType(dt) {
		return dt
	}
	return [...]tensor.DType{tensor.Bool, tensor.I64, tensor.F32}[k]
}

// promoted is the element type at which terms meet, and whether all are weak.
func (s *scope) promoted(xs []term) (dt tensor.DType, weak bool) {
	for _, x := range xs {
		if x.weak {
			continue
		}
		if dt == tensor.Invalid {
			dt = x.dtype()
			continue
		}
		joined, ok := join(dt, x.dtype())
		if !ok {
			s.rec.fail("no element type holds those of the operands", "types that one holds", dt.String()+" and "+x.dtype().String(),
				"convert one with To")
		}
		dt = joined
	}
	if dt == tensor.Invalid {
		k := kindBool
		for _, x := range xs {
			k = max(k, kindOfDType(x.dtype()))
		}
		return weakTypes[k], true
	}
	for _, x := range xs {
		if x.weak {
			dt = joinWeak(dt, kindOfDType(x.dtype()))
		}
	}
	return dt, false
}

// promote converts terms to one element type.
func (s *scope) promote(xs ...term) []term {
	dt, weak := s.promoted(xs)
	out := make([]term, len(xs))
	for i, x := range xs {
		out[i] = s.to(x, dt)
		out[i].weak = weak
	}
	return out
}

// floats converts a term of another kind to the default float type.
func (s *scope) floats(x term) term {
	if x.dtype().IsFloat() {
		return x
	}
	if x.weak {
		x = s.to(x, tensor.F64)
		x.weak = true
		return x
	}
	return s.to(x, tensor.F32)
}

// joinShapes is the shape that terms broadcast to, as in NumPy: from the last axis
// on, sizes are equal or one of them is 1.
func (s *scope) joinShapes(xs ...term) []dim.Expr {
	var shape []dim.Expr
	for _, x := range xs {
		shape = s.joinShape(shape, x.shape(), xs)
	}
	return shape
}

func (s *scope) joinShape(a, b []dim.Expr, xs []term) []dim.Expr {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]dim.Expr(nil), a...)
	for i := range b {
		at := len(a) - len(b) + i
		size, ok := s.joinSize(a[at], b[i])
		if !ok {
			s.rec.fail("shapes do not broadcast", "sizes that are equal, or 1, from the last axis on", typesOf(xs),
				"align the axes with Unsqueeze or Reshape")
		}
		out[at] = size
	}
	return out
}

// joinSize is the size that two broadcast to. Where one may be 1 or equal the other,
// the sizes at hand decide.
func (s *scope) joinSize(a, b dim.Expr) (dim.Expr, bool) {
	one := dim.Const(1)
	facts := s.rec.facts
	switch {
	case a.Equal(b) || facts.Equal(a, b) || facts.Equal(b, one):
		return a, true
	case facts.Equal(a, one):
		return b, true
	case s.rec.holds(dim.Eq(a, b)):
		s.rec.decide(dim.Eq(a, b), "sizes of the operands are equal")
		return simpler(a, b), true
	case s.rec.holds(dim.Eq(b, one)):
		s.rec.decide(dim.Eq(b, one), "an axis of size 1 is broadcast")
		return a, true
	case s.rec.holds(dim.Eq(a, one)):
		s.rec.decide(dim.Eq(a, one), "an axis of size 1 is broadcast")
		return b, true
	}
	return a, false
}

// simpler prefers a constant, then the expression of fewer letters.
func simpler(a, b dim.Expr) dim.Expr {
	if _, ok := a.Const(); ok {
		return a
	}
	if _, ok := b.Const(); ok || len(b.String()) < len(a.String()) {
		return b
	}
	return a
}

// broadcast lays terms on one shape.
func (s *scope) broadcast(xs ...term) []term {
	shape := s.joinShapes(xs...)
	out := make([]term, len(xs))
	for i, x := range xs {
		out[i] = s.toShape(x, shape)
	}
	return out
}

// typesOf prints the operands' types: "f32[B,64] x f32[64,10]".
func typesOf(xs []term) string {
	text := ""
	for i, x := range xs {
		if i > 0 {
			text += " x "
		}
		text += x.typ().String()
	}
	return text
}
