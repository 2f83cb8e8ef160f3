package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"jitc/fusion"
	"jitc/ir"
)

// claims collects what an executor refuses, for the log.
type claims struct {
	mu   sync.Mutex
	rows map[ir.Op]*claimRow
}

// claimRow is what is known of one op.
type claimRow struct {
	fusible, alone, refused int
	reasons                 map[string][]string // why, and in which element types
	failed                  map[string]int      // why regions were not compiled after all
}

func (c *claims) row(op ir.Op) *claimRow {
	if c.rows == nil {
		c.rows = map[ir.Op]*claimRow{}
	}
	if c.rows[op] == nil {
		c.rows[op] = &claimRow{reasons: map[string][]string{}, failed: map[string]int{}}
	}
	return c.rows[op]
}

// add records the claim about a value.
func (c *claims) add(op ir.Op, claim fusion.Claim, v *ir.Value) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.row(op)
	switch claim.Level {
	case fusion.Fusible:
		r.fusible++
	case fusion.Alone, fusion.Strided:
		r.alone++
	default:
		r.refused++
		dt := v.Type.DType
		if len(v.Args) > 0 {
			dt = v.Args[0].Type.DType
		}
		if !slices.Contains(r.reasons[claim.Why], dt.String()) {
			r.reasons[claim.Why] = append(r.reasons[claim.Why], dt.String())
		}
	}
}

// unsupported records a region that was not compiled though it was claimed.
func (c *claims) unsupported(op ir.Op, why string, plain bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !plain {
		why = "among others: " + why
	}
	c.row(op).failed[why]++
}

// log prints the ops that are not fusible in every case, one row each.
func (c *claims) log(t TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "op\tfusible\talone\trefused\twhy")
	taken := 0
	for _, op := range slices.Sorted(maps.Keys(c.rows)) {
		r := c.rows[op]
		if r.refused == 0 && len(r.failed) == 0 {
			taken++
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", op, r.fusible, r.alone, r.refused, r.why())
	}
	_ = w.Flush() // a strings.Builder does not fail
	if taken < len(c.rows) {
		t.Logf("claims, in plain regions; %d other ops are taken in every case:\n%s", taken, text.String())
		return
	}
	t.Logf("claims: every one of %d ops is taken in every case", taken)
}

func (r *claimRow) why() string {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(r.reasons)) {
		parts = append(parts, why+" ("+strings.Join(r.reasons[why], ", ")+")")
	}
	for _, why := range slices.Sorted(maps.Keys(r.failed)) {
		parts = append(parts, fmt.Sprintf("not compiled %d times: %s", r.failed[why], why))
	}
	return strings.Join(parts, "; ")
}
