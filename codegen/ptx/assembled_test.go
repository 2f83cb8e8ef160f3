package ptx

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/attention"
	"jitc/internal/golden"
	"jitc/ir"
)

// TestAssembled is the gate on machine code. A case's want.code counts, per entry,
// what the PTX has: it is compared everywhere. Where there is an assembler, nothing
// may be spilled; want.ptxas-V... has the registers, and the same counts of the
// machine code for sm_80 (or sm_90a, by a flag), which differ by version: it is compared where that version
// is at hand.
func TestAssembled(t *testing.T) {
	golden.Run(t, "testdata/assembled", func(t *testing.T, c *golden.Case) {
		arch := "sm_80"
		if c.Flags[hopperArch] {
			arch = hopperArch
		}
		texts := regionTexts(t, c.In, arch)
		c.Want(t, "want.code", codeTable(texts))
		version := assembler()
		if version == "" {
			t.Log("left out, as there is no ptxas on PATH: what is spilled, registers, machine code")
			return
		}
		section := "want.ptxas-" + version
		table, complete := machineHead, true
		for _, x := range texts {
			row, ok := machineRow(t, x, arch)
			table, complete = table+row, complete && ok
		}
		if !complete || !c.Has(section) && !updating() {
			t.Logf("left out, as there is no nvdisasm on PATH or no %s: registers and machine code", section)
			return
		}
		c.Want(t, section, table)
	})
}

// updating is whether golden files are rewritten.
func updating() bool { return flag.Lookup("update").Value.String() != "false" }

// hopperArch is the flag of cases with instructions of that architecture alone.
const hopperArch = "sm_90a"

// regionTexts are the entries of a region, or of the template that takes it.
func regionTexts(t *testing.T, src, arch string) []Text {
	f, _, diags := ir.Parse("in.trace", strings.TrimSpace(src))
	require.NotNil(t, f, "%v", diags)
	v := f.Values[0]
	if arch == hopperArch {
		return compiled(t, lowered(t, src), h100, Options{Wgmma: true}).Texts
	}
	if v.Op != ir.OpAttention {
		return compiled(t, lowered(t, src), a100, Options{}).Texts
	}
	dim, ok := v.Args[0].Type.Shape[v.Args[0].Type.Rank()-1].Const()
	require.True(t, ok)
	m := &asm.Module{Version: isaVersion, Target: "sm_80"}
	require.NoError(t, attention.Emit(m, attention.Problem{DType: v.Args[0].Type.DType, HeadDim: int(dim), ValueDim: int(dim),
		Causal: v.Attrs.Bool("causal", false)}, 80))
	return Texts(m)
}

var (
	instruction = regexp.MustCompile(`(?m)^\s+(?:@!?%p\d+ )?[a-z][a-z0-9]*[. ]`)
	wideAccess  = regexp.MustCompile(`\b(?:ld|st)\.global\S*\.(?:v4\.[bfsu]32|v2\.[bfsu]64)|\bcp\.async\S*\.shared\.global\S* [^;]*, 16[,;]|\bcp\.(?:async|reduce\.async)\.bulk\.tensor`)
	tensorCore  = regexp.MustCompile(`\b(?:mma\.sync|wgmma\.mma_async)`)
	wideSASS    = regexp.MustCompile(`\b(?:LDG|STG|LDGSTS)\.\S*\b128\b|\bUTMA(?:LDG|STG)\b`)
	tensorSASS  = regexp.MustCompile(`\b[HIDB]MMA\.|\b[HIQ]GMMA\.`)
)

// codeTable counts in the PTX.
func codeTable(texts []Text) string {
	out := fmt.Sprintf("%-28s %12s %15s %11s\n", "entry", "instructions", "128-bit global", "tensor core")
	for _, x := range texts {
		out += fmt.Sprintf("%-28s %12d %15d %11d\n", x.Entry, found(instruction, x.PTX), found(wideAccess, x.PTX), found(tensorCore, x.PTX))
	}
	return out
}

func found(what *regexp.Regexp, in string) int { return len(what.FindAllStringIndex(in, -1)) }

var machineHead = fmt.Sprintf("%-28s %9s %15s %11s\n", "entry", "registers", "128-bit global", "tensor core")

// machineRow assembles an entry and counts; ok is false where there is no
// disassembler.
func machineRow(t *testing.T, x Text, arch string) (row string, ok bool) {
	dir := t.TempDir()
	src, cubin := filepath.Join(dir, "x.ptx"), filepath.Join(dir, "x.cubin")
	require.NoError(t, os.WriteFile(src, []byte(x.PTX), 0o600))
	said, err := exec.Command("ptxas", "-v", "-arch="+arch, src, "-o", cubin).CombinedOutput()
	require.NoError(t, err, "%s\n%s", said, x.PTX)
	assert.Contains(t, string(said), "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads", x.Entry)
	used := regexp.MustCompile(`Used (\d+) registers`).FindSubmatch(said)
	require.NotNil(t, used, "%s", said)
	registers, err := strconv.Atoi(string(used[1]))
	require.NoError(t, err)
	sass, err := exec.Command("nvdisasm", "-c", cubin).Output()
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("%-28s %9d %15d %11d\n", x.Entry, registers, found(wideSASS, string(sass)), found(tensorSASS, string(sass))), true
}

// assembler is the version of the assembler on PATH, "V12.9.86"; empty: there is none.
func assembler() string {
	out, err := exec.Command("ptxas", "--version").Output()
	if err != nil {
		return ""
	}
	if v := regexp.MustCompile(`V[0-9.]+`).Find(out); v != nil {
		return string(v)
	}
	return "unknown"
}
