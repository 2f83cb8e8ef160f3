package cuda_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// A fault counts wherever it is in an error: what failed first does not tell.
func TestFaultsAmongErrors(t *testing.T) {
	fault := driver.NewError("cuGraphDestroy", driver.IllegalAddress, "")
	other := driver.NewError("cuStreamEndCapture", driver.CaptureInvalidated, "")
	for _, err := range []error{
		fault, fmt.Errorf("a graph: %w", fault), errors.Join(other, fault),
		fmt.Errorf("%w: %w", errors.New("cublas"), errors.Join(other, fmt.Errorf("then %w", fault))),
	} {
		assert.True(t, cuda.IsSticky(err), err)
	}
	for _, err := range []error{other, errors.New("text"), fmt.Errorf("a graph: %w", other), errors.Join(other, other)} {
		assert.False(t, cuda.IsSticky(err), err)
	}
}

// The memory pool outlives the queue where others have the context too: it must not
// keep what the queue had.
func TestCloseEmptiesThePool(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{})
	q, err := e.Queue()
	require.NoError(t, err)
	mem, err := q.Alloc(1 << 20)
	require.NoError(t, err)
	q.Free(mem)
	require.Zero(t, d.Count("TrimPool"))
	require.NoError(t, e.Close())
	require.Equal(t, 1, d.Count("TrimPool"))
}
