//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package diskcache

import (
	"os"
	"syscall"
)

// tryLock locks an open file, unless somebody has. Closing the file, or the end of
// the process, unlocks it.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
