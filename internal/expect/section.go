package expect

import (
	"fmt"
	"strconv"
	"strings"

	"jitc/ir/tensor"
)

// Section is the view of t that a text such as "[3,:,0:10:2]" describes: per
// axis an index, which drops the axis, or a range from:to:step whose parts may be
// left out. Axes that are not named are whole. As in numpy, negative numbers
// count from the end and a range is cut to its axis; an index outside its axis
// is an error, and so is a step below 1.
func Section(t *tensor.Tensor, text string) (*tensor.Tensor, error) {
	s, err := parseSection(text, t.Shape())
	if err != nil {
		return nil, err
	}
	return s.of(t)
}

// section is a part of a tensor, by axis of the whole.
type section struct {
	start, step, count []int
	drop               []bool
}

// parseSection reads a section, with its brackets, of a tensor of that shape.
func parseSection(text string, shape []int) (*section, error) {
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed {
		return nil, fmt.Errorf("section %s: expected indices and ranges in brackets", text)
	}
	var axes []string
	if strings.TrimSpace(inner) != "" {
		axes = strings.Split(inner, ",")
	}
	if len(axes) > len(shape) {
		return nil, fmt.Errorf("section %s has %d axes, the result has %d", text, len(axes), len(shape))
	}
	s := &section{}
	for i, n := range shape {
		axis := ":"
		if i < len(axes) {
			axis = strings.TrimSpace(axes[i])
		}
		if err := s.axis(axis, n); err != nil {
			return nil, fmt.Errorf("section %s, axis %d: %w", text, i, err)
		}
	}
	return s, nil
}

// axis appends one axis of n elements.
func (s *section) axis(text string, n int) error {
	fields := strings.Split(text, ":")
	at := [3]int{0, n, 1} // from, to, step
	for i, f := range fields {
		f = strings.TrimSpace(f)
		if f == "" && len(fields) > 1 && i < len(at) {
			continue
		}
		v, err := strconv.Atoi(f)
		if err != nil || i >= len(at) {
			return fmt.Errorf("expected an index or start:stop:step, got %q", text)
		}
		if i < 2 && v < 0 {
			v += n // from the end
		}
		at[i] = v
	}
	if len(fields) == 1 {
		if at[0] < 0 || at[0] >= n {
			return fmt.Errorf("index %s is outside the axis of size %d", text, n)
		}
		s.add(at[0], 1, 1, true)
		return nil
	}
	if at[2] < 1 {
		return fmt.Errorf("expected a step of 1 or more, got %d", at[2])
	}
	start, stop := min(max(at[0], 0), n), min(max(at[1], 0), n)
	count := 0
	if start < stop {
		count = (stop-start-1)/at[2] + 1
	}
	s.add(start, at[2], count, false)
	return nil
}

func (s *section) add(start, step, count int, drop bool) {
	if count <= 1 {
		step = 1 // no second element: its place need not be computable
	}
	s.start, s.step = append(s.start, start), append(s.step, step)
	s.count, s.drop = append(s.count, count), append(s.drop, drop)
}

// of is a view of the section of t.
func (s *section) of(t *tensor.Tensor) (*tensor.Tensor, error) {
	strides, shape := []int{}, []int{}
	offset := t.Offset()
	empty := false
	for i, st := range t.Strides() {
		empty = empty || s.count[i] == 0
		offset += s.start[i] * st
		if !s.drop[i] {
			strides, shape = append(strides, st*s.step[i]), append(shape, s.count[i])
		}
	}
	if empty { // the first element may lie beyond the storage
		offset = t.Offset()
	}
	return t.View(strides, offset, shape)
}

// whole is the index in the whole tensor of an index in the section.
func (s *section) whole(index []int) []int {
	out := make([]int, len(s.start))
	k := 0
	for i := range out {
		out[i] = s.start[i]
		if !s.drop[i] {
			out[i] += index[k] * s.step[i]
			k++
		}
	}
	return out
}
