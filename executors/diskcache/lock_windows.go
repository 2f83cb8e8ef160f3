package diskcache

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks an open file, unless somebody has. Closing the file, or the end of
// the process, unlocks it.
func tryLock(f *os.File) bool {
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY)
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped)) == nil
}
