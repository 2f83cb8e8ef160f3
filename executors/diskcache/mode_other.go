//go:build !unix

package diskcache

import "io/fs"

// unsafeMode knows nothing of access lists: the user's own cache folder is the
// user's by default.
func unsafeMode(fs.FileInfo, int) (expected, got string) { return "", "" }

func writable(fs.FileInfo) bool { return false }
