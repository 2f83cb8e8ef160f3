package fusion

import (
	"fmt"
	"maps"
	"slices"

	"jitc/ir"
)

// Comments are the reasons as comments of F's text form: above each region what
// its members are to each other, and what it does not hold and why. Values
// without a name are numbered as in the input's text form.
func (r *Result) Comments() *ir.SourceText {
	text := ir.NewSourceText()
	for i, g := range r.Regions {
		text.Above[g.Value] = []string{fmt.Sprintf("# region %d, %s, %s: %s", i, g.Kind, g.Owner, g.Why)}
	}
	for _, d := range r.Decisions {
		if d.Region < 0 || d.Consumer == nil || d.Verdict == Merged {
			continue
		}
		at := r.Regions[d.Region].Value
		line := fmt.Sprintf("#   %s %s: %s", r.Name(d.Producer), d.Verdict, r.Reason(d))
		if !slices.Contains(text.Above[at], line) {
			text.Above[at] = append(text.Above[at], line)
		}
	}
	for _, c := range r.Control {
		for _, body := range c.Bodies {
			maps.Copy(text.Above, body.Comments().Above)
		}
	}
	return text
}
