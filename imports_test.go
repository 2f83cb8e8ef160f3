package jitc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// layers lists the packages by what they may import: a package imports packages
// of earlier layers, or those below its own folder, only. The order is the data
// flow: a stage never reaches up to a later one.
var layers = []struct {
	pkg string
	may []string // prefixes of jitc packages beside its own
}{
	{"jitc/ir/diag", nil},
	{"jitc/ir/dim", nil},
	{"jitc/ir/tensor", nil},
	{"jitc/ir", []string{"jitc/ir"}},
	{"jitc/trace", []string{"jitc/ir"}},
	{"jitc/trace/pytree", []string{"jitc/ir"}},
	{"jitc/passes", []string{"jitc/ir"}},
	{"jitc/fusion", []string{"jitc/ir"}},
	{"jitc/codegen/x64/asm", nil},
	{"jitc/codegen/x64/gemm", []string{"jitc/ir", "jitc/codegen/x64/asm"}},
	{"jitc/codegen/ptx/asm", nil},
	{"jitc/codegen/ptx/tensormap", []string{"jitc/ir"}},
	{"jitc/codegen/ptx/sim", []string{"jitc/ir/tensor", "jitc/codegen/ptx/tensormap"}},
	{"jitc/codegen/ptx/gemm", []string{"jitc/ir", "jitc/codegen/ptx/asm", "jitc/codegen/ptx/tensormap"}},
	{"jitc/codegen/ptx/attention", []string{"jitc/ir", "jitc/codegen/ptx/asm"}},
	{"jitc/codegen", []string{"jitc/ir", "jitc/codegen"}},
	{"jitc/executors/native/exec", nil},
	{"jitc/executors/native/pool", nil},
	{"jitc/executors/cuda/clib", nil},
	{"jitc/executors/cuda/driver", []string{"jitc/codegen/ptx/tensormap", "jitc/executors/cuda/clib"}},
	{"jitc/executors/cuda/driver/fake", []string{"jitc/codegen/ptx/sim", "jitc/codegen/ptx/tensormap", "jitc/executors/cuda/driver"}},
	{"jitc/executors/diskcache", nil},
	{"jitc/executors", []string{"jitc/ir", "jitc/fusion", "jitc/codegen", "jitc/executors"}},
	{"jitc/runtime/guard", []string{"jitc/ir"}},
	{"jitc/runtime/metrics", []string{"jitc/runtime"}},
	{"jitc/runtime", []string{"jitc/ir", "jitc/fusion", "jitc/codegen", "jitc/executors"}},
	{"jitc/internal/testdevice", []string{"jitc/ir", "jitc/fusion", "jitc/executors"}},
	{"jitc/internal/workload", []string{"jitc"}},
	{"jitc/internal", []string{"jitc/ir", "jitc/trace", "jitc/internal"}},
	{"jitc/cmd/jitc", []string{"jitc"}},
	{"jitc", []string{"jitc"}},
}

// rule finds the row for a package: the longest prefix.
func rule(pkg string) (may []string, ok bool) {
	best := -1
	for _, l := range layers {
		if (pkg == l.pkg || strings.HasPrefix(pkg, l.pkg+"/")) && len(l.pkg) > best {
			best, may, ok = len(l.pkg), l.may, true
		}
	}
	return may, ok
}

func allowed(pkg, imp string, may []string) bool {
	if strings.HasPrefix(imp, pkg+"/") {
		return true
	}
	for _, m := range may {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			return !strings.HasPrefix(imp, "jitc/cmd/")
		}
	}
	return false
}

func TestImportsPointOneWay(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports}, "jitc/...")
	require.NoError(t, err)
	require.Greater(t, len(pkgs), 10)
	for _, p := range pkgs {
		require.Empty(t, p.Errors, p.PkgPath)
		may, ok := rule(p.PkgPath)
		require.True(t, ok, "no layer for %s", p.PkgPath)
		for imp := range p.Imports {
			if imp == "jitc" || strings.HasPrefix(imp, "jitc/") {
				require.True(t, allowed(p.PkgPath, imp, may), "%s must not import %s", p.PkgPath, imp)
			}
		}
	}
}

// A program that does not ask for metrics does not link the Prometheus client.
func TestOnlyMetricsImportPrometheus(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports}, "jitc/...")
	require.NoError(t, err)
	found := false
	for _, p := range pkgs {
		for imp := range p.Imports {
			if p.PkgPath == "jitc/runtime/metrics" {
				found = found || strings.HasPrefix(imp, "github.com/prometheus/")
				continue
			}
			require.False(t, strings.HasPrefix(imp, "github.com/prometheus/"), "%s imports %s", p.PkgPath, imp)
			require.True(t, imp != "jitc/runtime/metrics" || strings.HasPrefix(p.PkgPath, "jitc/cmd/"), "%s imports %s", p.PkgPath, imp)
		}
	}
	require.True(t, found)
}

// What links purego is linked dynamically: the executors for CUDA only, which
// cmd/jitc can do without, and nothing that a program needs imports them.
func TestOnlyClibImportsPurego(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports}, "jitc/...")
	require.NoError(t, err)
	found := false
	for _, p := range pkgs {
		for imp := range p.Imports {
			isPurego := strings.HasPrefix(imp, "github.com/ebitengine/purego")
			isBinding := p.PkgPath == "jitc/executors/cuda/clib"
			found = found || isPurego && isBinding
			require.True(t, !isPurego || isBinding, "%s imports %s", p.PkgPath, imp)
			mayImport := slices.ContainsFunc([]string{"jitc/executors/cuda", "jitc/executors/cublas", "jitc/cmd/"},
				func(prefix string) bool { return strings.HasPrefix(p.PkgPath, prefix) })
			require.True(t, imp != "jitc/executors/cuda" && imp != "jitc/executors/cublas" || mayImport, "%s imports %s", p.PkgPath, imp)
		}
	}
	require.True(t, found)
}
