package main

import (
	"fmt"
	"strconv"
	"strings"

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
	archive, err := tensor.OpenFile(path)
	if err != nil {
		return nil, fileError("expected", path, err)
	}
	defer archive.Close()
	e := &expectation{File: path, Abs: tol.Abs, Rel: tol.Rel, OK: true}
	checked := make([]bool, len(results))
	for _, key := range archive.Names() {
		at, text, part, err := findResult(key, names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		want, err := archive.Load(key)
		if err != nil {
			return nil, err
		}
		c, err := compareSection(results[at], want, text, part, tol)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, key, err)
		}
		c.Key = key
		e.Comparisons = append(e.Comparisons, c)
		e.OK, checked[at] = e.OK && c.OK, true
	}
	if len(e.Comparisons) == 0 {
		return nil, fmt.Errorf("%s holds no tensors to compare with", path)
	}
	for i, ok := range checked {
		if !ok {
			e.Unchecked = append(e.Unchecked, names[i])
		}
	}
	return e, nil
}

// findResult finds the result that a key is about, by name or number.
func findResult(key string, names []string) (at int, text string, part bool, err error) {
	name, text, part := splitSection(key)
	for i, n := range names {
		if n == name {
			return i, text, part, nil
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(names) {
		return i, text, part, nil
	}
	return 0, "", false, fmt.Errorf("%q is no result of the trace, which has %s", key, listNames(names))
}

func compareSection(got, want *tensor.Tensor, text string, part bool, tol tensor.Tolerance) (comparison, error) {
	place := func(index []int) []int { return index }
	if part {
		s, err := parseSection(text, got.Shape())
		if err != nil {
			return comparison{}, err
		}
		if got, err = s.of(got); err != nil {
			return comparison{}, err
		}
		place = s.whole
	}
	return compareTensors(got, want, tol, place), nil
}

// compareTensors compares floats within tol, whatever their width, and
// everything else exactly. NaN equals NaN.
func compareTensors(got, want *tensor.Tensor, tol tensor.Tolerance, place func([]int) []int) comparison {
	c := comparison{OK: true, Elements: want.NumElements()}
	tol.NaNEqual = true
	switch floats := got.DType().IsFloat() && want.DType().IsFloat(); {
	case floats && got.DType() != want.DType():
		got, want = tensor.Cast(got, tensor.F64), tensor.Cast(want, tensor.F64)
	case !floats:
		tol = tensor.Tolerance{}
	}
	if m := tensor.Compare(got, want, tensor.Tolerance{NaNEqual: true}); m != nil {
		if m.Header != "" {
			return comparison{Elements: want.NumElements(), Mismatch: m.Header}
		}
		c.MaxAbs, c.MaxRel = number(m.MaxAbs), number(m.MaxRel)
	}
	if m := tensor.Compare(got, want, tol); m != nil {
		c.OK, c.Bad, c.First = false, m.Bad, place(m.First)
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
		fmt.Fprintf(a.out, "  %s\n", a.style.dim("not in the file: "+strings.Join(e.Unchecked, ", ")))
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
