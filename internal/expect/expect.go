// Package expect compares results with those of a file of expected tensors.
//
// A key of the file names a result, "logits", or a section of one,
// "logits[127,:]" or "logits[:,0:50257:257]": per axis an index, or a range
// from:to:step whose parts may be left out, as in Python and without negative
// numbers. An index drops its axis.
package expect

import (
	"fmt"
	"strconv"
	"strings"

	"jitc/ir"
	"jitc/ir/tensor"
)

// Names are the names by which a file may call f's results: a value's name, or
// its position.
func Names(f *ir.Func) []string {
	names := make([]string, len(f.Results))
	for i, r := range f.Results {
		names[i] = r.Name
		if names[i] == "" {
			names[i] = strconv.Itoa(i)
		}
	}
	return names
}

// Outcome is the comparison of one key of the file.
type Outcome struct {
	Key      string
	Elements int
	Mismatch *tensor.Mismatch // nil: equal within the tolerance
}

// Compare compares every tensor of the file with the result, or the section of
// one, that its key names. An error means that the file does not fit the
// results, or cannot be read.
func Compare(file tensor.Archive, names []string, results []*tensor.Tensor, tol tensor.Tolerance) ([]Outcome, error) {
	keys := file.Names()
	if len(keys) == 0 {
		return nil, fmt.Errorf("the file of expected results is empty")
	}
	var out []Outcome
	for _, key := range keys {
		got, err := resolve(key, names, results)
		if err != nil {
			return nil, err
		}
		want, err := file.Load(key)
		if err != nil {
			return nil, err
		}
		out = append(out, Outcome{Key: key, Elements: want.NumElements(), Mismatch: tensor.Compare(got, want, tol)})
	}
	return out, nil
}

func resolve(key string, names []string, results []*tensor.Tensor) (*tensor.Tensor, error) {
	name, section, isSection := strings.Cut(key, "[")
	at := -1
	for i, n := range names {
		if n == name || strconv.Itoa(i) == name {
			at = i
			break
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("expected results name %q: the results are %s", name, strings.Join(names, ", "))
	}
	if !isSection {
		return results[at], nil
	}
	t, err := Section(results[at], "["+section)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	return t, nil
}

// Section is the view of t that a text such as "[3,:,0:10:2]" describes.
func Section(t *tensor.Tensor, text string) (*tensor.Tensor, error) {
	inner, ok := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	parts := strings.Split(inner, ",")
	if !ok || !closed || len(parts) != t.Rank() {
		return nil, fmt.Errorf("bad section %q: expected one index or range for each of %d axes, in brackets", text, t.Rank())
	}
	offset := t.Offset()
	var shape, strides []int
	for axis, part := range parts {
		r, err := parseRange(strings.TrimSpace(part), t.Shape()[axis])
		if err != nil {
			return nil, fmt.Errorf("section %q, axis %d: %w", text, axis, err)
		}
		stride := t.Strides()[axis]
		offset += r.from * stride
		if !r.index {
			shape = append(shape, (r.to-r.from+r.step-1)/r.step)
			strides = append(strides, r.step*stride)
		}
	}
	return t.View(strides, offset, shape)
}

type span struct {
	from, to, step int
	index          bool
}

func parseRange(s string, size int) (span, error) {
	fields := strings.Split(s, ":")
	r := span{to: size, step: 1, index: len(fields) == 1}
	if len(fields) > 3 || r.index && s == "" {
		return r, fmt.Errorf("expected an index or from:to:step, got %q", s)
	}
	for i, p := range []*int{&r.from, &r.to, &r.step}[:len(fields)] {
		if fields[i] == "" {
			continue
		}
		n, err := strconv.Atoi(fields[i])
		if err != nil || n < 0 {
			return r, fmt.Errorf("expected a number of 0 or more, got %q", fields[i])
		}
		*p = n
	}
	if r.index {
		r.to = r.from + 1
	}
	if r.from > r.to || r.to > size || r.step < 1 {
		return r, fmt.Errorf("%q is outside an axis of size %d", s, size)
	}
	return r, nil
}
