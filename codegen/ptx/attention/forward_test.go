package attention

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

var dtypes = []tensor.DType{tensor.BF16, tensor.F16, tensor.F32}

func name(p Problem, queries, keys int) string {
	return fmt.Sprintf("%s/%dx%d/causal=%v/mask=%d/%dx%d", p.DType, p.HeadDim, p.ValueDim, p.Causal, p.Mask, queries, keys)
}

// lengths go around the tiles' borders, for both entries.
var lengths = [][2]int{{1, 1}, {1, 130}, {5, 64}, {16, 65}, {17, 3}, {33, 33}, {64, 1}, {65, 64}, {100, 127}, {129, 130}, {130, 17}}

func TestRaggedLengths(t *testing.T) {
	for i, n := range lengths {
		for j, dt := range dtypes {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: 32, Causal: (i+j)%2 == 0, Mask: MaskKind((i + j) % 3), Stats: true}
			t.Run(name(p, n[0], n[1]), func(t *testing.T) {
				newExample(p, []int{2}, n[0], n[1], uint64(i)).check(t, sim.Options{})
			})
		}
	}
}

func TestHeadDims(t *testing.T) {
	for i, d := range [][2]int{{2, 2}, {8, 24}, {20, 30}, {40, 72}, {64, 64}, {80, 80}, {96, 32}, {128, 128}, {64, 256}, {256, 64}, {256, 256}} {
		for j, dt := range dtypes {
			p := Problem{DType: dt, HeadDim: d[0], ValueDim: d[1], Causal: (i+j)%3 == 0, Mask: MaskKind((i + j) % 2)}
			t.Run(name(p, 40, 70), func(t *testing.T) { newExample(p, nil, 40, 70, uint64(i)).check(t, sim.Options{}) })
		}
	}
	for _, d := range [][2]int{{1, 1}, {3, 5}, {33, 67}} { // odd ones, for f32 only
		p := Problem{DType: tensor.F32, HeadDim: d[0], ValueDim: d[1]}
		t.Run(name(p, 40, 70), func(t *testing.T) { newExample(p, nil, 40, 70, 7).check(t, sim.Options{}) })
	}
}

// Where blocks have less shared memory, tiles are smaller.
func TestSmallSharedMemory(t *testing.T) {
	for _, dt := range dtypes {
		e := newExample(Problem{DType: dt, HeadDim: 256, ValueDim: 256, Causal: true}, nil, 40, 50, 1)
		e.arch = 86
		small, err := e.p.tiles(86)
		require.NoError(t, err)
		large, err := e.p.tiles(80)
		require.NoError(t, err)
		if dt == tensor.F32 {
			assert.Less(t, small.wide.keys, large.wide.keys)
		}
		t.Run(dt.String(), func(t *testing.T) { e.check(t, sim.Options{}) })
	}
}

// Heads lie between rows, as projections leave them: [batch, length, heads, dim].
func TestHeadsBetweenRows(t *testing.T) {
	const batch, heads, queries, keys, dim = 2, 3, 20, 40, 16
	between := func(rows int) Strides {
		return Strides{Lead: []int{rows * heads * dim, dim}, Row: heads * dim, Col: 1}
	}
	for _, dt := range dtypes {
		p := Problem{DType: dt, HeadDim: dim, ValueDim: dim, Causal: true}
		s := Sizes{
			Lead: []int{batch, heads}, Queries: queries, Keys: keys, Scale: 0.3,
			Q: between(queries), K: between(keys), V: between(keys), O: between(queries),
		}
		t.Run(dt.String(), func(t *testing.T) { stridedExample(p, s, 3).check(t, sim.Options{}) })
	}
}

// Rows that are further apart than they are long, and backwards.
func TestRowsApart(t *testing.T) {
	for _, dt := range dtypes {
		p := Problem{DType: dt, HeadDim: 16, ValueDim: 32, Mask: AddMask}
		e := newExample(p, []int{3}, 70, 70, 4)
		for _, s := range []*Strides{&e.s.Q, &e.s.K, &e.s.V, &e.s.O} {
			*s = Strides{Lead: []int{6400}, Row: 64, Col: 1}
		}
		e.s.Mask = Strides{Lead: []int{1}, Row: 3, Col: 3 * 71}
		t.Run(dt.String(), func(t *testing.T) { stridedExample(p, e.s, 4).check(t, sim.Options{}) })
	}
}

// Grouped heads share keys, values and masks; with one query each, the heads of a group
// become the queries of one tile.
func TestGroupedHeads(t *testing.T) {
	for _, dt := range dtypes {
		for _, queries := range []int{1, 5} {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: 32, Mask: BoolMask, Stats: true}
			e := newExample(p, []int{2, 2, 4}, queries, 80, 5)
			e.s.K.Lead, e.s.V.Lead = []int{2 * 80 * 32, 80 * 32, 0}, []int{2 * 80 * 32, 80 * 32, 0}
			e.s.Mask = Strides{Lead: []int{80, 0, 0}, Row: 0, Col: 1}
			e = stridedExample(p, e.s, 6)
			t.Run(name(p, queries, 80), func(t *testing.T) { e.check(t, sim.Options{}) })
			folded, err := p.folded(e.s)
			require.NoError(t, err)
			assert.Equal(t, 4*queries, folded.Queries)
		}
	}
}

// Fewer bytes of alignment: narrower copies of the same.
func TestNarrowAlignment(t *testing.T) {
	for _, dt := range dtypes {
		for _, align := range []int{4, 8} {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: 16, Align: align}
			e := newExample(p, []int{2}, 20, 70, 8)
			step := align / dt.Size()
			e.s.Q, e.s.K = Strides{[]int{21 * (32 + step)}, 32 + step, 1}, Strides{[]int{70 * (32 + step)}, 32 + step, 1}
			e.s.V, e.s.O = Strides{[]int{70 * (16 + step)}, 16 + step, 1}, Strides{[]int{20 * (16 + step)}, 16 + step, 1}
			t.Run(fmt.Sprintf("%s/%d", dt, align), func(t *testing.T) {
				stridedExample(p, e.s, 9).check(t, sim.Options{})
				p.Align = 0
				_, err := Bind(p, testArch, e.s, 1)
				assert.ErrorContains(t, err, "hint: a smaller Problem.Align")
			})
		}
	}
}

func TestNoKeysGiveZero(t *testing.T) {
	for _, dt := range dtypes {
		for _, queries := range []int{3, 100} {
			e := newExample(Problem{DType: dt, HeadDim: 16, ValueDim: 16, Causal: true}, []int{2}, queries, 0, 1)
			e.run(t, sim.Options{})
			for _, x := range e.o.values {
				require.Zero(t, x)
			}
		}
	}
}

func TestNothingToDo(t *testing.T) {
	for _, lead := range [][]int{{0}, {2}} {
		e := newExample(Problem{DType: tensor.F32, HeadDim: 16, ValueDim: 16}, lead, 2-lead[0], 5, 1)
		plan, err := Bind(e.p, testArch, e.s, 1)
		require.NoError(t, err)
		assert.Empty(t, plan.Launches)
	}
}

// A query that attends to nothing is NaN; others are not touched by it. In the
// second tile as in the first, whole or split.
func TestQueriesThatAttendToNothing(t *testing.T) {
	for _, dt := range dtypes {
		for _, kind := range []MaskKind{BoolMask, AddMask} {
			for _, n := range [][2]int{{3, 700}, {70, 100}} {
				e := newExample(Problem{DType: dt, HeadDim: 16, ValueDim: 16, Mask: kind, Stats: true}, nil, n[0], n[1], 2)
				for i := range e.mask.values {
					switch row, col := i/n[1], i%n[1]; {
					case row == 1, row == 2 && col < n[1]-1:
						e.mask.values[i] = map[MaskKind]float64{BoolMask: 0, AddMask: math.Inf(-1)}[kind]
					case row == 2:
						e.mask.values[i] = 1
					}
				}
				t.Run(name(e.p, n[0], n[1]), func(t *testing.T) {
					e.check(t, sim.Options{})
					assert.True(t, math.IsNaN(e.o.values[16]))
					assert.False(t, math.IsNaN(e.o.values[0]) || math.IsNaN(e.o.values[32]))
				})
			}
		}
	}
}

// The least finite number as a mask leaves, where it is everywhere, equal weights.
func TestLeastFiniteMask(t *testing.T) {
	least := map[tensor.DType]float64{tensor.BF16: -0x1.FEp127, tensor.F16: -65504, tensor.F32: -math.MaxFloat32}
	for _, dt := range dtypes {
		e := newExample(Problem{DType: dt, HeadDim: 16, ValueDim: 16, Mask: AddMask}, nil, 4, 70, 2)
		for i := range e.mask.values {
			if i < 70 || i%3 == 0 {
				e.mask.values[i] = least[dt]
			}
		}
		t.Run(dt.String(), func(t *testing.T) {
			e.run(t, sim.Options{})
			tolerance := e.p.tolerance()
			if dt == tensor.F16 {
				tolerance = 0x1p-7 // scores beside -65504 have few bits left in f32
			}
			want, _ := e.want()
			compare(t, e.o.values, want, tolerance)
		})
	}
}

// Scores in the thousands, of both signs: the maximum is subtracted before anything
// overflows.
func TestLargeScores(t *testing.T) {
	for _, dt := range dtypes {
		for _, scale := range []float64{50, -50, 0} {
			e := newExample(Problem{DType: dt, HeadDim: 64, ValueDim: 16, Stats: true}, nil, 20, 150, 3)
			e.s.Scale = scale
			for i := range e.q.values { // products are exact: what is compared is the softmax
				e.q.values[i] = math.Round(2 * e.q.values[i])
			}
			for i := range e.k.values {
				e.k.values[i] = math.Round(2 * e.k.values[i])
			}
			t.Run(fmt.Sprint(dt, scale), func(t *testing.T) { e.check(t, sim.Options{}) })
		}
	}
}

// NaN and Inf make those rows NaN that they make NaN by definition, and no others.
// Scores of f32 may be as large as f32 holds: a row is then all but one-hot.
func TestLargestScores(t *testing.T) {
	for _, causal := range []bool{false, true} {
		e := newExample(Problem{DType: tensor.F32, HeadDim: 8, ValueDim: 16, Causal: causal}, nil, 20, 90, 4)
		for i := range e.q.values {
			e.q.values[i] = math.Ldexp(math.Round(4*e.q.values[i]), 56) // sums are exact
		}
		for i := range e.k.values {
			e.k.values[i] = math.Ldexp(math.Round(4*e.k.values[i]), 56)
		}
		t.Run(fmt.Sprint(causal), func(t *testing.T) { e.check(t, sim.Options{}) })
	}
}

func TestNotFinite(t *testing.T) {
	for _, dt := range dtypes {
		for _, x := range []float64{math.NaN(), math.Inf(1)} {
			e := newExample(Problem{DType: dt, HeadDim: 16, ValueDim: 16}, nil, 40, 90, 3)
			e.q.values[5*16+3] = x
			t.Run(fmt.Sprint(dt, x), func(t *testing.T) {
				e.check(t, sim.Options{})
				assert.True(t, math.IsNaN(e.o.values[5*16]))
				assert.False(t, math.IsNaN(e.o.values[4*16]))
			})
		}
	}
}

// A decoder's step, on a device that has room for many blocks: keys are split, the
// parts combined, and every run gives the same bits.
func TestSplitKeys(t *testing.T) {
	for i, dt := range dtypes {
		for _, n := range [][2]int{{1, 1000}, {9, 999}, {100, 600}} {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: 36, Causal: n[0] > 50, Mask: MaskKind(i), Stats: true}
			t.Run(name(p, n[0], n[1]), func(t *testing.T) {
				e := newExample(p, nil, n[0], n[1], uint64(i))
				plan, err := Bind(p, testArch, e.s, testMultiprocessors)
				require.NoError(t, err)
				if n[0] == 1 {
					assert.Equal(t, 1, len(plan.Launches))
					assert.Equal(t, counterBytes, plan.Counters)
				} else {
					require.Equal(t, 2, len(plan.Launches))
					assert.Equal(t, EntryCombine, plan.Launches[1].Entry)
					assert.Zero(t, plan.Counters)
				}
				assert.Greater(t, plan.Launches[0].Grid[1], uint32(1))
				e.check(t, sim.Options{})
				first := slices.Clone(e.o.values)
				e.run(t, sim.Options{})
				compare(t, e.o.values, first, 0)
			})
		}
	}
}

// Results do not depend on how exactly a device approximates exponentials.
func TestPerturbedApproximations(t *testing.T) {
	for seed := range int64(3) {
		for _, dt := range dtypes {
			p := Problem{DType: dt, HeadDim: 64, ValueDim: 64, Causal: true, Stats: true}
			newExample(p, nil, 90, 200, 5).check(t, sim.Options{Perturb: seed + 1})
		}
	}
}
