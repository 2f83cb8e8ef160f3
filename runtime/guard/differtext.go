package guard

import (
	"fmt"
	"slices"
	"strings"

	"jitc/ir/call"
)

// String prints the guards with numbered arguments; see [Differ.Text].
func (d *Differ) String() string { return d.Text(nil) }

// Text prints the guards that are evaluated and the sets that their outcomes
// lead to, one per line:
//
//	guards: 2, minimal
//	1  x: f32
//	2  x.size(0) == 4
//	+- entry 0
//	++ entry 1 if training == true
//
// where + is a guard that holds. minimal or irreducible says whether fewer
// guards could do.
func (d *Differ) Text(s *call.Schema) string {
	var b strings.Builder
	claim := "minimal"
	if !d.Minimal {
		claim = "irreducible"
	}
	fmt.Fprintf(&b, "guards: %d, %s\n", len(d.guards), claim)
	for i, g := range d.guards {
		fmt.Fprintf(&b, "%d  %s\n", i+1, g.Text(s))
	}
	if d.root != none {
		d.outcomes(&b, s, d.root, nil)
	}
	return b.String()
}

func (d *Differ) outcomes(b *strings.Builder, s *call.Schema, at int32, signs []byte) {
	if len(signs) < len(d.guards) {
		for i, sign := range []byte("-+") {
			if next := d.steps[at].next[i]; next != none {
				d.outcomes(b, s, next, append(slices.Clone(signs), sign))
			}
		}
		return
	}
	for i, e := range d.leaves[at] {
		text := fmt.Sprintf("entry %d", e.set)
		if i > 0 {
			text = "else " + text
		}
		if len(e.live) > 0 {
			conds := make([]string, len(e.live))
			for j, g := range e.live {
				conds[j] = g.Text(s)
			}
			text += " if " + strings.Join(conds, ", ")
		}
		fmt.Fprintln(b, strings.TrimSpace(string(signs)+" "+text))
	}
}
