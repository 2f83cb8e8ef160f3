package ptx

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/internal/golden"
)

// wantInFlight lists how many bytes of loads a multiprocessor of an H100 has under
// way: its resident threads, times the most that a thread has asked for before it
// needs the first of it. 3 TB/s at 600 ns are 14 KB per multiprocessor, and loads
// come in bursts: 32 KB are plenty.
func wantInFlight(t *testing.T, c *golden.Case) {
	all := sizeFlags(c, "at:")
	if len(all) == 0 {
		return
	}
	if !*assembleAll && !updating() {
		t.Log("left out, as there is no -assemble: bytes under way")
		return
	}
	version := assembler()
	section := "want.ptxas-" + version
	if _, err := exec.LookPath("nvdisasm"); err != nil || version == "" || !c.Has(section) && !updating() {
		t.Logf("left out, as there is no ptxas, nvdisasm or %s: bytes under way", section)
		return
	}
	m := compiled(t, lowered(t, c.In), h100, Options{})
	table := fmt.Sprintf("%-24s %-20s %13s %9s %12s %13s %9s\n", "sizes", "entry", "grid x block", "registers", "threads/SM", "bytes/thread", "KB/SM")
	machine := map[string]machineCode{}
	for _, flag := range all {
		s, align := parseSizes(t, flag)
		b, err := codegen.Bind(m.Kernel, s)
		require.NoError(t, err)
		plan, err := m.BindAligned(b, max(align, 1)+255*(1-min(align, 1)))
		require.NoError(t, err)
		for i := range plan.Launches {
			l := &plan.Launches[i]
			if _, ok := machine[l.Entry]; !ok {
				machine[l.Entry] = machineOf(t, m, l.Entry)
			}
			one := &Plan{Launches: []Launch{*l}}
			code := machine[l.Entry]
			threads := residentThreads(l, code)
			table += fmt.Sprintf("%-24s %-20s %13s %9d %12d %13d %9.1f\n", flag, entryNames(m, one), grids(one), code.registers, threads, code.ahead, float64(threads*code.ahead)/1024)
		}
	}
	c.Want(t, section, table)
}

// machineCode is what matters of an entry's machine code.
type machineCode struct {
	registers int
	shared    int // bytes, static
	ahead     int // most bytes of loads under way in a thread
}

// machineOf assembles an entry.
func machineOf(t *testing.T, m *Module, entry string) machineCode {
	dir := t.TempDir()
	src, cubin := filepath.Join(dir, "x.ptx"), filepath.Join(dir, "x.cubin")
	for _, x := range m.Texts {
		if x.Entry == entry {
			require.NoError(t, os.WriteFile(src, []byte(x.PTX), 0o600))
		}
	}
	said, err := exec.Command("ptxas", "-v", "-arch=sm_90", src, "-o", cubin).CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "0 bytes spill stores, 0 bytes spill loads", entry)
	sass, err := exec.Command("nvdisasm", "-c", cubin).Output()
	require.NoError(t, err)
	return machineCode{registers: numberIn(said, `Used (\d+) registers`), shared: numberIn(said, `(\d+) bytes smem`), ahead: bytesAhead(string(sass))}
}

func numberIn(text []byte, pattern string) int {
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}

// residentThreads is how many threads of a launch a multiprocessor of sm_90 holds.
func residentThreads(l *Launch, c machineCode) int {
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	perWarp := (32*c.registers + 255) &^ 255
	blocks := min(32, 2048/threads, 65536/perWarp*32/threads)
	if shared := c.shared + int(l.Shared); shared > 0 {
		blocks = min(blocks, 228<<10/(shared+1024))
	}
	grid := int(l.Grid[0] * l.Grid[1] * l.Grid[2])
	return min(blocks, (grid+h100.Multiprocessors-1)/h100.Multiprocessors) * threads
}

var (
	sassLine = regexp.MustCompile(`^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P[0-9T]+ )?([A-Z0-9_]+)(\.[A-Z0-9_.]+)? ?(.*?) ?;`)
	sassReg  = regexp.MustCompile(`\bR(\d+)`)
)

// ahead is a load that is under way.
type ahead struct{ first, last, bytes int }

// bytesAhead is the most bytes of global loads that are under way at a time, in
// the order of the code: a use of a load's registers ends it and those before it.
func bytesAhead(sass string) int {
	var open []ahead
	most := 0
	for _, line := range strings.Split(sass, "\n") {
		m := sassLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		op, suffix, operands := m[1], m[2], m[3]
		if op == "BRA" && !strings.Contains(line, "@") || op == "EXIT" && !strings.Contains(line, "@") {
			open = nil
			continue
		}
		open = landed(open, operands)
		if op != "LDG" {
			continue
		}
		to, _ := strconv.Atoi(sassReg.FindStringSubmatch(operands + " R0")[1])
		a := ahead{to, to, 4}
		for width, bytes := range map[string]int{".U8": 1, ".S8": 1, ".U16": 2, ".S16": 2, ".64": 8, ".128": 16} {
			if strings.HasSuffix(suffix, width) || strings.Contains(suffix, width+".") {
				a.bytes, a.last = bytes, to+max(bytes/4, 1)-1
			}
		}
		open = append(open, a)
		sum := 0
		for _, o := range open {
			sum += o.bytes
		}
		most = max(most, sum)
	}
	return most
}

// landed drops the loads up to the last one whose registers an instruction names.
func landed(open []ahead, operands string) []ahead {
	for i := len(open) - 1; i >= 0; i-- {
		for _, r := range sassReg.FindAllStringSubmatch(operands, -1) {
			if n, _ := strconv.Atoi(r[1]); n >= open[i].first && n <= open[i].last {
				return open[i+1:]
			}
		}
	}
	return open
}

// TestBytesAhead: what is under way is over at the first use, or where the code ends.
func TestBytesAhead(t *testing.T) {
	const load, use = "        /*0060*/                   LDG.E.128 R4, desc[UR4][R2.64] ;\n", "        /*0070*/                   FADD R5, R6, R5 ;\n"
	const narrow = "        /*0080*/              @!P1 LDG.E.U16 R12, [R2.64+0x10] ;\n"
	const end = "        /*0090*/                   EXIT ;\n"
	for code, want := range map[string]int{"": 0, load: 16, load + narrow: 18, load + use + narrow: 16, narrow + end + load: 16, narrow + load: 18} {
		require.Equal(t, want, bytesAhead(code), code)
	}
}
