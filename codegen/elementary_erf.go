package codegen

import "jitc/ir/tensor"

// Error function. F32 after N. Juffa ("A fast erff", NVIDIA developer forum,
// 2014): a polynomial below 0.9277, 1 - e^q(|x|) beyond. F64 after s_erf.c in
// FreeBSD's msun (Sun Microsystems, 1993).
var (
	erfNear32 = []float64{-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1}
	erfFar32  = []float64{-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1}
)

func erf32(e *expander, t tensor.DType, in Inst) Val {
	x := in.A
	near := e.fma(x, e.poly(e.mul(x, x), erfNear32...), x)
	a := e.op(Min, e.op(Abs, x), e.ConstF32(4)) // erf(4) rounds to 1
	p := e.fma(e.poly(a, erfFar32...), a, e.op(Neg, a))
	far := e.orSign(e.sub(e.ConstF32(1), e.expOf(p)), x)
	return e.choose(e.op(Gt, a, e.ConstF32(0.927734375)), far, near)
}

// erfRange is a rational approximation in the variable of its range, highest
// power first.
type erfRange struct{ p, q []float64 }

var (
	// erf(x) = x + x*p/q of x^2, |x| < 0.84375
	erfNear = erfRange{
		[]float64{-2.37630166566501626084e-05, -5.77027029648944159157e-03, -2.84817495755985104766e-02, -3.25042107247001499370e-01, 1.28379167095512558561e-01},
		[]float64{-3.96022827877536812320e-06, 1.32494738004321644526e-04, 5.08130628187576562776e-03, 6.50222499887672944485e-02, 3.97917223959155352819e-01, 1}}
	// erf(x) = erfOne + p/q of |x|-1, up to 1.25
	erfMid = erfRange{
		[]float64{-2.16637559486879084300e-03, 3.54783043256182359371e-02, -1.10894694282396677476e-01, 3.18346619901161753674e-01, -3.72207876035701323847e-01, 4.14856118683748331666e-01, -2.36211856075265944077e-03},
		[]float64{1.19844998467991074170e-02, 1.36370839120290507362e-02, 1.26171219808761642112e-01, 7.18286544141962662868e-02, 5.40397917702171048937e-01, 1.06420880400844228286e-01, 1}}
	// erf(x) = 1 - e^(-x^2 - 0.5625 + p/q)/x of 1/x^2, up to 1/0.35
	erfFar = erfRange{
		[]float64{-9.81432934416914548592e+00, -8.12874355063065934246e+01, -1.84605092906711035994e+02, -1.62396669462573470355e+02, -6.23753324503260060396e+01, -1.05586262253232909814e+01, -6.93858572707181764372e-01, -9.86494403484714822705e-03},
		[]float64{-6.04244152148580987438e-02, 6.57024977031928170135e+00, 1.08635005541779435134e+02, 4.29008140027567833386e+02, 6.45387271733267880336e+02, 4.34565877475229228821e+02, 1.37657754143519042600e+02, 1.96512716674392571292e+01, 1}}
	// the same beyond
	erfEnd = erfRange{
		[]float64{-4.83519191608651397019e+02, -1.02509513161107724954e+03, -6.37566443368389627722e+02, -1.60636384855821916062e+02, -1.77579549177547519889e+01, -7.99283237680523006574e-01, -9.86494292470009928597e-03},
		[]float64{-2.24409524465858183362e+01, 4.74528541206955367215e+02, 2.55305040643316442583e+03, 3.19985821950859553908e+03, 1.53672958608443695994e+03, 3.25792512996573918826e+02, 3.03380607434824582924e+01, 1}}
)

const erfOne = 8.45062911510467529297e-01

func erf64(e *expander, t tensor.DType, in Inst) Val {
	a := e.op(Min, e.op(Abs, in.A), e.ConstF64(6)) // erf(6) rounds to 1
	sq := e.mul(a, a)
	isMid, isFar := e.op(Ge, a, e.ConstF64(0.84375)), e.op(Ge, a, e.ConstF64(1.25))
	isEnd := e.op(Ge, a, e.ConstF64(1/0.35))
	v := e.choose(isFar, e.div(e.ConstF64(1), sq), e.choose(isMid, e.sub(a, e.ConstF64(1)), sq))
	p, q := e.poly(v, erfNear.p...), e.poly(v, erfNear.q...)
	for _, r := range []struct {
		is Val
		erfRange
	}{{isMid, erfMid}, {isFar, erfFar}, {isEnd, erfEnd}} {
		p, q = e.choose(r.is, e.poly(v, r.p...), p), e.choose(r.is, e.poly(v, r.q...), q)
	}
	w := e.div(p, q)
	ex := e.expOf(e.sub(w, e.add(sq, e.ConstF64(0.5625))))
	far := e.sub(e.ConstF64(1), e.div(ex, a))
	r := e.choose(isMid, e.add(e.ConstF64(erfOne), w), e.fma(a, w, a))
	return e.orSign(e.choose(isFar, far, r), in.A)
}
