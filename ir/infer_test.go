package ir

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestWindowSize counts the places where a window fits.
func TestWindowSize(t *testing.T) {
	for in := range int64(9) {
		for _, w := range []struct{ window, stride, low, high, dilation int64 }{
			{1, 1, 0, 0, 1}, {3, 1, 1, 1, 1}, {3, 2, 0, 0, 1}, {2, 3, 0, 1, 2}, {3, 1, 0, 0, 3}, {1, 4, 2, 3, 5},
		} {
			places := int64(0)
			for at := int64(0); at+w.dilation*(w.window-1) < w.low+in+w.high; at += w.stride {
				places++
			}
			size, ok := windowSize(dim.Const(in), w.window, w.stride, w.low, w.high, w.dilation).Const()
			require.True(t, ok)
			assert.Equal(t, places, max(size, 0), "%d elements, %+v", in, w)
		}
	}
	got := windowSize(dim.Sym("H"), 3, 2, 1, 1, 1)
	assert.True(t, got.Equal(exprs("(H - 1) floordiv 2 + 1")[0]), got.String())
}

func TestHints(t *testing.T) {
	facts := factsOf(t, "B in [1, 64]", "L >= 65")
	for _, c := range []struct{ a, b, want string }{
		{"B", "C", `declare "B == C" in the where clause`},
		{"2*C", "B", `declare "B == 2*C" in the where clause`},
		{"2*C", "3*D", `relate the symbols of 3*D and 2*C in the where clause`},
		{"B", "8", `declare "B == 8" in the where clause`},
		{"B", "65", ``},
		{"B", "L", ``},
		{"C", "1", `broadcast the axis of size 1 first`},
		{"3", "4", ``},
	} {
		assert.Equal(t, c.want, equalHint(facts, exprs(c.a)[0], exprs(c.b)[0]), "%s and %s", c.a, c.b)
	}
	for _, c := range []struct{ e, want string }{
		{"C - 3", `declare "C >= 3" in the where clause`},
		{"12 - C", `declare "C <= 12" in the where clause`},
		{"C - D", `bound its symbols in the where clause`},
		{"B - 65", ``},
		{"-1", ``},
	} {
		assert.Equal(t, c.want, boundHint(facts, exprs(c.e)[0]), c.e)
	}
}

// TestHintedFactsSuffice declares what a hint asks for and tries again.
func TestHintedFactsSuffice(t *testing.T) {
	x, y := typed(tensor.F32, "B", "4"), typed(tensor.F32, "2*C", "4")
	_, err := inferOp(OpAdd, nil, nil, x, y)
	require.ErrorContains(t, err, `declare "B == 2*C"`)
	_, err = inferOp(OpAdd, factsOf(t, "B == 2*C"), nil, x, y)
	require.NoError(t, err)

	slice := NewAttrs(Attr{"starts", exprs("2", "0")}, Attr{"limits", exprs("B", "4")})
	_, err = inferOp(OpSlice, nil, slice, x)
	require.ErrorContains(t, err, `declare "B >= 2"`)
	_, err = inferOp(OpSlice, factsOf(t, "B >= 2"), slice, x)
	require.NoError(t, err)
}

func TestNilFactsKnowSizes(t *testing.T) {
	v := &Value{Op: OpSlice, Args: []*Value{{Type: typed(tensor.F32, "B")}},
		Attrs: NewAttrs(Attr{"starts", Dims(0)}, Attr{"limits", exprs("B")})}
	got, err := InferType(v, nil)
	require.NoError(t, err)
	assert.Equal(t, "f32[B]", got.String())
}

func TestOrdinals(t *testing.T) {
	assert.Equal(t, "the first operand", ordinal(0))
	assert.Equal(t, "operand 12", ordinal(12))
}
