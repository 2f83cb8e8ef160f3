package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"jitc/ir"
	"jitc/ir/tensor"
)

// resultReport describes one result.
type resultReport struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Shape []int    `json:"shape"`
	First []number `json:"first"` // a few elements, in row-major order
	Last  []number `json:"last,omitempty"`
	Min   number   `json:"min"` // of the elements that are no NaN
	Max   number   `json:"max"`
	Mean  number   `json:"mean"` // of the finite elements
	NaN   int      `json:"nan"`
	Inf   int      `json:"inf"`

	text []string // First and Last, exact
}

// firstShown and lastShown are how many elements a report shows.
const (
	firstShown = 6
	lastShown  = 2
)

func describeResult(name string, t *tensor.Tensor) resultReport {
	r := resultReport{Name: name, Type: ir.TConst(t.DType(), t.Shape()...).String(), Shape: t.Shape()}
	xs := tensor.Floats(t)
	r.summarise(xs)
	for _, i := range shownElements(len(xs)) {
		switch {
		case i < 0:
			r.text = append(r.text, "...")
		case i < firstShown || len(xs) <= firstShown+lastShown:
			r.First = append(r.First, number(xs[i]))
		default:
			r.Last = append(r.Last, number(xs[i]))
		}
		if i >= 0 {
			r.text = append(r.text, elementText(t, xs[i], i))
		}
	}
	return r
}

// shownElements lists the positions to show; -1 stands for those left out.
func shownElements(n int) []int {
	var at []int
	for i := 0; i < n; i++ {
		if i == firstShown && n > firstShown+lastShown {
			at = append(at, -1)
			i = n - lastShown
		}
		at = append(at, i)
	}
	return at
}

func (r *resultReport) summarise(xs []float64) {
	lo, hi, sum, finite := math.NaN(), math.NaN(), 0.0, 0
	for _, x := range xs {
		if x != x {
			r.NaN++
			continue
		}
		if !(x >= lo) {
			lo = x
		}
		if !(x <= hi) {
			hi = x
		}
		if math.IsInf(x, 0) {
			r.Inf++
			continue
		}
		sum += x
		finite++
	}
	r.Min, r.Max, r.Mean = number(lo), number(hi), number(sum/float64(finite))
}

// elementText prints an element: integers in full, floats with six digits.
func elementText(t *tensor.Tensor, x float64, at int) string {
	switch dt := t.DType(); {
	case dt == tensor.Bool:
		return strconv.FormatBool(x != 0)
	case dt == tensor.U64:
		return strconv.FormatUint(tensor.Data[uint64](t.Contiguous())[at], 10)
	case dt == tensor.I64:
		return strconv.FormatInt(tensor.Data[int64](t.Contiguous())[at], 10)
	case dt.IsInt():
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

func (a *app) writeResult(r resultReport) {
	fmt.Fprintf(a.out, "\n%s  %s\n", a.style.bold(r.Name), r.Type)
	if len(r.text) == 0 {
		fmt.Fprintln(a.out, "  (no elements)")
		return
	}
	for _, l := range wrap(strings.Join(r.text, " "), columns-2) {
		fmt.Fprintln(a.out, "  "+l)
	}
	if len(r.text) == 1 {
		return
	}
	line := fmt.Sprintf("min %.6g  max %.6g  mean %.6g", float64(r.Min), float64(r.Max), float64(r.Mean))
	if r.NaN > 0 {
		line += a.style.bad(fmt.Sprintf("  %d NaN", r.NaN))
	}
	if r.Inf > 0 {
		line += a.style.bad(fmt.Sprintf("  %d infinite", r.Inf))
	}
	fmt.Fprintln(a.out, "  "+line)
}
