//go:build !linux

package native

// cacheSizes is unknown: the templates' defaults apply.
func cacheSizes() caches { return caches{} }
