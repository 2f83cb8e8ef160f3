package pytree_test

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/trace/pytree"
)

func TestTypesThatCannotBeArguments(t *testing.T) {
	type withFunc struct{ Layers []struct{ Callback func() } }
	for _, row := range []struct {
		typ       reflect.Type
		path, why string
	}{
		{reflect.TypeFor[withFunc](), ".Layers[i].Callback", "func() is not a tensor, a number"},
		{reflect.TypeFor[map[string][2]any](), "[k][0]", "interface {} is not a tensor, a number"},
		{reflect.TypeFor[struct{ c chan int }](), ".c", "chan int is not a tensor, a number"},
		{reflect.TypeFor[[40]complex64](), "[i]", "complex64 is not a tensor, a number"},
		{reflect.TypeFor[*complex128](), "", "complex128 is not a tensor, a number"},
		{reflect.TypeFor[unsafe.Pointer](), "", "unsafe.Pointer is not a tensor, a number"},
		{reflect.TypeFor[struct{ T tensor }](), ".T", "pytree_test.tensor is passed by value"},
		{reflect.TypeFor[struct{ H *host }](), ".H", "*pytree_test.host cannot be part of an argument"},
		{reflect.TypeFor[struct{ mu sync.Mutex }](), ".mu", "sync.Mutex is for synchronisation"},
		{reflect.TypeFor[struct{ n atomic.Int64 }](), ".n", "atomic.Int64 is for synchronisation"},
		{reflect.TypeFor[map[float64]int](), "", "map[float64]int has keys that are neither strings nor integers"},
		{reflect.TypeFor[map[layer]int](), "", "has keys that are neither strings nor integers"},
	} {
		_, err := pytree.For(row.typ, leaves)
		var e *pytree.Error
		require.ErrorAs(t, err, &e, row.typ)
		assert.Equal(t, row.path, e.Path)
		assert.Contains(t, e.Why, row.why)
		assert.NotEmpty(t, e.Hint)
		assert.True(t, strings.HasPrefix(err.Error(), row.typ.String()+row.path+": "), err)
	}
}

func TestErrorNamesTheArgument(t *testing.T) {
	_, err := pytree.For(reflect.TypeFor[struct{ Callback func() }](), leaves)
	var e *pytree.Error
	require.ErrorAs(t, err, &e)
	e.Value = "0"
	assert.EqualError(t, err, "0.Callback: func() is not a tensor, a number, a string, a bool, nor a struct, slice, array, map or pointer of these\n"+
		"  hint      let the traced function close over it")
}

func TestFieldsThatTakeNoPart(t *testing.T) {
	type quiet struct {
		_    func()
		None [0]chan int
		Unit struct{}
		W    *tensor
		seen map[string]struct{}
		many []struct{}
	}
	v := quiet{W: named("w"), seen: map[string]struct{}{"k": {}}, many: make([]struct{}, 1<<40)}
	assert.Equal(t, "x.W = w\nlen(x.seen) = 1 (length)\nkeys(x.seen)[0] = \"k\" (key)\nlen(x.many) = 1099511627776 (length)\n",
		flat(t, planOf[quiet](t), &v))
}

type (
	list    struct{ Next *list }
	tree    struct{ L, R *tree }
	slices_ []slices_
	loop    *loop
	dict    map[string]dict
	wrapped struct{ in *struct{ again [2]*wrapped } }
)

// faultOf flattens what must fail, and checks that the sink works afterwards.
func faultOf[T any](t *testing.T, v *T) *pytree.Error {
	t.Helper()
	p, s := planOf[T](t), new(pytree.Sink)
	err := p.Flatten(unsafe.Pointer(v), s)
	var e *pytree.Error
	require.ErrorAs(t, err, &e)
	assert.Error(t, p.Rebuild(unsafe.Pointer(new(T)), unsafe.Pointer(v), nil))
	assert.False(t, p.Assign(unsafe.Pointer(v), nil))
	assert.Empty(t, p.Describe(unsafe.Pointer(v), "x").Consts)
	s.Reset()
	var zero T
	require.NoError(t, p.Flatten(unsafe.Pointer(&zero), s))
	return e
}

func TestCyclicValues(t *testing.T) {
	l := &list{Next: &list{}}
	l.Next.Next = l
	e := faultOf(t, l)
	assert.Equal(t, ".Next.Next.Next", e.Path)
	assert.Contains(t, e.Why, "leads back to pytree_test.list.Next")

	tr := &tree{R: &tree{}}
	tr.R.L, tr.R.R = tr, tr
	assert.Contains(t, faultOf(t, tr).Why, "cyclic")

	s := make(slices_, 2)
	s[1] = s
	assert.Equal(t, "[1][1]", faultOf(t, &s).Path)

	var p loop
	p = loop(&p)
	assert.Contains(t, faultOf(t, &p).Why, "cyclic")

	d := dict{"a": {}}
	d["a"]["b"] = d
	assert.Equal(t, `["a"]["b"]["a"]`, faultOf(t, &d).Path)

	w := &wrapped{in: &struct{ again [2]*wrapped }{}}
	w.in.again[1] = w
	assert.Equal(t, ".in.again[1].in", faultOf(t, w).Path)
}

func TestRecursiveTypesByValueDepth(t *testing.T) {
	head := &list{}
	for range 900 {
		head = &list{head}
	}
	assert.Len(t, planOf[list](t).Describe(unsafe.Pointer(head), "x").Consts, 901)
	for range 200 {
		head = &list{head}
	}
	e := faultOf(t, head)
	assert.Contains(t, e.Why, "nested more than 1000 deep")
	assert.Less(t, len(e.Path), 200)
}

// A few nodes that share their parts have more leaves than there is memory for.
func TestValuesWithExponentiallyManyLeaves(t *testing.T) {
	v := &tree{}
	for range 60 {
		v = &tree{v, v}
	}
	assert.Contains(t, faultOf(t, v).Why, "leaves")
}
