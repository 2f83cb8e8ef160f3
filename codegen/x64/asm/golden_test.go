package asm

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite testdata/encodings.txt, once TestAgainstGas passes")

const goldenFile = "testdata/encodings.txt"

// TestGolden compares a sample of every row and method with recorded bytes, which GNU as agreed to when they
// were recorded. It runs on any machine.
func TestGolden(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	var got strings.Builder
	for _, s := range append(vectorSamples(r, 4), typedSamples(r, 4)...) {
		fmt.Fprintf(&got, "%-32x %s\n", s.code, s.text)
	}
	if *update {
		require.Empty(t, os.Getenv("CI"), "goldens are not updated under CI")
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(goldenFile, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	// Line by line: a diff of thousands of lines helps nobody.
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
	wrong := 0
	for i := range min(len(wantLines), len(gotLines)) {
		if wantLines[i] != gotLines[i] {
			if wrong++; wrong <= 10 {
				assert.Equal(t, wantLines[i], gotLines[i], "%s:%d", goldenFile, i+1)
			}
		}
	}
	const rewrite = "if a row was added, run: go test ./codegen/x64/asm -run Golden -update"
	assert.Zero(t, wrong, rewrite)
	assert.Equal(t, len(wantLines), len(gotLines), rewrite)
}
