package asm

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assembleWithGas returns what GNU as makes of each instruction.
func assembleWithGas(t *testing.T, samples []sample) [][]byte {
	t.Helper()
	var src strings.Builder
	src.WriteString(".intel_syntax noprefix\n")
	for _, s := range samples {
		src.WriteString(s.text + "\n")
	}
	dir := t.TempDir()
	in, list := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.lst")
	require.NoError(t, os.WriteFile(in, []byte(src.String()), 0o600))
	out, err := exec.Command("as", "-aln="+list, "--listing-lhs-width=8", "-o", filepath.Join(dir, "a.o"), in).CombinedOutput()
	require.NoError(t, err, "%.3000s", out)
	listing, err := os.ReadFile(list)
	require.NoError(t, err)

	// A listing line is: number, offset, groups of up to 4 hex bytes, source.
	line := regexp.MustCompile(`(?m)^ *(\d+) [0-9a-f]{4,} ((?:[0-9A-F]{2,8} )+)`)
	code := make([][]byte, len(samples))
	for _, m := range line.FindAllStringSubmatch(string(listing), -1) {
		no, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		_, err = fmt.Sscanf(strings.ReplaceAll(m[2], " ", ""), "%x", &code[no-2])
		require.NoError(t, err)
	}
	return code
}

// movqAlias rewrites GNU as's choice for VMOVQ between memory and xmm16..31, EVEX.66.W1 6E and 7E, to the
// equivalent EVEX.F3.W1 7E and EVEX.66.W1 D6 that share a row with the VEX forms.
func movqAlias(code []byte) []byte {
	if len(code) < 6 || code[0] != 0x62 || code[2] != 0xFD || code[3] != 0x08 {
		return code
	}
	code = bytes.Clone(code)
	switch code[4] {
	case 0x6E:
		code[2], code[4] = 0xFE, 0x7E
	case 0x7E:
		code[4] = 0xD6
	}
	return code
}

// TestAgainstGas holds every row and every typed method against GNU as. TestGolden covers the machines
// without it.
func TestAgainstGas(t *testing.T) {
	version, err := exec.Command("as", "--version").Output()
	if err != nil || !bytes.Contains(version, []byte("GNU")) || !bytes.Contains(version, []byte("x86_64")) {
		t.Log("NOT COMPARED: there is no GNU as for x86-64 here. Comparing the recorded encodings instead.")
		TestGolden(t)
		return
	}
	r := rand.New(rand.NewSource(1))
	samples := append(vectorSamples(r, 24), typedSamples(r, 24)...)
	want := assembleWithGas(t, samples)
	wrong := 0
	for i, s := range samples {
		if !bytes.Equal(want[i], s.code) && !bytes.Equal(movqAlias(want[i]), s.code) {
			if wrong++; wrong < 40 {
				assert.Failf(t, "encoding differs", "%s\ngas  %x\nours %x", s.text, want[i], s.code)
			}
		}
	}
	assert.Zero(t, wrong)
	t.Logf("%d instructions of %d rows, %d differ", len(samples), numOps, wrong)
}
