// Package expect compares results with those of a file of expected tensors.
//
// A key of the file names a result, by its value's name or its number, or a
// section of one, written as in numpy:
//
//	logits                     all of it
//	logits[127]                index 127 of the first axis, whole in the others
//	logits[-1,0:50257:257]     from the end; every 257th
//
// Floats compare within a tolerance, whatever their widths; everything else
// exactly.
package expect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"jitc/ir"
	"jitc/ir/tensor"
)

// ErrEmpty says that a file holds nothing to compare with.
var ErrEmpty = errors.New("the file holds no tensors to compare with")

// Names are the names by which a file may call f's results: a value's name, or
// its number where it has none or is returned before.
func Names(f *ir.Func) []string {
	names := make([]string, len(f.Results))
	taken := map[string]bool{}
	for i, v := range f.Results {
		names[i] = v.Name
		if v.Name == "" || taken[v.Name] {
			names[i] = strconv.Itoa(i)
		}
		taken[names[i]] = true
	}
	return names
}

// Outcome is the comparison of one key of the file.
type Outcome struct {
	Key      string
	Result   int // number of the result that the key is about
	Elements int
	MaxAbs   float64          // largest finite |got-want|, also within the tolerance
	MaxRel   float64          // largest finite |got-want|/|want|
	Mismatch *tensor.Mismatch // nil: equal within the tolerance
	First    []int            // index of the first bad element in the result, not in the section
}

// Compare compares every tensor of the file with the result, or the section of
// one, that its key names; integers and bools must be equal whatever tol says.
// An error means that the file does not fit the results, or cannot be read.
func Compare(file tensor.Archive, names []string, results []*tensor.Tensor, tol tensor.Tolerance) ([]Outcome, error) {
	var out []Outcome
	for _, key := range file.Names() {
		at, text, err := find(key, names)
		if err != nil {
			return nil, err
		}
		want, err := file.Load(key)
		if err != nil {
			return nil, err
		}
		o, err := compare(results[at], want, text, tol)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		o.Key, o.Result = key, at
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, ErrEmpty
	}
	return out, nil
}

// find finds the result that a key is about, and the key's section, if any.
func find(key string, names []string) (at int, text string, err error) {
	name := key
	if open := strings.IndexByte(key, '['); open > 0 {
		name, text = key[:open], key[open:]
	}
	for i, n := range names {
		if n == name {
			return i, text, nil
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(names) {
		return i, text, nil
	}
	return 0, "", fmt.Errorf("%q is no result of the trace, which has %s", key, strings.Join(names, ", "))
}

// compare compares a section of got, all of it if text is empty.
func compare(got, want *tensor.Tensor, text string, tol tensor.Tolerance) (Outcome, error) {
	place := func(index []int) []int { return index }
	if text != "" {
		s, err := parseSection(text, got.Shape())
		if err != nil {
			return Outcome{}, err
		}
		if got, err = s.of(got); err != nil {
			return Outcome{}, err
		}
		place = s.whole
	}
	exact := tensor.Tolerance{NaNEqual: tol.NaNEqual}
	switch floats := got.DType().IsFloat() && want.DType().IsFloat(); {
	case floats && got.DType() != want.DType():
		got, want = tensor.Cast(got, tensor.F64), tensor.Cast(want, tensor.F64)
	case !floats:
		tol = exact
	}
	o := Outcome{Elements: want.NumElements(), Mismatch: tensor.Compare(got, want, tol)}
	if o.Mismatch != nil && o.Mismatch.Header == "" {
		o.First = place(o.Mismatch.First)
	}
	if m := tensor.Compare(got, want, exact); m != nil {
		o.MaxAbs, o.MaxRel = m.MaxAbs, m.MaxRel
	}
	return o, nil
}
