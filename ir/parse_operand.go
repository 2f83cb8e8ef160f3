package ir

import (
	"errors"
	"strconv"

	"jitc/ir/tensor"
)

// operands parses "(%a, %b, 0.5)" and turns numbers into constants.
func (p *parser) operands(b *Builder, v *Value) ([]token, error) {
	var toks []token
	var literals []int
	if !p.accept("(") {
		return nil, nil
	}
	for !p.accept(")") {
		if len(toks) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		t := p.tok
		var arg *Value
		if t.kind == tokValue {
			p.advance()
			var err error
			if arg, err = p.lookup(t); err != nil {
				return nil, err
			}
		} else {
			literals = append(literals, len(toks))
			var err error
			if t, err = p.literalText(); err != nil {
				return nil, err
			}
		}
		toks = append(toks, t)
		v.Args = append(v.Args, arg)
	}
	for _, i := range literals {
		c, err := p.literal(b, v, toks[i], i)
		if err != nil {
			return nil, err
		}
		v.Args[i] = c
	}
	return toks, nil
}

// literalText takes a number in an operand's place; its token is not a tokValue.
func (p *parser) literalText() (token, error) {
	t := p.tok
	minus := p.accept("-")
	switch {
	case p.tok.kind == tokNumber && !minus, p.is("inf"), !minus && (p.is("nan") || p.is("true") || p.is("false")):
		p.advance()
		return p.span(t), nil
	}
	return t, p.failExpected("an operand, %name or a number")
}

// literal makes the constant that a number in an operand's place stands for.
func (p *parser) literal(b *Builder, v *Value, t token, i int) (*Value, error) {
	var sibling *Value
	for j, a := range v.Args {
		if a != nil && j != i && (v.Op != OpSelect || j > 0) {
			sibling = a
			break
		}
	}
	if sibling == nil || sibling.Type.IsTuple() || !v.Is(Pointwise) && v.Op != OpPad {
		return nil, p.fail(t, "a number cannot stand here", "%name", t.text,
			"only pointwise ops take numbers, beside an operand whose type they adopt; write a constant")
	}
	ty := sibling.Type
	if v.Op == OpPad {
		ty = T(ty.DType)
	}
	num, ok := parseNumber(t.text, ty.DType)
	if !ok {
		return nil, p.fail(t, "the number does not fit its type", "a value of type "+ty.DType.String(), t.text, "")
	}
	c := b.Emit(OpConstant, nil, Attr{"value", num}, Attr{"dtype", ty.DType}, Attr{"shape", ty.Shape})
	if b.err != nil {
		return nil, p.builderError(b, t)
	}
	c.Pos = p.lex.pos(t)
	p.source.Literals[c] = true
	return c, nil
}

// parseNumber reads a splat's value for an element type.
func parseNumber(s string, dt tensor.DType) (any, bool) {
	switch {
	case dt == tensor.Bool:
		return s == "true", s == "true" || s == "false"
	case dt.IsInt():
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			u, uerr := strconv.ParseUint(s, 10, 64)
			n, err = int64(u), uerr
		}
		return n, err == nil
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

func (p *parser) builderError(b *Builder, t token) error {
	err := b.err
	b.err = nil
	var oe *OpError
	if errors.As(err, &oe) {
		return p.fail(t, "the number does not fit its type", oe.Expected, oe.Got, oe.Hint)
	}
	return p.fail(t, err.Error(), "", "", "")
}

// nearest is the candidate that takes the fewest edits, at most one for each
// three letters and two in all; empty if there is none. Ties go to the smallest,
// so that messages are stable.
func nearest(s string, candidates []string) string {
	best, bestAt := "", min(2, (len(s)+1)/3)+1
	for _, c := range candidates {
		d := editDistance(s, c, bestAt+1)
		if d < bestAt || d == bestAt && best != "" && c < best {
			best, bestAt = c, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance, or limit if it is that or more.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(diag+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
