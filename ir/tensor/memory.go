package tensor

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Go cannot refuse an allocation: a tensor that is larger than the memory of the
// machine ends the process. So who makes one of a size that a program computed
// asks Affordable first.

// assumedMemory stands for the memory of a system that does not tell.
const assumedMemory = 1 << 40

// memoryFiles say how much memory the machine has, as a sum of lines or as the
// whole of a file; the least counts.
var memoryFiles = []struct {
	path string
	keys []string
	unit int
}{
	{"/proc/meminfo", []string{"MemTotal:", "SwapTotal:"}, 1 << 10},
	{"/sys/fs/cgroup/memory.max", []string{""}, 1},
	{"/sys/fs/cgroup/memory/memory.limit_in_bytes", []string{""}, 1},
}

// Memory is how many bytes the machine has, swap included: no tensor can be
// larger. It is looked up once.
var Memory = sync.OnceValue(func() int {
	least := assumedMemory
	for _, m := range memoryFiles {
		f, err := os.Open(m.path)
		if err != nil {
			continue
		}
		if n := memoryIn(f, m.keys); n > 0 && n <= math.MaxInt/m.unit {
			least = min(least, n*m.unit)
		}
		f.Close()
	}
	return least
})

// memoryIn adds up the numbers behind the keys; one without a key is that of "".
func memoryIn(r io.Reader, keys []string) (sum int) {
	for s := bufio.NewScanner(r); s.Scan(); {
		fields := append([]string{""}, strings.Fields(s.Text())...)
		for _, key := range keys {
			for i, f := range fields[:len(fields)-1] {
				if n, err := strconv.Atoi(fields[i+1]); err == nil && f == key && n <= math.MaxInt-sum {
					sum += n
				}
			}
		}
	}
	return sum
}

// Affordable is CheckedBytes, and an error too where the machine has less memory.
func Affordable(dt DType, shape []int) (int, error) {
	n, err := CheckedBytes(dt, shape)
	if err == nil && n > Memory() {
		return 0, fmt.Errorf("tensor: %s%v needs %d bytes: expected at most the machine's %d", dt, shape, n, Memory())
	}
	return n, err
}
