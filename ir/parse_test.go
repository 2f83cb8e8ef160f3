package ir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// TestTypicalTextsCutAnywhere parses every prefix of the golden inputs, and each
// with one byte gone: the parser answers with diagnostics, all of them with a
// position in the text.
func TestTypicalTextsCutAnywhere(t *testing.T) {
	for _, text := range goldenTexts(t) {
		for cut := range len(text) {
			requireAnswer(t, text[:cut])
			requireAnswer(t, text[:cut]+text[cut+1:])
		}
	}
}

// requireAnswer holds Parse to its word: a well-typed function that prints and
// parses to itself, or diagnostics.
func requireAnswer(t *testing.T, text string) {
	t.Helper()
	f, source, diags := Parse("fuzz.trace", text)
	if diags != nil {
		require.Nil(t, f)
		require.LessOrEqual(t, len(diags), maxErrors)
		lines := strings.Count(text, "\n") + 1
		for _, d := range diags {
			require.True(t, d.Pos.Line >= 1 && d.Pos.Line <= lines && d.Pos.Col >= 1, "%s", d)
			require.NotEmpty(t, d.Error())
		}
		return
	}
	require.NoError(t, Verify(f, Fused), text)
	for _, positions := range []bool{false, true} {
		o := PrintOptions{Positions: positions, Source: source}
		first := printed(t, f, o)
		again, source, diags := Parse("fuzz.trace", first)
		require.NoError(t, diags.Err(), "printed from\n%s", text)
		o.Source = source
		require.Equal(t, first, printed(t, again, o))
	}
}

func goldenTexts(t testing.TB) []string {
	files, err := filepath.Glob("testdata/text/*.txtar")
	require.NoError(t, err)
	var texts []string
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		require.NoError(t, err)
		for _, part := range a.Files {
			if part.Name == "in.trace" {
				texts = append(texts, string(part.Data))
			}
		}
	}
	require.NotEmpty(t, texts)
	return texts
}

func FuzzParse(f *testing.F) {
	for _, text := range goldenTexts(f) {
		f.Add(text)
	}
	programs, err := filepath.Glob("../testdata/programs/*.trace")
	require.NoError(f, err)
	for _, file := range programs {
		src, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(src))
	}
	f.Fuzz(func(t *testing.T, text string) { requireAnswer(t, text) })
}

// longTrace is a function of n values, a symbol for every hundred.
func longTrace(n int) string {
	var b strings.Builder
	b.WriteString("func @long(\n")
	for i := range n / 100 {
		fmt.Fprintf(&b, "    %%p%d: f32[B%d,4],\n", i, i)
	}
	b.WriteString(") -> f32[B0,4] {\n")
	for i := range n {
		fmt.Fprintf(&b, "  %%v%d: f32[B%d,4] = add(%%p%d, 0.5)  # comment\n", i, i/100, i/100)
	}
	b.WriteString("  return %v0\n}\n")
	return b.String()
}

// TestParsingIsLinear compares the time per line of texts a factor of 16 apart;
// a quadratic step would multiply it by 16.
func TestParsingIsLinear(t *testing.T) {
	perLine := func(n int) time.Duration {
		text, best := longTrace(n), time.Hour
		for range 4 {
			start := time.Now()
			f, _, diags := Parse("long", text)
			best = min(best, time.Since(start))
			require.NoError(t, diags.Err())
			require.Len(t, f.Values, 2*n)
		}
		return best / time.Duration(n)
	}
	short, long := perLine(1000), perLine(16000)
	assert.Less(t, long, 6*short, "per line: %v of 1000 lines, %v of 16000", short, long)
}

func BenchmarkParse100kLines(b *testing.B) {
	text := longTrace(100_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, diags := Parse("long", text); diags != nil {
			b.Fatal(diags)
		}
	}
}

func BenchmarkVerifyAndPrint100kLines(b *testing.B) {
	f, _, diags := Parse("long", longTrace(100_000))
	require.NoError(b, diags.Err())
	for b.Loop() {
		require.NoError(b, Verify(f, Surface))
		require.NotEmpty(b, f.String())
	}
}

func TestNearest(t *testing.T) {
	ops := []string{"add", "exp", "reduce_sum", "reduce_max", "softmax"}
	for s, want := range map[string]string{"exq": "exp", "ad": "add", "reduce_summ": "reduce_sum", "reduce_mas": "reduce_max",
		"softmaxxx": "softmax", "x": "", "zzzz": "", "": ""} {
		assert.Equal(t, want, nearest(s, ops), s)
	}
	assert.Equal(t, "ab", nearest("abc", []string{"bc", "ab"}), "ties go to the smallest")
}
