package tensor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryOfFiles(t *testing.T) {
	meminfo := []string{"MemTotal:", "SwapTotal:"}
	for _, c := range []struct {
		text string
		keys []string
		want int
	}{
		{"MemTotal:  100 kB\nMemFree:  50 kB\nSwapTotal:  7 kB\n", meminfo, 107},
		{"MemFree:  50 kB\n", meminfo, 0},
		{"MemTotal:\n", meminfo, 0},
		{"4096\n", []string{""}, 4096},
		{"max\n", []string{""}, 0},
		{"", []string{""}, 0},
	} {
		assert.Equal(t, c.want, memoryIn(strings.NewReader(c.text), c.keys), "%q", c.text)
	}
}

func TestWhatNoMachineHoldsIsRefused(t *testing.T) {
	n, err := Affordable(F32, []int{3, 4})
	require.NoError(t, err)
	assert.Equal(t, 48, n)
	_, err = Affordable(F32, []int{1 << 43})
	require.ErrorContains(t, err, "expected at most the machine's")
	_, err = Affordable(F32, []int{1 << 62})
	require.ErrorContains(t, err, "address space")
	assert.Positive(t, Memory())
}
