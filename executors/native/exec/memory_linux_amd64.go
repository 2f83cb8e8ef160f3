package exec

// newMemory prefers the doubly mapped arena and falls back to pages per kernel where a security policy
// forbids executable memory files.
func newMemory() (memory, error) {
	if a, err := newArena(slabBytes); err == nil {
		return a, nil
	}
	return newPages()
}
