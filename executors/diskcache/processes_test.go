package diskcache

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// envChild makes the test binary a process that uses a cache: "SEED DIR".
const envChild = "JITC_TEST_CACHE_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(envChild); job != "" {
		seed, dir, _ := strings.Cut(job, " ")
		n, _ := strconv.ParseUint(seed, 10, 64)
		if err := child(n, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const (
	sharedLimit = 64 << 10
	sharedSize  = 2 << 10 // of the largest entry
)

// sharedEntry is an entry that every process agrees on.
func sharedEntry(i int) (Key, []byte) {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	data := make([]byte, r.IntN(sharedSize))
	for j := range data {
		data[j] = byte(r.Uint32())
	}
	return NewKey([]string{"cubin", "code"}[i%2], fmt.Sprint(i)), data
}

func child(seed uint64, dir string) error {
	c, err := Open(Options{Dir: dir, MaxBytes: sharedLimit})
	if err != nil {
		return err
	}
	return use(c, rand.New(rand.NewPCG(seed, 2)), 300)
}

// use gets and puts entries at random, and checks what it gets. Now and then it
// clears one kind.
func use(c *Cache, r *rand.Rand, times int) error {
	for range times {
		k, want := sharedEntry(r.IntN(200))
		if got, ok := c.Get(k); ok {
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%s: got other data than was put", k)
			}
			continue
		}
		if err := c.Put(k, want); err != nil {
			return err
		}
		if r.IntN(100) == 0 {
			if _, err := c.Clear(context.Background(), "code"); err != nil {
				return err
			}
		}
	}
	if n := c.Counts(); n.Damaged != 0 || n.Hits == 0 || n.Puts == 0 {
		return fmt.Errorf("unexpected counts: %+v", n)
	}
	return nil
}

// keeps checks the invariants of a directory that nobody uses any more.
func keeps(t *testing.T, c *Cache) {
	t.Helper()
	k, data := sharedEntry(1000)
	require.NoError(t, c.Put(k, data))
	s, err := c.Stat()
	require.NoError(t, err)
	assert.LessOrEqual(t, s.Bytes, int64(sharedLimit+sharedSize+headerSize))
	assert.Greater(t, s.Bytes, int64(sharedLimit/4))
	assert.Zero(t, s.Unfinished)
	v, err := c.Verify(t.Context(), VerifyOptions{})
	require.NoError(t, err)
	assert.Empty(t, v.Bad)
	assert.Equal(t, s.Entries, v.Checked)
	_, ok := c.Get(k)
	assert.True(t, ok)
}

func TestManyGoroutines(t *testing.T) {
	c, log := open(t, sharedLimit)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() { assert.NoError(t, use(c, rand.New(rand.NewPCG(uint64(i), 3)), 100)) })
	}
	all.Wait()
	assert.Greater(t, c.Counts().Evicted, int64(0))
	assert.Empty(t, log.String())
	keeps(t, c)
}

func TestManyProcesses(t *testing.T) {
	c, log := open(t, sharedLimit)
	self, err := os.Executable()
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", envChild, i, c.dir))
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
	all.Wait()
	assert.Empty(t, log.String())
	keeps(t, c)
}

// A process that was killed while it held the lock, or wrote, holds up nobody.
func TestLockOfADeadProcess(t *testing.T) {
	c, _ := open(t, 3*(1000+headerSize))
	put(t, c, "cubin", "a", 1000)
	lock, err := os.OpenFile(filepath.Join(c.dir, sweepLock), os.O_RDWR, 0)
	require.NoError(t, err)
	require.True(t, tryLock(lock))
	for i := range 5 {
		put(t, c, "cubin", fmt.Sprint(i), 1000) // over the bound, and nobody sweeps
	}
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Equal(t, 6, s.Entries)
	require.NoError(t, lock.Close())
	put(t, c, "cubin", "b", 1000)
	s, err = c.Stat()
	require.NoError(t, err)
	assert.Equal(t, 2, s.Entries)
}

// Processes that are killed at any moment leave entries that are whole, and files
// that a later sweep removes.
func TestKilledProcesses(t *testing.T) {
	c, log := open(t, sharedLimit)
	self, err := os.Executable()
	require.NoError(t, err)
	killed := 0
	for i := range 8 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", envChild, i, c.dir))
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(10+3*i) * time.Millisecond)
		if cmd.Process.Kill() == nil && cmd.Wait() != nil {
			killed++
		}
	}
	require.Positive(t, killed)
	v, err := c.Verify(t.Context(), VerifyOptions{})
	require.NoError(t, err)
	assert.Empty(t, v.Bad)
	c.now = func() time.Time { return time.Now().Add(2 * sweepEvery) }
	require.NoError(t, c.Put(NewKey("cubin", "last"), nil))
	s, err := c.Stat()
	require.NoError(t, err)
	assert.Zero(t, s.Unfinished)
	assert.LessOrEqual(t, s.Bytes, int64(sharedLimit))
	assert.Empty(t, log.String())
}
