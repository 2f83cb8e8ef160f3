package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
)

// wrongTrace is the trace that the README's diagnostic is about.
const wrongTrace = `# A layer whose weight is laid out the wrong way round.
func @mlp(
    %x: f32[32,784] {init="normal", seed=1},
    %w0: f32[784,128] {init="normal", seed=2},
    %b0: f32[128] {init="zeros"},
    %w1: f32[64,10] {init="normal", seed=3},
) -> f32[32,10] {
  %0: f32[32,128] = matmul(%x, %w0)
  %1: f32[32,128] = broadcast(%b0) {axes=[1]}
  %2: f32[32,128] = add(%0, %1)

  # The activation.
  %3: f32[32,128] = relu(%2)
  %5: f32[32,10] = matmul(%3, %w1)
  return %5
}
`

// The README shows what jitc prints: every block of it that is output.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	readme := string(data)
	scores := block(readme, "# Attention scores")
	explained := block(readme, "  %m -> %1")
	require.NotEmpty(t, scores)
	require.NotEmpty(t, explained)
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("scores.trace", []byte(scores), 0o644))
	require.NoError(t, os.WriteFile("mlp.trace", []byte(wrongTrace), 0o644))

	_, errs, code := invoke("", "check", "mlp.trace")
	require.Equal(t, exitDiffers, code)
	assert.Equal(t, block(readme, "mlp.trace:14"), errs)

	out, errs, code := invoke("", "explain", "scores.trace", "m")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, explained)

	out, errs, code = invoke("", "compile", "scores.trace", "--dump", "loops")
	require.Equal(t, exitOK, code, errs)
	if asm.Detect().AVX512 { // loops are made for the target
		assert.Equal(t, block(readme, "nest outer"), out[strings.Index(out, "nest outer"):])
	}
}

// block is the fenced block of a Markdown text that begins with some words.
func block(text, begins string) string {
	_, after, ok := strings.Cut(text, "```\n"+begins)
	if !ok {
		return ""
	}
	inside, _, _ := strings.Cut(after, "```")
	return begins + inside
}
