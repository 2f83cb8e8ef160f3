package fusion

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
)

// The commented text is the function: it parses back to it, comments and all.
func TestComments(t *testing.T) {
	f, _, diags := ir.Parse("f", `func @f(%x: f32[8,16], %w: f32[16,4]) -> f32[8,4] {
  %h: f32[8,4] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[0]}
  %m: f32[8] = reduce_max(%h) {axes=[1]}
  %b: f32[8,4] = broadcast(%m) {axes=[0]}
  %y: f32[8,4] = sub(%h, %b)
  return %y
}`)
	require.NoError(t, diags.Err())
	r, err := Partition(f, native, Options{})
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, r.F.Print(&text, ir.PrintOptions{Source: r.Comments()}))
	require.Contains(t, text.String(), "# region 0, contraction")
	require.Contains(t, text.String(), "#   %h kept apart: a contraction ends at %h: a reduction starts a new region")

	g, source, diags := ir.Parse("again", text.String())
	require.NoError(t, diags.Err())
	require.Equal(t, r.F.String(), g.String())
	var again strings.Builder
	require.NoError(t, g.Print(&again, ir.PrintOptions{Source: source}))
	require.Equal(t, text.String(), again.String())
}
