package conformance

import (
	"fmt"
	"slices"
	"strings"

	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// testCase is one region and the sizes to bind it at.
type testCase struct {
	name   string
	op     ir.Op
	region *ir.Func
	// at is the op's value in the region before composites were expanded.
	at     *ir.Value
	fill   fill
	sizes  []map[string]int64 // nil: a static region
	plain  bool               // the region is the op alone
	repeat bool               // compile twice, run concurrently
}

// variant makes regions of one sort; ok is false where the sort does not apply.
type variant struct {
	name  string
	build func(s application) (c testCase, ok bool)
}

// variants are the sorts beside plain regions.
var variants = []variant{
	{"symbolic", symbolic},
	{"transposed", throughView(transposed)},
	{"strided", throughView(strided)},
	{"reversed", throughView(reversed)},
	{"broadcast", throughView(broadcast)},
	{"reshaped", throughView(reshaped)},
	{"far apart", throughView(farApart)},
	{"column of a transpose", throughView(column)},
	{"special", special},
	{"fused", fused},
}

// application is an op applied to operands of a sample's types.
type application struct {
	op     ir.Op
	sample ir.Sample
}

// withDType replaces the first operand's element type, wherever it stands.
func withDType(s ir.Sample, dt tensor.DType) ir.Sample {
	args := make([]ir.Type, len(s.Args))
	for i, t := range s.Args {
		if args[i] = t; t.DType == s.Args[0].DType {
			args[i] = t.WithDType(dt)
		}
	}
	s.Args = args
	return s
}

// cases lists the regions of an op: every sample in every element type, and for
// each element type every variant of a few samples, others each time.
func (s *suite) cases(op ir.Op) []testCase {
	row := op.Row()
	samples := row.Samples()
	var out []testCase
	for d, dt := range s.dtypes(row) {
		typed := make([]application, len(samples))
		for i, sample := range samples {
			typed[i] = application{op, sample}
			if len(sample.Args) > 0 {
				typed[i].sample = withDType(sample, dt)
			}
		}
		if row.MaxArgs == 0 && d > 0 { // samples of a source name their types
			break
		}
		out = append(out, s.plainCases(typed, d)...)
		out = append(out, s.variantCases(typed, d)...)
	}
	return out
}

func (s *suite) plainCases(typed []application, d int) []testCase {
	var out []testCase
	for i, a := range typed {
		if s.o.Thin && (i+d)%3 != 0 {
			continue
		}
		if c, ok := plain(a); ok {
			c.repeat = i == (d+1)%len(typed)
			out = append(out, c)
		}
	}
	return out
}

// variantSamples is to how many samples each variant is applied, in each element
// type; thinly, to one.
const variantSamples = 2

// variantCases takes the first samples that a variant applies to, beginning with
// another one for each element type and variant.
func (s *suite) variantCases(typed []application, d int) []testCase {
	var out []testCase
	for n, v := range variants {
		if s.o.Thin && (n+d)%2 != 0 {
			continue
		}
		left := variantSamples
		if s.o.Thin {
			left = 1
		}
		for i := 0; i < len(typed) && left > 0; i++ {
			c, ok := v.build(typed[(i+2*n+d)%len(typed)])
			if !ok {
				continue
			}
			c.name = v.name + " " + c.name
			if c, ok = s.expand(c); ok {
				out = append(out, c)
			}
			left--
		}
	}
	return out
}

// describe names an application: "f32[7,13] x f32[7,13]".
func (a application) describe() string {
	parts := make([]string, len(a.sample.Args))
	for i, t := range a.sample.Args {
		parts[i] = t.String()
	}
	text := a.op.String() + " of " + strings.Join(parts, " x ")
	for _, at := range a.sample.Attrs {
		if _, big := at.Value.(*tensor.Tensor); !big {
			text += fmt.Sprintf(" %s=%s", at.Name, ir.AttrString(at.Value))
		}
	}
	return text
}

// apply appends the op to b's function, applied to args.
func (a application) apply(b *ir.Builder, args []*ir.Value) *ir.Value {
	return b.EmitAttrs(a.op, args, a.sample.Attrs)
}

// newCase finishes a case; ok is false if the builder met an error.
func (a application) newCase(b *ir.Builder, at *ir.Value, results ...*ir.Value) (testCase, bool) {
	if b.Err() != nil {
		return testCase{}, false
	}
	b.F.Results = results
	return testCase{name: a.describe(), op: a.op, region: b.F, at: at, fill: fill{lo: a.sample.Lo, hi: a.sample.Hi}}, true
}

// plain is the op alone.
func plain(a application) (testCase, bool) {
	b := ir.NewBuilder(ir.NewFunc(a.op.String(), nil))
	args := make([]*ir.Value, len(a.sample.Args))
	for i, t := range a.sample.Args {
		args[i] = b.F.AddParam("", t, nil)
	}
	v := a.apply(b, args)
	c, ok := a.newCase(b, v, v)
	c.plain = true
	return c, ok
}

// maxElements bounds the size of tensors of symbolic regions, which are bound at
// more than their samples' sizes, and maxWork what a contraction takes: elements of
// the result times elements of its first operand.
const (
	maxElements = 1 << 14
	maxWork     = 1 << 24
)

// symbolic replaces every size above 1 by a symbol, one symbol for each size: of
// operands and of sizes in attributes. If the type rule refuses that, it replaces
// one size only, and demands that it is no less than the sample's.
func symbolic(a application) (testCase, bool) {
	values := distinctSizes(a.sample)
	if c, ok := a.withSymbols(values, 0); ok {
		return c, true
	}
	for _, n := range values {
		for _, lo := range []int64{0, n} {
			if c, ok := a.withSymbols([]int64{n}, lo); ok {
				return c, true
			}
		}
	}
	return testCase{}, false
}

// distinctSizes lists the sizes of the operands that are above 1, each once.
func distinctSizes(s ir.Sample) []int64 {
	var out []int64
	seen := map[int64]bool{}
	for _, t := range s.Args {
		for _, e := range t.Shape {
			if n, ok := e.Const(); ok && n > 1 && !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

func sizeSymbol(n int64) string { return fmt.Sprintf("S%d", n) }

func (a application) withSymbols(values []int64, lo int64) (testCase, bool) {
	if len(values) == 0 {
		return testCase{}, false
	}
	facts, sub := dim.NewFacts(), map[int64]dim.Expr{}
	for _, n := range values {
		if err := facts.Declare(sizeSymbol(n), lo, 1<<20); err != nil {
			return testCase{}, false
		}
		sub[n] = dim.Sym(sizeSymbol(n))
	}
	replaced := func(shape []dim.Expr) []dim.Expr {
		out := make([]dim.Expr, len(shape))
		for i, e := range shape {
			out[i] = e
			if n, ok := e.Const(); ok && slices.Contains(values, n) {
				out[i] = sub[n]
			}
		}
		return out
	}
	b := ir.NewBuilder(ir.NewFunc(a.op.String(), facts))
	args := make([]*ir.Value, len(a.sample.Args))
	for i, t := range a.sample.Args {
		args[i] = b.F.AddParam("", t.WithShape(replaced(t.Shape)), nil)
	}
	for _, at := range a.sample.Attrs {
		if sizes, ok := at.Value.([]dim.Expr); ok {
			a.sample.Attrs = a.sample.Attrs.With(at.Name, replaced(sizes))
		}
	}
	v := a.apply(b, args)
	c, ok := a.newCase(b, v, v)
	c.sizes = bindings(values, lo)
	return c, ok
}

// bindings are the sample's own sizes, then sizes at the edges: nothing, one,
// primes beyond a vector along one axis each, and all of them prime.
func bindings(values []int64, lo int64) []map[string]int64 {
	own := map[string]int64{}
	for _, n := range values {
		own[sizeSymbol(n)] = n
	}
	out := []map[string]int64{own}
	with := func(n int64, all bool, which int) {
		sizes := map[string]int64{}
		for i, v := range values {
			if sizes[sizeSymbol(v)] = v; all || i == which {
				sizes[sizeSymbol(v)] = max(n, lo)
			}
		}
		out = append(out, sizes)
	}
	last := len(values) - 1
	with(67, false, last)
	with(131, false, 0)
	with(1, true, 0)
	with(0, false, 0)
	with(5, true, 0)
	with(0, false, last)
	return out
}

// special draws operands from the special values of their types. It skips ops
// whose results then depend on the order or the steps of the evaluation.
func special(a application) (testCase, bool) {
	row := a.op.Row()
	if row.Decompose != nil && row.Traits&ir.Pointwise == 0 || a.sample.Args == nil {
		return testCase{}, false
	}
	c, ok := plain(a)
	if !ok || elementsOf(c.region) < 8 {
		return c, false
	}
	c.fill.special = specialAll
	switch {
	case row.Traits&ir.Approximate != 0 && a.sample.Args[0].DType == tensor.F64:
		c.fill.special = specialFactors // Go's math, which evaluates, is not exact itself beyond
	case a.op == ir.OpReduceProd:
		c.fill.special = specialFactors
	case row.Traits&(ir.Reduce|ir.Contract) != 0:
		c.fill.special = specialTerms
	}
	return c, ok
}

// elementsOf is the number of elements of the first operand.
func elementsOf(f *ir.Func) int64 {
	n, _ := f.Params[0].Type.Elements().Const()
	return n
}

// expand replaces the composites that the executor refuses by their parts, and
// says whether it claims the values of the region together.
func (s *suite) expand(c testCase) (testCase, bool) {
	for range maxLevels {
		again, changed := s.expandOnce(c.region)
		if again == nil {
			return c, false
		}
		c.region = again
		if !changed {
			break
		}
	}
	want := fusion.Fusible
	if len(c.region.Values) == 1 {
		want = fusion.Alone
	}
	for _, v := range c.region.Values {
		if s.e.Claim(v).Level < want {
			return c, false
		}
	}
	return c, true
}

// maxLevels bounds how deep decompositions nest.
const maxLevels = 8

func (s *suite) expandOnce(f *ir.Func) (g *ir.Func, changed bool) {
	g = ir.NewFunc(f.Name, f.Facts)
	b := ir.NewBuilder(g)
	of := make([]*ir.Value, f.NumIDs)
	for _, p := range f.Params {
		of[p.ID] = g.AddParam("", p.Type, nil)
	}
	for _, v := range f.Values {
		args := make([]*ir.Value, len(v.Args))
		for i, a := range v.Args {
			args[i] = of[a.ID]
		}
		if v.Op.Composite() && s.e.Claim(v).Level == fusion.Refused {
			of[v.ID] = v.Row().Decompose(b, &ir.Value{Op: v.Op, Type: v.Type, Args: args, Attrs: v.Attrs})
			changed = true
		} else {
			of[v.ID] = b.Clone(v, args)
		}
		if b.Err() != nil {
			return nil, false
		}
	}
	for _, r := range f.Results {
		g.Results = append(g.Results, of[r.ID])
	}
	return g, changed
}
