package ir

import "jitc/ir/dim"

// use notes the symbols that v's type and attributes have.
func (p *parser) use(v *Value) {
	for _, sym := range typeSyms(nil, v.Type) {
		p.used[sym] = true
	}
	for _, a := range v.Attrs {
		if sizes, ok := a.Value.([]dim.Expr); ok {
			for _, sym := range sizeSyms(nil, sizes) {
				p.used[sym] = true
			}
		}
	}
}

// defineSizes enters the symbols that v defines, which nothing above may have used.
func (p *parser) defineSizes(v *Value, opAt token) error {
	for _, sym := range Defines(v) {
		at := opAt
		if t, ok := p.attrAt[v.Row().Defines]; ok {
			at = t
		}
		switch {
		case p.depth > 1:
			return p.fail(at, v.Op.String()+": a size defined within a body", "sizes from data in the outermost function only", sym, "")
		case p.definers[sym] != nil:
			return p.fail(at, "the symbol "+sym+" is defined twice", "a new symbol", sym, "first defined at "+p.definers[sym].Pos.String())
		case p.used[sym]:
			return p.fail(at, "the symbol "+sym+" is used above its definition", "a symbol that no parameter and no value above has", sym,
				"declare another symbol in the where clause, and relate the two")
		}
		p.definers[sym] = v
	}
	p.use(v)
	return nil
}
