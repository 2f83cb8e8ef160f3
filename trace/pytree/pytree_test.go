package pytree_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/trace/pytree"
)

func (f *reference) addMap(v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.CanInt():
			return cmp.Compare(a.Int(), b.Int())
		case a.CanUint():
			return cmp.Compare(a.Uint(), b.Uint())
		}
		return cmp.Compare(a.String(), b.String())
	})
	f.consts = append(f.consts, call.IntConst(int64(len(keys))))
	for _, k := range keys {
		f.consts = append(f.consts, call.Const{Text: fmt.Sprint(k)})
		f.add(v.MapIndex(k))
	}
}

func TestDescribe(t *testing.T) {
	type head struct {
		W     *tensor
		rate  float32
		Steps size
	}
	type model struct {
		Layers []layer
		head
		Out   map[string]*tensor
		Count map[int8][]float64
		P     *head
		Nil   *head
		Pair  [2]*tensor
		Deep  *[]*tensor
		N     *int
		Set   *frozen
	}
	seven := 7
	v := model{
		Layers: []layer{{named("w0"), named("b0")}, {named("w1"), nil}},
		head:   head{named("hw"), 0.5, size{n: 3}},
		Out:    map[string]*tensor{"b": named("ob"), "a": named("oa")},
		Count:  map[int8][]float64{10: nil, -2: {1.5, -1}},
		P:      &head{W: named("pw")},
		Pair:   [2]*tensor{named("p0"), named("p1")},
		Deep:   &[]*tensor{named("d")},
		N:      &seven,
		Set:    &frozen{4},
	}
	assert.Equal(t, `x.Layers[0].W = w0
x.Layers[0].B = b0
x.Layers[1].W = w1
x.Layers[1].B = -
x.head.W = hw
x.Out["a"] = oa
x.Out["b"] = ob
x.P.W = pw
x.Pair[0] = p0
x.Pair[1] = p1
(*x.Deep)[0] = d
len(x.Layers) = 2 (length)
x.head.rate = 0.5 (float)
x.head.Steps = 3 (size)
len(x.Out) = 2 (length)
keys(x.Out)[0] = "a" (key)
keys(x.Out)[1] = "b" (key)
len(x.Count) = 2 (length)
keys(x.Count)[0] = "-2" (key)
len(x.Count[-2]) = 2 (length)
x.Count[-2][0] = 1.5 (float)
x.Count[-2][1] = -1 (float)
keys(x.Count)[1] = "10" (key)
len(x.Count[10]) = 0 (length)
x.P != nil = 1 (length)
x.P.rate = 0 (float)
x.P.Steps = 0 (size)
x.Nil != nil = 0 (length)
x.Deep != nil = 1 (length)
len((*x.Deep)) = 1 (length)
x.N != nil = 1 (length)
*x.N = 7 (int)
frozen 4
`, flat(t, planOf[model](t), &v))
}

func TestDescribeLeavesThatAreTheWhole(t *testing.T) {
	w := named("w")
	assert.Equal(t, "x = w\n", flat(t, planOf[*tensor](t), &w))
	ws := [][2]*tensor{{w, nil}, {nil, w}}
	assert.Equal(t, "x[0][0] = w\nx[0][1] = -\nx[1][0] = -\nx[1][1] = w\nlen(x) = 2 (length)\n", flat(t, planOf[[][2]*tensor](t), &ws))
	f := float(2)
	assert.Equal(t, "x = 2 (real)\n", flat(t, planOf[float](t), &f))
	on := true
	assert.Equal(t, "x = true (bool)\n", flat(t, planOf[bool](t), &on))
}

// What Flatten appends is what reflect finds, over random values of a type that
// has everything; the sink is used again, so that remembered keys go stale.
func TestFlattenAgainstReflect(t *testing.T) {
	p := planOf[everything](t)
	var s pytree.Sink
	for seed := range uint64(400) {
		v := randomValue(seed)
		var want reference
		want.add(reflect.ValueOf(v).Elem())
		s.Reset()
		require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
		require.True(t, slices.Equal(want.tensors, s.Tensors), "seed %d", seed)
		require.True(t, slices.Equal(want.frozen, s.Frozen), "seed %d", seed)
		require.True(t, slices.Equal(want.consts, s.Consts), "seed %d", seed)
		d := p.Describe(unsafe.Pointer(v), "x")
		require.Len(t, d.Tensors, len(s.Tensors), "seed %d", seed)
		require.Len(t, d.Consts, len(s.Consts), "seed %d", seed)
	}
}

func TestPathsAreUnique(t *testing.T) {
	p := planOf[everything](t)
	for seed := range uint64(50) {
		d := p.Describe(unsafe.Pointer(randomValue(seed)), "x")
		seen := map[string]bool{}
		for _, path := range d.Tensors {
			require.False(t, seen[path], path)
			seen[path] = true
		}
		for _, c := range d.Consts {
			require.False(t, seen[c.Path], c.Path)
			seen[c.Path] = true
		}
	}
}

// The remembered keys of a map must not outlive a change of the map that leaves
// its length alone, whatever its elements are.
func TestMapsThatChangeTheirKeys(t *testing.T) {
	type maps struct {
		A map[string]*tensor
		B map[uint16]float64
	}
	p, v := planOf[maps](t), maps{map[string]*tensor{"a": named("1"), "b": named("2")}, map[uint16]float64{300: 1, 20: 2}}
	var s pytree.Sink
	flatten := func() string {
		s.Reset()
		require.NoError(t, p.Flatten(unsafe.Pointer(&v), &s))
		return fmt.Sprint(names(s.Tensors), s.Consts)
	}
	before := flatten()
	assert.Equal(t, before, flatten())
	delete(v.A, "a")
	v.A["c"] = named("3")
	assert.Equal(t, []string{"2", "3"}, func() []string { flatten(); return names(s.Tensors) }())
	delete(v.B, 20)
	v.B[7] = 5
	flatten()
	assert.Equal(t, []call.Const{call.IntConst(2), {Text: "b"}, {Text: "c"}, call.IntConst(2),
		{Text: "7"}, call.FloatConst(5), {Text: "300"}, call.FloatConst(1)}, s.Consts)
	v.A, v.B = nil, nil
	flatten()
	assert.Equal(t, []call.Const{call.IntConst(0), call.IntConst(0)}, s.Consts)
	assert.Empty(t, s.Tensors)
}

func TestSinkTakesSeveralValues(t *testing.T) {
	m, x := map[string]*tensor{"w": named("w")}, named("x")
	var s pytree.Sink
	for range 3 {
		s.Reset()
		require.NoError(t, planOf[map[string]*tensor](t).Flatten(unsafe.Pointer(&m), &s))
		require.NoError(t, planOf[*tensor](t).Flatten(unsafe.Pointer(&x), &s))
		assert.Equal(t, []string{"w", "x"}, names(s.Tensors))
	}
	kept := s.Tensors[:2]
	s.Reset()
	assert.Equal(t, []unsafe.Pointer{nil, nil}, kept, "a sink at rest must not keep tensors alive")
}

func TestLeaves(t *testing.T) {
	type args struct {
		W    *tensor
		F    *frozen
		N    size
		Rate float
		Plan int
	}
	v := args{named("w"), &frozen{2}, size{n: 5}, 0.25, 3}
	var got []string
	planOf[args](t).Leaves(unsafe.Pointer(&v), func(path string, leaf pytree.Leaf, at unsafe.Pointer) {
		switch leaf {
		case pytree.Tensor:
			got = append(got, path+" "+(*(**tensor)(at)).name)
		case pytree.Frozen:
			got = append(got, fmt.Sprint(path, " ", (*(**frozen)(at)).id))
		case pytree.Size:
			got = append(got, fmt.Sprint(path, " ", (*size)(at).n))
		case pytree.Real:
			got = append(got, fmt.Sprint(path, " ", *(*float)(at)))
		}
	})
	assert.Equal(t, []string{".W w", ".F 2", ".N 5", ".Rate 0.25"}, got)
}

func TestPlanIsSafeForConcurrentUse(t *testing.T) {
	p, v := planOf[everything](t), randomValue(3)
	var s pytree.Sink
	require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
	tensors, text := pointers(len(s.Tensors)), flat(t, p, v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				assert.Equal(t, text, flat(t, p, v))
				out := new(everything)
				assert.NoError(t, p.Rebuild(unsafe.Pointer(out), unsafe.Pointer(v), tensors))
				assert.True(t, p.Assign(unsafe.Pointer(out), tensors))
			}
		})
	}
	wg.Wait()
}
