package update

import (
	"fmt"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
)

var copyParams = asm.ParamTable{
	Longs: []string{"x", "out", "vectors"},
	Words: []string{"rest"}, // bytes behind the vectors
}

// moveParams are those of a move of at most so many axes: the size of each and its
// strides in bytes; of each start, where it is, its limit, and the bytes that it skips.
func moveParams(axes, starts int) asm.ParamTable {
	t := asm.ParamTable{Longs: []string{"from", "to"}, Words: []string{"units", "axes"}}
	for i := range starts {
		t.Longs = append(t.Longs, numbered("start", i), numbered("limit", i), numbered("step", i))
	}
	for i := range axes {
		t.Longs = append(t.Longs, numbered("fromstride", i), numbered("tostride", i))
		t.Words = append(t.Words, numbered("size", i))
	}
	return t
}

// bothParams are those of a move of vectors into a copy: in addition to the move's,
// its strides in vectors, and the copy's.
func bothParams(axes, starts int) asm.ParamTable {
	t := moveParams(axes, starts)
	t.Longs = append(t.Longs, "x", "out")
	t.Words = append(t.Words, "boxblocks", "vectors", "rest")
	for i := range axes {
		t.Words = append(t.Words, numbered("vectors", i))
	}
	return t
}

func numbered(name string, i int) string { return fmt.Sprintf("%s%d", name, i) }

var scatterParams = asm.ParamTable{
	Longs: []string{"x", "indices", "updates", "out", "leadbytes", "pickbytes"}, // the last two from an update to the next
	Words: []string{
		"outer",    // leading indices in a row that share their indices
		"size",     // places
		"picks",    // indices
		"row",      // units of a row
		"total",    // of units, for one thread each
		"tiles",    // of columns, of threads
		"ranges",   // of places
		"rows",     // of a range
		"lanelog",  // the logarithm of the threads of a row
		"grouplog", // and of the rows that threads have at a time
		"rowbytes", // of a row
	},
}

// block is the parameter block of a launch in the making.
type block struct{ *ptx.Block }

// launch is the entry on these parameters.
func (b block) launch(entry string, grid int) ptx.Launch { return b.Launch(entry, grid, threads) }
