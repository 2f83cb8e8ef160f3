package update

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

var races = sim.Options{GlobalRaces: true}

// Every element type and combination, with indices of every type in turn, several
// blocks, and rows that do not fill them.
func TestScatterTypes(t *testing.T) {
	indices := []tensor.DType{tensor.I64, tensor.I32, tensor.U8, tensor.I16, tensor.U64, tensor.I8, tensor.U32, tensor.U16}
	n := 0
	for _, dt := range tensor.DTypes() {
		for _, combine := range []string{"set", "add", "mul", "min", "max"} {
			p := Problem{DType: dt, Index: indices[n%len(indices)], Combine: combine}
			n++
			e := scatterExample(t, p, ScatterSizes{Lead: 2, Outer: 2, Size: 37, Picks: 61, Row: 7}, uint64(n))
			entry := e.check(t, sim.Options{GlobalRaces: true, Perturb: int64(n)})
			atomic := dt.IsInt() && dt.Size() >= 4 && combine != "set" && combine != "mul"
			assert.Equal(t, atomic, entry == EntryAtomic, "%v: %s", p, entry)
		}
	}
}

// Sizes of every shape: rows of one element and of several blocks, more places than a
// block can carry, more indices than a round has, leading indices that share theirs.
func TestScatterSizes(t *testing.T) {
	for i, s := range []ScatterSizes{
		{Lead: 1, Outer: 1, Size: 1, Picks: 1, Row: 1}, {Lead: 1, Outer: 1, Size: 9000, Picks: 70, Row: 1}, {Lead: 1, Outer: 1, Size: 5, Picks: 2500, Row: 1}, {Lead: 3, Outer: 1, Size: 100, Picks: 1025, Row: 2}, {Lead: 1, Outer: 1, Size: 90, Picks: 200, Row: 257}, {Lead: 2, Outer: 1, Size: 3, Picks: 9, Row: 640},
		{Lead: 6, Outer: 3, Size: 7, Picks: 33, Row: 5}, {Lead: 4, Outer: 4, Size: 300, Picks: 31, Row: 32}, {Lead: 1, Outer: 1, Size: 400, Picks: 3, Row: 96}, {Lead: 1, Outer: 1, Size: 70, Picks: 40, Row: 1000},
	} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16} {
			p := Problem{DType: dt, Index: tensor.I32, Combine: "add"}
			assert.Equal(t, EntryOrder, scatterExample(t, p, s, uint64(i)).check(t, races))
		}
		scatterExample(t, Problem{DType: tensor.F16, Index: tensor.I64, Combine: "set"}, s, uint64(i)).check(t, races)
		scatterExample(t, Problem{DType: tensor.U64, Index: tensor.I64, Combine: "max"}, s, uint64(i)).check(t, races)
	}
}

// Of nothing, nothing is launched; without updates, the copy.
func TestScatterOfNothing(t *testing.T) {
	for _, combine := range []string{"set", "add"} {
		p := Problem{DType: tensor.F32, Index: tensor.I32, Combine: combine}
		assert.Equal(t, EntryCopy, scatterExample(t, p, ScatterSizes{Lead: 2, Outer: 1, Size: 5, Picks: 0, Row: 3}, 1).check(t, races))
		assert.Empty(t, scatterExample(t, p, ScatterSizes{Lead: 2, Outer: 1, Size: 5, Picks: 4, Row: 0}, 1).check(t, races))
	}
}

// Units are as wide as rows allow.
func TestSetUnits(t *testing.T) {
	for row, unit := range map[int]int{1: 2, 2: 4, 3: 2, 4: 8, 6: 4, 8: 16, 24: 16, 12: 8, 1000: 16, 514: 4} {
		p := Problem{DType: tensor.BF16, Index: tensor.I64, Combine: "set"}
		assert.Equal(t, sized(EntrySet, unit), scatterExample(t, p, ScatterSizes{Lead: 1, Outer: 1, Size: 50, Picks: 70, Row: row}, 1).check(t, races), row)
	}
}

// Units, and pairs, lie where updates at strides have them.
func TestStridedUnits(t *testing.T) {
	for _, c := range []struct {
		combine      string
		pick, offset int
		want         string
	}{
		{"set", 8, 0, sized(EntrySet, 16)}, {"set", 12, 0, sized(EntrySet, 8)}, {"set", 8, 2, sized(EntrySet, 4)}, {"set", 9, 0, sized(EntrySet, 2)},
		{"add", 10, 6, EntryPairs}, {"add", 11, 0, EntryAtomic}, {"add", 8, 3, EntryAtomic},
	} {
		p := Problem{DType: tensor.F16, Index: tensor.I64, Combine: c.combine, FastMath: true}
		plan, err := BindScatter(p, 90, ScatterSizes{Lead: 2, Outer: 1, Size: 5, Picks: 7, Row: 8, PickStride: c.pick, LeadStride: 800, X: Place{Buf: 3}, Result: Place{Buf: 3}, Updates: Place{2, c.offset}}, 1)
		require.NoError(t, err)
		assert.Equal(t, c.want, plan.Launches[0].Entry, c)
	}
}

// Under FastMath sums of floats are atomic, where there is an instruction for it. On
// numbers whose sums are exact, they are what they are in order.
func TestFastSums(t *testing.T) {
	for _, c := range []struct {
		dt   tensor.DType
		row  int
		want string
	}{
		{tensor.F32, 6, EntryAtomic}, {tensor.F64, 5, EntryAtomic}, {tensor.F16, 6, EntryPairs}, {tensor.F16, 5, EntryAtomic},
		{tensor.BF16, 8, EntryPairs}, {tensor.BF16, 3, EntryAtomic}, {tensor.F8E4M3, 4, EntryOrder},
	} {
		e := scatterExample(t, Problem{DType: c.dt, Index: tensor.I64, Combine: "add", FastMath: true}, ScatterSizes{Lead: 2, Outer: 1, Size: 11, Picks: 40, Row: c.row}, 1)
		for _, i := range []int{0, 2} {
			xs := tensor.Floats(e.args[i])
			for j, x := range xs {
				xs[j] = float64(int(x)) // of magnitudes to 2: 40 of them are exact in bf16
			}
			e.args[i] = tensor.FromFloats(c.dt, e.args[i].Shape(), xs)
		}
		assert.Equal(t, c.want, e.check(t, sim.Options{GlobalRaces: true, Perturb: 3}), c)
		e.p.Combine, e.v.Attrs = "max", e.v.Attrs.With("combine", "max")
		assert.Equal(t, EntryOrder, e.check(t, races))
	}
	assert.Empty(t, Problem{DType: tensor.BF16, Combine: "add", FastMath: true}.reduction(80, 2))
	assert.Equal(t, "red.global.add.noftz.f16x2", Problem{DType: tensor.F16, Combine: "add", FastMath: true}.reduction(80, 2))
}

func TestBoxes(t *testing.T) {
	for i, c := range []struct {
		x, u   []int
		starts []int64
	}{
		{nil, nil, nil},
		{[]int{700}, []int{300}, []int64{123}},
		{[]int{9, 64}, []int{1, 64}, []int64{4, 0}},
		{[]int{9, 64}, []int{1, 64}, []int64{40, 7}},
		{[]int{9, 64}, []int{3, 8}, []int64{-4, 40}},
		{[]int{3, 11, 8, 32}, []int{3, 11, 1, 32}, []int64{0, 0, 5, 0}},
		{[]int{3, 5, 7, 3}, []int{2, 5, 3, 2}, []int64{1, 9, 3, 1}},
		{[]int{4, 3}, []int{0, 2}, []int64{1, 1}},
		{[]int{40, 30}, []int{40, 1}, []int64{0, 17}},
		{[]int{2, 2, 2, 2, 2, 3}, []int{1, 2, 1, 2, 1, 2}, []int64{1, 1, 1, 1, 1, 1}},
	} {
		for j, dt := range []tensor.DType{tensor.F32, tensor.Bool, tensor.BF16, tensor.I64} {
			index := []tensor.DType{tensor.I64, tensor.I8, tensor.I32, tensor.I16}[j]
			p := Problem{DType: dt, Index: index, Starts: len(c.x)}
			boxExample(t, p, c.x, c.u, c.starts, uint64(i)).check(t, sim.Options{GlobalRaces: true, Perturb: int64(j)})
		}
	}
}

// Units are as wide as sizes, strides and starts allow.
func TestBoxUnits(t *testing.T) {
	for _, c := range []struct {
		x, u []int
		want int
	}{
		{[]int{9, 64}, []int{9, 8}, 4},      // a start may be any column
		{[]int{9, 6}, []int{2, 6}, 8},       //
		{[]int{9, 8, 2}, []int{9, 1, 2}, 8}, //
	} {
		e := boxExample(t, Problem{DType: tensor.F32, Index: tensor.U32, Starts: len(c.x)}, c.x, c.u, make([]int64, len(c.x)), 1)
		assert.Equal(t, sized(EntryBox, c.want), e.check(t, races), c)
	}
	large := uint64(1) << 63
	e := boxExample(t, Problem{DType: tensor.F32, Index: tensor.U64, Starts: 1}, []int{90}, []int{8}, []int64{int64(large)}, 1)
	assert.Equal(t, sized(EntryBox, 4), e.check(t, races))
}

// Boxes of vectors join the copy, wherever they lie: along every axis at its beginning,
// at its end, and between.
func TestBoxesInCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	joined := 0
	for range 120 {
		rank := 1 + r.IntN(4)
		x, u, starts := make([]int, rank), make([]int, rank), make([]int64, rank)
		for i := range x {
			x[i] = 1 + r.IntN(6)
			if i == rank-1 {
				x[i] *= 8
			}
			if u[i] = 1 + r.IntN(x[i]); r.IntN(3) == 0 || i == rank-1 {
				u[i] = x[i]
			}
			starts[i] = int64(r.IntN(x[i]+2) - 1)
		}
		p := Problem{DType: tensor.BF16, Index: tensor.I64, Starts: rank}
		if boxExample(t, p, x, u, starts, r.Uint64()).check(t, sim.Options{GlobalRaces: true, Perturb: int64(joined)}) == EntryBoth {
			joined++
		}
	}
	require.Greater(t, joined, 100)
	// Of a launch in place, only blocks of the box do anything.
	e := boxExample(t, Problem{DType: tensor.F32, Index: tensor.I64, Starts: 2}, []int{900, 64}, []int{1, 64}, []int64{5, 0}, 1)
	plan, err := e.bind(e.p)
	require.NoError(t, err)
	require.Len(t, plan.Launches, 1)
	assert.Equal(t, uint32(1+copyBlocks*testMultiprocessors), plan.Launches[0].Grid[0])
}

// A copy of every length behind its vectors; in place it writes nothing.
func TestCopies(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 4096, 70001} {
		p := Problem{DType: tensor.U8, Index: tensor.I32, Combine: "set"}
		assert.Equal(t, EntryCopy, scatterExample(t, p, ScatterSizes{Lead: 1, Outer: 1, Size: n, Picks: 0, Row: 1}, 1).check(t, races), n)
	}
}

// Mistakes in the code are found: the tests above would fail.
func TestMistakesAreFound(t *testing.T) {
	sum := Problem{DType: tensor.F32, Index: tensor.I64, Combine: "add"}
	sums := scatterExample(t, sum, ScatterSizes{Lead: 1, Outer: 1, Size: 70, Picks: 90, Row: 40}, 1)
	for name, c := range map[string]struct {
		old, new string
		faults   bool
	}{
		"no lower bound of indices":  {"max.s64", "min.s64", false},
		"no upper bound of indices":  {"min.s64", "max.s64", false},
		"no bound of rows":           {"setp.lt.u32", "setp.ne.u32", true},
		"no barrier":                 {"bar.sync 0;", "mov.u32 %r1, %r1;", true},
		"lists in another order":     {"%lanemask_lt", "%lanemask_gt", false},
		"a fresh sum of what is old": {"or.b32", "and.b32", false},
		"rows of several blocks":     {"min.u32", "max.u32", true},
		"never copied":               {"setp.ne.u64", "setp.eq.u64", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := sums.run(t, replaced(t, sum, c.old, c.new), false, races)
			if !c.faults {
				require.NoError(t, err)
				require.NotEqual(t, sums.want(t), got)
				return
			}
			var fault *sim.Fault
			require.True(t, errors.As(err, &fault), "%v", err)
		})
	}
	t.Run("the copy overwrites the box", func(t *testing.T) {
		p := Problem{DType: tensor.F32, Index: tensor.I32, Starts: 2}
		for old, new := range map[string]string{"div.u32": "min.u32", "mul.lo.u32": "add.u32", "shr.u64": "shl.b64"} {
			_, _, err := boxExample(t, p, []int{70, 8}, []int{30, 8}, []int64{7, 0}, 1).run(t, replaced(t, p, old, new), false, races)
			var fault *sim.Fault
			require.True(t, errors.As(err, &fault), "%s: %v", old, err)
		}
	})
	t.Run("starts without a bound", func(t *testing.T) {
		p := Problem{DType: tensor.F32, Index: tensor.I32, Starts: 1}
		_, _, err := boxExample(t, p, []int{70}, []int{30}, []int64{1 << 20}, 1).run(t, replaced(t, p, "min.s64", "max.s64"), false, races)
		var fault *sim.Fault
		require.True(t, errors.As(err, &fault), "%v", err)
	})
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		arch int
		want string
	}{
		{Problem{DType: tensor.F32, Index: tensor.I64, Combine: "add"}, 75, "architecture: expected sm_80 or newer, got sm_75"},
		{Problem{DType: tensor.F32, Index: tensor.F32, Combine: "add"}, 80, "type of indices: expected integers, got f32"},
		{Problem{DType: tensor.F32, Index: tensor.I64, Combine: "sub"}, 80, `combination: expected set, add, mul, min or max, got "sub"`},
		{Problem{DType: tensor.F32, Index: tensor.I64, Axes: 33}, 80, "axes and starts: expected 0 to 32, got 33 and 0"},
		{Problem{Index: tensor.I64, Combine: "set"}, 80, "element type"},
	} {
		assert.ErrorContains(t, Supported(c.p, c.arch), c.want)
		assert.ErrorContains(t, Emit(&asm.Module{}, c.p, c.arch), c.want)
		_, err := BindScatter(c.p, c.arch, ScatterSizes{Lead: 1, Outer: 1, Size: 1, Picks: 1, Row: 1}, 1)
		assert.ErrorContains(t, err, c.want)
		_, err = BindMoves(c.p, c.arch, nil, 1)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestSizesRefused(t *testing.T) {
	p := Problem{DType: tensor.F32, Index: tensor.I64, Combine: "mul"}
	for _, s := range []ScatterSizes{{Lead: 1, Outer: 1, Size: 1 << 31, Picks: 1, Row: 1}, {Lead: 1, Outer: 1, Size: 9, Picks: 1 << 31, Row: 1}, {Lead: 1, Outer: 1, Size: 9, Picks: 9, Row: 1 << 29}, {Lead: 1 << 31, Outer: 1, Size: 9, Picks: 9, Row: 1}, {Lead: 1 << 20, Outer: 1, Size: 9, Picks: 9, Row: 1 << 20}} {
		_, err := BindScatter(p, 80, s, 1)
		assert.ErrorContains(t, err, "expected fewer than 2**31", s)
	}
	// Too many updates for a thread each are combined in order.
	p.Combine, p.DType = "add", tensor.I32
	plan, err := BindScatter(p, 80, ScatterSizes{Lead: 1 << 10, Outer: 1, Size: 9, Picks: 1 << 20, Row: 64}, 1)
	require.NoError(t, err)
	assert.Equal(t, EntryOrder, plan.Launches[0].Entry)
	p = Problem{DType: tensor.U8, Index: tensor.I64, Starts: 2}
	for _, c := range []struct {
		m    Move
		want string
	}{
		{Move{Sizes: []int{1 << 16, 1<<16 - 1}, FromStrides: []int{1 << 17, 1}, ToStrides: []int{1 << 17, 1}, Starts: make([]Start, 2)}, "expected fewer than 2**31 units"},
		{Move{Sizes: []int{1 << 40, 1 << 40}, FromStrides: []int{1, 1}, ToStrides: []int{1, 1}, Starts: make([]Start, 2)}, "that memory could hold"},
		{Move{Sizes: []int{1, 2, 3}, FromStrides: []int{1, 1, 1}, ToStrides: []int{1, 1, 1}}, "expected a move in 1 to 2 axes"},
		{Move{Sizes: []int{1}, FromStrides: []int{1}, ToStrides: []int{1}}, "expected a move by 2 starts, got 0"},
		{Move{}, "expected a move in"},
	} {
		_, err := BindMoves(p, 80, []Move{c.m}, 1)
		assert.ErrorContains(t, err, c.want)
	}
}

// Moves between strides of all sorts, with starts and without: backwards, repeated,
// transposed, of units of every width.
func TestMoves(t *testing.T) {
	for i, c := range []struct {
		m    Move
		unit int
	}{
		{Move{From: Place{Offset: 3}, Sizes: []int{5, 7}, FromStrides: []int{1, 6}, ToStrides: []int{7, 1}}, 2},
		{Move{From: Place{Offset: 59}, Sizes: []int{3, 20}, FromStrides: []int{-20, -1}, ToStrides: []int{20, 1}}, 2},
		{Move{From: Place{Offset: 9}, Sizes: []int{9, 4}, FromStrides: []int{0, 1}, ToStrides: []int{4, 1}}, 2},
		{Move{From: Place{Offset: 8}, Sizes: []int{9, 4}, FromStrides: []int{0, 1}, ToStrides: []int{4, 1}}, 8},
		{Move{From: Place{Offset: 16}, To: Place{Offset: 8}, Sizes: []int{2, 3, 16}, FromStrides: []int{96, 32, 1}, ToStrides: []int{24, 48, 1}}, 16},
		{Move{Sizes: []int{2, 3, 6}, FromStrides: []int{96, 32, 1}, ToStrides: []int{18, 6, 1}}, 4},
	} {
		for _, starts := range []int{0, 2} {
			m := c.m
			p := Problem{DType: tensor.BF16, Index: tensor.I32, Axes: 3, Starts: starts, Views: true}
			m.From.Buf, m.To.Buf = 1, 2+starts
			x, u := 400, 200
			r := rand.New(rand.NewPCG(uint64(i), 1))
			e := &example{p: p, args: []*tensor.Tensor{random(r, p.DType, []int{x}, -3, 3), random(r, p.DType, []int{u}, -3, 3)}}
			shift := 0
			for s := range starts { // of which one has no room
				limit := []int{0, 4}[s]
				e.args = append(e.args, tensor.Scalar(int32(3)))
				m.Starts = append(m.Starts, Start{Place{Buf: 2 + s}, limit, 16})
				shift += min(3, limit) * 16
			}
			whole := Move{To: m.To, Sizes: []int{x}, FromStrides: []int{1}, ToStrides: []int{1}, Whole: true}
			whole.To.Offset = 0
			e.bind = func(p Problem) (*ptx.Plan, error) { return BindMoves(p, testArch, []Move{whole, m}, 1) }
			want, _ := e.args[0].Clone().Bytes()
			from, _ := e.args[1].Bytes()
			eachOf(m.Sizes, func(index []int) {
				a, b := m.From.Offset, m.To.Offset+shift
				for k, at := range index {
					a, b = a+at*m.FromStrides[k], b+at*m.ToStrides[k]
				}
				copy(want[2*b:2*b+2], from[2*a:])
			})
			got, entries, err := e.run(t, moduleOf(t, p), false, races)
			require.NoError(t, err)
			require.Equal(t, want, got, "case %d, %d starts", i, starts)
			assert.Equal(t, sized(map[int]string{0: EntryMove, 2: EntryBox}[starts], c.unit), entries[1], "case %d", i)
		}
	}
}

// eachOf visits the indices of a shape.
func eachOf(sizes []int, visit func(index []int)) {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	for i := range n {
		index, rest := make([]int, len(sizes)), i
		for k := len(sizes) - 1; k >= 0; k-- {
			index[k], rest = rest%sizes[k], rest/sizes[k]
		}
		visit(index)
	}
}

// The assembler, where there is one, finds nothing wrong, and registers for
// everything.
func TestAssembles(t *testing.T) {
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Log("left out: the assembly of entries, since there is no ptxas")
		return
	}
	dir := t.TempDir()
	for _, c := range []struct {
		arch int
		p    Problem
	}{
		{80, Problem{DType: tensor.F16, Index: tensor.I64, Combine: "add", FastMath: true}},
		{90, Problem{DType: tensor.BF16, Index: tensor.U32, Combine: "add", FastMath: true}},
		{80, Problem{DType: tensor.F64, Index: tensor.I8, Combine: "max"}},
		{80, Problem{DType: tensor.F32, Index: tensor.U64, Combine: "add", FastMath: true}},
		{80, Problem{DType: tensor.U64, Index: tensor.I32, Combine: "min"}},
		{80, Problem{DType: tensor.F8E5M2, Index: tensor.I32, Combine: "mul"}},
		{80, Problem{DType: tensor.Bool, Index: tensor.I32, Combine: "set"}},
		{80, Problem{DType: tensor.Bool, Index: tensor.I32, Starts: 5, Axes: 6, Views: true}},
	} {
		m := &asm.Module{Version: "7.8", Target: fmt.Sprintf("sm_%d", c.arch)}
		require.NoError(t, Emit(m, c.p, c.arch))
		text := filepath.Join(dir, "a.ptx")
		require.NoError(t, os.WriteFile(text, []byte(m.String()), 0o600))
		out, err := exec.Command(ptxas, "-v", "-arch="+m.Target, "-o", filepath.Join(dir, "a.cubin"), text).CombinedOutput()
		require.NoError(t, err, "%s", out)
		found := regexp.MustCompile(`(\d+) bytes spill stores`).FindAllSubmatch(out, -1)
		require.Len(t, found, len(m.Kernels))
		for _, f := range found {
			assert.Equal(t, "0", string(f[1]), "%+v: %s", c.p, out)
		}
	}
}
