package guard

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// columns are the outcomes of guards on the admitted calls: a row per distinct
// call, a column per guard. Rows of one set with equal outcomes are one row;
// columns that separate the same rows are one column, of the cheapest guard; a
// column that separates nothing is left out.
type columns struct {
	guards []*Guard // by column
	bits   [][]uint64
	rows   []outcomes
	sets   int // rows are of sets below this
}

// outcomes is a row.
type outcomes struct {
	set  int
	bits []uint64 // by atom
}

func has(bits []uint64, i int) int { return int(bits[i/64] >> (i % 64) & 1) }

// outcome is 1 where the guard of a column holds of a row.
func (c *columns) outcome(col, row int) int { return has(c.bits[col], row) }

func newColumns(sets []*Set, admitted []Admitted) *columns {
	guards := signatureGuards(sets)
	c := &columns{rows: distinctRows(guards, admitted), sets: len(sets)}
	if len(c.rows) < 2 {
		return c
	}
	seen := map[string]bool{}
	words := (len(c.rows) + 63) / 64
	for i, g := range guards {
		column := make([]uint64, words)
		for r := range c.rows {
			column[r/64] |= uint64(has(c.rows[r].bits, i)) << (r % 64)
		}
		key, constant := c.key(column)
		if constant || seen[key] {
			continue
		}
		seen[key] = true
		c.guards, c.bits = append(c.guards, g), append(c.bits, column)
	}
	return c
}

// signatureGuards lists the distinct guards that look at signatures, cheapest
// first, then in order of appearance.
func signatureGuards(sets []*Set) []*Guard {
	t, n := newAtoms(64), 0
	for _, s := range sets {
		for i := range s.Guards {
			if g := &s.Guards[i]; !g.Kind.Live() {
				t.of(g)
				n++
			}
		}
	}
	slices.SortStableFunc(t.guards, func(a, b *Guard) int { return cmp.Compare(a.Kind.row().cost, b.Kind.row().cost) })
	return t.guards
}

func distinctRows(guards []*Guard, admitted []Admitted) []outcomes {
	var rows []outcomes
	seen := map[string]bool{}
	for _, a := range admitted {
		r := outcomes{set: a.Set, bits: make([]uint64, len(guards)/64+1)}
		for i, g := range guards {
			if g.Holds(a.Call) {
				r.bits[i/64] |= 1 << (i % 64)
			}
		}
		key := binary.AppendVarint(nil, int64(a.Set))
		for _, w := range r.bits {
			key = binary.LittleEndian.AppendUint64(key, w)
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			rows = append(rows, r)
		}
	}
	return rows
}

// key identifies what a column separates: a column and its complement have one.
func (c *columns) key(column []uint64) (key string, constant bool) {
	flip := -(column[0] & 1) // all ones if row 0 is set
	b, any := make([]byte, 0, 8*len(column)), uint64(0)
	for i, w := range column {
		w ^= flip
		if last := len(c.rows) % 64; i == len(column)-1 && last != 0 {
			w &= 1<<last - 1
		}
		any |= w
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return string(b), any == 0
}
