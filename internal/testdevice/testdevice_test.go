package testdevice

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
)

// adding adds 1 to every byte of its operand.
type adding struct{ executors.Kernel }

func (adding) Bind(map[string]int64) (executors.Launch, error) { return addingLaunch{}, nil }

type addingLaunch struct{}

func (addingLaunch) ScratchBytes(int) int { return 0 }

func (addingLaunch) Run(bufs [][]byte, _ []byte, _ executors.Workers) error {
	for i, x := range bufs[0] {
		bufs[1][i] = x + 1
	}
	return nil
}

func launchOf(t *testing.T, d *Device) executors.Launch {
	l, err := d.Kernel(adding{}).Bind(nil)
	require.NoError(t, err)
	return l
}

func alloc(t *testing.T, d *Device, n int) []byte {
	mem, err := d.Alloc(n)
	require.NoError(t, err)
	return mem
}

func TestWorkIsDoneInOrder(t *testing.T) {
	for seed := range uint64(20) {
		d := New("test", seed)
		l := launchOf(t, d)
		x, y, scratch, host := alloc(t, d, 4), alloc(t, d, 4), alloc(t, d, Scratch), make([]byte, 4)
		require.NoError(t, d.Upload(x, []byte{1, 2, 3, 4}))
		require.NoError(t, l.Run([][]byte{x, y}, scratch, nil))
		d.Free(x)
		require.NoError(t, l.Run([][]byte{y, alloc(t, d, 4)}, scratch, nil))
		require.NoError(t, d.Download(host, y))
		require.Equal(t, []byte{2, 3, 4, 5}, host)
		assert.Equal(t, 2, d.Counts().Launches)
	}
}

// A batch whose order lacks a dependence gives what it should not, for some seed.
func TestAMissingDependenceShows(t *testing.T) {
	outcomes := map[string]int{}
	for _, after := range [][][]int{nil, {nil, {0}}, {nil, nil}} {
		for seed := range uint64(20) {
			d := New("test", seed)
			b, err := d.Batch([]executors.Launch{launchOf(t, d), launchOf(t, d)}, after)
			require.NoError(t, err)
			x, y, z, host := alloc(t, d, 4), alloc(t, d, 4), alloc(t, d, 4), make([]byte, 4)
			require.NoError(t, d.Upload(x, []byte{1, 2, 3, 4}))
			require.NoError(t, b.Run([][][]byte{{x, y}, {y, z}}, [][]byte{alloc(t, d, Scratch), alloc(t, d, Scratch)}))
			require.NoError(t, d.Download(host, z))
			switch right := host[0] == 3; {
			case right && (after == nil || after[1] != nil):
				outcomes["right"]++
			case !right && after != nil && after[1] == nil:
				outcomes["seen"]++
			case !right:
				outcomes["wrong"]++
			}
		}
	}
	assert.Equal(t, 40, outcomes["right"])
	assert.Positive(t, outcomes["seen"])
	assert.Zero(t, outcomes["wrong"])
}

func TestMisuseIsSeen(t *testing.T) {
	d := New("test", 1)
	x := alloc(t, d, 4)
	d.Free(x)
	assert.Panics(t, func() { d.Free(x) })
	assert.Panics(t, func() { _ = d.Upload(x, make([]byte, 4)) })
	assert.Panics(t, func() { _ = d.Upload(make([]byte, 4), make([]byte, 4)) }, "memory of the host")
	_, err := d.Batch([]executors.Launch{launchOf(t, d)}, [][]int{{0}})
	assert.Error(t, err)
	_, err = d.Batch([]executors.Launch{launchOf(t, New("other", 1))}, nil)
	assert.Error(t, err)
}

func TestFailuresComeLate(t *testing.T) {
	d := New("test", 1)
	boom := errors.New("boom")
	x, scratch := alloc(t, d, 4), alloc(t, d, Scratch)
	d.Fail(0, false, boom)
	require.NoError(t, launchOf(t, d).Run([][]byte{x, alloc(t, d, 4)}, scratch, nil))
	require.ErrorIs(t, d.Sync(), boom)
	require.NoError(t, d.Sync())
	d.Fail(0, true, boom)
	require.NoError(t, launchOf(t, d).Run([][]byte{x, x}, scratch, nil))
	require.ErrorIs(t, d.Sync(), boom)
	require.ErrorIs(t, d.Sync(), boom)
	_, err := d.Alloc(4)
	require.ErrorIs(t, err, boom)
}

// touch is set in a process that reads device memory.
const touch = "JITC_TESTDEVICE_TOUCH"

func TestTheHostCannotReadDeviceMemory(t *testing.T) {
	mem := alloc(t, New("test", 1), 4)
	if os.Getenv(touch) != "" {
		os.Exit(int(mem[0] >> 7)) // which is not reached where reads fault
	}
	c := exec.Command(os.Args[0], "-test.run=^TestTheHostCannotReadDeviceMemory$")
	c.Env = append(os.Environ(), touch+"=1")
	err := c.Run()
	if Faults {
		assert.Error(t, err)
	} else {
		assert.NoError(t, err)
	}
}
