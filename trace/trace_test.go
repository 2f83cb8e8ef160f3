package trace

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
)

// The programs are written in canonical form, so that reading and formatting
// one gives the file back byte for byte.
func TestProgramsAreCanonical(t *testing.T) {
	files, err := filepath.Glob("../testdata/programs/*.trace")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := Read(file)
			require.NoError(t, err)
			require.NoError(t, ir.Verify(f.Func, ir.Surface))
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(src), f.Format())
		})
	}
}
