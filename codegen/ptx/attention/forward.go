package attention

import "jitc/codegen/ptx/asm"

// forward is what both templates of the forward pass have: the block's place, the
// copies of its tiles to shared memory, and what is done to scores and results.
type forward struct {
	*gen
	t              tile
	l              layout
	b              *position
	lane           asm.Reg
	q, k, v        *copier
	rows           []row
	acc            [][]asm.Vec // sums of the results, by what a thread has
	mask           *masker
	store          *store
	factor, negate asm.Reg
}

func newForward(name string, p Problem, t tile) forward {
	f := forward{gen: newGen(name, p, t.threads(), forwardParams), t: t, l: p.layout(t)}
	f.Dynamic = true
	return f
}

func (f *forward) copiers(shared asm.Reg) {
	p, l, lead := f.p, f.l, f.b.lead
	f.q = f.copier(f.t.rows(p), p.HeadDim, l.headCols, l.keyRow, f.operand("q", lead), f.long("qrow"), shared)
	f.k = f.copier(f.t.keys, p.HeadDim, l.headCols, l.keyRow, f.operand("k", lead), f.long("krow"), f.add(shared, l.k))
	f.v = f.copier(f.t.keys, p.ValueDim, l.valueCols, l.valueRow, f.operand("v", lead), f.long("vrow"), f.add(shared, l.v))
}

// joins is the tile of the entry whose last blocks combine splits.
func (f *forward) joins() *tile {
	if f.Name == EntryFew {
		return &f.t
	}
	return nil
}

// maskOperand is the address of the mask, none without one.
func (f *forward) maskOperand() (mask asm.Reg) {
	if f.p.Mask != NoMask {
		mask = f.operand("mask", f.b.lead)
	}
	return mask
}
