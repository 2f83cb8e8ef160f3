package textdiff

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A diff is right if undoing it gives the old text and applying it the new one.
func TestUnified(t *testing.T) {
	texts := []string{"", "a\n", "a", "a\nb\nc\n", "a\nx\nc\n", "x\na\nb\nc\ny\n", "c\nb\na\n", "\n\n",
		strings.Repeat("same\n", 30) + "old\n" + strings.Repeat("same\n", 30),
		strings.Repeat("same\n", 30) + "new\nnewer\n" + strings.Repeat("same\n", 30)}
	for _, old := range texts {
		for _, new := range texts {
			a, b := splitLines(old), splitLines(new)
			gotA, gotB := sides(t, editsOf(a, b))
			assert.Equal(t, a, gotA)
			assert.Equal(t, b, gotB)
			assert.Equal(t, old == new, Unified(old, new) == "", "%q %q", old, new)
		}
	}
	d := Unified(texts[8], texts[9])
	assert.Contains(t, d, "@@ -28,7 +28,8 @@\n same\n same\n same\n-old\n+new\n+newer\n same\n")
	assert.Contains(t, Unified("a\n", "a"), "no newline at the end")
}

// sides are the old and the new lines of edits, whose numbers it checks.
func sides(t *testing.T, edits []edit) (a, b []string) {
	for _, e := range edits {
		if e.kind != '+' {
			assert.Equal(t, len(a)+1, e.a)
			a = append(a, e.text)
		}
		if e.kind != '-' {
			assert.Equal(t, len(b)+1, e.b)
			b = append(b, e.text)
		}
	}
	return a, b
}

// Texts too different for the table are still shown in full.
func TestUnifiedOfLargeTexts(t *testing.T) {
	a, b := strings.Repeat("old\n", 3000), strings.Repeat("new\n", 3000)
	d := Unified("same\n"+a+"end\n", "same\n"+b+"end\n")
	assert.Equal(t, 3000, strings.Count(d, "-old\n"))
	assert.Equal(t, 3000, strings.Count(d, "+new\n"))
	assert.Contains(t, d, " same\n")
	assert.Contains(t, d, " end\n")
}
