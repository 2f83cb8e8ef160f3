// Package textdiff shows how two texts differ, line by line.
//
//	fmt.Print(textdiff.Unified("a\nb\n", "a\nc\n"))
//
//	@@ -1,2 +1,2 @@
//	 a
//	-b
//	+c
//
// Invariants: taking the lines marked + out gives the old text, taking out those
// marked - the new one; a difference of equal texts is empty.
package textdiff

import (
	"fmt"
	"strings"
)

// contextLines is how many equal lines a diff shows around a change.
const contextLines = 3

// maxCells bounds the table of a diff; beyond it the lines between the
// first and the last change are shown as replaced.
const maxCells = 4 << 20

// edit is one line of a diff.
type edit struct {
	kind byte // ' ', '-', '+'
	text string
	a, b int // line numbers in the old and the new text, from 1
}

// Unified prints the difference of two texts as a unified diff without its
// header; empty if there is none.
func Unified(old, new string) string {
	edits := editsOf(splitLines(old), splitLines(new))
	var b strings.Builder
	for from := 0; from < len(edits); {
		first := from
		for first < len(edits) && edits[first].kind == ' ' {
			first++
		}
		if first == len(edits) {
			break
		}
		start := max(from, first-contextLines)
		end := hunkEnd(edits, first)
		hunk(&b, edits[start:end])
		from = end
	}
	return b.String()
}

// hunkEnd is where the hunk with the change at i ends: changes that share
// context stay together.
func hunkEnd(edits []edit, i int) int {
	last := i
	for ; i < len(edits) && i <= last+2*contextLines; i++ {
		if edits[i].kind != ' ' {
			last = i
		}
	}
	return min(len(edits), last+contextLines+1)
}

func hunk(b *strings.Builder, edits []edit) {
	oldN, newN := 0, 0
	for _, e := range edits {
		if e.kind != '+' {
			oldN++
		}
		if e.kind != '-' {
			newN++
		}
	}
	fmt.Fprintf(b, "@@ -%d,%d +%d,%d @@\n", edits[0].a, oldN, edits[0].b, newN)
	for _, e := range edits {
		fmt.Fprintf(b, "%c%s\n", e.kind, e.text)
	}
}

// splitLines splits after newlines; a missing one at the end shows as a change.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	if strings.HasSuffix(s, "\n") {
		return strings.Split(s[:len(s)-1], "\n")
	}
	lines := strings.Split(s, "\n")
	lines[len(lines)-1] += `\ no newline at the end`
	return lines
}

func editsOf(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	common := middle(a[head:len(a)-tail], b[head:len(b)-tail])
	var out []edit
	i, j := 0, 0
	step := func(kind byte, text string) {
		out = append(out, edit{kind, text, i + 1, j + 1})
		if kind != '+' {
			i++
		}
		if kind != '-' {
			j++
		}
	}
	for range head {
		step(' ', a[i])
	}
	for _, c := range append(common, [2]int{len(a) - tail - head, len(b) - tail - head}) {
		for i < head+c[0] {
			step('-', a[i])
		}
		for j < head+c[1] {
			step('+', b[j])
		}
		if i < len(a)-tail {
			step(' ', a[i])
		}
	}
	for i < len(a) {
		step(' ', a[i])
	}
	return out
}

// middle pairs the indices of a longest common subsequence.
func middle(a, b []string) [][2]int {
	if (len(a)+1)*(len(b)+1) > maxCells {
		return nil
	}
	n := make([][]int32, len(a)+1)
	for i := range n {
		n[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			n[i][j] = max(n[i+1][j], n[i][j+1])
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case n[i+1][j] >= n[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}
