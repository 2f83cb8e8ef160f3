package fusion

import (
	"fmt"

	"jitc/ir"
)

// Control is one value of control flow and the partitions of its bodies.
type Control struct {
	Value  *ir.Value // in Result.F; its bodies are the F of Bodies
	Of     *ir.Value // in the input
	Bodies []*Result
}

// isBarrier reports whether v is control flow or one result of it. Both are
// members, so that they have a place in the order of regions, but of clusters
// that are never merged and become no region.
func isBarrier(v *ir.Value) bool {
	return v.Is(ir.Control) || v.Op == ir.OpGet && v.Args[0].Is(ir.Control)
}

// partitionBodies partitions the bodies of the control flow that is needed.
func (g *graph) partitionBodies() error {
	for n, v := range g.values {
		if !g.member[n] || !v.Is(ir.Control) {
			continue
		}
		if g.bodies == nil {
			g.bodies = map[int32][]*Result{}
		}
		for i, body := range v.Bodies {
			r, err := Partition(body, g.cs, g.opts)
			if err != nil {
				return fmt.Errorf("%s of the %s at %s: %w", ir.BodyRole(v.Op, i), v.Op, v.Pos, err)
			}
			g.bodies[int32(n)] = append(g.bodies[int32(n)], r)
		}
	}
	return nil
}

// control emits control flow over partitioned bodies, or one result of it.
func (e *emitter) control(n int32) {
	v := e.g.values[n]
	c := *v
	c.Args = make([]*ir.Value, len(v.Args))
	for i, a := range v.Args {
		c.Args[i] = e.value[e.g.num(a)]
	}
	if v.Is(ir.Control) {
		c.Bodies = nil
		for _, r := range e.g.bodies[n] {
			c.Bodies = append(c.Bodies, r.F)
		}
		e.r.Control = append(e.r.Control, Control{Value: &c, Of: v, Bodies: e.g.bodies[n]})
	}
	e.value[n] = e.append(&c, -1)
}

// Part is a partition: of the whole function, or of a body of control flow in it.
type Part struct {
	*Result
	Path string // "r.body", "r.body/c.then"; empty for the whole
}

// Parts lists r itself, and behind it the partitions of the bodies of its control
// flow, theirs too.
func (r *Result) Parts() []Part { return r.parts(nil, "") }

func (r *Result) parts(out []Part, path string) []Part {
	out = append(out, Part{r, path})
	for _, c := range r.Control {
		for i, body := range c.Bodies {
			out = body.parts(out, BodyPath(path, c.Value, i))
		}
	}
	return out
}

// BodyPath names body i of control flow v, which is itself in the body called in:
// by v's name, or its position without one.
func BodyPath(in string, v *ir.Value, i int) string {
	name := v.Name
	if name == "" {
		name = fmt.Sprintf("%s@%d:%d", v.Op, v.Pos.Line, v.Pos.Col)
	}
	if in != "" {
		in += "/"
	}
	return in + name + "." + ir.BodyRole(v.Op, i)
}
