package runtime

import (
	"cmp"
	"slices"

	"jitc/ir"
)

// PlannedBlock is the place of one intermediate in the arena of a recording:
// bytes [Offset, Offset+Bytes), from step First, which writes it, to step Last,
// the last that reads it.
type PlannedBlock struct {
	Region *ir.Value `json:"-"`                // that computes it, of op fused or control flow
	Result int       `json:"result"`           // which of the region's results it is; -1 for the work of control flow on a side: second copies of carries, and its bodies' intermediates
	Offset int       `json:"offset"`           // bytes; a multiple of 64
	Bytes  int       `json:"bytes"`            // of its elements; what follows up to a multiple of 64 is padding
	First  int       `json:"first"`            // index into Program.Steps
	Last   int       `json:"last"`             // the same as First if nothing reads it
	Device string    `json:"device,omitempty"` // in whose arena it lies; empty for the host
}

// Plan lists the intermediates, ordered by first step, result and device. Tensors
// without elements have no place; results and constants are not in the arena.
//
//	%0 = fused(%x, %w1)    step 0    arena [0, 4096)     steps 0-1
//	%1 = fused(%0, %w2)    step 1    arena [4096, 8192)  steps 1-2
//	%2 = fused(%1, %w3)    step 2    a result
func (r *Recording) Plan() []PlannedBlock {
	var out []PlannedBlock
	for at, step := range r.p.steps {
		results := orderOf(r.p.Steps[at].Results, len(step.out))
		for i, n := range step.out {
			s := r.p.slots[n]
			if s.kind != slotTemp || r.bytes[n] == 0 {
				continue
			}
			result := results[i]
			if i >= len(step.out)-step.works {
				result = -1
			}
			out = append(out, PlannedBlock{Region: r.p.Steps[at].Region, Result: result,
				Offset: r.offsets[n], Bytes: r.bytes[n], First: s.first, Last: s.last, Device: r.p.sideName(s.side)})
		}
	}
	slices.SortFunc(out, func(a, b PlannedBlock) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Result, b.Result), cmp.Compare(a.Device, b.Device))
	})
	return out
}
