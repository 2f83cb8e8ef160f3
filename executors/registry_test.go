package executors

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/fusion"
	"jitc/ir"
)

// named is an executor that can only be selected.
type named struct {
	name string
	why  error // it is not available
}

func (e named) Name() string { return e.name }

func (named) Device() Device { return CPU }

func (e named) Available() error {
	All() // an executor may look at the others
	return e.why
}

func (named) Claim(*ir.Value) fusion.Claim { return fusion.Claim{} }

func (named) Compile(context.Context, *ir.Func, Options) (Kernel, error) {
	return nil, errors.New("not for compiling")
}

var errNoDevice = errors.New("no device")

// withRegistry registers fast (0), b and a (20), broken (10) and, if asked, the
// reference, for one test.
func withRegistry(t *testing.T, reference bool) {
	before := registry.rows
	registry.rows = nil
	t.Cleanup(func() { registry.rows = before })
	if reference {
		Register(named{name: Reference}, 100)
	}
	Register(named{name: "b"}, 20)
	Register(named{name: "a"}, 20)
	Register(named{name: "broken", why: errNoDevice}, 10)
	Register(named{name: "fast"}, 0)
}

func TestTheOrderOfImportsDoesNotMatter(t *testing.T) {
	withRegistry(t, true)
	assert.Equal(t, []string{"fast", "broken", "a", "b", Reference}, namesOf(All()))
	assert.PanicsWithValue(t, "BUG: executors: two executors named a", func() { Register(named{name: "a"}, 3) })
}

func TestSelect(t *testing.T) {
	withRegistry(t, true)
	for _, c := range []struct{ names, want []string }{
		{nil, []string{"fast", "a", "b", Reference}},
		{[]string{"b", "fast"}, []string{"b", "fast", Reference}},
		{[]string{"b", Reference}, []string{"b", Reference}},
		{[]string{Reference}, []string{Reference}},
	} {
		got, err := Select(c.names...)
		require.NoError(t, err)
		assert.Equal(t, c.want, namesOf(got))
	}
}

// several is an executor for several devices, of which two are there.
type several struct{ named }

func (several) At(n int) Executor {
	if n == 0 {
		return several{named{name: "many"}}
	}
	e := named{name: fmt.Sprintf("many:%d", n)}
	if n > 1 {
		e.why = errNoDevice
	}
	return e
}

func TestSelectADevice(t *testing.T) {
	withRegistry(t, true)
	Register(several{named{name: "many"}}, 15)
	for name, want := range map[string]string{"many": "many", "many:0": "many", "many:1": "many:1"} {
		got, err := Select("a", name)
		require.NoError(t, err, name)
		assert.Equal(t, []string{"a", want, Reference}, namesOf(got))
	}
	Register(named{name: "many:7"}, 16)
	got, err := Select("many:7")
	require.NoError(t, err, "a device that is registered by itself")
	assert.Equal(t, []string{"many:7", Reference}, namesOf(got))
	for name, want := range map[string]string{
		"many:2":   `executor "many:2" is not available: no device`,
		"many:":    `unknown executor "many:"`,
		"many:-1":  `unknown executor "many:-1"`,
		"many:1e9": `unknown executor "many:1e9"`,
		"many:x":   `unknown executor "many:x"`,
		"a:0":      `unknown executor "a:0"`,
	} {
		_, err := Select(name)
		assert.ErrorContains(t, err, want)
	}
	got, err = Select("many", "many:1")
	require.NoError(t, err)
	assert.Equal(t, []string{"many", "many:1", Reference}, namesOf(got))
	_, err = Select("many", "many:0")
	assert.ErrorContains(t, err, `"many:0" is named twice`)
}

func TestSelectRefuses(t *testing.T) {
	withRegistry(t, true)
	_, err := Select("a", "gpu")
	var unknown *UnknownError
	require.ErrorAs(t, err, &unknown)
	assert.EqualError(t, err, `unknown executor "gpu": registered are fast, broken, a, b, reference`)
	_, err = Select("broken")
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	assert.ErrorIs(t, err, errNoDevice)
	assert.EqualError(t, err, `executor "broken" is not available: no device`)
	_, err = Select("a", "a")
	assert.ErrorContains(t, err, `"a" is named twice`)
	_, err = Select(Reference, "a")
	assert.ErrorContains(t, err, `"a" is named after "reference"`)
}

func TestSelectWithoutTheReference(t *testing.T) {
	withRegistry(t, false)
	got, err := Select("a")
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, namesOf(got))
	_, err = Select(Reference)
	assert.ErrorAs(t, err, new(*UnknownError))
	registry.rows = nil
	_, err = Select()
	assert.EqualError(t, err, "no executor is available: registered are none; import one")
	_, err = Select("a")
	assert.EqualError(t, err, `unknown executor "a": registered are none`)
}
