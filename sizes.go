package jitc

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jitc/ir"
	"jitc/ir/dim"
)

// SizeClasses divide the valid input sizes of a function by what the program does
// at them, not by its results.
//
//	func @mlp(%x: f32[B,784], %w: f32[512,784]) -> f32[B,512] where B in [1, 4096]
//
//	B <= 8   smallest B=1   matrix product, few rows, dot products (native)
//	B >= 9   smallest B=9   matrix product, blocked (native)
type SizeClasses struct {
	Syms    []string         // that inputs give values
	Facts   []dim.Constraint // what is valid: they hold in every class
	Classes []SizeClass      // in the order of their smallest members
	// Complete says that every valid size is in a class. If not, Rest says why.
	Complete bool
	Rest     string
}

// SizeClass is a set of sizes at which the program depends on the same.
type SizeClass struct {
	// Conds hold for the class, beside the facts that hold for all; none follows
	// from the others. No constraints: all valid sizes.
	Conds []dim.Constraint
	// Smallest has the least sum of all members, and of those that comes first in
	// the order of the symbols.
	Smallest map[string]int64
	Choices  []Choice
	// Err is why the function has no program at the smallest member, which then is
	// the only one of the class.
	Err error
}

// Choice is something that a program does for its sizes and that it may do
// otherwise at others.
type Choice struct {
	What  string           // "stores past the caches"
	Conds []dim.Constraint // under which it does; none: they cannot be told
	By    string           // an executor, or "trace": a decision of a Go function
	At    ir.Pos           // of the first region, or of the line that decided
	Count int              // regions with this choice
}

// MaxSizeClasses bounds the classes that are looked for.
const MaxSizeClasses = 64

// sizeBoxes bounds the search for one smallest member.
const sizeBoxes = 20_000

// Sizes finds the classes of sizes of the function on its engine's executors. It
// compiles the function, and binds its kernels to the smallest members; nothing
// runs. Sizes that data decides are not looked at, nor what follows them.
func (fn *Function) Sizes(ctx context.Context) (*SizeClasses, error) {
	c, err := fn.Compiled(ctx)
	if err != nil {
		return nil, err
	}
	facts, err := inputFacts(fn.trace, fn.sizes)
	if err != nil {
		return nil, err
	}
	return exploreSizes(ctx, facts, func(sizes map[string]int64) ([]Choice, error) { return c.Choices(sizes) })
}

// inputFacts are what is known of the symbols that inputs give values.
func inputFacts(f *ir.Func, given map[string]int64) (*dim.Facts, error) {
	late := lateSyms(f)
	facts := ir.Restrict(f.Facts, func(sym string) bool { return !late[sym] })
	for _, p := range f.Params {
		for _, e := range p.Type.Shape {
			if err := facts.Assume(dim.Ge(e, dim.Const(0))); err != nil {
				return nil, fmt.Errorf("@%s: no sizes are valid: %s of %s: %w", f.Name, e, p.Type, err)
			}
		}
	}
	for _, sym := range slices.Sorted(maps.Keys(given)) {
		if err := facts.Assume(dim.Eq(dim.Sym(sym), dim.Const(given[sym]))); err != nil {
			return nil, fmt.Errorf("@%s: %s = %d is not valid: %w", f.Name, sym, given[sym], err)
		}
	}
	return facts, nil
}

// lateSyms are the symbols that a function defines while it runs.
func lateSyms(f *ir.Func) map[string]bool {
	late := map[string]bool{}
	for _, v := range ir.Definers(f) {
		for _, sym := range ir.Defines(v) {
			late[sym] = true
		}
	}
	return late
}

// Choices are what the program's executors choose by sizes, at these sizes; equal
// ones of several regions are one. Segments of a chain whose sizes come from data
// are left out.
func (c *Compiled) Choices(sizes map[string]int64) ([]Choice, error) {
	var out []Choice
	at := map[string]int{}
	for _, p := range c.Programs() {
		if slices.ContainsFunc(p.F.Facts.Syms(), func(s string) bool { _, ok := sizes[s]; return !ok }) {
			continue
		}
		as, err := p.Assumptions(sizes)
		if err != nil {
			return nil, err
		}
		for _, a := range as {
			key := a.Executor + ": " + a.What + conditionsText(a.Conds)
			i, seen := at[key]
			if !seen {
				i, at[key] = len(out), len(out)
				out = append(out, Choice{What: a.What, Conds: a.Conds, By: a.Executor, At: a.Step.Pos})
			}
			out[i].Count++
		}
	}
	return out, nil
}

func conditionsText(cs []dim.Constraint) string {
	texts := make([]string, len(cs))
	for i, c := range cs {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}

// exploreSizes finds classes by exhausting them: the smallest sizes that are in
// none so far begin the next, which is all sizes with the same conditions.
func exploreSizes(ctx context.Context, facts *dim.Facts, at func(sizes map[string]int64) ([]Choice, error)) (*SizeClasses, error) {
	out := &SizeClasses{Syms: facts.Syms(), Facts: minimal(facts.Constraints(), sizesOnly(facts))}
	var except [][]dim.Constraint
	for len(out.Classes) < MaxSizeClasses {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sizes, verdict := dim.Smallest(facts, nil, except, sizeBoxes)
		switch verdict {
		case dim.None:
			out.Complete = true
			return out, nil
		case dim.Unknown:
			out.Rest = "whether there are other sizes could not be found out in reasonable time: ranges of the sizes help"
			return out, nil
		}
		class := SizeClass{Smallest: sizes}
		if class.Choices, class.Err = at(sizes); class.Err != nil {
			class.Conds = pointOf(sizes)
		} else {
			class.keepOpen(facts)
		}
		if holds, err := allHold(class.Conds, sizes); err != nil || !holds {
			panic(fmt.Sprintf("BUG: jitc: the class %s does not have its member %v", conditionsText(class.Conds), sizes))
		}
		out.Classes, except = append(out.Classes, class), append(except, class.Conds)
	}
	if _, verdict := dim.Smallest(facts, nil, except, sizeBoxes); verdict == dim.None {
		out.Complete = true
	} else {
		out.Rest = fmt.Sprintf("more: the search stopped after %d classes", MaxSizeClasses)
	}
	return out, nil
}

// sizesOnly declares the symbols of facts, as sizes.
func sizesOnly(facts *dim.Facts) *dim.Facts {
	out := dim.NewFacts()
	for _, sym := range facts.Syms() {
		if lo, _ := facts.Range(dim.Sym(sym)); lo >= 0 {
			_ = out.Declare(sym, 0, 1<<63-1) // the first word on it: contradicts nothing
		}
	}
	return out
}

// minimal are constraints that say what all of cs do beside what is given.
func minimal(cs []dim.Constraint, given *dim.Facts) []dim.Constraint {
	var out []dim.Constraint
	for _, i := range dim.Reduce(cs, given) {
		out = append(out, cs[i])
	}
	return out
}

// keepOpen drops choices and conditions that fall the same way for all valid
// sizes, and makes the conditions of what is left the class's.
func (c *SizeClass) keepOpen(facts *dim.Facts) {
	var all []dim.Constraint
	c.Choices = slices.DeleteFunc(c.Choices, func(x Choice) bool {
		open := slices.DeleteFunc(slices.Clone(x.Conds), func(cond dim.Constraint) bool {
			holds, known := facts.Decide(cond)
			return known && holds
		})
		all = append(all, open...)
		return len(open) == 0 && len(x.Conds) > 0
	})
	c.Conds = pinned(minimal(all, facts), facts)
	slices.SortStableFunc(c.Conds, func(a, b dim.Constraint) int {
		return cmp.Or(slices.Compare(a.Syms(), b.Syms()), cmp.Compare(isUpper(a), isUpper(b)))
	})
}

// pinned says S == 1 in the place of S >= 1, S <= 1.
func pinned(cs []dim.Constraint, facts *dim.Facts) []dim.Constraint {
	f := facts.Clone()
	for _, c := range cs {
		if f.Assume(c) != nil { // it cannot be told: then as it is
			return cs
		}
	}
	for _, sym := range facts.Syms() {
		lo, hi := f.Range(dim.Sym(sym))
		alone := func(c dim.Constraint) bool { return slices.Equal(c.Syms(), []string{sym}) }
		if at := slices.IndexFunc(cs, alone); lo == hi && at >= 0 {
			cs = append(slices.DeleteFunc(cs, alone), dim.Eq(dim.Sym(sym), dim.Const(lo)))
		}
	}
	return cs
}

// isUpper puts lower bounds before upper ones.
func isUpper(c dim.Constraint) int {
	if strings.Contains(c.String(), " <= ") {
		return 1
	}
	return 0
}

// pointOf are conditions that only these sizes satisfy.
func pointOf(sizes map[string]int64) []dim.Constraint {
	var out []dim.Constraint
	for _, sym := range slices.Sorted(maps.Keys(sizes)) {
		out = append(out, dim.Eq(dim.Sym(sym), dim.Const(sizes[sym])))
	}
	return out
}

func allHold(cs []dim.Constraint, sizes map[string]int64) (bool, error) {
	for _, c := range cs {
		if holds, err := c.Holds(sizes); err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

// String prints the classes, one per line, and under each its choices.
func (s *SizeClasses) String() string {
	var b strings.Builder
	for _, c := range s.Classes {
		conds := conditionsText(c.Conds)
		if conds == "" {
			conds = "all sizes"
		}
		fmt.Fprintf(&b, "%s: smallest %s\n", conds, sizesText(c.Smallest))
		for _, x := range c.Choices {
			fmt.Fprintf(&b, "  %s (%s)\n", x.What, x.By)
		}
		if c.Err != nil {
			fmt.Fprintf(&b, "  no program: %v\n", c.Err)
		}
	}
	if !s.Complete {
		fmt.Fprintln(&b, s.Rest)
	}
	return b.String()
}

func sizesText(sizes map[string]int64) string {
	var parts []string
	for _, sym := range slices.Sorted(maps.Keys(sizes)) {
		parts = append(parts, fmt.Sprintf("%s=%d", sym, sizes[sym]))
	}
	return strings.Join(parts, " ")
}
