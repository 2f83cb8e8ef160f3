package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// columns is the width that tables keep to.
const columns = 80

// style marks text where the stream is a terminal.
type style struct{ colour bool }

// styleOf decides by https://no-color.org: colour on terminals, unless NO_COLOR
// is set.
func styleOf(w io.Writer) style {
	return style{isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s style) sgr(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.sgr("1", text) }
func (s style) good(text string) string { return s.sgr("32", text) }
func (s style) bad(text string) string  { return s.sgr("1;31", text) }
func (s style) dim(text string) string  { return s.sgr("2", text) }

// markErrors colours the word error of rendered diagnostics.
func (s style) markErrors(text string) string {
	if !s.colour {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !strings.HasPrefix(l, " ") {
			lines[i] = strings.Replace(l, "error:", s.bad("error:"), 1)
		}
	}
	return strings.Join(lines, "\n")
}

// digits3 prints x with three significant digits and no exponent, for 0 <= x < 10000.
func digits3(x float64) string {
	switch {
	case x >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// scaled prints x in the largest unit of which there is at least one.
func scaled(x, step float64, units ...string) string {
	if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
		return "-"
	}
	i := 0
	for x >= step*0.9995 && i < len(units)-1 {
		x /= step
		i++
	}
	return digits3(x) + " " + units[i]
}

// timeText prints a duration: 812 ns, 1.25 ms.
func timeText(d time.Duration) string {
	if d < time.Microsecond {
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	}
	return scaled(float64(d)/1e3, 1e3, "us", "ms", "s")
}

// byteText prints a size in memory: 512 B, 1.50 MiB.
func byteText(n float64) string {
	if n >= 0 && n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	return scaled(n/1024, 1024, "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
}

// flopText prints a number of floating-point operations.
func flopText(n float64) string {
	switch {
	case n == 0:
		return "-"
	case n < 1000:
		return fmt.Sprintf("%.0f FLOP", n)
	}
	return scaled(n/1e3, 1e3, "kFLOP", "MFLOP", "GFLOP", "TFLOP")
}

// rate is n per second in units of 1e9.
func rate(n float64, d time.Duration) string {
	if n <= 0 || d <= 0 {
		return "-"
	}
	return digits3(n / float64(d.Nanoseconds()))
}

// percent prints part of whole; "-" if there is no whole.
func percent(part, whole float64) string {
	if whole <= 0 || math.IsNaN(part) || math.IsInf(part, 0) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*part/whole)
}

// plural counts: 1 kernel, 2 kernels.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// clip shortens s to at most n columns.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	if n <= 8 {
		return string(r[:max(n, 0)])
	}
	return string(r[:n-3]) + "..."
}

// wrap breaks a text at spaces into lines of at most width columns.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// excerpted is a line of a report that shows a source line.
var excerpted = regexp.MustCompile(`^  +\d* \| `)

// labelled is a line of a report with a label, or one that continues it.
var labelled = regexp.MustCompile(`^  (?:expected  |got       |hint      |          )`)

// foldReport breaks the lines of rendered diagnostics that are too long, source
// lines aside.
func foldReport(text string) string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		if utf8.RuneCountInString(l) <= columns || excerpted.MatchString(l) {
			out = append(out, l)
			continue
		}
		label, indent := labelled.FindString(l), "  "
		if label != "" {
			indent = strings.Repeat(" ", len(label))
		}
		for i, part := range wrap(l[len(label):], columns-len(indent)) {
			if i == 0 {
				out = append(out, label+part)
			} else {
				out = append(out, indent+part)
			}
		}
	}
	return strings.Join(out, "\n")
}

// table is text in columns. The last column takes what remains of the width.
type table struct {
	head  []string // a column whose head starts with '>' is aligned right
	rows  [][]string
	inset int
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, s style) {
	widths := make([]int, len(t.head))
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i] = strings.TrimPrefix(h, ">")
		widths[i] = utf8.RuneCountInString(head[i])
		for _, r := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	if strings.Join(head, "") != "" {
		fmt.Fprintln(w, s.bold(t.line(head, widths)))
	}
	for _, r := range t.rows {
		fmt.Fprintln(w, t.line(r, widths))
	}
}

func (t *table) line(cells []string, widths []int) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", t.inset))
	at := t.inset
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
			at += 2
		}
		pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
		switch {
		case strings.HasPrefix(t.head[i], ">"):
			b.WriteString(pad + c)
		case i == len(cells)-1:
			b.WriteString(clip(c, max(columns-at, 12)))
		default:
			b.WriteString(c + pad)
		}
		at += widths[i]
	}
	return strings.TrimRight(b.String(), " ")
}

// number is a float64 that JSON can hold: NaN and infinities become strings.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	x := float64(n)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte(strconv.Quote(strconv.FormatFloat(x, 'g', -1, 64))), nil
	}
	return []byte(strconv.FormatFloat(x, 'g', -1, 64)), nil
}
