package refeval

// WindowAxis is the window along one axis: it folds, for out position o, the
// inputs at o*Stride + k*Dilation - PadLow for k below Window. Positions
// outside of [0, In) are left out.
type WindowAxis struct {
	In, Out, Window, Stride, Dilation, PadLow int
}

// Trivial reports whether the axis is passed on as it is.
func (a WindowAxis) Trivial() bool {
	return a.Window == 1 && a.Stride == 1 && a.PadLow == 0 && a.In == a.Out
}

// Window folds windows of a row-major tensor, one axis after the other: the
// folds in use are associative, so a window is the fold along the first axis of
// the folds along the others. Results of empty windows are identity.
func Window[A Accum](x []A, axes []WindowAxis, identity A, fold func(A, A) A) []A {
	inner := 1
	for i := len(axes) - 1; i >= 0; i-- {
		if !axes[i].Trivial() {
			outer := 1
			for _, a := range axes[:i] {
				outer *= a.In
			}
			x = windowAxis(x, outer, inner, axes[i], identity, fold)
		}
		inner *= axes[i].Out
	}
	return x
}

// offsets is the range of positions within the window that any output finds
// inside the input: a window may span far more padding than there is input.
func (a WindowAxis) offsets() (first, end int) {
	if beyond := a.PadLow - (a.Out-1)*a.Stride; beyond > 0 {
		first = (beyond + a.Dilation - 1) / a.Dilation
	}
	return first, min(a.Window, (a.In-1+a.PadLow)/a.Dilation+1)
}

// windowAxis maps [outer, a.In, inner] to [outer, a.Out, inner].
func windowAxis[A Accum](x []A, outer, inner int, a WindowAxis, identity A, fold func(A, A) A) []A {
	out := make([]A, outer*a.Out*inner)
	for i := range out {
		out[i] = identity
	}
	if len(x) == 0 || len(out) == 0 {
		return out
	}
	first, end := a.offsets()
	Parallel(outer, func(p int) {
		for k := first; k < end; k++ {
			shift := k*a.Dilation - a.PadLow
			lo, hi := InRange(a.In, a.Out, a.Stride, shift)
			for o := lo; o < hi; o++ {
				dst := out[(p*a.Out+o)*inner:][:inner]
				src := x[(p*a.In+o*a.Stride+shift)*inner:][:inner]
				for i, v := range src {
					dst[i] = fold(dst[i], v)
				}
			}
		}
	})
	return out
}
