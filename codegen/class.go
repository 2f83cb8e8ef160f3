package codegen

// StrideClass says what is known of a stride before sizes are.
type StrideClass uint8

const (
	StrideZero     StrideClass = iota // the access does not move along the axis
	StrideOne                         // neighbouring elements
	StrideMinusOne                    // neighbouring elements, backwards
	StrideConst                       // a known constant
	StrideDynamic                     // known at run time only
)

// Class classifies the access's stride along an axis.
func (a *Access) Class(axis int) StrideClass {
	c, ok := a.Strides[axis].Const()
	switch {
	case !ok:
		return StrideDynamic
	case c == 0:
		return StrideZero
	case c == 1:
		return StrideOne
	case c == -1:
		return StrideMinusOne
	}
	return StrideConst
}

// Varies reports whether the access's address or its liveness may change along
// an axis, data-dependent indices aside.
func (a *Access) Varies(axis int) bool {
	if a.Class(axis) != StrideZero {
		return true
	}
	for i := range a.Masks {
		if c, ok := a.Masks[i].Coef[axis].Const(); !ok || c != 0 {
			return true
		}
	}
	return false
}
