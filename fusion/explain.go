package fusion

import (
	"slices"
	"strconv"
	"unsafe"

	"jitc/ir"
)

// explanation collects decisions. Their texts are written to one buffer and cut
// from it at the end: a large function has more decisions than values.
type explanation struct {
	e    *emitter
	text []byte
	cuts []cut
}

// reasonBytes is about the length of a reason.
const reasonBytes = 48

// cut is where a decision's reason stands in the text.
type cut struct{ decision, from, to int }

// decisions lists what became of every edge between members, in the input's
// order, after what was noted about single values, and before siblings.
func (e *emitter) decisions() {
	g := e.g
	edges := len(g.refs) + len(g.notes)
	x := &explanation{e: e, text: make([]byte, 0, edges*reasonBytes), cuts: make([]cut, 0, edges)}
	e.r.Decisions = make([]Decision, 0, len(g.noted)+edges)
	for _, d := range g.noted {
		d.Region = e.region[g.num(d.Producer)]
		e.r.Decisions = append(e.r.Decisions, d)
	}
	for c := range int32(len(g.values)) {
		refs := g.refsOf(c)
		for i := range refs {
			if r := &refs[i]; r.root >= 0 && g.member[r.root] && !repeatedRef(refs[:i], r) {
				x.edge(c, r)
			}
		}
	}
	for _, n := range g.notes {
		n.Region = e.region[g.num(n.Consumer)]
		x.add(n.Decision, n.why, n.via)
	}
	all := unsafe.String(unsafe.SliceData(x.text), len(x.text)) // written no more
	for _, c := range x.cuts {
		e.r.Decisions[c.decision].Reason = all[c.from:c.to]
	}
}

// repeatedRef reports whether an operand says nothing that an earlier one did not.
func repeatedRef(earlier []ref, r *ref) bool {
	return slices.ContainsFunc(earlier, func(o ref) bool { return o.root == r.root && o.why == r.why })
}

// edge decides what became of the operand r of member c.
func (x *explanation) edge(c int32, r *ref) {
	g := x.e.g
	d := Decision{Verdict: KeptApart, Producer: g.values[r.root], Consumer: g.values[c], Region: x.e.region[c]}
	why := r.why
	switch {
	case slices.Contains(g.cluster[g.dag.find(c)].copies, r.root):
		d.Verdict, why = Recomputed, recomputed
	case g.dag.find(r.root) == g.dag.find(c):
		d.Verdict = Merged
		if !mergeReasons[why] {
			why = together
		}
	case g.opts.Off:
		why = switchedOff
	}
	x.add(d, why, r.via)
}

// add appends a decision and writes its reason, with the names of the values.
func (x *explanation) add(d Decision, why reason, via int32) {
	from, s := len(x.text), reasonTexts[why]
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			x.text = append(x.text, s[i])
			continue
		}
		i++
		v := d.Producer
		switch {
		case s[i] == 'c':
			v = d.Consumer
		case s[i] == 'v':
			v = x.e.g.values[via]
		}
		x.text = append(x.text, x.e.r.names[v.ID]...)
	}
	x.cuts = append(x.cuts, cut{len(x.e.r.Decisions), from, len(x.text)})
	x.e.r.Decisions = append(x.e.r.Decisions, d)
}

// valueNames gives each value of f the name that the text form prints, by ID.
func valueNames(f *ir.Func) []string {
	names := make([]string, f.NumIDs)
	taken := map[string]bool{}
	text, ends := []byte{}, make([]int, f.NumIDs)
	n := 0
	give := func(v *ir.Value) {
		text = append(text, '%')
		if v.Name != "" && !taken[v.Name] {
			taken[v.Name] = true
			text = append(text, v.Name...)
		} else {
			text = strconv.AppendInt(text, int64(n), 10)
			n++
		}
		ends[v.ID] = len(text)
	}
	for _, v := range f.Params {
		give(v)
	}
	for _, v := range f.Values {
		give(v)
	}
	all, from := string(text), 0
	cutName := func(v *ir.Value) {
		names[v.ID], from = all[from:ends[v.ID]], ends[v.ID]
	}
	for _, v := range f.Params {
		cutName(v)
	}
	for _, v := range f.Values {
		cutName(v)
	}
	return names
}
