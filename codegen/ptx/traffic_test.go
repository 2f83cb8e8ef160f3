package ptx

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/internal/golden"
)

// A multiprocessor of an H100 by itself, which few points keep busy, and the whole.
var (
	one100 = Device{Arch: 90, Multiprocessors: 1, SharedBytes: 227 << 10}
	h100   = Device{Arch: 90, Multiprocessors: 132, SharedBytes: 227 << 10}
)

// TestTraffic pins what kernels cost. A case's flags are sizes: run:... are run on
// one multiprocessor and counted, at:... are those of which want.ptxas-V... lists
// how many bytes a multiprocessor of an H100 has under way. An align of n lays the
// buffers n bytes behind a multiple of 256.
//
//	sectors   32-byte sectors that the accesses of warps touch, by those of all
//	          inputs and outputs once: 1 is the least
//	accesses  the same of accesses of warps, by those of 512 bytes
//	wide      the share of the sectors' bytes that accesses of 128 bits move
//	insts     instructions per element of the largest buffer, of threads
//	warp      32 times the same of warps: more where lanes idle
//	conflict  cycles lost to bank conflicts, per 1000 elements
func TestTraffic(t *testing.T) {
	golden.Run(t, "testdata/traffic", func(t *testing.T, c *golden.Case) {
		d := forDevice(t, compiled(t, lowered(t, c.In), one100, Options{}))
		table := fmt.Sprintf("%-24s %-20s %13s %8s %8s %5s %7s %7s %8s %8s\n", "sizes", "entries", "grid x block", "sectors", "accesses", "wide", "insts", "warp", "conflict", "barriers")
		for _, flag := range sizeFlags(c, "run:") {
			table += trafficRow(t, d, flag)
		}
		c.Want(t, "want.traffic", table)
		wantInFlight(t, c)
	})
}

// sizeFlags lists the flags with a prefix, without it, short ones first.
func sizeFlags(c *golden.Case, prefix string) []string {
	var out []string
	for f := range c.Flags {
		if s, ok := strings.CutPrefix(f, prefix); ok {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return out
}

// parseSizes reads N=4,C=1000,align=4.
func parseSizes(t testing.TB, flag string) (s sizes, align int) {
	t.Helper()
	s = sizes{}
	for _, f := range strings.Split(flag, ",") {
		name, value, ok := strings.Cut(f, "=")
		if !ok { // of a kernel without sizes
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		require.NoError(t, err, flag)
		if name == "align" {
			align = int(n)
		} else {
			s[name] = n
		}
	}
	return s, align
}

// trafficRow runs the kernel and counts; what it computes is checked too.
func trafficRow(t *testing.T, d *onDevice, flag string) string {
	s, align := parseSizes(t, flag)
	stats := checkOn(t, d, s, elements.Moderate, 3e-4, align)
	b, err := codegen.Bind(d.m.Kernel, s)
	require.NoError(t, err)
	bytes, most := int64(0), int64(1)
	for i, buf := range d.m.Kernel.Bufs {
		if buf.Kind <= codegen.Output {
			bytes += b.Lens[i] * int64(buf.DType.Size())
			most = max(most, b.Lens[i])
		}
	}
	moved, n := float64(32*stats.GlobalSectors), float64(most)
	return fmt.Sprintf("%-24s %-20s %13s %8.2f %8.2f %4.0f%% %7.1f %7.1f %8.1f %8d\n", flag, entryNames(d.m, d.plan), grids(d.plan),
		moved/float64(bytes), 512*float64(stats.GlobalAccesses)/float64(bytes), 100*16*float64(stats.Vec128)/moved,
		float64(stats.Insts)/n, 32*float64(stats.Steps)/n, 1000*float64(stats.SharedConflicts)/n, stats.Barriers)
}

// entryNames lists a plan's entries without the kernel's name.
func entryNames(m *Module, p *Plan) string {
	var out []string
	for _, l := range p.Launches {
		out = append(out, strings.TrimPrefix(l.Entry, "k_"+m.Kernel.Name))
	}
	return strings.Join(out, " ")
}

func grids(p *Plan) string {
	var out []string
	for _, l := range p.Launches {
		out = append(out, fmt.Sprintf("%dx%d", l.Grid[0]*l.Grid[1]*l.Grid[2], l.Block[0]))
	}
	return strings.Join(out, " ")
}
