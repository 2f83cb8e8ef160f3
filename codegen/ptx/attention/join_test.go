package attention

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

func always(*binding) bool { return true }
func never(*binding) bool  { return false }

// What the last block of a tile makes of splits is what a second launch makes of them, to
// the bit, in whatever order blocks run, run after run on the same counters.
func TestJoinedSplits(t *testing.T) {
	for i, dt := range dtypes {
		for j, n := range [][2]int{{1, 1000}, {3, 333}, {15, 999}} {
			p := Problem{DType: dt, HeadDim: 32, ValueDim: []int{36, 64, 20}[j], Causal: i == j, Mask: MaskKind((i + j) % 3), Stats: true}
			for seed := range int64(3) {
				t.Run(fmt.Sprint(name(p, n[0], n[1]), seed), func(t *testing.T) {
					o := sim.Options{GlobalRaces: true, Perturb: seed}
					apart := newExample(p, []int{1 + j%2}, n[0], n[1], uint64(i))
					apart.joins = never
					require.Len(t, apart.check(t, o), 2)
					e := newExample(p, []int{1 + j%2}, n[0], n[1], uint64(i))
					e.joins, e.runs = always, 2
					require.Len(t, e.check(t, o), 1)
					compare(t, e.o.values, apart.o.values, 0)
					compare(t, e.stats.values, apart.stats.values, 0)
				})
			}
		}
	}
}

// A last block has a warp for its rows: it combines those of one query, and leaves more
// to a second launch, as tiles of many queries do.
func TestWhatJoins(t *testing.T) {
	p := Problem{DType: tensor.BF16, HeadDim: 64, ValueDim: 64}
	for _, c := range []struct {
		queries, keys, launches int
		joined                  bool
	}{{1, 64, 1, false}, {1, 1024, 1, true}, {16, 1024, 2, false}, {64, 1024, 2, false}, {2048, 1024, 1, false}} {
		e := newExample(p, []int{12}, c.queries, c.keys, 1)
		plan, err := Bind(p, 90, e.s, 132)
		require.NoError(t, err)
		assert.Len(t, plan.Launches, c.launches, "%+v", c)
		assert.Equal(t, c.joined, plan.Counters > 0, "%+v", c)
	}
}

// Code without one of the pieces of the handover is found out, in the first run or in
// the next one on the same counters.
func TestJoinBugs(t *testing.T) {
	p := Problem{DType: tensor.BF16, HeadDim: 32, ValueDim: 32}
	for _, c := range []struct{ name, piece, bug, found string }{
		{"nothing", "", "", ""},
		{"no fence before", `fence.acq_rel.gpu;\n\tatom`, "atom", "global memory race"},
		{"no fence behind", `fence.acq_rel.gpu;\n\tsetp`, "setp", "global memory race"},
		{"any block joins", `(st.shared.b32 .*), .*;`, "$1, 1;", "unwritten global memory"},
		{"no block joins", `(st.shared.b32 .*), .*;`, "$1, 0;", "result"},
		{"counter not set back", `(atom.*inc.u32 .*), .*;`, "$1, 1000;", "result"},
		{"counts too few blocks", `(atom.*)inc(.u32 .*);`, "${1}add$2;", "unwritten global memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &asm.Module{Version: "7.8", Target: "sm_80"}
			require.NoError(t, Emit(m, p, testArch))
			require.Regexp(t, c.piece, m.String())
			parsed, err := sim.Parse(regexp.MustCompile(c.piece).ReplaceAllString(m.String(), c.bug))
			require.NoError(t, err)
			assert.Equal(t, c.found, joinFault(t, parsed, p))
		})
	}
}

// joinFault says what is found of two runs of a decoder's step: a fault, or a wrong
// result.
func joinFault(t *testing.T, m *sim.Module, p Problem) string {
	t.Helper()
	e := newExample(p, nil, 1, 600, 1)
	plan, err := Bind(p, testArch, e.s, testMultiprocessors)
	require.NoError(t, err)
	require.NotZero(t, plan.Counters)
	mem, addresses := sim.NewMemory(), map[Operand]uint64{}
	for i, bytes := range []int{Q: e.q.bytes(), K: e.k.bytes(), V: e.v.bytes(), O: e.o.bytes(), Scratch: plan.Scratch, Counters: plan.Counters} {
		addresses[Operand(i)] = uint64(i+1) << 40
		if bytes > 0 {
			require.NoError(t, mem.Map(addresses[Operand(i)], bytes))
		}
	}
	e.q.upload(t, mem, addresses[Q])
	e.k.upload(t, mem, addresses[K])
	e.v.upload(t, mem, addresses[V])
	require.NoError(t, mem.Fill(addresses[Counters], 0, plan.Counters))
	want, _ := e.want()
	for range 2 {
		require.NoError(t, mem.Fill(addresses[O], 0, e.o.bytes()))
		_, err := launch(m, mem, plan.Launches[0], addresses, sim.Options{GlobalRaces: true})
		if f := (*sim.Fault)(nil); errors.As(err, &f) {
			return f.Kind.String()
		}
		require.NoError(t, err)
		e.o.download(t, mem, addresses[O])
		for i, w := range want {
			if d := e.o.values[i] - w; d > 0.02 || d < -0.02 {
				return "result"
			}
		}
	}
	return ""
}
