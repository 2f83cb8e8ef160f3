package dim

import "math/bits"

// dictionary is a linear program in the form that the simplex method pivots
// (Chvátal, Linear Programming, 1983, chapter 2): every row says
//
//	D*basic = b - a[0]*free[0] - a[1]*free[1] - ...     D > 0, all variables >= 0
//
// and the last row does so for the objective, to be maximised. The entries of
// a row are integers without a common factor. An operation that would overflow
// gives the program up, which a proof takes for "unknown".
type dictionary struct {
	rows  [][]int64 // a..., b, D
	basic []int     // variable of each row but the last
	free  []int     // variable of each column
}

// outcome is how a linear program ended.
type outcome uint8

const (
	gaveUp outcome = iota
	infeasible
	unbounded
	optimal
)

// maxPivots bounds the work of one program.
const maxPivots = 200

// newDictionary states a[i]*x <= b[i] for x >= 0, to maximise c*x. Column n is
// the artificial variable of the first phase.
func newDictionary(a [][]int64, b, c []int64) *dictionary {
	n, m := len(c), len(a)
	d := &dictionary{}
	row := func(coefs []int64, sign, artificial, rhs int64) []int64 {
		r := make([]int64, n+3)
		for j, v := range coefs {
			r[j] = sign * v
		}
		r[n], r[n+1], r[n+2] = artificial, rhs, 1
		return r
	}
	for i := range a {
		d.rows = append(d.rows, row(a[i], 1, -1, b[i]))
		d.basic = append(d.basic, n+1+i)
	}
	for j := range n + 1 {
		d.free = append(d.free, j)
	}
	d.rows = append(d.rows, row(c, -1, 0, 0))
	d.basic = append(d.basic, n+1+m)
	return d
}

func (d *dictionary) objective() []int64 { return d.rows[len(d.rows)-1] }

// value is the constant of a row, over its denominator.
func (d *dictionary) value(row []int64) (num, den int64) { return row[len(row)-2], row[len(row)-1] }

// maximise solves the program: the objective's greatest value is num/den.
func (d *dictionary) maximise() (num, den int64, end outcome) {
	artificial := len(d.free) - 1
	if end := d.makeFeasible(artificial); end != optimal {
		return 0, 0, end
	}
	budget := maxPivots
	if end := d.improve(artificial, &budget); end != optimal {
		return 0, 0, end
	}
	num, den = d.value(d.objective())
	return num, den, optimal
}

// makeFeasible finds a point that satisfies all rows by minimising an
// artificial variable that relaxes each, and leaves that variable out after.
func (d *dictionary) makeFeasible(artificial int) outcome {
	worst, least := -1, int64(0)
	for i, row := range d.rows[:len(d.rows)-1] {
		if b, _ := d.value(row); b < least {
			worst, least = i, b
		}
	}
	if worst < 0 {
		d.dropColumn(artificial)
		return optimal
	}
	goal := make([]int64, len(d.objective())) // the artificial variable's negative
	goal[artificial], goal[len(goal)-1] = 1, 1
	d.rows = append(d.rows, goal) // the objective is now a row that never leaves
	d.basic = append(d.basic, -1)
	if !d.pivot(worst, artificial) {
		return gaveUp
	}
	budget := maxPivots
	if end := d.improve(-1, &budget); end != optimal {
		return gaveUp
	}
	if num, _ := d.value(d.objective()); num < 0 {
		return infeasible
	}
	d.rows, d.basic = d.rows[:len(d.rows)-1], d.basic[:len(d.basic)-1]
	return d.retire(artificial)
}

// retire makes the artificial variable, which is zero, free and drops it.
func (d *dictionary) retire(artificial int) outcome {
	for i, v := range d.basic[:len(d.basic)-1] {
		if v != artificial {
			continue
		}
		for j := range d.free {
			if d.rows[i][j] != 0 {
				if !d.pivot(i, j) {
					return gaveUp
				}
				break
			}
		}
	}
	for j, v := range d.free {
		if v == artificial {
			d.dropColumn(j)
			return optimal
		}
	}
	return optimal // basic in a row of zeros: it stays zero
}

// dropColumn fixes a free variable at zero.
func (d *dictionary) dropColumn(j int) {
	for _, row := range d.rows {
		row[j] = 0
	}
}

// improve pivots until the last row's value is greatest, by Bland's rule, which
// cannot cycle.
func (d *dictionary) improve(barred int, budget *int) outcome {
	for {
		s := d.entering(barred)
		if s < 0 {
			return optimal
		}
		r := d.leaving(s)
		if r < 0 {
			return unbounded
		}
		if *budget--; *budget < 0 || !d.pivot(r, s) {
			return gaveUp
		}
	}
}

// entering is the column of the first variable that raises the objective, -1 if
// none does.
func (d *dictionary) entering(barred int) int {
	best := -1
	for j, v := range d.free {
		if d.objective()[j] < 0 && v != barred && (best < 0 || v < d.free[best]) {
			best = j
		}
	}
	return best
}

// leaving is the row that first limits the growth of a column's variable.
func (d *dictionary) leaving(s int) int {
	best := -1
	for i := range d.rows {
		// Objectives are no limits.
		if d.rows[i][s] <= 0 || d.isObjective(i) {
			continue
		}
		if best < 0 || d.limitsBefore(i, best, s) {
			best = i
		}
	}
	return best
}

func (d *dictionary) isObjective(i int) bool {
	return d.basic[i] < 0 || i == len(d.rows)-1 || d.basic[i+1] < 0
}

// limitsBefore compares b/a of two rows, the lesser variable first on a tie.
func (d *dictionary) limitsBefore(i, k, s int) bool {
	bi, _ := d.value(d.rows[i])
	bk, _ := d.value(d.rows[k])
	hi1, lo1 := bits.Mul64(uint64(bi), uint64(d.rows[k][s]))
	hi2, lo2 := bits.Mul64(uint64(bk), uint64(d.rows[i][s]))
	if hi1 != hi2 {
		return hi1 < hi2
	}
	if lo1 != lo2 {
		return lo1 < lo2
	}
	return d.basic[i] < d.basic[k]
}

// pivot exchanges the variable of row r with that of column s; false on
// overflow.
func (d *dictionary) pivot(r, s int) bool {
	pr := d.rows[r]
	if pr[s] < 0 {
		for j := range pr {
			pr[j] = -pr[j]
		}
	}
	for i, row := range d.rows {
		if i != r && row[s] != 0 && !eliminate(row, pr, s) {
			return false
		}
	}
	last := len(pr) - 1
	pr[s], pr[last] = pr[last], pr[s]
	reduceRow(pr)
	d.basic[r], d.free[s] = d.free[s], d.basic[r]
	return true
}

// eliminate replaces the variable of column s in row by what pr, whose entry
// there is positive, says it is.
func eliminate(row, pr []int64, s int) bool {
	last := len(row) - 1
	a, p := row[s], pr[s]
	if g := int64(gcd(magnitude(a), uint64(p))); g > 1 {
		a, p = a/g, p/g
	}
	ok := true
	times := func(x, y int64) int64 {
		v, fine := mulOK(x, y)
		// The least int64 could not be negated later.
		ok = ok && fine && v != -1<<63
		return v
	}
	for j := range last {
		if j == s {
			continue
		}
		if pr[j] == 0 {
			row[j] = times(row[j], p)
			continue
		}
		diff, fine := addOK(times(row[j], p), -times(pr[j], a))
		row[j], ok = diff, ok && fine && diff != -1<<63
	}
	row[s] = -times(a, pr[last])
	row[last] = times(row[last], p)
	if ok {
		reduceRow(row)
	}
	return ok
}

// reduceRow divides a row by the common factor of its entries.
func reduceRow(row []int64) {
	var g uint64
	for _, v := range row {
		if g = gcd(g, magnitude(v)); g == 1 {
			return
		}
	}
	for j := range row {
		row[j] /= int64(g)
	}
}
