package cumulative

import (
	"errors"
	"fmt"
	"math"
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

// numbers are the element types of the op.
func numbers() []tensor.DType {
	var out []tensor.DType
	for _, dt := range tensor.DTypes() {
		if dt != tensor.Bool {
			out = append(out, dt)
		}
	}
	return out
}

var combinations = []string{"add", "mul", "min", "max"}

// check compares every element with the evaluation, and returns what was launched.
func check(t testing.TB, p Problem, s Sizes, multiprocessors int, o sim.Options) []string {
	t.Helper()
	x := operand(p, s, uint64(s.Axis))
	got, entries, err := launched(t, moduleOf(t, p), p, s, x, multiprocessors, o)
	require.NoError(t, err, "%+v %+v", p, s)
	if m := tensor.Compare(got, evaluated(t, p, s, x), tensor.Exact); m != nil {
		require.NoError(t, m, "%+v %+v", p, s)
	}
	return entries
}

var (
	cutRows    = []string{EntryRowTotals, EntryRows}
	cutColumns = []string{EntryColumnTotals, EntryColumns}
)

// Every element type and combination, forwards and backwards, by every entry.
func TestTypes(t *testing.T) {
	for i, dt := range numbers() {
		for k, combine := range combinations {
			p := Problem{dt, combine}
			o := sim.Options{GlobalRaces: true, Perturb: int64(4*i + k)}
			reverse := (i+k)%2 == 0
			assert.Equal(t, cutRows, check(t, p, Sizes{1, 4133, 1, reverse}, 1, o))
			assert.Equal(t, []string{EntryRows}, check(t, p, Sizes{2, 1091, 1, !reverse}, 1, o))
			assert.Equal(t, cutColumns, check(t, p, Sizes{2, 275, 3, reverse}, 1, o))
			assert.Equal(t, []string{EntryColumns}, check(t, p, Sizes{3, 7, 5, !reverse}, 1, o))
		}
	}
}

// Sizes of every shape: less than a warp, a tile, a run and one more, lines of few
// elements, columns that do not fill blocks.
func TestSizes(t *testing.T) {
	for i, s := range []Sizes{
		{1, 1, 1, false}, {700, 1, 1, false}, {1, 32, 1, false}, {300, 31, 1, false}, {1, 33, 1, false}, {3, 127, 1, false},
		{5, 128, 1, false}, {2, 129, 1, false}, {2, 1023, 1, false}, {2, 1024, 1, false}, {2, 1025, 1, false}, {1, 3100, 1, false},
		{1, 2, 600, false}, {2, 9, 257, false}, {700, 3, 2, false}, {1, 64, 4, false},
	} {
		for _, s.Reverse = range []bool{false, true} {
			check(t, Problem{tensor.F32, "add"}, s, 1, races)
			check(t, Problem{[]tensor.DType{tensor.U64, tensor.I8, tensor.F16}[i%3], "mul"}, s, 132, races)
		}
	}
}

// Lines are cut where there are few of them and many multiprocessors, and only there;
// the last part may have one element.
func TestParts(t *testing.T) {
	rows, columns := []string{EntryRows}, []string{EntryColumns}
	for _, c := range []struct {
		s               Sizes
		multiprocessors int
		want            []string
		blocks          uint32
	}{
		{Sizes{1, 4095, 1, false}, 132, rows, 1},
		{Sizes{1, 4096, 1, false}, 132, cutRows, 2},
		{Sizes{2, 5000, 1, false}, 132, cutRows, 4},
		{Sizes{1, 6145, 1, true}, 132, cutRows, 3},
		{Sizes{3, 8193, 1, false}, 3, cutRows, 9},
		{Sizes{1, 40000, 1, false}, 2, cutRows, 8},
		{Sizes{2, 6000, 1, false}, 1, rows, 2},
		{Sizes{1, 255, 3, false}, 132, columns, 1},
		{Sizes{1, 321, 3, false}, 132, cutColumns, 6},
		{Sizes{1, 9001, 2, true}, 132, cutColumns, 33},
		{Sizes{2, 270, 260, false}, 2, cutColumns, 9},
		{Sizes{1, 2000, 300, false}, 1, columns, 2},
	} {
		for _, p := range []Problem{{tensor.I32, "add"}, {tensor.BF16, "max"}, {tensor.F64, "mul"}} {
			assert.Equal(t, c.want, check(t, p, c.s, c.multiprocessors, races), c.s)
			plan, err := Bind(p, testArch, c.s, c.multiprocessors)
			require.NoError(t, err)
			last := plan.Launches[len(plan.Launches)-1]
			assert.Equal(t, c.blocks, last.Grid[0], c.s)
		}
	}
}

// Of nothing, nothing is launched.
func TestNothing(t *testing.T) {
	for _, s := range []Sizes{{0, 5, 1, false}, {5, 0, 1, true}, {5, 3, 0, false}} {
		assert.Empty(t, check(t, Problem{tensor.F32, "add"}, s, 3, races))
	}
}

// Sums of any numbers are near the evaluation's, and the same whatever order warps
// run in.
func TestSumsRepeat(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.F64, tensor.F8E5M2} {
		for _, s := range []Sizes{{1, 9000, 1, false}, {1, 900, 3, true}} {
			p, xs := Problem{dt, "add"}, make([]float64, s.Axis*s.Inner)
			for i := range xs {
				xs[i] = r.Float64()
			}
			x := tensor.FromFloats(dt, []int{1, s.Axis, s.Inner}, xs)
			var first *tensor.Tensor
			for perturb := range int64(3) {
				got, entries, err := launched(t, moduleOf(t, p), p, s, x, 4, sim.Options{GlobalRaces: true, Perturb: perturb})
				require.NoError(t, err)
				require.Len(t, entries, 2)
				if first == nil {
					first = got
				}
				if m := tensor.Compare(got, first, tensor.Exact); m != nil {
					require.NoError(t, m, "%v perturbed by %d", p, perturb)
				}
			}
			if m := tensor.Compare(first, evaluated(t, p, s, x), tensor.Tolerance{Rel: 1e-5, ULP: 1}); m != nil {
				require.NoError(t, m, "%v", p)
			}
		}
	}
}

// NaN stays from where it is to the end, infinities are numbers, and a line of -0 has
// sums of -0.
func TestSpecialFloats(t *testing.T) {
	inf, nan, minus := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.F16, tensor.BF16, tensor.F8E5M2} {
		for _, combine := range combinations {
			for _, s := range []Sizes{{1, 5000, 1, false}, {1, 300, 2, false}, {1, 5000, 1, true}} {
				p := Problem{dt, combine}
				xs := make([]float64, s.Axis*s.Inner)
				for i := range xs {
					xs[i] = map[string]float64{"add": minus, "mul": 1, "min": 3, "max": -3}[combine]
				}
				xs[70], xs[len(xs)-150] = inf, nan
				xs[71] = map[string]float64{"min": -inf, "max": 2, "add": 1, "mul": -1}[combine]
				x := tensor.FromFloats(dt, []int{1, s.Axis, s.Inner}, xs)
				got, _, err := launched(t, moduleOf(t, p), p, s, x, 4, races)
				require.NoError(t, err)
				if m := tensor.Compare(got, evaluated(t, p, s, x), tensor.Exact); m != nil {
					require.NoError(t, m, "%v %+v", p, s)
				}
			}
		}
	}
}

// What is planted in the code is found by the interpreter or by the results.
func TestPlantedBugs(t *testing.T) {
	rows, columns := Sizes{1, 5000, 1, false}, Sizes{1, 500, 3, false}
	for _, c := range []struct {
		name, old, new string
		s              Sizes
		fault          bool
	}{
		{"no barriers", "bar.sync 0;", "", rows, true},
		{"a part runs on", "min.s64", "max.s64", rows, true},
		{"a thread's part runs on", "min.s64", "max.s64", columns, true},
		{"lanes read the next lane", "shfl.sync.up", "shfl.sync.down", rows, false},
		{"warps begin where others do", "setp.gt.u32", "setp.ge.u32", rows, false},
		{"parts begin with nothing", "setp.ne.u32", "setp.eq.u32", rows, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Problem{tensor.I32, "add"}
			x := operand(p, c.s, 1)
			got, _, err := launched(t, replaced(t, p, c.old, c.new), p, c.s, x, 4, races)
			var fault *sim.Fault
			if c.fault {
				require.True(t, errors.As(err, &fault), "%v", err)
				return
			}
			require.True(t, err != nil || tensor.Compare(got, evaluated(t, p, c.s, x), tensor.Exact) != nil)
		})
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		arch int
		want string
	}{
		{Problem{tensor.F32, "add"}, 75, "architecture: expected sm_80 or newer, got sm_75"},
		{Problem{tensor.Bool, "max"}, 80, "element type: expected a number, got bool"},
		{Problem{tensor.F32, "sub"}, 80, `combination: expected add, mul, min or max, got "sub"`},
	} {
		require.ErrorContains(t, Supported(c.p, c.arch), c.want)
		require.ErrorContains(t, Emit(&asm.Module{}, c.p, c.arch), c.want)
		_, err := Bind(c.p, c.arch, Sizes{1, 1, 1, false}, 1)
		require.ErrorContains(t, err, c.want)
	}
}

// Sizes beyond 32 bits are numbers of 64 bits; too many blocks are refused.
func TestLargeSizes(t *testing.T) {
	p := Problem{tensor.I8, "add"}
	plan, err := Bind(p, 80, Sizes{1, 1 << 40, 1, true}, 132)
	require.NoError(t, err)
	require.Len(t, plan.Launches, 2)
	assert.Equal(t, [3]uint32{4 * 132, 1, 1}, plan.Launches[1].Grid)
	assert.Equal(t, (4*132-1)*4, plan.Scratch)
	plan, err = Bind(p, 80, Sizes{1 << 35, 3, 1, false}, 132)
	require.NoError(t, err)
	assert.Equal(t, ptx.Launch{Entry: EntryColumns, Grid: [3]uint32{1 << 27, 1, 1}, Block: [3]uint32{threads, 1, 1},
		Params: plan.Launches[0].Params, Pointers: plan.Launches[0].Pointers}, plan.Launches[0])
	_, err = Bind(p, 80, Sizes{1 << 31, 33, 1, false}, 132)
	require.ErrorContains(t, err, "expected at most 2147483647 blocks")
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
		arch string
		p    Problem
	}{
		{"sm_80", Problem{tensor.F32, "add"}}, {"sm_90", Problem{tensor.BF16, "add"}}, {"sm_80", Problem{tensor.F64, "max"}},
		{"sm_80", Problem{tensor.U64, "mul"}}, {"sm_80", Problem{tensor.F8E4M3, "min"}}, {"sm_90", Problem{tensor.I8, "min"}},
	} {
		m := &asm.Module{Version: "7.8", Target: c.arch}
		require.NoError(t, Emit(m, c.p, 80))
		text := filepath.Join(dir, "a.ptx")
		require.NoError(t, os.WriteFile(text, []byte(m.String()), 0o600))
		out, err := exec.Command(ptxas, "-v", "-arch="+c.arch, "-o", filepath.Join(dir, "a.cubin"), text).CombinedOutput()
		require.NoError(t, err, "%s", out)
		found := regexp.MustCompile(`(\d+) bytes spill stores`).FindAllSubmatch(out, -1)
		require.Len(t, found, len(m.Kernels))
		for _, f := range found {
			assert.Equal(t, "0", string(f[1]), "%+v: %s", c.p, out)
		}
		t.Log(fmt.Sprint(c.p), string(regexp.MustCompile(`Used \d+ registers`).Find(out)))
	}
}
