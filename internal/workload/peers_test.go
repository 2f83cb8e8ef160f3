package workload_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/workload"
)

// The peers' table has the names of this one: those that are printed beside each
// other. Without Python only that is left out.
func TestPeersHaveTheSameNames(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("no python3: names were NOT compared with those of peers.py")
		return
	}
	for sizes, flags := range map[*workload.Sizes][]string{&workload.Full: nil, &workload.Reduced: {"--quick", "--device", "cpu"}} {
		start := sizes.Start()
		names := []string{start.Name + "-cold", start.Name + "-warm"}
		for _, w := range workload.Kernels(sizes) {
			names = append(names, w.Name)
		}
		for _, d := range workload.Decodings(sizes) {
			names = append(names, "decode-"+d.Name)
		}
		cmd := exec.Command(python, append([]string{"../../testdata/peers/peers.py", "--list"}, flags...)...)
		out, err := cmd.Output()
		require.NoError(t, err)
		require.ElementsMatch(t, names, strings.Fields(string(out)))
	}
}
