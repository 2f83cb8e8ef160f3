package guard

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// first is what Select must answer: the sets tried one by one.
func first(t *Tree, sets []*Set, c *call.Call) int {
	for _, i := range t.Order() {
		if sets[i].Check(c) < 0 {
			return i
		}
	}
	return -1
}

// TestSelectIsTheFirstSetThatHolds compares the decision with its definition on
// random sets and calls: ragged counts, nil tensors, remembered calls, frozen
// sets, variables that change, tensors that overlap.
func TestSelectIsTheFirstSetThatHolds(t *testing.T) {
	found := 0
	for seed := range uint64(2500) {
		g := newGenerator(seed)
		sets := g.family(1 + g.IntN(9))
		tree := NewTree(sets)
		for range 80 {
			g.flags[0].v.Store(int64(g.IntN(2)))
			c := g.call()
			want := first(tree, sets, c)
			if want >= 0 {
				found++
			}
			if got := tree.Select(c); got != want {
				require.Equal(t, want, got, "seed %d\n%s\n%s", seed, describe(sets), tree)
			}
		}
	}
	assert.Greater(t, found, 20_000, "cases that find an entry")
}

// TestSelectOfManySets has enough sets that switches would copy too many, so
// that chains come in.
func TestSelectOfManySets(t *testing.T) {
	for seed := range uint64(40) {
		g := newGenerator(seed)
		sets := g.family(100 + g.IntN(60))
		tree := NewTree(sets)
		guards := 0
		for _, s := range sets {
			guards += len(s.Guards)
		}
		assert.Less(t, len(tree.nodes), 20*guards+1000)
		for range 150 {
			c := g.call()
			require.Equal(t, first(tree, sets, c), tree.Select(c), "seed %d", seed)
		}
	}
}

func TestTreeOfNone(t *testing.T) {
	assert.Equal(t, -1, NewTree(nil).Select(&call.Call{}))
	assert.Equal(t, "none\n", NewTree(nil).String())
	impossible := NewSet([]Guard{{Kind: Rank, Want: 1}, {Kind: Rank, Want: 2}}, nil)
	anything := NewSet(nil, nil)
	assert.Equal(t, 1, NewTree([]*Set{impossible, anything}).Select(&call.Call{}))
}

func isOf(arg int, dt tensor.DType, rank int64) []Guard {
	return []Guard{{Kind: DType, Arg: arg, DType: dt}, {Kind: Rank, Arg: arg, Want: rank}}
}

func sized(arg, axis int, n int64) Guard { return Guard{Kind: Size, Arg: arg, Axis: axis, Want: n} }

// about is a condition on the size B of an axis.
func about(arg, axis int, cond dim.Constraint) Guard {
	return Guard{Kind: Cond, Cond: cond, From: []Source{{Sym: "B", Arg: arg, Axis: axis}}}
}

func TestTreeText(t *testing.T) {
	b := dim.Sym("B")
	train := &flag{name: "training"}
	common := append(isOf(0, tensor.F32, 2), sized(0, 1, 784))
	sets := []*Set{
		NewSet(append(common[:3:3], about(0, 0, dim.Le(b, dim.Const(64)))), nil),
		NewSet(append(common[:3:3], sized(0, 0, 4)), nil),
		NewSet(append(common[:3:3], sized(0, 0, 8), Guard{Kind: Var, Var: train, Value: call.IntConst(1)}), nil),
		NewSet(append(common[:3:3], sized(0, 0, 8)), nil),
	}
	tree := NewTree(sets)
	assert.Equal(t, []int{2, 1, 3, 0}, tree.Order())
	assert.Equal(t, `check x: f32[_,784]
if x.size(0) == 8
  if training == 1
    entry 2
  entry 3
if x.size(0) == 4
  entry 1
check x.size(0) <= 64
entry 0
`, tree.Text(&call.Schema{Tensors: []string{"x"}}))
}

// TestTreeTextOfOddGuards: what no type can say is said in words, and long lists
// are cut.
func TestTreeTextOfOddGuards(t *testing.T) {
	guards := []Guard{
		{Kind: Present, Arg: 0}, {Kind: Rank, Arg: 1, Want: 40}, sized(1, 2, 3), sized(2, 1, 4),
		{Kind: Rank, Arg: 3, Want: -1}, {Kind: DType, Arg: 4}, {Kind: Rank, Arg: 5, Want: 1}, {Kind: Rank, Arg: 5, Want: 1},
	}
	assert.Equal(t, `check #0: _, #1: _ of rank 40 with size(2) == 3, #2: _ with size(1) == 4, #5: _[_], rank(#3) == -1, #4: invalid
entry 0
`, NewTree([]*Set{NewSet(guards, nil)}).String())
	var many []Guard
	for i := range 30 {
		many = append(many, Guard{Kind: DType, Arg: i, DType: tensor.F32})
	}
	text := NewTree([]*Set{NewSet(many, nil)}).String()
	assert.Contains(t, text, "#10: f32, 19 more\n")
}

// TestTighterConditionsComeFirst: sets of one shape are ordered by implication,
// whatever their age.
func TestTighterConditionsComeFirst(t *testing.T) {
	b := dim.Sym("B")
	at := func(n int64) *Set { return NewSet([]Guard{about(0, 0, dim.Le(b, dim.Const(n)))}, nil) }
	tree := NewTree([]*Set{at(64), at(8), at(256), at(16)})
	assert.Equal(t, []int{1, 3, 0, 2}, tree.Order())
	x := func(n int) *call.Call { return &call.Call{Tensors: []*tensor.Tensor{tensor.New(tensor.F32, n)}} }
	for n, want := range map[int]int{8: 1, 9: 3, 17: 0, 65: 2, 257: -1} {
		assert.Equal(t, want, tree.Select(x(n)), n)
	}
	same := NewTree([]*Set{at(8), at(8)})
	assert.Equal(t, []int{0, 1}, same.Order(), "of equals the older")
}

func TestExplainNamesTheFirstGuardThatFails(t *testing.T) {
	sets := []*Set{
		NewSet(append(isOf(0, tensor.F32, 1), sized(0, 0, 4)), nil),
		NewSet(append(isOf(0, tensor.F32, 1), sized(0, 0, 8)), nil),
		NewSet(isOf(1, tensor.F32, 1), nil),
	}
	c := &call.Call{Tensors: []*tensor.Tensor{tensor.New(tensor.F32, 8)}}
	tree := NewTree(sets)
	got := tree.Explain(c)
	require.Len(t, got, 3)
	assert.Equal(t, []Miss{{0, 2, &sets[0].Guards[2]}, {1, -1, nil}, {2, 0, &sets[2].Guards[0]}}, got)
	assert.Equal(t, "#0.size(0) is 8", got[0].Guard.Got(c, nil))
	assert.Equal(t, "#1 is nil", got[2].Guard.Got(c, nil))
}

// TestASwitchOfManyValues looks values up instead of trying each.
func TestASwitchOfManyValues(t *testing.T) {
	var sets []*Set
	for n := range int64(40) {
		sets = append(sets, NewSet([]Guard{sized(0, 0, n)}, nil))
	}
	tree := NewTree(sets)
	assert.Len(t, tree.nodes, 41)
	for n := range 42 {
		want := n
		if n >= 40 {
			want = -1
		}
		assert.Equal(t, want, tree.Select(&call.Call{Tensors: []*tensor.Tensor{tensor.New(tensor.U8, n)}}))
	}
}

// counting is a variable that counts how often it is looked at.
type counting struct {
	flag
	looks int
}

func (c *counting) Load() call.Const {
	c.looks++
	return c.flag.Load()
}

// TestNothingIsObservedTwice: sets that share some of a dozen variables look at
// each at most once, whichever set holds.
func TestNothingIsObservedTwice(t *testing.T) {
	g := newGenerator(3)
	for range 2000 {
		vars := make([]*counting, 6)
		for i := range vars {
			vars[i] = &counting{flag: flag{name: "v"}}
		}
		var sets []*Set
		for range 1 + g.IntN(5) {
			var guards []Guard
			for _, v := range vars {
				if g.IntN(2) == 0 {
					guards = append(guards, Guard{Kind: Var, Var: v, Value: call.IntConst(int64(g.IntN(2)))})
				}
			}
			sets = append(sets, NewSet(guards, nil))
		}
		tree := NewTree(sets)
		for range 8 {
			for _, v := range vars {
				v.looks = 0
				v.v.Store(int64(g.IntN(2)))
			}
			tree.Select(&call.Call{})
			for _, v := range vars {
				require.LessOrEqual(t, v.looks, 1, "%s", tree)
			}
		}
	}
}
