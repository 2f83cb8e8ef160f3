package cuda_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
)

// What is assembled is what sizes choose: nothing of a kernel of several entries
// when it is compiled, one or two at the first size, none at another that chooses
// the same, and all for dumps.
func TestSizesChooseWhatIsAssembled(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{Assembler: d.Assembler()})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	k := compile(t, e, productText, executors.Options{})
	require.Zero(t, d.Count("Assemble"))
	require.Zero(t, k.Info().Code)
	require.Regexp(t, `^PTX, \d+ entries, assembled when sizes choose them$`, k.Info().Detail)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := k.Bind(map[string]int64{"N": 1, "C": 64})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	first := d.Count("Assemble")
	require.Contains(t, []int{1, 2}, first)
	require.Equal(t, first, d.Count("LoadModule"))
	bind(t, k, map[string]int64{"N": 1, "C": 68})
	require.Equal(t, first, d.Count("Assemble"))
	bind(t, k, map[string]int64{"N": 3000, "C": 64})
	require.Greater(t, d.Count("Assemble"), first)
	second := d.Count("Assemble")

	k = compile(t, e, productText, executors.Options{Dumps: true})
	require.Greater(t, d.Count("Assemble")-second, second)
	text, ok := k.Dump("asm")
	require.True(t, ok)
	require.Contains(t, text, "Compiling entry function")
}

// A kernel whose sizes are all known has what they choose assembled when it is
// compiled, and no more when it is bound.
func TestKnownSizesAreAssembledAtOnce(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{Assembler: d.Assembler()})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	k := compile(t, e, `func @product(%x: f32[64,96], %w: f32[96,96]) -> f32[64,96] {
  %0: f32[64,96] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`, executors.Options{})
	assembled := d.Count("Assemble")
	require.Positive(t, assembled)
	require.Positive(t, k.Info().Code)
	require.Regexp(t, `^PTX, \d+ entries \(\d+ of them for all sizes\), 32 registers, 0 bytes spilled$`, k.Info().Detail)
	bind(t, k, nil)
	require.Equal(t, assembled, d.Count("Assemble"))
	require.Equal(t, assembled, d.Count("LoadModule"))
}
