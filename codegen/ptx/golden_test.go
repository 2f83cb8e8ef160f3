package ptx

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/internal/golden"
	"jitc/ir"
	"jitc/passes"
)

var a100 = Device{Arch: 80, Multiprocessors: 108, SharedBytes: 163 << 10}

// primitives decomposes every composite op.
func primitives(t testing.TB, f *ir.Func) *ir.Func {
	t.Helper()
	out, err := passes.Run(f, passes.Options{Upto: "decompose"}, nil)
	require.NoError(t, err)
	return out
}

// lowered is the kernel of a region given as text.
func lowered(t testing.TB, src string) *codegen.Kernel {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", strings.TrimSpace(src))
	require.NotNil(t, f, "%v", diags)
	k, err := codegen.Lower(primitives(t, f), codegen.Options{})
	require.NoError(t, err)
	return k
}

func compiled(t testing.TB, k *codegen.Kernel, d Device, o Options) *Module {
	t.Helper()
	legal, err := codegen.Legalize(k, Target(o.FastMath, false))
	require.NoError(t, err)
	m, err := Compile(legal, d, o)
	require.NoError(t, err, legal.String())
	return m
}

var assembleAll = flag.Bool("assemble", false, "run ptxas over all code that tests compile, not some of it")

// spillBytes is how much code made of random nests may spill: what nobody writes is
// not scheduled for its registers.
const spillBytes = 128

// assemble runs NVIDIA's assembler over a module, where there is one, and checks
// that next to nothing is spilled; golden code spills nothing (TestAssembled).
func assemble(t testing.TB, m *Module, arch string) {
	t.Helper()
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Log("no ptxas on PATH: not assembled")
		return
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "x.ptx")
	require.NoError(t, os.WriteFile(src, []byte(m.Text()), 0o600))
	out, err := exec.Command(ptxas, "-arch="+arch, "-v", src, "-o", filepath.Join(dir, "x.cubin")).CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, m.Text())
	for _, line := range strings.Split(string(out), "\n") {
		var frame, stores, loads int
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "%d bytes stack frame, %d bytes spill stores, %d bytes spill loads", &frame, &stores, &loads); n == 3 {
			assert.LessOrEqual(t, max(stores, loads), spillBytes, "%s", out)
		}
	}
}

// TestGolden shows the code of regions that matter, and assembles it: of all
// entries, or of those that the case's flags name.
func TestGolden(t *testing.T) {
	golden.Run(t, "testdata", func(t *testing.T, c *golden.Case) {
		m := compiled(t, lowered(t, c.In), a100, Options{})
		shown := m.Texts
		if len(c.Flags) > 0 {
			shown = slices.DeleteFunc(slices.Clone(shown), func(x Text) bool { return !c.Flags[x.Entry] })
		}
		c.Want(t, "want.ptx", Whole(shown))
		assemble(t, m, "sm_80")
		assemble(t, m, "sm_90")
	})
}
