package guard

import (
	"fmt"
	"slices"
	"strings"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// Text is the guard as a condition: "x: f32", "rank(x) == 2", "x.size(0) == 4",
// "x.size(0) == 2*y.size(1)", "1.Scale == 0.5", "x does not overlap y". A nil
// schema numbers the arguments.
func (g *Guard) Text(s *call.Schema) string { return g.Kind.row().text(g, s) }

// Got is what the call has in place of what the guard asks for: "x.size(0) is 5".
func (g *Guard) Got(c *call.Call, s *call.Schema) string { return g.Kind.row().got(g, c, s) }

func tensorPath(s *call.Schema, i int) string {
	if s == nil || i < 0 || i >= len(s.Tensors) {
		return fmt.Sprintf("#%d", i)
	}
	return s.TensorPath(i)
}

func sizePath(s *call.Schema, arg, axis int) string {
	return fmt.Sprintf("%s.size(%d)", tensorPath(s, arg), axis)
}

// lacks says what a layout lacks for an axis to be looked at.
func lacks(l *tensor.Layout, path string) string {
	if l == nil {
		return path + " is nil"
	}
	return fmt.Sprintf("%s has rank %d", path, len(l.Shape))
}

func counted(n int64, of int) string {
	noun := [...]string{"tensor", "constant"}[min(max(of, 0), 1)]
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func textCount(g *Guard, _ *call.Schema) string { return counted(g.Want, g.Arg) }

func gotCount(g *Guard, c *call.Call, _ *call.Schema) string {
	v, _ := observeCount(g, c)
	return counted(int64(v.Bits), g.Arg)
}

func textPresent(g *Guard, s *call.Schema) string { return tensorPath(s, g.Arg) + " is not nil" }

func gotPresent(g *Guard, c *call.Call, s *call.Schema) string {
	if layout(c, g.Arg) == nil {
		return tensorPath(s, g.Arg) + " is nil"
	}
	return tensorPath(s, g.Arg) + " is not nil"
}

func textDType(g *Guard, s *call.Schema) string {
	return fmt.Sprintf("%s: %s", tensorPath(s, g.Arg), g.DType)
}

func gotDType(g *Guard, c *call.Call, s *call.Schema) string {
	l, path := layout(c, g.Arg), tensorPath(s, g.Arg)
	if l == nil {
		return path + " is nil"
	}
	return fmt.Sprintf("%s is %s", path, l.DType)
}

func textRank(g *Guard, s *call.Schema) string {
	return fmt.Sprintf("rank(%s) == %d", tensorPath(s, g.Arg), g.Want)
}

func gotRank(g *Guard, c *call.Call, s *call.Schema) string {
	l, path := layout(c, g.Arg), tensorPath(s, g.Arg)
	if l == nil {
		return path + " is nil"
	}
	return fmt.Sprintf("rank(%s) is %d", path, len(l.Shape))
}

func textSize(g *Guard, s *call.Schema) string {
	return fmt.Sprintf("%s == %d", sizePath(s, g.Arg, g.Axis), g.Want)
}

func gotSize(g *Guard, c *call.Call, s *call.Schema) string {
	n, ok := size(c, g.Arg, g.Axis)
	if !ok {
		return lacks(layout(c, g.Arg), tensorPath(s, g.Arg))
	}
	return fmt.Sprintf("%s is %d", sizePath(s, g.Arg, g.Axis), n)
}

// constPlace is where a constant stands, for messages.
func constPlace(s *call.Schema, i int) call.Place {
	if i < 0 {
		s = nil
	}
	return s.Place(i)
}

func textConst(g *Guard, s *call.Schema) string {
	p := constPlace(s, g.Arg)
	return fmt.Sprintf("%s == %s", p.Path, g.Value.Format(p.Kind))
}

func gotConst(g *Guard, c *call.Call, s *call.Schema) string {
	p := constPlace(s, g.Arg)
	v, ok := constant(c, g.Arg)
	if !ok {
		return "no " + p.Path
	}
	return fmt.Sprintf("%s is %s", p.Path, v.Format(p.Kind))
}

// textCond names each symbol by where it is read. Where a size is computed with
// first, the condition keeps its symbols and their definitions follow.
func textCond(g *Guard, s *call.Schema) string {
	names, plain := map[string]string{}, true
	for i := range g.From {
		names[g.From[i].Sym] = g.From[i].path(s)
		plain = plain && g.From[i].plain()
	}
	if plain {
		return renamed(g.Cond.String(), names)
	}
	var where []string
	for i := range g.From {
		for _, e := range g.From[i].equations(s) {
			if !slices.Contains(where, e) {
				where = append(where, e)
			}
		}
	}
	return g.Cond.String() + " where " + strings.Join(where, ", ")
}

// renamed replaces the identifiers of a text that have a name.
func renamed(text string, names map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		n := wordLen(text[i:])
		if n == 0 {
			b.WriteByte(text[i])
			i++
			continue
		}
		word := text[i : i+n]
		if name, ok := names[word]; ok {
			word = name
		}
		b.WriteString(word)
		i += n
	}
	return b.String()
}

// wordLen is the length of the word or number at the head of s.
func wordLen(s string) int {
	for i := range len(s) {
		b := s[i]
		if b != '_' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
			return i
		}
	}
	return len(s)
}

func gotCond(g *Guard, c *call.Call, s *call.Schema) string {
	var parts []string
	for i := range g.From {
		src := &g.From[i]
		n, ok := src.raw(c)
		switch {
		case ok:
			parts = append(parts, fmt.Sprintf("%s is %d", src.path(s), n))
		case src.Arg < 0:
			parts = append(parts, "no "+src.path(s))
		default:
			parts = append(parts, lacks(layout(c, src.Arg), tensorPath(s, src.Arg)))
		}
	}
	if len(parts) == 0 {
		return g.Cond.String()
	}
	return strings.Join(parts, ", ")
}

// varText prints a variable's value as its kind says, and without one as a
// string or an integer.
func varText(v Variable, value call.Const) string {
	kind := call.Int
	if value.Text != "" {
		kind = call.String
	}
	if typed, ok := v.(interface{ Kind() call.Kind }); ok {
		kind = typed.Kind()
	}
	return value.Format(kind)
}

func textVar(g *Guard, _ *call.Schema) string {
	return fmt.Sprintf("%s == %s", g.Var.Name(), varText(g.Var, g.Value))
}

func gotVar(g *Guard, _ *call.Call, _ *call.Schema) string {
	return fmt.Sprintf("%s is %s", g.Var.Name(), varText(g.Var, g.Var.Load()))
}

func textDisjoint(g *Guard, s *call.Schema) string {
	return fmt.Sprintf("%s does not overlap %s", tensorPath(s, g.Arg), tensorPath(s, g.Axis))
}

func gotDisjoint(g *Guard, c *call.Call, s *call.Schema) string {
	verb := "overlaps"
	if g.Holds(c) {
		verb = "does not overlap"
	}
	return fmt.Sprintf("%s %s %s", tensorPath(s, g.Arg), verb, tensorPath(s, g.Axis))
}
