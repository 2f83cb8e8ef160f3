package main

import (
	"fmt"
	"strconv"
	"strings"

	"jitc/ir/tensor"
)

// section is a part of a tensor, written as in numpy: an index drops its axis,
// a:b:c keeps it, and axes that are not named are whole.
//
//	logits[0,:]   logits[:,0:50257:257]   h[-1]
type section struct {
	start, step, count []int  // by axis of the whole
	drop               []bool // by axis of the whole
}

// splitSection splits a key into the name of a result and the text between its
// brackets; part is false for a key without brackets.
func splitSection(key string) (name, text string, part bool) {
	open := strings.IndexByte(key, '[')
	if open <= 0 || !strings.HasSuffix(key, "]") {
		return key, "", false
	}
	return key[:open], key[open+1 : len(key)-1], true
}

// parseSection reads the text between the brackets for a tensor of that shape.
func parseSection(text string, shape []int) (*section, error) {
	var axes []string
	if strings.TrimSpace(text) != "" {
		axes = strings.Split(text, ",")
	}
	if len(axes) > len(shape) {
		return nil, fmt.Errorf("section [%s] has %d axes, the result has %d", text, len(axes), len(shape))
	}
	s := &section{}
	for i, n := range shape {
		axis := ":"
		if i < len(axes) {
			axis = strings.TrimSpace(axes[i])
		}
		if err := s.axis(axis, n); err != nil {
			return nil, fmt.Errorf("section [%s], axis %d: %w", text, i, err)
		}
	}
	return s, nil
}

// axis appends one axis of n elements.
func (s *section) axis(text string, n int) error {
	fields := strings.Split(text, ":")
	if len(fields) > 3 {
		return fmt.Errorf("expected an index or start:stop:step, got %q", text)
	}
	at := [3]int{0, n, 1}
	for i, f := range fields {
		f = strings.TrimSpace(f)
		if f == "" && len(fields) > 1 {
			continue
		}
		v, err := strconv.Atoi(f)
		if err != nil {
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
	s.add(start, at[2], max(0, (stop-start+at[2]-1)/at[2]), false)
	return nil
}

func (s *section) add(start, step, count int, drop bool) {
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

// whole is the position in the whole tensor of a position in the section.
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
