package tensor

import (
	"fmt"
	"strconv"
	"strings"
)

// pyScanner reads the subset of Python literals that .npy headers consist of: a
// dict from strings to strings, booleans, integers and tuples of integers.
type pyScanner struct {
	text string
	pos  int
}

// space skips white space and returns the next byte, 0 at the end.
func (s *pyScanner) space() byte {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n\x00", s.text[s.pos]) >= 0 {
		s.pos++
	}
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

func (s *pyScanner) expect(c byte) error {
	if got := s.space(); got != c {
		return fmt.Errorf("%q where %q belongs", got, c)
	}
	s.pos++
	return nil
}

// dict reads the whole text as one dict.
func (s *pyScanner) dict() (map[string]any, error) {
	fields := make(map[string]any)
	if err := s.expect('{'); err != nil {
		return nil, err
	}
	for s.space() != '}' {
		key, err := s.quoted()
		if err != nil {
			return nil, err
		}
		if err := s.expect(':'); err != nil {
			return nil, err
		}
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("key %q twice", key)
		}
		if fields[key], err = s.value(); err != nil {
			return nil, err
		}
		if s.space() != ',' {
			break
		}
		s.pos++
	}
	if err := s.expect('}'); err != nil {
		return nil, err
	}
	if c := s.space(); c != 0 {
		return nil, fmt.Errorf("%q after the dict", c)
	}
	return fields, nil
}

func (s *pyScanner) value() (any, error) {
	switch c := s.space(); {
	case c == '\'' || c == '"':
		return s.quoted()
	case c == '(':
		return s.tuple()
	case c >= '0' && c <= '9' || c == '-':
		return s.integer()
	case strings.HasPrefix(s.text[s.pos:], "True"):
		s.pos += 4
		return true, nil
	case strings.HasPrefix(s.text[s.pos:], "False"):
		s.pos += 5
		return false, nil
	default:
		return nil, fmt.Errorf("%q where a value belongs", c)
	}
}

// quoted reads a string; the format has no use for escapes, so none are allowed.
func (s *pyScanner) quoted() (string, error) {
	quote := s.space()
	if quote != '\'' && quote != '"' {
		return "", fmt.Errorf("%q where a string belongs", quote)
	}
	rest := s.text[s.pos+1:]
	end := strings.IndexByte(rest, quote)
	if end < 0 {
		return "", fmt.Errorf("a string without end")
	}
	if strings.IndexByte(rest[:end], '\\') >= 0 {
		return "", fmt.Errorf("an escape in a string")
	}
	s.pos += end + 2
	return rest[:end], nil
}

// tuple reads sizes: (), (3,), (3), (2, 3).
func (s *pyScanner) tuple() ([]int, error) {
	s.pos++
	sizes := []int{}
	for s.space() != ')' {
		n, err := s.integer()
		if err != nil {
			return nil, err
		}
		if len(sizes) == maxRank {
			return nil, fmt.Errorf("more than %d dimensions", maxRank)
		}
		sizes = append(sizes, n)
		if s.space() != ',' {
			break
		}
		s.pos++
	}
	return sizes, s.expect(')')
}

func (s *pyScanner) integer() (int, error) {
	s.space()
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte("-0123456789", s.text[s.pos]) >= 0 {
		s.pos++
	}
	n, err := strconv.ParseInt(s.text[start:s.pos], 10, 64)
	if err != nil || int64(int(n)) != n {
		return 0, fmt.Errorf("%q where an integer belongs", s.text[start:s.pos])
	}
	if s.pos < len(s.text) && s.text[s.pos] == 'L' { // Python 2 wrote long integers so
		s.pos++
	}
	return int(n), nil
}
