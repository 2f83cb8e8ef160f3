package dim

// view is a box with the evaluation of expressions over it.
type view struct {
	*search
	*ranges
	box box
}

func (s *search) view(b box) *view {
	given := make(map[string]interval, len(b))
	for i, sym := range s.syms {
		given[sym] = b[i]
	}
	return &view{s, &ranges{f: s.facts, memo: make(map[string]interval, len(b)), given: given}, b}
}

// contract narrows a box to what the constraints admit, and reports false where
// nothing is left of it.
func (s *search) contract(b box) bool {
	const maxRounds = 4
	v := s.view(b)
	for range maxRounds {
		changed := false
		for _, c := range s.cs {
			more, alive := v.contractTo(c)
			if !alive {
				return false
			}
			changed = changed || more
		}
		for _, conjunction := range s.except {
			more, alive := v.contractOutside(conjunction)
			if !alive {
				return false
			}
			changed = changed || more
		}
		if !changed {
			break
		}
	}
	return true
}

// contractOutside narrows a box to what a conjunction leaves out: where all of
// its constraints but one hold, that one must not.
func (v *view) contractOutside(conjunction []Constraint) (changed, alive bool) {
	var open []Constraint
	for _, c := range conjunction {
		holds, fails := c.over(v.ranges)
		if fails {
			return false, true
		}
		if !holds {
			open = append(open, c)
		}
	}
	switch len(open) {
	case 0:
		return false, false
	case 1:
		return v.contractTo(open[0].Not())
	}
	return false, true
}

// over decides a constraint over the ranges of the symbols.
func (c Constraint) over(rs *ranges) (holds, fails bool) {
	r := rs.of(c.e)
	multiple := func() (some, only bool) { // of n in the range
		if r.lo.inf != 0 || r.hi.inf != 0 || r.empty() {
			return true, false
		}
		first := r.quotients(c.n)
		return !first.empty(), r.lo == r.hi
	}
	switch c.kind {
	case always:
		return true, false
	case never:
		return false, true
	case atLeast:
		return r.lo.sign() >= 0, r.hi.sign() < 0
	case zero, nonzero:
		is, not := r == point(0), r.lo.sign() > 0 || r.hi.sign() < 0
		if c.kind == zero {
			return is, not
		}
		return not, is
	}
	some, only := multiple()
	if c.kind == divides {
		return some && only, !some
	}
	return !some, some && only
}

// contractTo narrows the symbols of one constraint.
func (v *view) contractTo(c Constraint) (changed, alive bool) {
	holds, fails := c.over(v.ranges)
	if fails {
		return false, false
	}
	if holds {
		return false, true
	}
	switch c.kind {
	case atLeast:
		return v.contractSum(c.e)
	case zero:
		changed, alive = v.contractSum(c.e)
		if !alive {
			return changed, false
		}
		again, alive := v.contractSum(c.e.Neg())
		return changed || again, alive
	}
	return v.contractEnds(c)
}

// contractSum narrows by e >= 0.
func (v *view) contractSum(e Expr) (changed, alive bool) {
	alive = v.rooms(e, func(name string, r interval) bool {
		more, alive := v.narrow(name, r)
		changed = changed || more
		return alive
	})
	return changed, alive
}

// contractEnds moves the ends of a symbol's range to values that a condition on
// this symbol alone admits.
func (v *view) contractEnds(c Constraint) (changed, alive bool) {
	name, a, off, ok := c.e.linear()
	if !ok || a != 1 {
		return false, true
	}
	return v.narrow(name, c.trim(v.given[name], off))
}

func (v *view) narrow(name string, r interval) (changed, alive bool) {
	have, ok := v.given[name]
	if !ok {
		panic("BUG: dim: constraint on a symbol that the search does not know: " + name)
	}
	next := meet(have, r)
	if next.empty() {
		return true, false
	}
	if next == have {
		return false, true
	}
	v.given[name], v.box[v.index[name]] = next, next
	clear(v.memo)
	return true, true
}

// trim moves the ends of a range to values v for which c holds of v + off: a
// divisibility, or an exception.
func (c Constraint) trim(r interval, off int64) interval {
	admits := func(v int64) bool {
		sum, ok := addOK(v, off)
		return !ok || c.holdsAt(sum)
	}
	lo, okLo := addOK(r.lo.v, off)
	hi, okHi := addOK(r.hi.v, off)
	if okLo = okLo && r.lo.inf == 0; okLo && c.kind == divides {
		rest, _ := floorModOK(lo, c.n)
		if rest > 0 {
			r.lo = r.lo.add(finite(c.n - rest))
		}
	} else if okLo && !admits(r.lo.v) {
		r.lo = r.lo.add(finite(1))
	}
	if okHi = okHi && r.hi.inf == 0; okHi && c.kind == divides {
		rest, _ := floorModOK(hi, c.n)
		r.hi = r.hi.add(finite(-rest))
	} else if okHi && !admits(r.hi.v) {
		r.hi = r.hi.add(finite(-1))
	}
	return r
}

// branch is the symbol to split: of those that an undecided constraint
// mentions, the one of the widest range; -1 if all are single values.
func (s *search) branch(b box) int {
	rs := s.view(b).ranges
	open := map[string]bool{}
	mark := func(c Constraint) {
		holds, fails := c.over(rs)
		if holds || fails {
			return
		}
		c.e.eachSym(func(name string) { open[name] = true })
	}
	for _, c := range s.cs {
		mark(c)
	}
	for _, conjunction := range s.except {
		for _, c := range conjunction {
			mark(c)
		}
	}
	best := -1
	for i, r := range b {
		if r.lo != r.hi && open[s.syms[i]] && (best < 0 || b[best].width() < r.width()) {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	for i, r := range b { // nothing is undecided but the corner has no value
		if r.lo != r.hi {
			return i
		}
	}
	return -1
}
