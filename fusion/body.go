package fusion

import (
	"slices"

	"jitc/ir"
)

// body builds a region's function: parameters in the order of first use, members
// in the input's order, sources and views in front of the first member that
// reads them.
type body struct {
	g       *graph
	c       *cluster
	f       *ir.Func
	value   []*ir.Value // what stands for a value of the input, by number; lent by the emitter
	touched []int32     // numbers of value that are set
	inputs  []int32     // roots that the parameters stand for
	results []int32
}

func newBody(g *graph, c *cluster, lent *body) *body {
	b := &body{g: g, c: c, f: ir.NewFunc("region", g.f.Facts), value: lent.value, touched: lent.touched[:0], inputs: lent.inputs[:0]}
	b.f.Values = make([]*ir.Value, 0, c.ops)
	for _, m := range c.members {
		b.get(m)
	}
	b.results = slices.Clone(c.exports)
	slices.Sort(b.results)
	if len(b.results) == 0 { // an effect that nobody reads
		b.results = c.members[len(c.members)-1:]
	}
	b.f.Results = make([]*ir.Value, 0, len(b.results))
	for _, n := range b.results {
		b.f.Results = append(b.f.Results, b.value[n])
	}
	for _, n := range b.touched {
		b.value[n] = nil
	}
	return b
}

// get returns the value in the body that stands for value n of the input.
// Recursion is bounded by the size of a region.
func (b *body) get(n int32) *ir.Value {
	if v := b.value[n]; v != nil {
		return v
	}
	b.touched = append(b.touched, n)
	v := b.g.values[n]
	if !b.computes(n) {
		p := b.f.AddParam(v.Name, v.Type, nil)
		b.value[n] = p
		b.inputs = append(b.inputs, n)
		return p
	}
	c := &ir.Value{Op: v.Op, Type: v.Type, Attrs: v.Attrs, Name: v.Name, Pos: v.Pos}
	if len(v.Args) > 0 {
		c.Args = make([]*ir.Value, len(v.Args))
	}
	for i, a := range v.Args {
		c.Args[i] = b.get(b.g.num(a))
	}
	c.ID = b.f.NumIDs
	b.f.NumIDs++
	b.f.Values = append(b.f.Values, c)
	b.value[n] = c
	return c
}

// computes reports whether the region computes value n, rather than reading it.
func (b *body) computes(n int32) bool {
	if slices.Contains(b.c.members, n) || slices.Contains(b.c.copies, n) {
		return true
	}
	return !isRoot(b.g.values[n]) && b.g.looksThrough(n, int(b.c.owner), b.g.sight(b.c.members[0]))
}
