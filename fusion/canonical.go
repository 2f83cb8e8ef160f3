package fusion

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"jitc/ir"
	"jitc/ir/dim"
)

// Key identifies what a region computes, for a target.
type Key [32]byte

// String is the key's first 8 bytes in hexadecimal, for reports.
func (k Key) String() string { return hex.EncodeToString(k[:8]) }

// Form is a region's canonical form: the same for all regions that compute the
// same, whatever their values and symbols are called, in whichever order
// independent values, parameters and results stand, and whichever way round the
// operands of commutative ops are. A kernel compiled from F computes the region
// once operands, results and sizes are handed over in F's order:
//
//	F's parameter i is the region's parameter Params[i]
//	F's result i    is the region's result Results[i]
//	F's symbol d<i> is the region's symbol Syms[i]
type Form struct {
	F       *ir.Func
	Params  []int
	Results []int
	Syms    []string

	key []byte // what keys hash, without the target
}

// KeyOf is the key of a region: the hash of its canonical form, with element
// types, sizes, what is known of its symbols, attributes, and the target, a text
// that names everything else that kernels depend on (executor, features,
// options). Regions with equal keys can share a kernel. The converse does not
// hold strictly: two ways to write a very symmetric region may have two keys.
func KeyOf(region *ir.Func, target string) Key { return Canonical(region).Key(target) }

// formVersion changes when the canonical form does, so that keys on disk die.
const formVersion = "jitc region 1\n"

// Key is the form's key for a target.
func (f *Form) Key(target string) Key {
	h := sha256.New()
	h.Write([]byte(formVersion + strconv.Quote(target) + "\n"))
	h.Write(f.key)
	return Key(h.Sum(nil))
}

// Canonical computes a region's canonical form. Values that no result needs are
// not part of it.
func Canonical(region *ir.Func) *Form {
	facts := &symbolFacts{facts: region.Facts, shapes: map[*dim.Expr][]dim.Expr{}}
	c := &canonicaliser{in: region, facts: facts, colour: colourOf(region, facts),
		rank: make([]int, region.NumIDs), rename: map[string]dim.Expr{},
		renamed: map[*dim.Expr][]dim.Expr{}, form: &Form{}}
	c.order()
	c.build()
	c.form.key = serialise(c.form.F)
	return c.form
}

type canonicaliser struct {
	in      *ir.Func
	facts   *symbolFacts
	colour  *colours
	rank    []int       // by ID: place in the canonical order from 1, 0 if not yet reached
	ranks   int         // values reached
	params  []*ir.Value // in canonical order
	values  []*ir.Value
	args    [][]*ir.Value // of values, in canonical order
	rename  map[string]dim.Expr
	renamed map[*dim.Expr][]dim.Expr // lists of sizes in canonical names, by the first element
	form    *Form
}

// order lists values depth first from the results, results by colour.
func (c *canonicaliser) order() {
	for i := range c.in.Results {
		c.form.Results = append(c.form.Results, i)
	}
	slices.SortStableFunc(c.form.Results, func(a, b int) int {
		return c.compare(c.in.Results[a], c.in.Results[b])
	})
	for _, i := range c.form.Results {
		c.reach(c.in.Results[i])
	}
	rest := slices.Clone(c.in.Params)
	slices.SortStableFunc(rest, c.compare)
	for _, p := range rest {
		c.reach(p)
	}
	for _, p := range c.params {
		c.form.Params = append(c.form.Params, slices.Index(c.in.Params, p))
	}
}

// compare orders by colour, then those that were reached by rank, before others.
func (c *canonicaliser) compare(a, b *ir.Value) int {
	if o := cmp.Compare(c.colour.value[a.ID], c.colour.value[b.ID]); o != 0 {
		return o
	}
	return cmp.Compare(uint(c.rank[a.ID]-1), uint(c.rank[b.ID]-1)) // not reached: the greatest
}

// step is a value whose operands are being reached.
type step struct {
	v    *ir.Value
	args []*ir.Value
	next int
}

// reach lists a value after its operands. An explicit stack, since regions that
// come from outside may be deep.
func (c *canonicaliser) reach(root *ir.Value) {
	stack := []step{}
	push := func(v *ir.Value) {
		if c.rank[v.ID] != 0 {
			return
		}
		if v.Op == ir.OpParam {
			c.ranks++
			c.rank[v.ID] = c.ranks
			c.params = append(c.params, v)
			return
		}
		args := v.Args
		if v.Is(ir.Commutative) && c.compare(args[0], args[1]) > 0 {
			args = append([]*ir.Value{args[1], args[0]}, args[2:]...)
		}
		stack = append(stack, step{v: v, args: args})
	}
	push(root)
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next < len(top.args) {
			top.next++
			push(top.args[top.next-1])
			continue
		}
		v, args := top.v, top.args
		stack = stack[:len(stack)-1]
		if c.rank[v.ID] == 0 {
			c.ranks++
			c.rank[v.ID] = c.ranks
			c.values, c.args = append(c.values, v), append(c.args, args)
		}
	}
}

// build makes the canonical function.
func (c *canonicaliser) build() {
	f := ir.NewFunc("region", nil)
	c.form.F = f
	image := make([]*ir.Value, c.in.NumIDs)
	for _, p := range c.params {
		image[p.ID] = f.AddParam("", ir.Type{DType: p.Type.DType, Shape: c.sizes(c.colour.shape[p.ID])}, nil)
	}
	for i, v := range c.values {
		w := &ir.Value{ID: f.NumIDs, Op: v.Op}
		w.Type = ir.Type{DType: v.Type.DType, Shape: c.sizes(c.colour.shape[v.ID])}
		w.Attrs = c.attrs(v, w.Type.Shape)
		for _, a := range c.args[i] {
			w.Args = append(w.Args, image[a.ID])
		}
		f.NumIDs++
		f.Values = append(f.Values, w)
		image[v.ID] = w
	}
	for _, i := range c.form.Results {
		f.Results = append(f.Results, image[c.in.Results[i].ID])
	}
}

// sizes renames the symbols of sizes, new ones in order of colour.
func (c *canonicaliser) sizes(es []dim.Expr) []dim.Expr {
	var out []dim.Expr
	for i, e := range es {
		if _, ok := e.Const(); ok {
			continue
		}
		if out == nil {
			if done, ok := c.renamed[&es[0]]; ok && len(done) == len(es) {
				return done
			}
			out = slices.Clone(es)
		}
		out[i] = c.size(e)
	}
	if out == nil {
		return es
	}
	c.renamed[&es[0]] = out
	return out
}

func (c *canonicaliser) size(e dim.Expr) dim.Expr {
	if s, ok := e.IsSym(); ok {
		c.name(s)
		return c.rename[s]
	}
	syms := e.Syms()
	slices.SortStableFunc(syms, func(a, b string) int { return cmp.Compare(c.colour.sym[a], c.colour.sym[b]) })
	for _, s := range syms {
		c.name(s)
	}
	return e.Subst(c.rename)
}

// name gives a symbol its canonical name, and the name what is known of it.
func (c *canonicaliser) name(sym string) {
	if _, ok := c.rename[sym]; ok {
		return
	}
	name := "d" + strconv.Itoa(len(c.form.Syms))
	c.form.Syms = append(c.form.Syms, sym)
	c.rename[sym] = dim.Sym(name)
	lo, hi := c.facts.facts.Range(dim.Sym(sym))
	err := c.form.F.Facts.Declare(name, lo, hi)
	if n := c.facts.divisor(sym); err == nil && n > 1 {
		err = c.form.F.Facts.SetDivisible(name, n)
	}
	if err != nil {
		panic("BUG: fusion: facts of " + sym + " do not hold for another name: " + err.Error())
	}
}

// attrs are v's attributes with sizes in canonical names; the type's shape is given.
func (c *canonicaliser) attrs(v *ir.Value, shape []dim.Expr) ir.Attrs {
	out := v.Attrs
	for i, a := range v.Attrs {
		es, ok := a.Value.([]dim.Expr)
		if !ok {
			continue
		}
		if &out[0] == &v.Attrs[0] {
			out = slices.Clone(v.Attrs)
		}
		if out[i].Value = shape; !implied(v, a.Name) {
			out[i].Value = c.sizes(c.facts.simplify(es))
		}
	}
	return out
}

// serialise writes everything that distinguishes canonical functions; it is
// injective, so that keys are equal only if functions are (or SHA-256 collides).
func serialise(f *ir.Func) []byte {
	b := make([]byte, 0, 64*(len(f.Params)+len(f.Values)))
	number := func(n int) { b = append(strconv.AppendInt(b, int64(n), 10), ' ') }
	typ := func(t ir.Type) { b = append(append(b, t.String()...), ' ') }
	for _, fact := range f.Facts.Strings() {
		b = append(append(b, fact...), '\n')
	}
	for _, p := range f.Params {
		typ(p.Type)
	}
	for _, v := range f.Values {
		b = append(append(append(b, '\n'), v.Op.String()...), ' ')
		for _, a := range v.Args {
			number(a.ID)
		}
		for _, a := range v.Attrs {
			if !implied(v, a.Name) {
				b = append(append(append(append(b, a.Name...), '='), ir.AttrString(a.Value)...), ' ')
			}
		}
		typ(v.Type)
	}
	b = append(b, '\n')
	for _, r := range f.Results {
		number(r.ID)
	}
	return b
}
