package sim

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// declaration reads the declaration of a variable or parameter:
//
//	.const .align 4 .b32 table[2] = {1, 0x2}
//	.extern .shared .align 16 .b8 dynamic[]
//	.param .u64 .ptr .global .align 16 x
func declaration(st statement) (string, variable, error) {
	text, values, initialised := strings.Cut(st.text, "=")
	v := variable{align: 0, bytes: -1}
	words := strings.Fields(strings.ReplaceAll(text, "[", " ["))
	name, spaced, pointer := "", false, false
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch t, isType := types[strings.TrimPrefix(w, ".")]; {
		case w == ".extern":
			v.external = true
		case w == ".visible" || w == ".weak":
		case w == ".ptr":
			pointer = true
		case w == ".align" && i+1 < len(words):
			i++
			n, err := strconv.Atoi(words[i])
			if err != nil || n < 1 || n > 1<<16 || n&(n-1) != 0 {
				return "", v, wrong(st.line, "an alignment, a power of two", words[i])
			}
			if !pointer { // else it is about what the parameter points at
				v.align = n
			}
		case isType && w[0] == '.' && t.bytes > 0:
			v.typ = t
		case w[0] == '.' && spaces[w[1:]] != generic:
			if !spaced { // a .ptr has a second space
				v.space, spaced = spaces[w[1:]], true
			}
		case w[0] == '[' && name != "":
			n, err := extent(w, v)
			if err != nil || v.bytes == 0 {
				return "", v, wrong(st.line, "an extent such as [128]", w)
			}
			v.bytes = max(v.bytes, -v.bytes) * n
			if v.bytes > 1<<28 {
				return "", v, wrong(st.line, "a variable of at most 2^28 bytes", st.text)
			}
		case isName(w) && name == "":
			name = w
		default:
			return "", v, wrong(st.line, "a declaration such as .shared .align 16 .b8 name[128]", st.text)
		}
	}
	if name == "" || v.typ.bytes == 0 || !spaced {
		return "", v, wrong(st.line, "a declaration such as .shared .align 16 .b8 name[128]", st.text)
	}
	v.bytes = max(v.bytes, -v.bytes) * v.typ.bytes
	v.align = max(v.align, v.typ.bytes)
	if initialised {
		return name, v, v.initialise(st.line, values)
	}
	return name, v, nil
}

// extent reads "[128]", and "[]" of dynamic shared memory.
func extent(w string, v variable) (int, error) {
	w = strings.TrimSuffix(w[1:], "]")
	if w == "" && v.external {
		return 0, nil
	}
	n, err := strconv.ParseInt(w, 0, 32)
	if err != nil || n < 1 || n > 1<<28 {
		return 0, strconv.ErrRange
	}
	return int(n), nil
}

// initialise reads the values of a constant.
func (v *variable) initialise(line int, values string) error {
	values = strings.NewReplacer("{", "", "}", "").Replace(values)
	if v.space != constant {
		return wrong(line, "initial values of constants only", values)
	}
	for _, text := range split(strings.TrimSpace(values)) {
		x, err := literal(text, v.typ)
		if err != nil {
			return wrong(line, "a value of type "+v.typ.name, text)
		}
		v.init = append(v.init, binary.LittleEndian.AppendUint64(nil, x)[:v.typ.bytes]...)
	}
	if len(v.init) > v.bytes {
		return wrong(line, "at most "+strconv.Itoa(v.bytes/v.typ.bytes)+" values", values)
	}
	return nil
}

// literal reads a number as a value of that type: 12, -1, 0x1F, 0f3F800000,
// 0d3FF0000000000000, 1.5, 7U.
func literal(text string, t typ) (uint64, error) {
	if len(text) > 2 && text[0] == '0' {
		switch text[1] {
		case 'f', 'F':
			x, err := strconv.ParseUint(text[2:], 16, 32)
			if err != nil || len(text) != 10 {
				return 0, strconv.ErrSyntax
			}
			if t.name == "f64" {
				return bits64(float64(f32(x))), nil
			}
			return x, nil
		case 'd', 'D':
			x, err := strconv.ParseUint(text[2:], 16, 64)
			if err != nil || len(text) != 18 {
				return 0, strconv.ErrSyntax
			}
			if t.name == "f32" {
				return bits32(float32(f64(x))), nil
			}
			return x, nil
		}
	}
	if t.family == floating && strings.ContainsAny(text, ".eE") && !strings.HasPrefix(text, "0x") {
		x, err := strconv.ParseFloat(text, 64)
		switch t.bytes {
		case 8:
			return bits64(x), err
		case 4:
			return bits32(float32(x)), err
		}
		return 0, strconv.ErrSyntax
	}
	if t.family == floating {
		return 0, strconv.ErrSyntax // the assembler takes no integers for floats
	}
	return integer(text, t)
}

func integer(text string, t typ) (uint64, error) {
	text = strings.TrimRight(text, "U")
	x, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		u, err := strconv.ParseUint(text, 0, 64)
		return u & t.mask(), err
	}
	return uint64(x) & t.mask(), nil
}

// isName reports whether s is an identifier.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '%'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
