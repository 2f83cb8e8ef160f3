package diag

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDiagnosticsRender(t *testing.T) {
	d := &Diagnostic{Pos: Pos{File: "mlp.trace", Line: 14, Col: 11}, Len: 6, Line: "%5 = matmul(%3, %4)",
		Msg: "matmul: inner dimensions differ", Expected: "lhs[1] == rhs[0]", Got: "f32[32,128] x f32[64,10]", Hint: "one\ntwo"}
	d.Pos.Col = 6
	assert.Equal(t, `mlp.trace:14:6: error: matmul: inner dimensions differ
  14 | %5 = matmul(%3, %4)
     |      ^^^^^^
  expected  lhs[1] == rhs[0]
  got       f32[32,128] x f32[64,10]
  hint      one
            two`, d.Error())
	assert.Equal(t, "error: only a message", (&Diagnostic{Msg: "only a message"}).Error())
	assert.Equal(t, "a.trace: error: no line", (&Diagnostic{Pos: Pos{File: "a.trace"}, Msg: "no line"}).Error())
}

// caret is the column, in characters, of the first caret under the excerpt.
func caret(t *testing.T, d *Diagnostic) (excerpt string, at, n int) {
	t.Helper()
	lines := strings.Split(d.Error(), "\n")
	require.Len(t, lines, 3)
	_, excerpt, _ = strings.Cut(lines[1], "| ")
	_, under, _ := strings.Cut(lines[2], "| ")
	return excerpt, len(under) - len(strings.TrimLeft(under, " \t")), strings.Count(under, "^")
}

// The carets stand under the fault, whatever the line holds and however long it is.
func TestCaretsStandUnderTheFault(t *testing.T) {
	long := strings.Repeat("a", 100) + "FAULT" + strings.Repeat("b", 100)
	for _, c := range []struct {
		line     string
		at, n    int
		want     string
		position int
	}{
		{"x FAULT y", 2, 5, "FAULT", 2},
		{"é FAULT", 3, 5, "FAULT", 2},
		{"\xff\xfe FAULT", 3, 5, "FAULT", 3},
		{"\x00\x1b FAULT", 3, 5, "FAULT", 3},
		{"\tFAULT", 1, 5, "FAULT", 1},
		{"x é", 2, 2, "é", 2},
		{long, 100, 5, "FAULT", 24},
		{"FAULT" + long, 0, 5, "FAULT", 0},
	} {
		excerpt, at, n := caret(t, &Diagnostic{Pos: Pos{File: "f", Line: 1, Col: c.at + 1}, Len: c.n, Line: c.line, Msg: "m"})
		assert.Equal(t, c.position, at, "%q", c.line)
		runes := []rune(excerpt)
		assert.Equal(t, c.want, string(runes[at:at+n]), "%q", c.line)
		assert.LessOrEqual(t, len(runes), maxExcerpt)
	}
	excerpt, at, n := caret(t, &Diagnostic{Pos: Pos{File: "f", Line: 1, Col: 99}, Len: 9, Line: "short", Msg: "m"})
	assert.Equal(t, []any{"short", 5, 1}, []any{excerpt, at, n}, "a column beyond the line")
}

func TestListsAreErrors(t *testing.T) {
	require.NoError(t, List(nil).Err())
	l := List{{Msg: "one"}, {Msg: "two"}}
	require.EqualError(t, l.Err(), "error: one\nerror: two")
}
