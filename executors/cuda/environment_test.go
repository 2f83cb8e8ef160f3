package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda"
)

// clearEnvironment unsets the variables for a test.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, row := range cuda.At(0).Environment() {
		t.Setenv(row[0], "")
	}
}

func TestEnvironment(t *testing.T) {
	clearEnvironment(t)
	o, err := cuda.ReadEnvironment()
	require.NoError(t, err)
	assert.Equal(t, cuda.Options{}, o)
	for _, c := range []struct {
		name, value string
		want        cuda.Options
	}{
		{"JITC_CUDA_GRAPHS", "off", cuda.Options{NoGraphs: "JITC_CUDA_GRAPHS is off"}},
		{"JITC_CUDA_GRAPHS", "on", cuda.Options{}},
		{"JITC_CUDA_BLOCKING", "on", cuda.Options{Blocking: true}},
		{"JITC_CUDA_BLOCKING", "1", cuda.Options{Blocking: true}},
		{"JITC_CUDA_BLOCKING", "No", cuda.Options{}},
		{"JITC_CUDA_REUSE", "off", cuda.Options{NoReuse: true}},
		{"JITC_CUDA_WGMMA", "TRUE", cuda.Options{Wgmma: true}},
		{"JITC_CUDA_ASSEMBLER", "driver", cuda.Options{}},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			o, err := cuda.ReadEnvironment()
			require.NoError(t, err)
			assert.Equal(t, c.want, o)
		})
	}
}

// A value that means nothing makes the executor unavailable, whatever the machine
// has.
func TestEnvironmentThatIsWrong(t *testing.T) {
	for i, c := range []struct{ name, value, want string }{
		{"JITC_CUDA_GRAPHS", "maybe", "JITC_CUDA_GRAPHS=maybe; expected on or off"},
		{"JITC_CUDA_BLOCKING", "2", "JITC_CUDA_BLOCKING=2; expected on or off"},
		{"JITC_CUDA_REUSE", "never", "JITC_CUDA_REUSE=never; expected on or off"},
		{"JITC_CUDA_WGMMA", " on", "JITC_CUDA_WGMMA= on; expected on or off"},
		{"JITC_CUDA_ASSEMBLER", "nvcc", "JITC_CUDA_ASSEMBLER=nvcc; expected ptxas or driver"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clearEnvironment(t)
			t.Setenv(c.name, c.value)
			e := cuda.At(100 + i) // that no other test has
			require.EqualError(t, e.Available(), c.want)
			_, err := e.Queue()
			require.EqualError(t, err, c.want)
			require.Empty(t, e.Features())
			t.Setenv(c.name, "")
			require.EqualError(t, e.Available(), c.want, "it is read once")
		})
	}
}

// An assembler that is asked for and missing is said, not replaced.
func TestEnvironmentWithoutTheAssembler(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("JITC_CUDA_ASSEMBLER", "ptxas")
	t.Setenv("PATH", t.TempDir())
	_, err := cuda.ReadEnvironment()
	require.ErrorContains(t, err, "JITC_CUDA_ASSEMBLER=ptxas: ptxas not found")
}
