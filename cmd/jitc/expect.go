package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"jitc/internal/expect"
	"jitc/ir/tensor"
)

// comparison is a result, or a section of one, beside what was expected.
type comparison struct {
	Key      string `json:"key"`
	OK       bool   `json:"ok"`
	Elements int    `json:"elements"`
	Bad      int    `json:"bad"` // elements out of tolerance
	MaxAbs   number `json:"max_abs_error"`
	MaxRel   number `json:"max_rel_error"`
	First    []int  `json:"first,omitempty"` // of the bad elements, its index in the result
	Got      number `json:"got,omitempty"`
	Want     number `json:"want,omitempty"`
	Mismatch string `json:"mismatch,omitempty"` // of types or shapes
}

// expectation is a file of expected results.
type expectation struct {
	File        string       `json:"file"`
	Abs         float64      `json:"atol"`
	Rel         float64      `json:"rtol"`
	OK          bool         `json:"ok"`
	Comparisons []comparison `json:"comparisons"`
	Unchecked   []string     `json:"unchecked,omitempty"` // results that the file says nothing about
}

// compareWith compares results with a file of expected ones. Its error is about
// the file; a difference is part of the expectation.
func compareWith(path string, tol tensor.Tolerance, names []string, results []*tensor.Tensor) (*expectation, error) {
	archive, err := openTensors("expected results", path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	tol.NaNEqual = true
	outcomes, err := expect.Compare(archive, names, results, tol)
	if err != nil {
		if errors.As(err, new(*tensor.FormatError)) { // it names the file
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e := &expectation{File: path, Abs: tol.Abs, Rel: tol.Rel, OK: true}
	checked := make([]bool, len(results))
	for _, o := range outcomes {
		e.Comparisons = append(e.Comparisons, comparisonOf(o))
		e.OK, checked[o.Result] = e.OK && o.Mismatch == nil, true
	}
	for i, ok := range checked {
		if !ok {
			e.Unchecked = append(e.Unchecked, names[i])
		}
	}
	return e, nil
}

func comparisonOf(o expect.Outcome) comparison {
	c := comparison{Key: o.Key, OK: o.Mismatch == nil, Elements: o.Elements, MaxAbs: number(o.MaxAbs), MaxRel: number(o.MaxRel)}
	if m := o.Mismatch; m != nil {
		c.Mismatch, c.Bad, c.First = m.Header, m.Bad, o.First
		c.Got, c.Want = number(m.FirstGot), number(m.FirstWant)
	}
	return c
}

// writeExpectation prints one line per comparison, and one more for what is wrong.
func (a *app) writeExpectation(e *expectation) {
	fmt.Fprintf(a.out, "\n%s %s  |got-want| <= %g + %g*|want|\n", a.style.bold("expect"), e.File, e.Abs, e.Rel)
	width := 0
	for _, c := range e.Comparisons {
		width = max(width, len(c.Key))
	}
	for _, c := range e.Comparisons {
		word := a.style.good("ok  ")
		if !c.OK {
			word = a.style.bad("FAIL")
		}
		if c.Mismatch != "" {
			fmt.Fprintf(a.out, "  %s  %-*s  %s\n", word, width, c.Key, c.Mismatch)
			continue
		}
		fmt.Fprintf(a.out, "  %s  %-*s  max abs %-8.3g  max rel %-8.3g  %s\n", word, width, c.Key,
			float64(c.MaxAbs), float64(c.MaxRel), plural(c.Elements, "element"))
		if !c.OK {
			fmt.Fprintf(a.out, "        %d of %d out of tolerance, first at %s: got %g, want %g\n",
				c.Bad, c.Elements, indexText(c.First), float64(c.Got), float64(c.Want))
		}
	}
	if len(e.Unchecked) > 0 {
		for _, l := range wrap("not in the file: "+strings.Join(e.Unchecked, ", "), columns-2) {
			fmt.Fprintf(a.out, "  %s\n", a.style.dim(l))
		}
	}
}

// indexText prints an index as in the text of a section: [0,3].
func indexText(index []int) string {
	parts := make([]string, len(index))
	for i, n := range index {
		parts[i] = strconv.Itoa(n)
	}
	return "[" + strings.Join(parts, ",") + "]"
}
