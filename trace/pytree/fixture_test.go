package pytree_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/trace/pytree"
)

// The leaf types of the tests.
type (
	tensor struct{ name string }
	frozen struct{ id int }
	size   struct {
		symbol *string
		n      int64
	}
	float float64
	host  struct{ Bytes []byte }
)

var leaves = pytree.Leaves{
	reflect.TypeFor[*tensor](): pytree.Tensor,
	reflect.TypeFor[*frozen](): pytree.Frozen,
	reflect.TypeFor[size]():    pytree.Size,
	reflect.TypeFor[float]():   pytree.Real,
	reflect.TypeFor[*host]():   pytree.Refused,
}

func planOf[T any](t testing.TB) *pytree.Plan {
	t.Helper()
	p, err := pytree.For(reflect.TypeFor[T](), leaves)
	require.NoError(t, err)
	return p
}

func named(name string) *tensor { return &tensor{name} }

// names are those of the tensors at some pointers, with - for nil.
func names(ptrs []unsafe.Pointer) []string {
	var out []string
	for _, p := range ptrs {
		if p == nil {
			out = append(out, "-")
		} else {
			out = append(out, (*tensor)(p).name)
		}
	}
	return out
}

// pointers are n new tensors, and their addresses.
func pointers(n int) []unsafe.Pointer {
	out := make([]unsafe.Pointer, n)
	for i := range out {
		out[i] = unsafe.Pointer(named(fmt.Sprint("new", i)))
	}
	return out
}

// flat is a call as text, one part per line: "W = t0", "len(x) = 2".
func flat[T any](t testing.TB, p *pytree.Plan, v *T) string {
	t.Helper()
	var s pytree.Sink
	require.NoError(t, p.Flatten(unsafe.Pointer(v), &s))
	d := p.Describe(unsafe.Pointer(v), "x")
	require.Len(t, d.Tensors, len(s.Tensors))
	require.Len(t, d.Consts, len(s.Consts))
	var b strings.Builder
	for i, n := range names(s.Tensors) {
		fmt.Fprintf(&b, "%s = %s\n", d.Tensors[i], n)
	}
	for i, c := range s.Consts {
		fmt.Fprintf(&b, "%s = %s (%s)\n", d.Consts[i].Path, c.Format(d.Consts[i].Kind), d.Consts[i].Kind)
	}
	for _, f := range s.Frozen {
		if f == nil {
			b.WriteString("frozen -\n")
		} else {
			fmt.Fprintf(&b, "frozen %d\n", (*frozen)(f).id)
		}
	}
	return b.String()
}

// The types of the random values: everything that can be an argument.
type (
	colour  uint8
	layer   struct{ W, B *tensor }
	numbers struct {
		a int8
		b int16
		c int32
		d int64
		e int
		f uint8
		g uint16
		h uint32
		i uint64
		j uint
		k uintptr
		l float32
		m float64
		n bool
		o string
		p colour
	}
	everything struct {
		layer
		_        func()
		Numbers  numbers
		empty    struct{}
		none     [0]func()
		Params   *frozen
		Count    size
		Rate     float
		layers   []layer
		pair     [2]*tensor
		long     [20]layer
		codes    [18]int16
		Leaves   map[string]*tensor
		byColour map[colour]*tensor
		byNumber map[int]numbers
		Groups   map[string]map[string][]*tensor
		Counts   map[string]size
		pointer  *numbers
		twice    **tensor
		next     *everything
		kids     []*everything
		flags    []bool
	}
)

// random fills a value, unexported fields too.
func random(v reflect.Value, r *rand.Rand, depth int) {
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	switch x := v.Addr().Interface().(type) {
	case **tensor:
		if r.IntN(5) > 0 {
			*x = named(fmt.Sprint("t", r.IntN(1000)))
		}
		return
	case **frozen:
		*x = &frozen{r.IntN(100)}
		return
	case *size:
		text := fmt.Sprint("S", r.IntN(10))
		*x = size{&text, r.Int64N(1000)}
		return
	}
	n := r.IntN(4)
	switch k := v.Kind(); {
	case k == reflect.Struct:
		for i := range v.NumField() {
			random(v.Field(i), r, depth)
		}
	case k == reflect.Array:
		for i := range v.Len() {
			random(v.Index(i), r, depth)
		}
	case k == reflect.Pointer && depth > 0 && n > 0:
		v.Set(reflect.New(v.Type().Elem()))
		random(v.Elem(), r, depth-1)
	case k == reflect.Slice && depth > 0 && n > 0:
		v.Set(reflect.MakeSlice(v.Type(), n-1, n))
		for i := range v.Len() {
			random(v.Index(i), r, depth-1)
		}
	case k == reflect.Map && depth > 0 && n > 0:
		v.Set(reflect.MakeMap(v.Type()))
		for range n - 1 {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			random(key, r, depth-1)
			random(elem, r, depth-1)
			v.SetMapIndex(key, elem)
		}
	case v.CanInt():
		v.SetInt(r.Int64())
	case v.CanUint():
		v.SetUint(r.Uint64())
	case v.CanFloat():
		v.SetFloat(float64(r.Float32()))
	case k == reflect.Bool:
		v.SetBool(n > 1)
	case k == reflect.String:
		v.SetString(strings.Repeat("k", n) + fmt.Sprint(r.IntN(20)))
	}
}

func randomValue(seed uint64) *everything {
	v := new(everything)
	random(reflect.ValueOf(v).Elem(), rand.New(rand.NewPCG(seed, 1)), 3)
	return v
}

// reference flattens by package reflect alone, as the package comment says.
type reference struct {
	tensors, frozen []unsafe.Pointer
	consts          []call.Const
}

func (f *reference) add(v reflect.Value) {
	switch x := v; x.Type() {
	case reflect.TypeFor[*tensor]():
		f.tensors = append(f.tensors, x.UnsafePointer())
		return
	case reflect.TypeFor[*frozen]():
		f.frozen = append(f.frozen, x.UnsafePointer())
		return
	case reflect.TypeFor[size]():
		v = x.FieldByName("n")
	}
	c := func(c call.Const) { f.consts = append(f.consts, c) }
	switch k := v.Kind(); {
	case k == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "_" {
				f.add(v.Field(i))
			}
		}
	case k == reflect.Pointer && v.IsNil():
		c(call.IntConst(0))
	case k == reflect.Pointer:
		c(call.IntConst(1))
		f.add(v.Elem())
	case k == reflect.Slice, k == reflect.Array:
		if k == reflect.Slice {
			c(call.IntConst(int64(v.Len())))
		}
		for i := range v.Len() {
			f.add(v.Index(i))
		}
	case k == reflect.Map:
		f.addMap(v)
	case v.CanInt():
		c(call.IntConst(v.Int()))
	case v.CanUint():
		c(call.Const{Bits: v.Uint()})
	case v.CanFloat():
		c(call.FloatConst(v.Float()))
	case k == reflect.Bool:
		c(call.IntConst(map[bool]int64{true: 1}[v.Bool()]))
	case k == reflect.String:
		c(call.Const{Text: v.String()})
	}
}
