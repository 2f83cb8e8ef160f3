//go:build !linux

package native

// cacheSizes is unknown: the templates' defaults apply.
func cacheSizes() (l1, l2 int) { return 0, 0 }
