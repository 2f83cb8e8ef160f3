package passes

import (
	"slices"

	"jitc/ir"
)

// symbolUses are the symbols that data gives and that must be defined; nil where
// a function defines none.
type symbolUses map[string]bool

// neededSyms starts with the symbols of which f declares more than that they are
// sizes: that is checked when they are defined, and anything may rely on it.
func neededSyms(f *ir.Func) symbolUses {
	definers := ir.Definers(f)
	if len(definers) == 0 {
		return nil
	}
	s := symbolUses{}
	facts := f.Facts.Strings()
	for _, v := range definers {
		for _, sym := range ir.Defines(v) {
			s[sym] = slices.ContainsFunc(facts, func(text string) bool {
				return text != sym+" >= 0" && slices.Contains(ir.Identifiers(text), sym)
			})
		}
	}
	return s
}

// defines reports whether v defines a symbol that is needed.
func (s symbolUses) defines(v *ir.Value) bool {
	return s != nil && slices.ContainsFunc(ir.Defines(v), func(sym string) bool { return s[sym] })
}

// use notes the symbols of a value that stays.
func (s symbolUses) use(v *ir.Value) {
	if s == nil {
		return
	}
	for _, sym := range ir.MentionedSyms(v) {
		s[sym] = true
	}
}
