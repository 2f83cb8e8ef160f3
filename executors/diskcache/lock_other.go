//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package diskcache

import "os"

// tryLock locks nothing: two processes that sweep at once remove more than need
// be, and nothing worse.
func tryLock(*os.File) bool { return true }
