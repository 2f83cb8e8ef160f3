//go:build unix

package diskcache

import (
	"fmt"
	"io/fs"
	"syscall"
)

// unsafeMode says what is wrong with a file or directory, if others than the user
// can have written it: what was expected, and what there is.
func unsafeMode(info fs.FileInfo, user int) (expected, got string) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != user {
		return fmt.Sprintf("of the user %d", user), fmt.Sprintf("of the user %d", s.Uid)
	}
	if writable(info) {
		return "that nobody else can write", fmt.Sprintf("of mode %04o", info.Mode().Perm())
	}
	return "", ""
}

func writable(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }
