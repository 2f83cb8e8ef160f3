package attention

import (
	"fmt"
	"math"
	"slices"

	"jitc/codegen/ptx/asm"
)

// The operands of the backward pass besides those of the forward pass, all of
// which it reads: the gradient of o, and those of q, k and v, which it writes.
const (
	GradO Operand = iota + Scratch + 1
	GradQ
	GradK
	GradV
)

// GradSizes are the concrete sizes of a backward pass.
type GradSizes struct {
	Sizes
	GradO, GradQ, GradK, GradV Strides
}

// gradOperands are those of the backward pass; strides are those of s.
func (p Problem) gradOperands(s *GradSizes) []operand {
	ops := p.operands(&s.Sizes)
	size := p.DType.Size()
	head, value := chunkBytes(p.align(), p.HeadDim*size)/size, chunkBytes(p.align(), p.ValueDim*size)/size
	return append(ops, operand{"do", &s.GradO, p.ValueDim, value, size}, operand{"dq", &s.GradQ, p.HeadDim, head, size},
		operand{"dk", &s.GradK, p.HeadDim, head, size}, operand{"dv", &s.GradV, p.ValueDim, value, size})
}

// BindBackward plans the launches of the entries that EmitBackward makes. Gradients
// have an element of their own for each leading index: those of keys that are the
// same for several heads are theirs to add up.
func BindBackward(p Problem, arch int, s GradSizes) (*Plan, error) {
	if err := SupportedBackward(p, arch); err != nil {
		return nil, err
	}
	if err := s.check(p.gradOperands(&s)); err != nil {
		return nil, err
	}
	f := GradSizes{Sizes: Sizes{Queries: s.Queries, Keys: s.Keys, Scale: s.Scale}}
	ops := p.gradOperands(&f)
	lead, err := padLead(foldLead(s.Lead, p.gradOperands(&s), ops), ops)
	if err != nil {
		return nil, err
	}
	f.Lead = lead
	return p.gradPlan(f)
}

// gradPlan makes the launches.
func (p Problem) gradPlan(s GradSizes) (*Plan, error) {
	lead := s.Lead[0] * s.Lead[1] * s.Lead[2]
	t := p.gradTile()
	queryTiles, keyTiles := divUp(s.Queries, t.rows(p)), divUp(s.Keys, t.rows(p))
	// The entry of delta numbers queries in 32 bits.
	if n := max(keyTiles, s.Queries); n > 0 && lead > math.MaxInt32/n {
		return nil, fmt.Errorf("attention: sizes: expected fewer than 2**31 queries, and tiles of keys, got %d leading indices of %d queries and %d keys",
			lead, s.Queries, s.Keys)
	}
	block := backwardParams.Block()
	setStrides(block, p.gradOperands(&s))
	for name, n := range map[string]int{
		"lead": lead, "lead1": s.Lead[1], "lead2": s.Lead[2], "queries": s.Queries, "keys": s.Keys,
		"querytiles": queryTiles, "keytiles": keyTiles,
	} {
		block.Word(name, n)
	}
	factor, negate := p.factors(s.Scale)
	block.Float("factor", factor)
	block.Word("negate", int(negate))
	block.Float("scale", float32(s.Scale))
	plan := &Plan{Scratch: 4 * lead * s.Queries}
	pointers := p.gradPointers(block)
	add := func(entry string, blocks, warps, shared int) {
		if blocks > 0 {
			plan.Launches = append(plan.Launches, Launch{
				Entry: entry, Grid: [3]uint32{uint32(blocks), 1, 1}, Block: [3]uint32{uint32(32 * warps), 1, 1},
				Shared: uint32(shared), Params: block.Bytes, Pointers: pointers,
			})
		}
	}
	add(EntryDelta, divUp(lead*s.Queries, combineWarps), combineWarps, 0)
	add(EntryKeyGrad, lead*keyTiles, t.warps, p.gradLayout(t).bytes)
	add(EntryQueryGrad, lead*queryTiles, t.warps, p.gradLayout(t).bytes)
	return plan, nil
}

func (p Problem) gradPointers(block *asm.Block) []Pointer {
	var ps []Pointer
	for name, which := range map[string]Operand{
		"q": Q, "k": K, "v": V, "o": O, "stats": Stats, "do": GradO, "dq": GradQ, "dk": GradK, "dv": GradV, "delta": Scratch,
	} {
		ps = append(ps, Pointer{block.Place(name), which, 0})
	}
	if p.Mask != NoMask {
		ps = append(ps, Pointer{block.Place("mask"), Mask, 0})
	}
	slices.SortFunc(ps, func(a, b Pointer) int { return a.At - b.At })
	return ps
}
