package ir

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sampleText = `# An MLP layer.
weights "mlp.npz"
func @mlp(
    %x: f32[B,784],
    %w: f32[10,784] {weight="fc.weight"},
    %b: f32[10] {init="normal", seed=3, std=0.5},
) -> f32[B,10]
    where B in [1, 64] {
  # the layer
  %h: f32[B,10] = linear(%x, %w, %b)
  %0: f32[B,10] = mul(%h, 0.5)  # scaled
  %1: f32[B,10] = softmax(%0) {axis=1}
  # done
  return %1
}
`

func TestPrintGivesBackWhatWasParsed(t *testing.T) {
	f, src, diags := Parse("mlp.trace", sampleText)
	require.NoError(t, diags.Err())
	require.NoError(t, Verify(f, Surface))
	var b strings.Builder
	require.NoError(t, f.Print(&b, PrintOptions{Source: src}))
	require.Equal(t, sampleText, b.String())

	plain := f.String()
	g, _, diags := Parse("again", plain)
	require.NoError(t, diags.Err())
	require.Equal(t, plain, g.String())
}
