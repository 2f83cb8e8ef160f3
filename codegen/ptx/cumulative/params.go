package cumulative

import "jitc/codegen/ptx/asm"

// The parameters of all entries: addresses and other numbers of 64 bits, then numbers
// of 32 bits.
var params = asm.ParamTable{Longs: []string{
	"x", "out",
	"totals", // [outer][parts-1][inner], of the compute type
	"first",  // bytes from a line's beginning to the element that is combined first
	"step",   // and from there to the next, less than 0 where lines are walked backwards
	"axis",   // elements of a line
	"part",   // elements of a part
	"inner",  // lines that begin side by side
	"lines",  // outer * inner
	"apart",  // bytes from such lines to the next ones
}, Words: []string{
	"blocks", // of columns: blocks that a part of all lines has
	"parts",  // of a line in this launch
	"cuts",   // parts of a line less one
}}
