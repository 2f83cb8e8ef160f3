package gemm

import (
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
)

var spilled = regexp.MustCompile(`(\d+) bytes spill stores`)

// assemble assembles a module, and returns what ptxas prints.
func assemble(t *testing.T, m *asm.Module, name string) string {
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Skip("no ptxas: left out whether the code assembles without spills")
	}
	file := filepath.Join(t.TempDir(), "m.ptx")
	require.NoError(t, os.WriteFile(file, []byte(m.String()), 0o600))
	out, err := exec.Command(ptxas, "-v", "-arch="+m.Target, file, "-o", file+".cubin").CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
	return string(out)
}

// The code assembles, and spills nothing.
func TestAssembles(t *testing.T) {
	for i, p := range problems() {
		arch := 80 + 10*(i%2)
		m, _, _ := module(p, arch)
		if i%3 != 0 { // what large products use
			m.Kernels = m.Kernels[:1]
		}
		out := assemble(t, m, text(p))
		for _, s := range spilled.FindAllStringSubmatch(out, -1) {
			n, err := strconv.Atoi(s[1])
			require.NoError(t, err)
			assert.Zero(t, n, "%s for sm_%d\n%s", text(p), arch, out)
		}
	}
}

// The templates for sm_90a assemble, their products are not serialised, and their
// warp groups exchange registers.
func TestWarpGroupAssembles(t *testing.T) {
	for _, p := range groupProblems() {
		m, cs, _ := module(p, 90)
		require.Equal(t, Bulk, cs[0].Kind)
		require.Equal(t, WarpGroup, cs[len(bulkConfigs)].Kind)
		m.Kernels = m.Kernels[:len(bulkConfigs)+len(groupConfigs)]
		out := assemble(t, m, text(p))
		assert.NotContains(t, out, "serialized", text(p))
		assert.NotContains(t, out, "setmaxnreg", text(p))
		spills := spilled.FindAllString(out, -1)
		require.Len(t, spills, len(m.Kernels), out)
		for _, s := range spills {
			assert.Equal(t, "0 bytes spill stores", s, fmt.Sprint(text(p), strings.TrimSpace(out)))
		}
	}
}
