package attention

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/sim"
	"jitc/ir/tensor"
)

// Tiles are read without bank conflicts, whatever the head dimension.
func TestSharedMemoryHasNoConflicts(t *testing.T) {
	for _, dt := range dtypes {
		for _, d := range []int{32, 64, 80, 128, 256} {
			p := Problem{DType: dt, HeadDim: d, ValueDim: d}
			for _, queries := range []int{8, 64} {
				stats := newExample(p, nil, queries, 64, 1).run(t, sim.Options{})
				assert.Zero(t, stats[0].SharedConflicts, name(p, queries, 64))
			}
		}
	}
}

// With causality, tiles above the diagonal are not computed: the products counted
// are those of the tiles that are left.
func TestCausalTilesAreSkipped(t *testing.T) {
	const n, dim = 512, 64
	p := Problem{DType: tensor.BF16, HeadDim: dim, ValueDim: dim}
	perTile := func(rows, keys int) int64 { return int64(rows / 16 * (keys / 8 * dim / 16 * 2)) }
	ts, err := p.tiles(testArch)
	require.NoError(t, err)
	rows, keys := ts.wide.rows(p), ts.wide.keys
	whole, causal := int64(0), int64(0)
	for first := 0; first < n; first += rows {
		whole += int64(n/keys) * perTile(rows, keys)
		causal += int64(divUp(first+rows, keys)) * perTile(rows, keys)
	}
	// One multiprocessor: keys are not split.
	assert.Equal(t, whole, mmas(t, newExample(p, []int{4}, n, n, 1))/4)
	p.Causal = true
	assert.Equal(t, causal, mmas(t, newExample(p, []int{4}, n, n, 1))/4)
	assert.Less(t, causal, whole*2/3)
}

func mmas(t *testing.T, e *example) (n int64) {
	for _, s := range e.run(t, sim.Options{}) {
		n += s.MMA
	}
	return n
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		arch int
		want string
	}{
		{Problem{DType: tensor.F64, HeadDim: 64, ValueDim: 64}, 80, "element type: expected f16, bf16 or f32, got f64"},
		{Problem{DType: tensor.BF16, HeadDim: 63, ValueDim: 64}, 80, "head dimension: expected an even number"},
		{Problem{DType: tensor.BF16, HeadDim: 64, ValueDim: 0}, 80, "head dimension: expected 1 to 256, got 0"},
		{Problem{DType: tensor.F32, HeadDim: 257, ValueDim: 64}, 80, "head dimension: expected 1 to 256, got 257"},
		{Problem{DType: tensor.BF16, HeadDim: 64, ValueDim: 64, Align: 2}, 80, "alignment: expected 4, 8 or 16 bytes, got 2"},
		{Problem{DType: tensor.BF16, HeadDim: 64, ValueDim: 64}, 75, "expected sm_80 or newer, got sm_75"},
	} {
		assert.ErrorContains(t, Supported(c.p, c.arch), c.want)
		assert.ErrorContains(t, Emit(&asm.Module{}, c.p, c.arch), c.want)
	}
}

// Every head dimension has a tile on every architecture, which fits.
func TestTilesFit(t *testing.T) {
	for _, arch := range []int{80, 86, 87, 89, 90, 100, 120} {
		for _, dt := range dtypes {
			for d := 2; d <= MaxDim; d += 2 {
				for _, other := range []int{2, d, MaxDim} {
					p := Problem{DType: dt, HeadDim: d, ValueDim: other, Mask: MaskKind(d / 2 % 3)}
					require.NoError(t, Supported(p, arch))
					ts, err := p.tiles(arch)
					require.NoError(t, err)
					require.LessOrEqual(t, max(p.layout(ts.wide).bytes, p.layout(ts.few).bytes), sharedLimit(arch))
				}
			}
		}
	}
}

func TestSizesRefused(t *testing.T) {
	p := Problem{DType: tensor.BF16, HeadDim: 64, ValueDim: 64, Mask: BoolMask}
	for _, c := range []struct {
		change func(s *Sizes)
		want   string
	}{
		{func(s *Sizes) { s.Keys = -1 }, "expected none below 0"},
		{func(s *Sizes) { s.Keys = 1 << 31 }, "queries and keys, got 10 and 2147483648"},
		{func(s *Sizes) { s.Scale /= 0 * s.Scale }, "scale: expected a finite number"},
		{func(s *Sizes) { s.K.Col = 2 }, "strides of k: expected 1 between columns, got 2 (hint: copy it)"},
		{func(s *Sizes) { s.V.Row = 68 }, "strides of v: expected multiples of 8 elements, got 68"},
		{func(s *Sizes) { s.O.Lead = nil }, "strides of o: expected 2 of leading axes, got 0"},
		{func(s *Sizes) { s.Mask.Lead = []int{1} }, "strides of mask: expected 2 of leading axes, got 1"},
		{func(s *Sizes) { s.Lead[0] = 1 << 30 }, "expected fewer than 2**31 leading indices, got [1073741824 3]"},
		{func(s *Sizes) { s.Lead[0], s.Queries = 1<<29, 100 }, "expected fewer than 2**31 tiles of queries"},
	} {
		e := Sizes{Lead: []int{2, 3}, Queries: 10, Keys: 20, Scale: 1}
		e.Q, e.O = Contiguous(e.Lead, 10, 64), Contiguous(e.Lead, 10, 64)
		e.K, e.V, e.Mask = Contiguous(e.Lead, 20, 64), Contiguous(e.Lead, 20, 64), Contiguous(e.Lead, 10, 20)
		_, err := Bind(p, 80, e, 1)
		require.NoError(t, err)
		c.change(&e)
		_, err = Bind(p, 80, e, 1)
		assert.ErrorContains(t, err, c.want)
	}
}

// Leading axes fold into three, if strides let them.
func TestLeadingAxes(t *testing.T) {
	p := Problem{DType: tensor.F32, HeadDim: 4, ValueDim: 4, Causal: true}
	lead := []int{2, 1, 3, 2, 2}
	s := Sizes{
		Lead: lead, Queries: 5, Keys: 5, Q: Contiguous(lead, 5, 4), K: Contiguous(lead, 5, 4),
		V: Contiguous(lead, 5, 4), O: Contiguous(lead, 5, 4),
	}
	f, err := p.folded(s)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1, 24}, f.Lead)
	s.K.Lead = []int{4, 8, 16, 32, 64}
	_, err = p.folded(s)
	assert.ErrorContains(t, err, "expected strides by which they are at most 3, got [2 3 2 2]")
	s.K.Lead = []int{48, 0, 16, 8, 4}
	f, err = p.folded(s)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1, 24}, f.Lead)
	assert.Equal(t, []int{0, 0, 4}, f.K.Lead)
}

// The assembler, where there is one, finds nothing wrong, and registers for
// everything; products are those of tensor cores.
func TestAssembles(t *testing.T) {
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Log("left out: the assembly of entries, since there is no ptxas")
		return
	}
	dir := t.TempDir()
	for _, c := range []struct {
		arch, dim int
		dtype     tensor.DType
	}{{80, 64, tensor.BF16}, {80, 128, tensor.F32}, {90, 128, tensor.F16}} {
		p := Problem{DType: c.dtype, HeadDim: c.dim, ValueDim: c.dim, Causal: true, Stats: true}
		text, cubin := filepath.Join(dir, "a.ptx"), filepath.Join(dir, "a.cubin")
		require.NoError(t, os.WriteFile(text, []byte(bothPasses(t, p, c.arch).String()), 0o600))
		out, err := exec.Command(ptxas, "-v", fmt.Sprintf("-arch=sm_%d", c.arch), "-o", cubin, text).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Zero(t, spills(t, out), "%+v on sm_%d: %s", p, c.arch, out)
		if p.narrow() {
			assertTensorCores(t, cubin)
		}
	}
}

// bothPasses has the backward pass where there is one.
func bothPasses(t *testing.T, p Problem, arch int) *asm.Module {
	m := &asm.Module{Version: "7.8", Target: fmt.Sprintf("sm_%d", arch)}
	require.NoError(t, Emit(m, p, arch))
	if SupportedBackward(p, arch) == nil {
		require.NoError(t, EmitBackward(m, p, arch))
	}
	return m
}

func spills(t *testing.T, log []byte) int {
	found := regexp.MustCompile(`(\d+) bytes spill stores`).FindAllSubmatch(log, -1)
	require.NotEmpty(t, found)
	sum := 0
	for _, m := range found {
		n, err := strconv.Atoi(string(m[1]))
		require.NoError(t, err)
		sum += n
	}
	return sum
}

func assertTensorCores(t *testing.T, cubin string) {
	disassembler, err := exec.LookPath("nvdisasm")
	if err != nil {
		t.Log("left out: the search for tensor-core instructions, since there is no nvdisasm")
		return
	}
	out, err := exec.Command(disassembler, cubin).Output()
	require.NoError(t, err)
	for _, inst := range []string{"HMMA.16816", "LDSM.16.MT88.4", "LDGSTS.E.BYPASS.128"} {
		assert.Positive(t, bytes.Count(out, []byte(inst)), inst)
	}
}
