package fusion

import "slices"

// digraph is an acyclic graph whose vertices can be merged as long as it stays
// acyclic. It keeps the vertices in a topological order, as labels of a list, so
// that the search for a path from u to v looks only at vertices between them.
//
// Merging u and v closes a cycle exactly if there is a path between them other
// than the edge u -> v. Let F be the vertices that u reaches and B those that
// reach v, both between u and v in the order; without such a path F and B are
// disjoint. Exploring F from u and B from v, the cheaper step first, either meets, which is a
// path, or exhausts one of the sides, which proves that there is none:
//
//	F exhausted   ... u ... f1 ... b ... f2 ... v ...   the merged vertex takes v's
//	              ... b ... (uv) f1 f2 ...              place, F moves behind it
//	B exhausted   ... u ... b1 ... f ... b2 ... v ...   it takes u's place, B moves
//	              ... b1 b2 (uv) ... f ...              in front of it
//
// Both keep the order topological: F is closed under successors up to v's place
// and keeps its own order, B likewise under predecessors. The cost is that of
// the smaller side, whatever the order of the program was; a budget bounds it,
// and running out counts as a refusal, which is always safe.
type digraph struct {
	parent  []int32 // union-find; a root is a vertex
	out, in [][]int32
	list    orderList
	mark    []uint32 // stamp of the search that saw the vertex last
	stamp   uint32
}

// newDigraph returns a graph of n vertices whose numbers are a topological order
// of the edges that will be added.
func newDigraph(n int) *digraph {
	g := &digraph{
		parent: make([]int32, n), out: make([][]int32, n), in: make([][]int32, n),
		list: newOrderList(n), mark: make([]uint32, n),
	}
	for i := range g.parent {
		g.parent[i] = int32(i)
	}
	return g
}

// addEdge adds u -> v; u < v, and nothing has been merged yet.
func (g *digraph) addEdge(u, v int32) {
	if u >= v {
		panic("BUG: fusion: an edge against the order")
	}
	g.out[u] = append(g.out[u], v)
	g.in[v] = append(g.in[v], u)
}

// addEdges is addEdge for many at once, on a graph without edges: the lists are
// cut from two arrays, at their full capacity, so that a later append moves a
// list rather than running into the next.
func (g *digraph) addEdges(edges [][2]int32) {
	n := len(g.parent)
	outs, ins := make([]int, n+1), make([]int, n+1)
	for _, e := range edges {
		if e[0] >= e[1] {
			panic("BUG: fusion: an edge against the order")
		}
		outs[e[0]+1]++
		ins[e[1]+1]++
	}
	out, in := make([]int32, len(edges)), make([]int32, len(edges))
	for i := range n {
		outs[i+1] += outs[i]
		ins[i+1] += ins[i]
		g.out[i] = out[outs[i]:outs[i]:outs[i+1]]
		g.in[i] = in[ins[i]:ins[i]:ins[i+1]]
	}
	for _, e := range edges {
		g.out[e[0]] = append(g.out[e[0]], e[1])
		g.in[e[1]] = append(g.in[e[1]], e[0])
	}
}

// find returns the vertex that v has become.
func (g *digraph) find(v int32) int32 {
	for g.parent[v] != v {
		g.parent[v] = g.parent[g.parent[v]]
		v = g.parent[v]
	}
	return v
}

// before reports whether u stands before v in the topological order.
func (g *digraph) before(u, v int32) bool { return g.list.label[u] < g.list.label[v] }

// merge makes one vertex of u and v, roots with or without an edge between them,
// and returns it. It refuses with the reason cycle, and a vertex on the cycle,
// or with searchBudget.
func (g *digraph) merge(u, v int32, budget int) (root int32, why reason, via int32) {
	if g.before(v, u) {
		u, v = v, u
	}
	s := g.search(u, v, budget)
	if s.why != fits {
		return -1, s.why, s.via
	}
	root = g.unite(u, v)
	if s.forward {
		g.list.replace(v, root, u)
		slices.SortFunc(s.side, g.list.compare)
		at := root
		for _, x := range s.side {
			g.list.moveAfter(x, at)
			at = x
		}
	} else {
		g.list.replace(u, root, v)
		slices.SortFunc(s.side, g.list.compare)
		for _, x := range s.side {
			g.list.moveBefore(x, root)
		}
	}
	return root, fits, -1
}

// search is the outcome of looking for a path from u to v.
type search struct {
	why     reason
	via     int32   // a vertex on the path
	forward bool    // which side was exhausted
	side    []int32 // and its vertices, without u and v
}

// frontier is one side of a search.
type frontier struct {
	from, to int32 // the end that it started at, and the other
	next     [][]int32
	mark     uint32
	seen     []int32 // seen[:done] have been expanded
	done     int
	work     int
}

func (g *digraph) search(u, v int32, budget int) search {
	g.stamp += 2
	f := &frontier{from: u, to: v, next: g.out, mark: g.stamp, seen: []int32{u}}
	b := &frontier{from: v, to: u, next: g.in, mark: g.stamp + 1, seen: []int32{v}}
	g.mark[u], g.mark[v] = f.mark, b.mark
	for {
		side, other := f, b
		if b.cost() < f.cost() {
			side, other = b, f
		}
		switch {
		case side.done == len(side.seen):
			return search{forward: side == f, side: side.seen[1:]}
		case side.cost()+other.work > budget:
			return search{why: searchBudget}
		}
		if via := g.expand(side, other.mark); via >= 0 {
			return search{why: cycle, via: via}
		}
	}
}

// cost is the work of a side once it has expanded its next vertex, so that the
// search does not look at all readers of a value where the other side is short.
// An exhausted side costs nothing: it ends the search.
func (s *frontier) cost() int {
	if s.done == len(s.seen) {
		return 0
	}
	return s.work + 1 + len(s.next[s.seen[s.done]])
}

// expand looks at the next vertex of one side, and returns a vertex on a path
// between the ends if it meets the other side, else -1.
func (g *digraph) expand(s *frontier, other uint32) int32 {
	x := s.seen[s.done]
	s.done++
	s.work++
	for _, y := range s.next[x] {
		s.work++
		y = g.find(y)
		switch {
		case y == x || g.mark[y] == s.mark || g.beyond(s, y):
		case y == s.to:
			if x != s.from { // else it is the edge that the merge removes
				return x
			}
		case g.mark[y] == other:
			return y
		default:
			g.mark[y] = s.mark
			s.seen = append(s.seen, y)
		}
	}
	return -1
}

// beyond reports whether y lies behind the other end of the search.
func (g *digraph) beyond(s *frontier, y int32) bool {
	if g.before(s.from, s.to) {
		return g.before(s.to, y)
	}
	return g.before(y, s.to)
}

// unite joins the edge lists, the shorter to the longer.
func (g *digraph) unite(u, v int32) int32 {
	root, gone := u, v
	if len(g.out[v])+len(g.in[v]) > len(g.out[u])+len(g.in[u]) {
		root, gone = v, u
	}
	g.parent[gone] = root
	g.out[root] = append(g.out[root], g.out[gone]...)
	g.in[root] = append(g.in[root], g.in[gone]...)
	g.out[gone], g.in[gone] = nil, nil
	return root
}
