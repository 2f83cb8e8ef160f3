package main

import (
	"strings"

	"jitc/fusion"
	"jitc/ir"
)

// scope is a function of the program whose values are in one partition: of a
// segment, or of a body of control flow in it.
type scope struct {
	*explainedPart
	f     *ir.Func // before fusion
	fused *fusion.Result
	path  string // of the body, "r.body/c.then"; empty outside
}

// scopes lists all of a program, those of bodies behind what holds them.
func (e *explanation) scopes() []scope {
	var out []scope
	var add func(part *explainedPart, f *ir.Func, r *fusion.Result, path string)
	add = func(part *explainedPart, f *ir.Func, r *fusion.Result, path string) {
		out = append(out, scope{part, f, r, path})
		for _, c := range r.Control {
			for i, body := range c.Bodies {
				add(part, c.Of.Bodies[i], body, fusion.BodyPath(path, c.Value, i))
			}
		}
	}
	for _, part := range e.parts {
		add(part, part.Canonical, part.fused, "")
	}
	return out
}

// eachBody visits a function and the bodies of its control flow, outermost first.
func eachBody(f *ir.Func, path string, visit func(f *ir.Func, path string)) {
	visit(f, path)
	for _, v := range f.Values {
		if !v.Is(ir.Control) {
			continue
		}
		for i, body := range v.Bodies {
			eachBody(body, fusion.BodyPath(path, v, i), visit)
		}
	}
}

// foundValue is a value of the trace, or of what the passes made of it.
type foundValue struct {
	*ir.Value
	path    string // of the body that holds it
	label   string
	isTrace bool
}

// is reports whether p, a value in a body, is what the value became: it has the name
// in the same body, or the position, which passes hand down.
func (v *foundValue) is(p *ir.Value, path string) bool {
	if p.Op == ir.OpParam || v.Op == ir.OpParam {
		return p.Op == v.Op && p.Name == v.Name && path == v.path
	}
	if !v.isTrace && v.Name == "" {
		return p == v.Value
	}
	return v.Name != "" && p.Name == v.Name && path == v.path || v.isTrace && v.Pos.IsKnown() && p.Pos == v.Pos
}

// readFrom reports whether regions only read the value.
func (v *foundValue) readFrom() bool { return v.Op == ir.OpParam || v.Is(ir.Dynamic) }

// isParam reports whether a region's operand p is the value, which another segment
// may give.
func (v *foundValue) isParam(p *ir.Value, path string) bool {
	if v.Op == ir.OpParam {
		return v.is(p, path)
	}
	return p.Op == ir.OpParam && path == "" && (p.Pos == v.Pos && p.Pos.IsKnown() || p.Name == v.Name && p.Name != "")
}

// bodyNames say what a body is for.
var bodyNames = map[string]string{"body": "body", "cond": "condition", "then": "then branch", "else": "else branch"}

// bodyText names the body that a path leads to: "the then branch of %c, in the
// body of %r"; empty for none.
func bodyText(path string) string {
	var parts []string
	for _, step := range strings.Split(path, "/") {
		if at := strings.LastIndex(step, "."); at > 0 {
			of := step[:at]
			if !strings.Contains(of, "@") { // an op without a name goes by its position
				of = "%" + of
			}
			parts = append([]string{"the " + orText(bodyNames[step[at+1:]], step[at+1:]) + " of " + of}, parts...)
		}
	}
	return strings.Join(parts, ", in ")
}
