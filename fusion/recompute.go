package fusion

import "slices"

// recompute lets the readers of a cheap member compute it themselves where that
// moves fewer bytes than writing it once and reading it in each of them. Nothing
// is written then for the member, and a region that computed nothing else
// disappears.
//
// The regions stay acyclic: the readers gain edges only from the member's region
// and from what that read, and they came after these already.
func (g *graph) recompute() {
	r := &recomputation{g: g, readers: make([][]int32, len(g.values))}
	for at, c := range g.cluster {
		if c != nil && g.member[at] {
			for _, in := range c.inputs {
				r.readers[in] = append(r.readers[in], int32(at))
			}
		}
	}
	for n := int32(len(g.values)) - 1; n >= 0; n-- {
		if g.member[n] && !g.isResult[n] && len(r.readers[n]) > 0 {
			r.refresh(n)
			r.consider(n)
		}
	}
}

type recomputation struct {
	g *graph
	// readers are the clusters that read a root, by root: perhaps with some that
	// do not any more, and some twice; refresh puts that right.
	readers [][]int32
}

// reads reports whether the cluster at a vertex reads a root.
func (r *recomputation) reads(at, root int32) bool {
	return slices.Contains(r.g.cluster[at].inputs, root)
}

// refresh brings the readers of a root up to date.
func (r *recomputation) refresh(root int32) {
	rs := slices.DeleteFunc(r.readers[root], func(at int32) bool { return !r.reads(at, root) })
	slices.Sort(rs)
	r.readers[root] = slices.Compact(rs)
}

// isRead reports whether any cluster reads a root.
func (r *recomputation) isRead(root int32) bool {
	for rs := r.readers[root]; len(rs) > 0; rs = r.readers[root] {
		if r.reads(rs[len(rs)-1], root) {
			return true
		}
		r.readers[root] = rs[:len(rs)-1]
	}
	return false
}

// cone is what it takes to compute a member from values in memory: those that its
// cluster reads or writes.
type cone struct {
	members []int32
	inputs  []int32
	ops     int
	work    int
}

// maxCone bounds a cone.
const maxCone = 8

// cone collects member n and the members of its cluster that it needs; ok is
// false if that is not cheap.
func (r *recomputation) cone(n int32) (c cone, ok bool) {
	g := r.g
	at := g.dag.find(n)
	c.members = []int32{n}
	for i := 0; i < len(c.members); i++ {
		m := c.members[i]
		v := g.values[m]
		c.work += work(v)
		c.ops += 1 + g.viewsOf(m)
		if g.memberKind(m) != Loop || c.work > cheapWork || len(c.members) > maxCone {
			return c, false
		}
		for _, ref := range g.refsOf(m) {
			set := &c.inputs
			switch {
			case ref.root < 0:
				continue
			case ref.access.ways&(leaf|partial) != 0:
				return c, false
			case g.member[ref.root] && g.dag.find(ref.root) == at && !slices.Contains(g.cluster[at].exports, ref.root):
				set = &c.members
			}
			if !slices.Contains(*set, ref.root) {
				*set = append(*set, ref.root)
			}
		}
	}
	return c, true
}

// consider decides about one member for all its readers together: as long as one
// reads it from memory, it must be written.
func (r *recomputation) consider(n int32) {
	c, ok := r.cone(n)
	if !ok {
		return
	}
	g := r.g
	home := g.dag.find(n)
	bytes := g.bytesOf(n)
	saved, spent := bytes, 0.0
	for _, at := range r.readers[n] {
		reader := g.cluster[at]
		if !r.fits(n, c, at) {
			return
		}
		saved += bytes
		for _, in := range c.inputs {
			if !reader.has(in) {
				spent += g.bytesOf(in)
			}
		}
	}
	dissolved := len(g.cluster[home].exports) == 1
	if dissolved {
		for _, in := range g.cluster[home].inputs {
			saved += g.bytesOf(in)
		}
	}
	if spent < saved {
		r.apply(n, c, home)
	}
}

// fits reports whether the cluster at vertex at can compute the cone.
func (r *recomputation) fits(n int32, c cone, at int32) bool {
	g := r.g
	reader := g.cluster[at]
	if reader.kind == Sealed || reader.kind == Barrier || reader.owner != g.cluster[g.dag.find(n)].owner || reader.ops+c.ops > g.opts.MaxOps {
		return false
	}
	operands := len(reader.exports) + len(reader.inputs) - 1
	for _, in := range c.inputs {
		if !reader.has(in) {
			operands++
		}
	}
	if operands > g.opts.MaxOperands {
		return false
	}
	inMemory := false
	for _, m := range reader.members {
		for _, ref := range g.refsOf(m) {
			inMemory = inMemory || ref.root == n && ref.access.ways&leaf != 0
		}
	}
	return !inMemory
}

// apply moves the cone to the readers of n.
func (r *recomputation) apply(n int32, c cone, home int32) {
	g := r.g
	for _, at := range r.readers[n] {
		reader := g.cluster[at]
		reader.ops += c.ops
		for _, m := range c.members {
			if !slices.Contains(reader.copies, m) {
				reader.copies = append(reader.copies, m)
			}
			reader.inputs = without(reader.inputs, m)
		}
		for _, in := range c.inputs {
			if !reader.has(in) {
				reader.inputs = append(reader.inputs, in)
				r.readers[in] = append(r.readers[in], at)
			}
		}
	}
	h := g.cluster[home]
	h.exports = slices.DeleteFunc(h.exports, func(ex int32) bool { return !g.isResult[ex] && !r.isRead(ex) })
	r.shrink(h)
}

// has reports whether a root is at hand in the region: read or computed again.
func (c *cluster) has(root int32) bool {
	return slices.Contains(c.inputs, root) || slices.Contains(c.copies, root)
}

func without(set []int32, x int32) []int32 {
	return slices.DeleteFunc(set, func(y int32) bool { return y == x })
}

// shrink drops the members that no export of a cluster needs any more.
func (r *recomputation) shrink(h *cluster) {
	g := r.g
	needed := slices.Clone(h.exports)
	var inputs []int32
	for i := 0; i < len(needed); i++ {
		for _, ref := range g.refsOf(needed[i]) {
			set := &inputs
			switch {
			case ref.root < 0:
				continue
			case slices.Contains(h.members, ref.root) || slices.Contains(h.copies, ref.root):
				set = &needed
			}
			if !slices.Contains(*set, ref.root) {
				*set = append(*set, ref.root)
			}
		}
	}
	keep := func(n int32) bool { return !slices.Contains(needed, n) }
	h.inputs = inputs
	h.members = slices.DeleteFunc(h.members, keep)
	h.copies = slices.DeleteFunc(h.copies, keep)
}
