package guard

import (
	"fmt"
	"strings"

	"jitc/ir/call"
)

// String prints the decision with numbered arguments; see [Tree.Text].
func (t *Tree) String() string { return t.Text(nil) }

// Text prints the decision as steps, one per line: a check that fails ends in no
// entry, an if that fails goes on below it, at its own depth.
//
//	check x: f32[_,784]
//	if x.size(0) == 4
//	  entry 0
//	check x.size(0) <= 64
//	entry 1
func (t *Tree) Text(s *call.Schema) string {
	p := treePrinter{t: t, schema: s}
	p.node(t.root, "")
	return p.String()
}

type treePrinter struct {
	strings.Builder
	t      *Tree
	schema *call.Schema
}

func (p *treePrinter) line(indent, format string, args ...any) {
	p.WriteString(indent)
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *treePrinter) node(at int32, indent string) {
	if at == none {
		p.line(indent, "none")
		return
	}
	n := &p.t.nodes[at]
	checks := strings.Join(n.block.texts(p.schema), ", ")
	switch {
	case n.fail != none:
		p.line(indent, "if %s", checks)
		p.rest(n, indent+"  ")
		p.node(n.fail, indent)
		return
	case checks != "":
		p.line(indent, "check %s", checks)
	}
	p.rest(n, indent)
}

// rest prints what follows the block.
func (p *treePrinter) rest(n *node, indent string) {
	if n.entry != none {
		p.line(indent, "entry %d", n.entry)
		return
	}
	for i, g := range n.cases {
		p.line(indent, "if %s", g.Text(p.schema))
		p.node(n.next[i], indent+"  ")
	}
	p.node(n.others, indent)
}

// shown bounds the guards of a block that are printed, and what is printed of a
// class.
const shown = 12

func (b *block) texts(s *call.Schema) []string {
	var out []string
	for _, k := range b.classes {
		for _, arg := range k.args {
			out = append(out, k.want.text(tensorPath(s, int(arg))))
		}
	}
	for _, g := range b.rest {
		out = append(out, g.Text(s))
	}
	if len(out) > shown {
		out = append(out[:shown-1], fmt.Sprintf("%d more", len(out)-shown+1))
	}
	return out
}

// text prints what is expected of a tensor as a type, with _ for a size that may
// be any: "x: f32[_,784]".
func (e *expectation) text(path string) string {
	var b strings.Builder
	b.WriteString(path + ": ")
	if e.dtype == 0 {
		b.WriteByte('_')
	} else {
		b.WriteString(e.dtype.String())
	}
	rank := e.rank
	if rank > shown {
		fmt.Fprintf(&b, " of rank %d", rank)
		rank = -1
	}
	sizes := make([]string, max(rank, 0))
	for i := range sizes {
		sizes[i] = "_"
	}
	var beyond []string
	for _, a := range e.axes {
		if a.axis >= 0 && a.axis < rank {
			sizes[a.axis] = fmt.Sprint(a.size)
		} else {
			beyond = append(beyond, fmt.Sprintf("size(%d) == %d", a.axis, a.size))
		}
	}
	if rank >= 0 {
		b.WriteString("[" + strings.Join(sizes, ",") + "]")
	}
	if len(beyond) > 0 {
		b.WriteString(" with " + strings.Join(beyond, ", "))
	}
	return b.String()
}
