package ir

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// typ parses a type; declare says whether new symbols in it are declared.
func (p *parser) typ(f *Func, declare bool) (Type, error) {
	if p.accept("(") {
		t := Type{Tuple: []Type{}}
		for !p.accept(")") {
			if len(t.Tuple) > 0 {
				if err := p.expect(","); err != nil {
					return t, err
				}
			}
			if p.is("(") {
				return t, p.failExpected("a tensor type")
			}
			e, err := p.typ(f, declare)
			if err != nil {
				return t, err
			}
			t.Tuple = append(t.Tuple, e)
		}
		return t, nil
	}
	dt, err := p.dtype()
	if err != nil {
		return Type{}, err
	}
	at := p.tok
	if !p.is("[") {
		return Type{}, p.failExpected(fmt.Sprintf(`"[" and the shape, as in %s[] for a scalar`, dt))
	}
	shape, err := p.sizes(true)
	if err != nil {
		return Type{}, err
	}
	if len(shape) > maxRank {
		return Type{}, p.fail(at, "rank too high", fmt.Sprintf("at most %d axes", maxRank), fmt.Sprint(len(shape)), "")
	}
	for _, e := range shape {
		if declare {
			p.declare(f, e)
		}
	}
	return T(dt, shape...), nil
}

// sizes parses "[e, e, ...]" with size expressions; those of a shape are not negative.
func (p *parser) sizes(shape bool) ([]dim.Expr, error) {
	if err := p.expect("["); err != nil {
		return nil, err
	}
	out := []dim.Expr{}
	for !p.accept("]") {
		if len(out) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		at := p.tok
		e, err := p.size()
		if err != nil {
			return nil, err
		}
		if n, ok := e.Const(); ok && n < 0 && shape {
			return nil, p.fail(p.span(at), "negative size", "0 or more", fmt.Sprint(n), "")
		}
		out = append(out, e)
	}
	return out, nil
}

// size hands the text up to the next comma or bracket outside parentheses to
// the expression parser.
func (p *parser) size() (dim.Expr, error) {
	start, depth, end := p.tok, 0, p.tok.off
	for p.tok.kind != tokEOF && (depth > 0 || !p.is(",") && !p.is("]")) && p.tok.line == start.line {
		switch p.tok.text {
		case "(":
			depth++
		case ")":
			depth--
		}
		end = p.tok.off + len(p.tok.text)
		p.advance()
	}
	text := p.lex.src[start.off:end]
	e, err := dim.Parse(text)
	if err == nil && !e.Invalid() {
		return e, nil
	}
	t := start
	var pe *dim.ParseError
	if errors.As(err, &pe) {
		if t.co += pe.Offset; pe.Offset >= len(text) {
			pe.Got = p.tok.String()
		}
		t.text = ""
		return e, p.fail(t, "bad size", pe.Expected, pe.Got, "a size is an integer or an expression of symbols: 64, B, 2*B + 1, S floordiv 2")
	}
	t.text = text
	return e, p.fail(t, "bad size", "an integer or an expression of symbols", strconv.Quote(text), "")
}

// value parses one "%name: type = op(args) {attrs}" line and appends the value.
func (p *parser) value(b *Builder) error {
	v := &Value{}
	above, beside, err := p.annotate(func() error { return p.definition(b, v) })
	if err != nil {
		return err
	}
	p.source.keep(v, above, beside)
	return nil
}

func (p *parser) definition(b *Builder, v *Value) error {
	name, err := p.take(tokValue, `a value, %name = op(...), or "return"`)
	if err != nil {
		return err
	}
	v.Pos = p.lex.pos(name)
	typeAt := name
	if p.accept(":") {
		typeAt = p.tok
		if v.Type, err = p.typ(b.F, false); err != nil {
			return err
		}
		typeAt = p.span(typeAt)
		if err := p.checkSymbols(typeAt, v.Type); err != nil {
			return err
		}
	}
	if err := p.expect("="); err != nil {
		return err
	}
	opAt := p.tok
	if v.Op, err = p.op(); err != nil {
		return err
	}
	args, err := p.operands(b, v)
	if err != nil {
		return err
	}
	if v.Attrs, err = p.attrs(v); err != nil {
		return err
	}
	if err := p.bodies(b, v, opAt); err != nil {
		return err
	}
	if err := p.position(v); err != nil {
		return err
	}
	return p.finish(b, v, name, typeAt, opAt, args)
}

func (p *parser) op() (Op, error) {
	t, err := p.take(tokIdent, "an op")
	if err != nil {
		return 0, err
	}
	op, ok := OpByName(t.text)
	if !ok || op == OpParam {
		hint := "jitc ops lists them"
		if near := nearest(t.text, opNames()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return 0, p.fail(t, "unknown op "+t.text, "", "", hint)
	}
	return op, nil
}

func opNames() []string {
	var names []string
	for _, op := range Ops() {
		if op != OpParam {
			names = append(names, op.String())
		}
	}
	return names
}

// bodies parses the functions that v's op takes, each behind "func".
func (p *parser) bodies(b *Builder, v *Value, opAt token) error {
	n := v.Row().Bodies
	if n > 0 && p.region {
		return p.fail(opAt, v.Op.String()+" within a region", "regions and control flow outside of regions only", "", "")
	}
	attrAt, region := p.attrAt, p.region
	p.region = region || v.Op == OpFused
	defer func() { p.attrAt, p.region = attrAt, region }()
	for range n {
		if err := p.expect("func"); err != nil {
			return err
		}
		body := NewFunc("", b.F.Facts)
		v.Bodies = append(v.Bodies, body)
		if err := p.function(body); err != nil {
			return err
		}
	}
	return nil
}

// position parses `at "file":line:col`, which overrides the text's own position and
// may lack the column, or `at -`, which says that there is none.
func (p *parser) position(v *Value) error {
	if !p.accept("at") {
		return nil
	}
	if p.accept("-") {
		v.Pos = Pos{}
		return nil
	}
	t, err := p.take(tokString, "a file name in quotes")
	if err != nil {
		return err
	}
	file, err := p.unquote(t, "a file name in quotes")
	if err != nil {
		return err
	}
	var n [2]int
	for i := range n {
		if i == 1 && !p.is(":") {
			break
		}
		if err := p.expect(":"); err != nil {
			return err
		}
		t, err := p.take(tokNumber, "a line or column number")
		if err != nil {
			return err
		}
		if n[i], err = strconv.Atoi(t.text); err != nil || n[i] < 1 {
			return p.fail(t, "bad position", "a line or column number, from 1", t.text, "")
		}
	}
	v.Pos = Pos{File: file, Line: n[0], Col: n[1]}
	return nil
}

// finish infers the value's type, compares it with the written one and appends it.
func (p *parser) finish(b *Builder, v *Value, name, typeAt, opAt token, args []token) error {
	written := v.Type
	if s := undeclaredAttr(p.symbols, v.Attrs); s != "" {
		return p.unknownSymbol(opAt, s)
	}
	if err := p.attrsFromType(v, opAt); err != nil {
		return err
	}
	t, err := InferType(v, b.F.Facts)
	if err != nil {
		return p.opError(opAt, v, args, err)
	}
	if written.IsValid() && !written.EqualUnder(b.F.Facts, t) {
		return p.fail(typeAt, v.Op.String()+": the written type is not the result's", t.String(), written.String(), "")
	}
	if v.Type = t; written.IsValid() {
		v.Type = written // as written: equal under the facts, and printed back the same
	}
	if err := p.defineSizes(v, opAt); err != nil {
		return err
	}
	if err := p.define(name, v); err != nil {
		return err
	}
	b.append(v)
	return nil
}

// attrsFromType fills in the attributes that the text form leaves to the type.
func (p *parser) attrsFromType(v *Value, opAt token) error {
	row := v.Row()
	for i := range row.Attrs {
		spec := &row.Attrs[i]
		if !spec.FromType || v.Attrs.Has(spec.Name) {
			continue
		}
		if !v.Type.IsValid() || v.Type.IsTuple() {
			if !spec.Required {
				continue
			}
			return p.fail(opAt, v.Op.String()+" needs its result type", "%name: type = "+v.Op.String()+"(...)", "", "")
		}
		switch spec.Kind {
		case KindDType:
			v.Attrs = v.Attrs.With(spec.Name, v.Type.DType)
		case KindDims:
			v.Attrs = v.Attrs.With(spec.Name, v.Type.Shape)
		default:
			panic("BUG: ir: attribute " + spec.Name + " of " + row.Name + " cannot come from a type")
		}
	}
	return p.constantData(v, opAt)
}

// constantData gives a constant's literal bytes its type.
func (p *parser) constantData(v *Value, opAt token) error {
	raw, ok := v.Attrs.Get("data").(rawBytes)
	if !ok {
		return nil
	}
	ty := T(v.Attrs.DType("dtype"), v.Attrs.Dims("shape")...)
	shape, err := EvalShape(ty.Shape, nil)
	if err != nil {
		return p.fail(opAt, "a constant with data needs a static shape", "", ty.String(), "")
	}
	if n, err := tensor.CheckedBytes(ty.DType, shape); err != nil || n != len(raw) {
		expected := fmt.Sprintf("%d bytes for %s", n, ty)
		if err != nil {
			expected = err.Error()
		}
		return p.fail(p.attrAt["data"], "the constant's data does not fit its type", expected, fmt.Sprintf("%d bytes", len(raw)), "")
	}
	if ty.DType == tensor.Bool && strings.Trim(string(raw), "\x00\x01") != "" {
		return p.fail(p.attrAt["data"], "bad data", "the bytes of a bool are 00 or 01", "", "")
	}
	t, err := tensor.FromBytes(ty.DType, shape, []byte(raw))
	if err != nil {
		return p.fail(p.attrAt["data"], "bad data: "+strings.TrimPrefix(err.Error(), "tensor: "), "", "", "")
	}
	v.Attrs = v.Attrs.With("data", t)
	return nil
}

// opError points a type rule's error at the operand or the attribute at fault.
func (p *parser) opError(opAt token, v *Value, args []token, err error) error {
	var oe *OpError
	if !errors.As(err, &oe) {
		return p.fail(opAt, err.Error(), "", "", "")
	}
	at := opAt
	if oe.Arg >= 0 && oe.Arg < len(args) {
		at = args[oe.Arg]
	} else if t, ok := p.attrAt[oe.Attr]; ok {
		at = t
	}
	hint := oe.Hint
	if oe.Arg >= 0 && oe.Arg < len(v.Args) && v.Args[oe.Arg].Pos.IsKnown() && oe.Arg < len(args) && args[oe.Arg].kind == tokValue {
		where := fmt.Sprintf("%s is defined on line %d", args[oe.Arg].text, v.Args[oe.Arg].Pos.Line)
		hint = strings.TrimPrefix(hint+"; "+where, "; ")
	}
	return p.fail(at, v.Op.String()+": "+oe.What, oe.Expected, oe.Got, hint)
}
