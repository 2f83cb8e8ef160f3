package pytree_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/trace/pytree"
)

func TestRebuildIsADeepCopy(t *testing.T) {
	p := planOf[everything](t)
	for seed := range uint64(200) {
		v := randomValue(seed)
		var s pytree.Sink
		require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
		out := new(everything)
		require.NoError(t, p.Rebuild(unsafe.Pointer(out), unsafe.Pointer(v), s.Tensors))
		require.True(t, reflect.DeepEqual(v, out), "seed %d", seed)
		scribble(reflect.ValueOf(out).Elem(), rand.New(rand.NewPCG(seed, 2)))
		require.True(t, reflect.DeepEqual(randomValue(seed), v), "seed %d: a change of the copy reached the template", seed)
	}
}

// scribble overwrites what a value refers to, leaves aside.
func scribble(v reflect.Value, r *rand.Rand) {
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	if _, leaf := leaves[v.Type()]; leaf {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i), r)
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i), r)
		}
		if v.Kind() == reflect.Slice && v.Cap() > 0 {
			reflect.Append(v.Slice(0, 0), reflect.Zero(v.Type().Elem()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem(), r)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(k))
			scribble(elem, r)
			v.SetMapIndex(k, reflect.Value{})
		}
	default:
		random(v, r, 0)
	}
}

// The tensors of the rebuilt value are the given ones, in order, and the collector
// knows them.
func TestRebuildPutsTheTensorsIn(t *testing.T) {
	p := planOf[everything](t)
	for seed := range uint64(100) {
		v := randomValue(seed)
		var s pytree.Sink
		require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
		want, consts := pointers(len(s.Tensors)), slices.Clone(s.Consts)
		out := new(everything)
		require.NoError(t, p.Rebuild(unsafe.Pointer(out), unsafe.Pointer(v), want))
		wantNames := names(want)
		want = nil
		if seed%20 == 0 {
			runtime.GC()
		}
		s.Reset()
		require.NoError(t, p.Flatten(unsafe.Pointer(out), &s))
		require.Equal(t, wantNames, names(s.Tensors), "seed %d", seed)
		require.True(t, slices.Equal(consts, s.Consts), "seed %d", seed)

		again := pointers(len(wantNames))
		require.True(t, p.Assign(unsafe.Pointer(out), again))
		s.Reset()
		require.NoError(t, p.Flatten(unsafe.Pointer(out), &s))
		require.True(t, slices.Equal(again, s.Tensors), "seed %d", seed)
		require.True(t, slices.Equal(consts, s.Consts), "seed %d", seed)
	}
}

func TestRebuildCounts(t *testing.T) {
	template := []*tensor{named("a"), named("b")}
	p, out := planOf[[]*tensor](t), []*tensor{named("kept")}
	err := p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), pointers(3))
	assert.EqualError(t, err, "pytree: 3 tensors for a []*pytree_test.tensor that has 2")
	assert.False(t, p.Assign(unsafe.Pointer(&out), pointers(2)))
	assert.Equal(t, []*tensor{{"kept"}}, out)
	assert.True(t, p.Assign(unsafe.Pointer(&out), pointers(1)))
	assert.Equal(t, []*tensor{{"new0"}}, out)

	var pair, from [2]*tensor
	fixed := planOf[[2]*tensor](t)
	assert.Error(t, fixed.Rebuild(unsafe.Pointer(&pair), unsafe.Pointer(&from), pointers(1)))
	assert.False(t, fixed.Assign(unsafe.Pointer(&pair), pointers(3)))
	assert.True(t, fixed.Assign(unsafe.Pointer(&pair), pointers(2)))
	assert.Equal(t, [2]*tensor{{"new0"}, {"new1"}}, pair)
}

func TestRebuildSharesNoEmptySlice(t *testing.T) {
	backing := []*tensor{named("a")}
	template, out := backing[:0], []*tensor(nil)
	p := planOf[[]*tensor](t)
	require.NoError(t, p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), nil))
	assert.NotNil(t, out)
	_ = append(out, named("b"))
	assert.Equal(t, "a", backing[0].name)
	template = nil
	require.NoError(t, p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), nil))
	assert.Nil(t, out)
}

func TestRebuildScalars(t *testing.T) {
	type result struct {
		Loss   *tensor
		Counts map[string]size
		Rate   float
		Last   *size
	}
	p := planOf[result](t)
	template := result{named("l"), map[string]size{"b": {n: 2}, "a": {n: 1}}, 0.5, &size{n: 9}}
	sym := "S"
	first, rate := size{&sym, 10}, float(0.75)
	var out result
	require.NoError(t, p.RebuildScalars(unsafe.Pointer(&out), unsafe.Pointer(&template), pointers(1),
		[]unsafe.Pointer{unsafe.Pointer(&first), nil, unsafe.Pointer(&rate)}))
	assert.Equal(t, result{named("new0"), map[string]size{"a": {&sym, 10}, "b": {n: 2}}, 0.75, &size{n: 9}}, out)
	assert.Equal(t, result{named("l"), map[string]size{"b": {n: 2}, "a": {n: 1}}, 0.5, &size{n: 9}}, template)
}

func TestCopyIsShallow(t *testing.T) {
	p := planOf[everything](t)
	for seed := range uint64(50) {
		v := randomValue(seed)
		c := (*everything)(p.Copy(unsafe.Pointer(v)))
		require.True(t, reflect.DeepEqual(v, c))
		if v.pointer != nil {
			require.Same(t, v.pointer, c.pointer)
		}
		*v = everything{}
		runtime.Gosched()
		require.True(t, reflect.DeepEqual(randomValue(seed), c))
	}
}

// Copies of padded and interface-bearing types: what plans skip is copied too.
func TestCopyOfBlankFields(t *testing.T) {
	type odd struct {
		a bool
		_ any
		b int16
		_ func()
		c [3]struct {
			s string
			b bool
		}
		d *tensor
	}
	v := odd{a: true, b: -5, d: named("d")}
	v.c[2].s, v.c[2].b = "last", true
	c := (*odd)(planOf[odd](t).Copy(unsafe.Pointer(&v)))
	assert.Equal(t, fmt.Sprint(v), fmt.Sprint(*c))
}

// Arrays too long to be written out, in types whose values all have the same leaves.
func TestLongArrays(t *testing.T) {
	type grid struct {
		Codes [30]uint8
		Cells [20]struct {
			Gain float64
			W    [2]*tensor
		}
		Counts [17]size
	}
	p := planOf[grid](t)
	assert.Equal(t, reflect.TypeFor[grid](), p.Type())
	var template, out grid
	template.Codes[29], template.Cells[19].Gain = 7, 0.5
	want := pointers(40)
	counts := make([]unsafe.Pointer, 17)
	counts[16] = unsafe.Pointer(&size{n: 4})
	require.NoError(t, p.RebuildScalars(unsafe.Pointer(&out), unsafe.Pointer(&template), want, counts))
	var s pytree.Sink
	require.NoError(t, p.Flatten(unsafe.Pointer(&out), &s))
	assert.Equal(t, names(want), names(s.Tensors))
	assert.Equal(t, 0.5, out.Cells[19].Gain)
	assert.Equal(t, uint8(7), out.Codes[29])
	assert.Equal(t, int64(4), out.Counts[16].n)
	assert.Error(t, p.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&template), want[1:]))
}

func TestLeavesTablesThatMakeNoSense(t *testing.T) {
	for _, l := range []pytree.Leaves{
		{reflect.TypeFor[float](): pytree.Tensor},
		{reflect.TypeFor[struct{ f float32 }](): pytree.Real},
		{reflect.TypeFor[[]int](): pytree.Size},
	} {
		for typ := range l {
			assert.PanicsWithValue(t, "BUG: pytree: a leaf of type "+typ.String()+" has nowhere to be read from", func() {
				_, _ = pytree.For(typ, l)
			})
		}
	}
}

// sealed is a generic type that a table of leaves cannot list.
type sealed[T any] struct {
	frozen
	value T
}

func (*sealed[T]) FrozenSet() {}

func TestTypesThatSayTheyAreFrozen(t *testing.T) {
	type args struct {
		In   map[string]*sealed[int]
		Pair [2]*sealed[*tensor]
	}
	p := planOf[args](t)
	v := args{map[string]*sealed[int]{"a": {frozen{1}, 10}, "b": {frozen{2}, 20}},
		[2]*sealed[*tensor]{{frozen{3}, named("w")}, nil}}
	assert.Equal(t, "len(x.In) = 2 (length)\nkeys(x.In)[0] = \"a\" (key)\nkeys(x.In)[1] = \"b\" (key)\n"+
		"frozen 1\nfrozen 2\nfrozen 3\nfrozen -\n", flat(t, p, &v))

	b, first := &sealed[int]{frozen{5}, 50}, &sealed[*tensor]{frozen{6}, nil}
	var out args
	require.NoError(t, p.RebuildParts(unsafe.Pointer(&out), unsafe.Pointer(&v),
		pytree.Parts{Frozen: []unsafe.Pointer{nil, unsafe.Pointer(b), unsafe.Pointer(first)}}))
	assert.Equal(t, args{map[string]*sealed[int]{"a": v.In["a"], "b": b}, [2]*sealed[*tensor]{first, nil}}, out)
	assert.Equal(t, 20, v.In["b"].value)

	_, err := pytree.For(reflect.TypeFor[sealed[int]](), leaves)
	assert.ErrorContains(t, err, "is passed by value")
}

// A struct that embeds a frozen set has its methods, and is none.
func TestEmbeddedFrozenSets(t *testing.T) {
	type model struct {
		W *tensor
		*sealed[int]
	}
	v := &model{named("w"), &sealed[int]{frozen{4}, 1}}
	assert.Equal(t, "x.W = w\nx != nil = 1 (length)\nfrozen 4\n", flat(t, planOf[*model](t), &v))
	_, err := pytree.For(reflect.TypeFor[*struct{ sealed[int] }](), leaves)
	assert.ErrorContains(t, err, "is passed by value")
}
