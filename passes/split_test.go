package passes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
)

func splitText(t *testing.T, text string) (*ir.Func, []Segment) {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, ir.Verify(f, ir.Surface))
	before := f.String()
	segments := Split(f)
	require.Equal(t, before, f.String(), "the function is left alone")
	for k, s := range segments {
		require.Len(t, s.Params, len(s.F.Params))
		require.Len(t, s.Results, len(s.F.Results))
		if len(s.F.Results) > 0 {
			require.NoError(t, ir.Verify(s.F, ir.Surface), "segment %d\n%s", k, s.F)
		}
	}
	return f, segments
}

// outline names the ops of each segment, and then its definers.
func outline(segments []Segment) string {
	var b strings.Builder
	for k, s := range segments {
		fmt.Fprintf(&b, "%d:", k)
		for _, v := range s.F.Values {
			fmt.Fprintf(&b, " %s", orOp(v))
		}
		b.WriteString(" |")
		for _, v := range s.Definers {
			fmt.Fprintf(&b, " %s", orOp(v))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func orOp(v *ir.Value) string {
	if v.Name != "" {
		return v.Name
	}
	return v.Op.String()
}

func TestWhatDefinesNothingIsOneSegment(t *testing.T) {
	f, segments := splitText(t, `func @f(%x: f32[N]) -> f32[N] {
  %y: f32[N] = neg(%x)
  return %y
}
`)
	require.Len(t, segments, 1)
	assert.Same(t, f, segments[0].F)
	assert.Equal(t, f.Results, segments[0].Results)
	assert.Empty(t, segments[0].Definers)
}

func TestSplitPlacesValues(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"values as early as they can be; sources, views and cheap ops where they are read", `func @f(%x: f32[N]) -> (f32[U], f32[])
    where N >= 0, U >= 0 {
  %c: f32[N] = constant() {value=2.0}
  %h: f32[N] = mul(%x, %c)
  %m: bool[N] = gt(%h, %c)
  %late: f32[N] = exp(%x)
  %i: i64[U,1] = nonzero(%m) {count=[U]}
  %j: i64[U] = reshape(%i)
  %g: f32[U] = gather(%late, %j) {axis=0}
  %d: f32[U] = constant() {value=2.0}
  %r: f32[U] = mul(%g, %d)
  %s: f32[] = reduce_sum(%h) {axes=[0]}
  return %r, %s
}
`, "0: c h m s | i\n1: late j g d r |\n"},
		{"independent definers at once, dependent ones in turn", `func @f(%x: f32[N]) -> (f32[], f32[])
    where N >= 0, U >= 0, V >= 0, W >= 0 {
  %z: f32[N] = constant() {value=0.0}
  %m: bool[N] = gt(%x, %z)
  %a: f32[U] = masked_select(%x, %m) {count=[U]}
  %b: i64[V,1] = nonzero(%x) {count=[V]}
  %n: f32[U] = neg(%a)
  %c: i64[W,1] = nonzero(%n) {count=[W]}
  %t: f32[W] = constant() {value=1.0}
  %s: f32[] = reduce_sum(%t) {axes=[0]}
  %k: f32[] = reduce_sum(%n) {axes=[0]}
  return %k, %s
}
`, "0: z m | a b\n1: n k | c\n2: t s |\n"},
		{"a cheap op does not move where more would cross", `func @f(%x: f32[N], %y: f32[N]) -> (f32[N], bool[N], i64[U,1])
    where N >= 0, U >= 0 {
  %p: f32[N] = cbrt(%x)
  %q: f32[N] = cbrt(%y)
  %sum: f32[N] = add(%p, %q)
  %b: bool[N] = is_nan(%p)
  %i: i64[U,1] = nonzero(%p) {count=[U]}
  %f: i64[N,U] = iota {axis=1}
  %g: i64[N] = reduce_sum(%f) {axes=[1]}
  %h: f32[N] = cast(%g)
  %r: f32[N] = add(%sum, %h)
  %e: f32[N] = select(%b, %r, %h)
  %w: bool[N] = is_nan(%e)
  return %e, %w, %i
}
`, "0: p q sum b | i\n1: f g h r e w |\n"},
		{"results that nothing computes", `func @f(%x: f32[3]) -> (f32[3], i64[U,1], f32[3])
    where U >= 0 {
  %c: f32[3] = constant() {value=1.0}
  %i: i64[U,1] = nonzero(%x) {count=[U]}
  return %x, %i, %c
}
`, "0: c | i\n1: |\n"},
		{"control flow moves whole, its results with it", `func @f(%p: bool[], %x: f32[3]) -> (f32[U], f32[3])
    where U >= 0 {
  %i: i64[U,1] = nonzero(%x) {count=[U]}
  %o: f32[U] = constant() {value=1.0}
  %c: (f32[U], f32[3]) = cond(%p, %o, %x) func(%o: f32[U], %x: f32[3]) -> (f32[U], f32[3]) {
    return %o, %x
  } func(%o: f32[U], %x: f32[3]) -> (f32[U], f32[3]) {
    %n: f32[U] = neg(%o)
    return %n, %x
  }
  %c0: f32[U] = get(%c) {index=0}
  %c1: f32[3] = get(%c) {index=1}
  return %c0, %c1
}
`, "0: | i\n1: o c c0 c1 |\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, segments := splitText(t, c.text)
			assert.Equal(t, c.want, outline(segments))
		})
	}
}

func TestSegmentsKnowTheirSizes(t *testing.T) {
	f, segments := splitText(t, `func @f(%p: bool[], %x: f32[N], %n: i64[]) -> f32[U]
    where N in [1, 9], U in [0, 4], V == U + N {
  %k: i64[] = size_from(%n) {size=[U]}
  %a: f32[U] = constant() {value=1.0}
  %r: f32[U] = cond(%p, %a) func(%a: f32[U]) -> f32[U] {
    return %a
  } func(%a: f32[U]) -> f32[U] {
    %q: bool[] = constant() {value=true}
    %b: f32[U] = cond(%q, %a) func(%a: f32[U]) -> f32[U] {
      return %a
    } func(%a: f32[U]) -> f32[U] {
      return %a
    }
    return %b
  }
  return %r
}
`)
	require.Len(t, segments, 2)
	assert.Equal(t, []string{"N"}, definedIn(segments[0].F.Facts))
	assert.Equal(t, []string{"N", "U", "V"}, definedIn(segments[1].F.Facts))
	last := segments[1].F
	body := last.Values[len(last.Values)-1].Bodies[1]
	assert.Same(t, last.Facts, body.Facts, "bodies share the segment's facts")
	assert.Same(t, last.Facts, body.Values[1].Bodies[0].Facts)
	assert.Same(t, f.Facts, f.Values[2].Bodies[1].Values[1].Bodies[0].Facts)
	lo, hi := last.Facts.Range(dim.Sym("U"))
	assert.Equal(t, [2]int64{0, 4}, [2]int64{lo, hi})
}

// definedIn lists the symbols of which facts say anything, in order.
func definedIn(facts *dim.Facts) []string {
	syms := facts.Syms()
	slices.Sort(syms)
	return syms
}
