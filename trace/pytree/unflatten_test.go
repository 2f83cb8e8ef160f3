package pytree_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/trace/pytree"
)

// restorable is everything that a result can be.
type restorable struct {
	layer
	_        func()
	Numbers  numbers
	empty    struct{}
	empties  []struct{}
	layers   []layer
	pair     [2]*tensor
	long     [20]layer
	nested   [18][]int16
	Leaves   map[string]*tensor
	byColour map[colour]*tensor
	byNumber map[int]numbers
	Groups   map[string]map[string][]*tensor
	pointer  *numbers
	twice    **tensor
	next     *restorable
	kids     []*restorable
	flags    []bool
}

// The inverse is exact: nil and empty are kept apart, and so are all constants.
func TestUnflattenIsTheInverse(t *testing.T) {
	p := planOf[restorable](t)
	for seed := range uint64(200) {
		v := new(restorable)
		random(reflect.ValueOf(v).Elem(), rand.New(rand.NewPCG(seed, 1)), 3)
		var s pytree.Sink
		require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
		nils, err := p.Nils(unsafe.Pointer(v))
		require.NoError(t, err)
		template, err := p.Unflatten(s.Consts, nils, len(s.Tensors))
		require.NoError(t, err)
		out := new(restorable)
		require.NoError(t, p.Rebuild(unsafe.Pointer(out), template, s.Tensors))
		require.True(t, reflect.DeepEqual(v, out), "seed %d", seed)
	}
}

// Constants that were damaged are refused or give the value that they describe;
// they never panic.
func TestUnflattenOfDamagedConstants(t *testing.T) {
	p := planOf[restorable](t)
	refused := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		v := new(restorable)
		random(reflect.ValueOf(v).Elem(), r, 2)
		var s, again pytree.Sink
		require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
		nils, err := p.Nils(unsafe.Pointer(v))
		require.NoError(t, err)
		consts := s.Consts
		for range 1 + r.IntN(3) {
			consts[r.IntN(len(consts))] = call.Const{Bits: r.Uint64() >> r.IntN(64), Text: []string{"", "7", "x"}[r.IntN(3)]}
		}
		consts = consts[:len(consts)-max(r.IntN(8)-6, 0)]
		template, err := p.Unflatten(consts, nils, len(s.Tensors))
		if err != nil {
			refused++
			continue
		}
		require.NoError(t, p.Flatten(template, &again))
		require.Len(t, again.Consts, len(consts), "seed %d", seed)
		require.Len(t, again.Tensors, len(s.Tensors), "seed %d", seed)
	}
	assert.Greater(t, refused, 100)
}

func TestUnflattenRefuses(t *testing.T) {
	type huge struct{ _ [1 << 20]int64 }
	n := call.IntConst
	for name, row := range map[string]struct {
		plan    *pytree.Plan
		consts  []call.Const
		nils    []bool
		tensors int
		want    string
	}{
		"too few constants": {planOf[[]int](t), []call.Const{n(2), n(1)}, []bool{false}, 0, "too few"},
		"too many":          {planOf[int](t), []call.Const{n(2), n(1)}, nil, 0, "1 constants"},
		"too few tensors":   {planOf[[]*tensor](t), []call.Const{n(2)}, []bool{false}, 1, "too few tensors"},
		"too many tensors":  {planOf[*tensor](t), nil, nil, 2, "1 tensors more"},
		"no nils":           {planOf[[]int](t), []call.Const{n(0)}, nil, 0, "too few nils"},
		"nil with elements": {planOf[[]int](t), []call.Const{n(1), n(1)}, []bool{true}, 0, "not the length"},
		"a negative length": {planOf[[]int](t), []call.Const{n(-1)}, []bool{false}, 0, "not the length"},
		"a number too wide": {planOf[int8](t), []call.Const{n(128)}, nil, 0, "cannot be 128"},
		"a bool of 2":       {planOf[bool](t), []call.Const{n(2)}, nil, 0, "cannot be"},
		"text in a number":  {planOf[int](t), []call.Const{{Text: "x"}}, nil, 0, "cannot be"},
		"half a pointer":    {planOf[*int](t), []call.Const{n(2), n(2)}, nil, 0, "neither nil nor a pointer"},
		"a key twice":       {planOf[map[int]int](t), []call.Const{n(2), {Text: "1"}, n(1), {Text: "1"}, n(1)}, []bool{false}, 0, "twice"},
		"a key too wide":    {planOf[map[int8]int](t), []call.Const{n(1), {Text: "1000"}, n(1)}, []bool{false}, 0, "out of range"},
		"too much memory":   {planOf[[]huge](t), []call.Const{n(1000)}, []bool{false}, 0, "more than"},
		"frozen":            {planOf[*frozen](t), nil, nil, 0, "frozen"},
	} {
		_, err := row.plan.Unflatten(row.consts, row.nils, row.tensors)
		assert.ErrorContains(t, err, row.want, name)
	}
}
