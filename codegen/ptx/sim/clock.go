package sim

// clock says of each party up to when what it did is ordered before something. The
// parties are the warps of the block and, behind them, the mbarriers, each for the
// copies that complete at it. Those that are not there are ordered up to never.
//
//	warp 0   st.shared   arrive ──┐ (clock of the phase: warp 0 up to here)
//	warp 1                      wait    ld.shared: the store lies before
type clock []moment

// moment is a place in what a party did: what all lanes did up to a tick, and what
// some did up to a later one.
type moment struct {
	tick  uint32
	lanes uint32
	later uint32
}

// covers reports whether what some lanes of a party did at a tick is ordered.
func (c clock) covers(party int, lanes, tick uint32) bool {
	if party >= len(c) {
		return false
	}
	m := c[party]
	return tick <= m.tick || lanes&^m.lanes == 0 && tick <= m.later
}

// note adds what one party did.
func (c *clock) note(party int, m moment) {
	for len(*c) <= party {
		*c = append(*c, moment{})
	}
	(*c)[party].join(m)
}

// join adds what another clock says.
func (c *clock) join(o clock) {
	for party, m := range o {
		c.note(party, m)
	}
}

// join keeps of two sets of lanes the one that is ahead: what it forgets of the other
// makes the checks stricter, and is of lanes that have diverged only.
func (m *moment) join(o moment) {
	m.tick = max(m.tick, o.tick)
	switch {
	case o.later > m.later:
		m.lanes, m.later = o.lanes, o.later
	case o.later == m.later:
		m.lanes |= o.lanes
	}
}

// moment is where the lanes of the group are: all of the warp, where they have converged,
// else they, and all up to where the others left them.
func (w *warp) moment() moment {
	s := &w.b.shared
	if w.group == w.live {
		return moment{tick: s.tick}
	}
	return moment{tick: w.converged, lanes: w.group, later: s.tick}
}

// release adds to a clock all that is ordered before what the lanes of the group do
// next.
func (w *warp) release(to *clock) {
	to.join(w.clock)
	if w.holders != 0 && w.holders&^w.group == 0 {
		to.join(w.held)
	}
	to.note(w.id, w.moment())
}

// acquire orders what a clock says before what the lanes of the mask do next, and the
// others once they have converged with these.
func (w *warp) acquire(from clock, mask uint32) {
	if mask == w.live {
		w.gather()
		w.clock.join(from)
		return
	}
	if w.holders != mask {
		w.gather()
		w.holders = mask
	}
	w.held.join(from)
}

// gather makes what some lanes know known to all.
func (w *warp) gather() {
	w.clock.join(w.held)
	w.held, w.holders = w.held[:0], 0
}

// after reports whether what lanes of a party did at a tick is ordered before what
// the lane does now.
func (w *warp) after(party int, lanes, tick uint32, lane int) bool {
	if w.clock.covers(party, lanes, tick) {
		return true
	}
	return w.holders>>lane&1 != 0 && w.held.covers(party, lanes, tick)
}
