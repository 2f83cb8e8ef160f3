package dim

import "math"

// bound is an end of an interval: a finite value, or -1 or +1 for infinity.
type bound struct {
	v   int64
	inf int8
}

func finite(v int64) bound { return bound{v: v} }

var (
	negInf = bound{inf: -1}
	posInf = bound{inf: 1}
)

func (b bound) sign() int {
	switch {
	case b.inf != 0:
		return int(b.inf)
	case b.v < 0:
		return -1
	case b.v > 0:
		return 1
	}
	return 0
}

func (b bound) less(o bound) bool {
	if b.inf != o.inf {
		return b.inf < o.inf
	}
	return b.inf == 0 && b.v < o.v
}

func minBound(a, b bound) bound {
	if b.less(a) {
		return b
	}
	return a
}

func maxBound(a, b bound) bound {
	if a.less(b) {
		return b
	}
	return a
}

func infinity(sign int) bound { return bound{inf: int8(sign)} }

// add is exact or infinite; the infinities never meet with opposite signs,
// since lower ends are added to lower ends (see interval.normal).
func (b bound) add(o bound) bound {
	switch {
	case b.inf != 0:
		return b
	case o.inf != 0:
		return o
	}
	if s, ok := addOK(b.v, o.v); ok {
		return finite(s)
	}
	return infinity(b.sign())
}

func (b bound) mul(o bound) bound {
	s := b.sign() * o.sign()
	if s == 0 {
		return bound{}
	}
	if b.inf == 0 && o.inf == 0 {
		if m, ok := mulOK(b.v, o.v); ok {
			return finite(m)
		}
	}
	return infinity(s)
}

func (b bound) neg() bound { return b.mul(finite(-1)) }

// floorDiv divides by y >= 1. A finite value over infinity is the limit.
func (b bound) floorDiv(y bound) bound {
	switch {
	case b.inf != 0:
		return b
	case y.inf == 0:
		return finite(floorDiv(b.v, y.v))
	case b.v < 0:
		return finite(-1)
	}
	return bound{}
}

// interval is a set lo..hi of integers, both ends included.
type interval struct {
	lo, hi bound
}

func everything() interval { return interval{negInf, posInf} }

func point(v int64) interval { return interval{finite(v), finite(v)} }

func (r interval) empty() bool { return r.hi.less(r.lo) }

// normal gives ends that overflowed inwards their finite value: a lower end
// above int64 is at least the greatest int64. No value of an expression lies
// there, since evaluating it fails.
func (r interval) normal() interval {
	if r.lo.inf > 0 {
		r.lo = finite(math.MaxInt64)
	}
	if r.hi.inf < 0 {
		r.hi = finite(math.MinInt64)
	}
	return r
}

func meet(a, b interval) interval {
	return interval{maxBound(a.lo, b.lo), minBound(a.hi, b.hi)}
}

func join(a, b interval) interval {
	switch {
	case a.empty():
		return b
	case b.empty():
		return a
	}
	return interval{minBound(a.lo, b.lo), maxBound(a.hi, b.hi)}
}

func (r interval) add(o interval) interval {
	return interval{r.lo.add(o.lo), r.hi.add(o.hi)}.normal()
}

func (r interval) neg() interval { return interval{r.hi.neg(), r.lo.neg()}.normal() }

func (r interval) mul(o interval) interval {
	out := interval{posInf, negInf}
	for _, x := range [2]bound{r.lo, r.hi} {
		for _, y := range [2]bound{o.lo, o.hi} {
			p := x.mul(y)
			out.lo, out.hi = minBound(out.lo, p), maxBound(out.hi, p)
		}
	}
	return out.normal()
}

// pow is r to the n-th power, n >= 1: a square is never negative.
func (r interval) pow(n int) interval {
	out := r
	for range n - 1 {
		out = out.mul(r)
	}
	if n%2 == 0 {
		out.lo = maxBound(out.lo, finite(0))
	}
	return out
}

// bySign splits a divisor into its positive and negative part, either of which
// may be empty; zero is left out, since dividing by it has no value.
func (r interval) bySign() (pos, neg interval) {
	return meet(r, interval{finite(1), posInf}), meet(r, interval{negInf, finite(-1)})
}

func (r interval) floorDiv(y interval) interval {
	pos, neg := y.bySign()
	return join(r.floorDivPos(pos), r.neg().floorDivPos(neg.neg()))
}

// floorDivPos divides by y, whose ends are at least 1 unless it is empty.
func (r interval) floorDivPos(y interval) interval {
	if y.empty() || y.lo.sign() <= 0 {
		return interval{posInf, negInf}
	}
	lo, hi := r.lo.floorDiv(y.lo), r.hi.floorDiv(y.lo)
	if r.lo.sign() > 0 {
		lo = r.lo.floorDiv(y.hi)
	}
	if r.hi.sign() < 0 {
		hi = r.hi.floorDiv(y.hi)
	}
	return interval{lo, hi}
}

func (r interval) mod(y interval) interval {
	pos, neg := y.bySign()
	return join(r.modPos(pos), r.neg().modPos(neg.neg()).neg())
}

// modPos is the range of x mod y for positive y: 0 to y-1, at most x where x
// is not negative, and x itself where x is below every y.
func (r interval) modPos(y interval) interval {
	if y.empty() || y.lo.sign() <= 0 {
		return interval{posInf, negInf}
	}
	out := interval{finite(0), y.hi.add(finite(-1))}
	if r.lo.sign() < 0 {
		return out
	}
	if r.hi.less(y.lo) {
		return r
	}
	out.hi = minBound(out.hi, r.hi)
	return out
}

func (r interval) min(o interval) interval {
	return interval{minBound(r.lo, o.lo), minBound(r.hi, o.hi)}
}

func (r interval) max(o interval) interval {
	return interval{maxBound(r.lo, o.lo), maxBound(r.hi, o.hi)}
}

// tightenTo narrows r to the multiples of n in it.
func (r interval) tightenTo(n int64) interval {
	if n <= 1 {
		return r
	}
	q := r.quotients(n)
	if q.empty() {
		return q
	}
	return meet(r, q.mul(point(n)))
}

// quotients is the range of x/n over the multiples x of n in r.
func (r interval) quotients(n int64) interval {
	if n <= 1 {
		return r
	}
	if r.lo.inf == 0 { // round up
		q := floorDiv(r.lo.v, n)
		if q*n != r.lo.v {
			q++
		}
		r.lo = finite(q)
	}
	r.hi = r.hi.floorDiv(finite(n))
	return r
}
