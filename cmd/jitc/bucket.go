package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir"
	"jitc/ir/diag"
	"jitc/ir/dim"
	"jitc/passes/padding"
	rt "jitc/runtime"
)

// bucketForms is what --bucket takes.
const bucketForms = "SYM=N,N,... or SYM=pow2 or SYM=pow2:N or SYM=step:N with numbers from 1, such as B=8,16,32"

// addBuckets adds --bucket, for commands that can pad.
func (e *engineFlags) addBuckets(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&e.buckets, "bucket", nil,
		"pad a size, `SYM=SIZES`: B=8,16,32 or B=pow2 or B=pow2:16 or B=step:16; may be repeated")
}

// paddedDims reads the values of --bucket.
func (e *engineFlags) paddedDims() ([]rt.PaddedDim, error) {
	var out []rt.PaddedDim
	for _, text := range e.buckets {
		sym, sizes, ok := strings.Cut(text, "=")
		sym = strings.TrimSpace(sym)
		buckets, valid := bucketsOf(strings.TrimSpace(sizes))
		if !ok || !valid || !dim.ValidSym(sym) {
			return nil, badFlag("bucket", text, bucketForms)
		}
		if slices.ContainsFunc(out, func(d rt.PaddedDim) bool { return d.Sym == sym }) {
			return nil, badFlag("bucket", text, "the buckets of "+sym+" once")
		}
		out = append(out, rt.PaddedDim{Sym: sym, Buckets: buckets})
	}
	return out, nil
}

// bucketKinds are the buckets that have a name, as functions of a number.
var bucketKinds = []struct {
	name  string
	least int64 // the number where none is given; 0: one must be given
	make  func(int64) rt.Buckets
}{
	{"pow2", 1, jitc.PowersOfTwo},
	{"step", 0, jitc.Steps},
}

func bucketsOf(text string) (rt.Buckets, bool) {
	for _, k := range bucketKinds {
		name, number, given := strings.Cut(text, ":")
		if name != k.name {
			continue
		}
		n, err := k.least, error(nil)
		if given {
			n, err = strconv.ParseInt(number, 10, 64)
		}
		return k.make(n), err == nil && n > 0
	}
	var sizes []int64
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		if err != nil || n < 1 {
			return nil, false
		}
		sizes = append(sizes, n)
	}
	return jitc.Listed(sizes...), true
}

// usePadding rewrites the program for the buckets that are asked for.
func (p *program) usePadding(dims []rt.PaddedDim) error {
	if len(dims) == 0 {
		return nil
	}
	for _, d := range dims {
		if syms := p.file.Func.Facts.Syms(); !slices.Contains(syms, d.Sym) {
			return diag.List{{Pos: diag.Pos{File: p.file.Path}, Msg: "the trace has no size " + d.Sym,
				Expected: orText(listNames(syms), "no --bucket: it has no sizes"), Got: "--bucket " + d.Sym + "=..."}}
		}
		p.options = append(p.options, jitc.Bucket(d.Sym, d.Buckets))
	}
	var err error
	p.padding, err = p.engine.Function(p.file.Func, p.options...).Padding()
	return p.paddingError(err)
}

// paddingError makes a diagnostic of what padding cannot do; other errors stay.
func (p *program) paddingError(err error) error {
	var refused *padding.Refusal
	var bucket *rt.BucketError
	switch {
	case errors.As(err, &refused):
		op := refused.Op
		if refused.Within != "" {
			op += " within " + refused.Within
		}
		d := p.diagnosticAt(refused.Pos, refused.Op, refused.Within)
		d.Msg = fmt.Sprintf("cannot pad %s: %s", refused.Sym, strings.TrimSpace(op+" "+refused.What))
		d.Hint = refused.Hint
		return diag.List{d}
	case errors.As(err, &bucket):
		d := &diag.Diagnostic{Pos: diag.Pos{File: p.file.Path}, Msg: fmt.Sprintf("%s = %d has no bucket", bucket.Sym, bucket.Size),
			Expected: "at most the largest of " + bucket.Buckets, Got: fmt.Sprintf("%s = %d", bucket.Sym, bucket.Size), Hint: "give a larger bucket"}
		if bucket.Err != nil {
			d.Msg = fmt.Sprintf("%s = %d would be padded to a size that is not valid", bucket.Sym, bucket.Size)
			d.Expected, d.Got = "buckets inside the declared range", fmt.Sprintf("%v\nbuckets: %s", bucket.Err, bucket.Buckets)
			var v *dim.Violation
			if errors.As(bucket.Err, &v) {
				d.Expected, d.Got = v.Fact, fmt.Sprintf("%s = %d of the buckets: %s", v.Sym, v.Got, bucket.Buckets)
			}
			d.Hint = "choose other buckets, or declare a wider range in the where clause"
		}
		return diag.List{d}
	}
	return err
}

// diagnosticAt is a diagnostic with the line of a position in the program's file,
// and the op on it underlined: the first of the names that the line has.
func (p *program) diagnosticAt(pos ir.Pos, ops ...string) *diag.Diagnostic {
	d := &diag.Diagnostic{Pos: diag.Pos(pos)}
	if d.Pos.File == "" {
		d.Pos.File = p.file.Path
	}
	lines := strings.Split(p.file.Text, "\n")
	if pos.Line < 1 || pos.Line > len(lines) {
		return d
	}
	d.Line = lines[pos.Line-1]
	for _, op := range ops {
		if at := strings.Index(d.Line, "= "+op+"("); op != "" && at >= 0 {
			d.Pos.Col, d.Len = at+3, len(op)
			break
		}
	}
	return d
}

// bucketReport is a size and what it is padded to.
type bucketReport struct {
	Sym     string `json:"sym"`
	Buckets string `json:"buckets"`
	Size    *int64 `json:"size,omitempty"` // where it is known
	Padded  *int64 `json:"padded,omitempty"`
}

// paddingReport is what --bucket made of a program.
type paddingReport struct {
	Buckets []bucketReport `json:"buckets"`
	Exact   *bool          `json:"exact,omitempty"`      // results have the bits of the unpadded ones; not known without sizes
	Masked  []maskReport   `json:"masked"`               // operands whose padding must not be seen
	Rounded []siteReport   `json:"rounded"`              // sums whose terms are added in another order
	Other   []string       `json:"other_code,omitempty"` // what executors choose otherwise at the padded sizes
}

type maskReport struct {
	Line    int    `json:"line,omitempty"`
	Op      string `json:"op"`
	Within  string `json:"within,omitempty"`
	Operand int    `json:"operand"`
	Axis    int    `json:"axis"`
	By      string `json:"by"` // what stands in for padding
	Why     string `json:"why"`
}

type siteReport struct {
	Line int    `json:"line,omitempty"`
	Op   string `json:"op"`
}

// paddingReport says what buckets do at the sizes that are known, which may be none.
func (p *program) paddingReport(c *jitc.Compiled, sizes map[string]int64) *paddingReport {
	if p.padding == nil {
		return nil
	}
	r := &paddingReport{Buckets: []bucketReport{}, Masked: []maskReport{}, Rounded: []siteReport{}}
	r.compare(p.padding, c, sizes)
	for _, d := range p.padding.Dims {
		b := bucketReport{Sym: d.Sym, Buckets: d.Buckets.String()}
		if n, ok := sizes[d.Sym]; ok {
			if to, ok := d.Buckets.Bucket(n); ok {
				b.Size, b.Padded = &n, &to
			}
		}
		r.Buckets = append(r.Buckets, b)
	}
	for _, step := range p.padding.Steps {
		for _, m := range step.Masked {
			r.Masked = append(r.Masked, maskReport{m.Pos.Line, m.Op, m.Within, m.Arg, m.Axis, m.Identity, m.Why})
		}
		for _, s := range step.Rounded {
			r.Rounded = append(r.Rounded, siteReport{s.Pos.Line, s.Op})
		}
	}
	return r
}

// compare finds out whether results have the bits of the unpadded ones: no sum adds
// in another order, and executors choose the same code at both sizes.
func (r *paddingReport) compare(p *jitc.Padding, c *jitc.Compiled, sizes map[string]int64) {
	exact := false
	if !p.Exact() {
		r.Exact = &exact
		return
	}
	if len(sizes) < len(c.Trace.Facts.Syms()) {
		return
	}
	padded, err := p.Bucket(sizes)
	if err != nil {
		return // there is no program at these sizes, as others report
	}
	at, err := c.Choices(sizes)
	if err != nil {
		return
	}
	instead, err := c.Choices(padded)
	if err != nil {
		return
	}
	for _, x := range instead {
		if !slices.ContainsFunc(at, func(y jitc.Choice) bool { return x.What == y.What && x.By == y.By && x.Count == y.Count }) {
			r.Other = append(r.Other, x.What)
		}
	}
	exact = len(r.Other) == 0
	r.Exact = &exact
}

// text is a bucket in one line: "B=5 to 8 (buckets: powers of two from 1)".
func (b bucketReport) text() string {
	if b.Size == nil {
		return b.Sym + " to " + b.Buckets
	}
	return fmt.Sprintf("%s=%d to %d (buckets: %s)", b.Sym, *b.Size, *b.Padded, b.Buckets)
}

func (r *paddingReport) bucketsText() string {
	parts := make([]string, len(r.Buckets))
	for i, b := range r.Buckets {
		parts[i] = b.text()
	}
	return strings.Join(parts, ", ")
}

// exactText says how near results are to those without padding.
func (r *paddingReport) exactText() string {
	switch {
	case r.Exact == nil:
		return "the bits of the unpadded ones where the same code runs at both sizes; jitc sizes tells where it changes"
	case *r.Exact:
		return "the bits of the unpadded ones"
	case len(r.Other) > 0:
		return "those of the unpadded, up to rounding where other code runs at the padded size: " + strings.Join(r.Other, ", ")
	}
	var sites []string
	for _, s := range r.Rounded {
		text := s.Op
		if s.Line > 0 {
			text += fmt.Sprintf(" at line %d", s.Line)
		}
		if !slices.Contains(sites, text) {
			sites = append(sites, text)
		}
	}
	return "those of the unpadded up to rounding: " + strings.Join(sites, ", ") + " may add in another order"
}

// writePadding prints what was done to a program for its buckets.
func (a *app) writePadding(r *paddingReport) {
	if r == nil {
		return
	}
	fmt.Fprintln(a.out, a.style.bold("padding"))
	for _, b := range r.Buckets {
		a.item("pads", b.text())
	}
	a.item("results", r.exactText())
	if len(r.Masked) == 0 {
		a.item("masked", "nothing: padding reaches no result")
		fmt.Fprintln(a.out)
		return
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{">line", "op", "of", ">operand", ">axis", "padding is", "why"}}
	for _, m := range r.Masked {
		line := "-"
		if m.Line > 0 {
			line = fmt.Sprint(m.Line)
		}
		t.add(line, m.Op, orText(m.Within, "-"), fmt.Sprint(m.Operand), fmt.Sprint(m.Axis), m.By, m.Why)
	}
	t.write(a.out, a.style)
	fmt.Fprintln(a.out)
}
