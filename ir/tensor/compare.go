package tensor

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Tolerance says how far an element may be from the wanted one. An element
// passes if it is within any of the given bounds:
//
//	|got-want| <= Abs + Rel*|want|   or   |got-want| <= ULP * (spacing of values at want)
//
// The zero Tolerance asks for equal values. Infinities must match exactly, and a
// NaN on one side only never passes.
type Tolerance struct {
	Abs, Rel float64
	ULP      int  // units in the last place of the element type; ignored for integers
	NaNEqual bool // a NaN on both sides passes
	SignZero bool // -0 differs from +0; only where Abs, Rel and ULP are all zero
}

// Exact asks for equal values with NaN equal to NaN and -0 different from +0.
// NaN payloads do not count.
var Exact = Tolerance{NaNEqual: true, SignZero: true}

// Mismatch says how two tensors differ. It is an error.
type Mismatch struct {
	Header string // the difference of types or shapes; the rest is zero then

	Bad, Total  int     // elements out of tolerance, of all
	First       []int   // index of the first one out of tolerance in row-major order
	FirstGot    float64 // its values
	FirstWant   float64
	Worst       []int // index of the one furthest out: NaN and infinity before numbers
	WorstGot    float64
	WorstWant   float64
	MaxAbs      float64 // largest finite |got-want| over all elements
	MaxRel      float64 // largest finite |got-want|/|want| over all elements with want != 0
	Tolerance   Tolerance
	exact       [4]string // integers beyond 2^53 in full: first got, want, worst got, want
	worstExcess float64
}

// Compare returns nil if got has want's type and shape and every element is
// within tolerance, else what differs. Neither tensor needs to be contiguous.
func Compare(got, want *Tensor, tol Tolerance) *Mismatch {
	if got == nil || want == nil {
		if got == want {
			return nil
		}
		return &Mismatch{Header: fmt.Sprintf("one tensor is nil: got %v, want %v", got != nil, want != nil)}
	}
	if got.dtype != want.dtype || !got.SameShape(want.shape) {
		return &Mismatch{Header: fmt.Sprintf("got %s%v, want %s%v", got.dtype, got.shape, want.dtype, want.shape)}
	}
	got, gotErr := got.ToHost()
	want, wantErr := want.ToHost()
	if err := errors.Join(gotErr, wantErr); err != nil {
		return &Mismatch{Header: err.Error()}
	}
	m := &Mismatch{Total: want.count, Tolerance: tol}
	if want.dtype.IsFloat() {
		m.compareFloats(got, want)
	} else {
		m.compareInts(got, want)
	}
	if m.Bad == 0 {
		return nil
	}
	return m
}

// Check is Compare for callers that want an error value: nil, or a *Mismatch.
// (A nil *Mismatch inside an error interface would not be a nil error.)
func Check(got, want *Tensor, tol Tolerance) error {
	if m := Compare(got, want, tol); m != nil {
		return m
	}
	return nil
}

// CompareAll compares lists of tensors, as results of a function, and names the
// first that differs.
func CompareAll(got, want []*Tensor, tol Tolerance) *Mismatch {
	if len(got) != len(want) {
		return &Mismatch{Header: fmt.Sprintf("got %d tensors, want %d", len(got), len(want))}
	}
	for i := range want {
		if m := Compare(got[i], want[i], tol); m != nil {
			m.Header = strings.TrimSpace(fmt.Sprintf("tensor %d: %s", i, m.Header))
			return m
		}
	}
	return nil
}

func (m *Mismatch) compareFloats(got, want *Tensor) {
	tol := m.Tolerance
	strict := tol.SignZero && tol.Abs == 0 && tol.Rel == 0 && tol.ULP == 0
	ulp := ulpOf(want.dtype)
	g, w := Floats(got), Floats(want)
	for i, want := range w {
		got := g[i]
		diff := math.Abs(got - want)
		if diff == 0 {
			if strict && math.Signbit(got) != math.Signbit(want) {
				m.add(i, got, want, 0)
			}
			continue
		}
		if got == want { // equal infinities: their difference is NaN
			continue
		}
		if diff != diff || math.IsInf(got, 0) || math.IsInf(want, 0) {
			if !(tol.NaNEqual && got != got && want != want) {
				m.add(i, got, want, math.Inf(1))
			}
			continue
		}
		m.note(diff, want)
		allowed := max(tol.Abs+tol.Rel*math.Abs(want), 0)
		if diff <= allowed || tol.ULP > 0 && ulp.distance(got, want) <= float64(tol.ULP) {
			continue
		}
		m.add(i, got, want, diff/max(allowed, ulp.at(want)))
	}
	m.locate(want.shape)
}

// note keeps the largest errors.
func (m *Mismatch) note(diff, want float64) {
	m.MaxAbs = max(m.MaxAbs, diff)
	if want != 0 {
		m.MaxRel = max(m.MaxRel, diff/math.Abs(want))
	}
}

// add records a bad element at a flat index, kept in First and Worst until
// locate turns it into coordinates.
func (m *Mismatch) add(i int, got, want, excess float64) {
	m.Bad++
	if m.Bad == 1 {
		m.First, m.FirstGot, m.FirstWant = []int{i}, got, want
	}
	if m.Bad == 1 || excess > m.worstExcess {
		m.Worst, m.WorstGot, m.WorstWant, m.worstExcess = []int{i}, got, want, excess
	}
}

// locate turns the flat indices into coordinates.
func (m *Mismatch) locate(shape []int) {
	if m.Bad > 0 {
		m.First, m.Worst = unravel(m.First[0], shape), unravel(m.Worst[0], shape)
	}
}

// unravel is the coordinates of a row-major position.
func unravel(flat int, shape []int) []int {
	index := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		index[i] = flat % shape[i]
		flat /= shape[i]
	}
	return index
}

// compareInts compares integers and bools exactly as integers, so that
// differences beyond 2^53 are not lost.
func (m *Mismatch) compareInts(got, want *Tensor) {
	tol := m.Tolerance
	unsigned := want.dtype == U64
	g, w := Ints(got), Ints(want)
	for i, want := range w {
		got := g[i]
		if got == want {
			continue
		}
		gf, wf := intAsFloat(got, unsigned), intAsFloat(want, unsigned)
		distance := uint64(got) - uint64(want)
		if unsigned && uint64(got) < uint64(want) || !unsigned && got < want {
			distance = -distance
		}
		diff := float64(distance)
		m.note(diff, wf)
		allowed := tol.Abs + tol.Rel*math.Abs(wf)
		if diff <= allowed {
			continue
		}
		before := m.worstExcess
		m.add(i, gf, wf, diff)
		if m.Bad == 1 {
			m.exact[0], m.exact[1] = intText(got, unsigned), intText(want, unsigned)
		}
		if m.Bad == 1 || m.worstExcess > before {
			m.exact[2], m.exact[3] = intText(got, unsigned), intText(want, unsigned)
		}
	}
	m.locate(want.shape)
}

func intAsFloat(v int64, unsigned bool) float64 {
	if unsigned {
		return float64(uint64(v))
	}
	return float64(v)
}

func intText(v int64, unsigned bool) string {
	if unsigned {
		return fmt.Sprint(uint64(v))
	}
	return fmt.Sprint(v)
}

// ulpRule is the spacing of a float type's values.
type ulpRule struct {
	manBits int
	minExp  int // exponent of the smallest normal value
}

func ulpOf(dt DType) ulpRule {
	switch dt {
	case F8E4M3:
		return ulpRule{3, -6}
	case F8E5M2:
		return ulpRule{2, -14}
	case F16:
		return ulpRule{10, -14}
	case BF16:
		return ulpRule{7, -126}
	case F32:
		return ulpRule{23, -126}
	}
	return ulpRule{52, -1022}
}

// at is the spacing of values in the binade of x.
func (u ulpRule) at(x float64) float64 {
	_, exp := math.Frexp(x) // x = 0.5..1 * 2^exp
	if x == 0 {
		exp = u.minExp
	}
	return math.Ldexp(1, max(exp-1, u.minExp)-u.manBits)
}

// distance is |got-want| in units of the spacing at want.
func (u ulpRule) distance(got, want float64) float64 {
	return math.Abs(got-want) / u.at(want)
}

// Error describes the mismatch on a few lines.
func (m *Mismatch) Error() string {
	if m.Total == 0 {
		return "tensors differ: " + m.Header
	}
	var b strings.Builder
	b.WriteString("tensors differ: ")
	if m.Header != "" {
		b.WriteString(m.Header + " ")
	}
	fmt.Fprintf(&b, "%d of %d elements out of tolerance (%s)\n", m.Bad, m.Total, m.Tolerance)
	m.line(&b, "first", m.First, m.FirstGot, m.FirstWant, m.exact[0], m.exact[1])
	m.line(&b, "worst", m.Worst, m.WorstGot, m.WorstWant, m.exact[2], m.exact[3])
	fmt.Fprintf(&b, "  max abs error %.3g, max rel error %.3g", m.MaxAbs, m.MaxRel)
	return b.String()
}

func (m *Mismatch) line(b *strings.Builder, name string, at []int, got, want float64, exactGot, exactWant string) {
	if exactGot == "" {
		exactGot, exactWant = fmt.Sprint(got), fmt.Sprint(want)
	}
	fmt.Fprintf(b, "  %s at %v: got %s, want %s", name, at, exactGot, exactWant)
	if diff := math.Abs(got - want); diff == diff && !math.IsInf(diff, 0) {
		fmt.Fprintf(b, " (off by %.3g)", diff)
	}
	b.WriteString("\n")
}

// String lists the bounds that apply: "abs 1e-06, rel 1e-05".
func (t Tolerance) String() string {
	var parts []string
	if t.Abs != 0 {
		parts = append(parts, fmt.Sprintf("abs %g", t.Abs))
	}
	if t.Rel != 0 {
		parts = append(parts, fmt.Sprintf("rel %g", t.Rel))
	}
	if t.ULP != 0 {
		parts = append(parts, fmt.Sprintf("%d ulp", t.ULP))
	}
	if len(parts) == 0 {
		parts = append(parts, "exact")
	}
	return strings.Join(parts, ", ")
}
