package ir

import "fmt"

// definers finds the symbols that f's values define: they are unknown until then.
// A parameter's shape may not have them, since it is bound before.
func (c *verifier) definers() {
	for _, v := range c.f.Values {
		if v == nil || v.Op >= numOps {
			continue
		}
		for _, sym := range Defines(v) {
			switch {
			case c.late[sym] != nil:
				c.fail(v, "defines the symbol %s, which %s defines too", sym, valueLabel(c.late[sym]))
			case !c.known[sym]: // attrs reports it
			default:
				if c.late == nil {
					c.late = map[string]*Value{}
				}
				c.late[sym] = v
			}
		}
	}
	for sym := range c.late {
		delete(c.known, sym)
	}
}

// learn makes the symbols known that v defines.
func (c *verifier) learn(v *Value) {
	for _, sym := range Defines(v) {
		if c.body {
			c.fail(v, "defines the size %s within a body: a size that data gives belongs to the outermost function", sym)
		}
		if c.late[sym] == v {
			c.known[sym] = true
		}
	}
}

// undeclared says why a symbol is not known.
func (c *verifier) undeclared(sym string) string {
	if v := c.late[sym]; v != nil {
		return fmt.Sprintf("symbol %s above its definition by %s at %s", sym, v.Op, valueLabel(v))
	}
	return "undeclared symbol " + sym
}
